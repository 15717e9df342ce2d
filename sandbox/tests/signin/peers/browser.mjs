// A real browser without a screen, with authenticators that the test holds in its hands. One line of JSON asks, one
// answers.
import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.NODE_PATH + "/"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.NSL_CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"],
});
let page, cdp, authenticator;
const said = [];
const sent = [];

async function fresh() {
  const context = await browser.newContext();
  page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => {
    if (request.method() === "POST") sent.push({ url: request.url(), body: request.postData() });
  });
  cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
}

const does = {
  fresh,
  authenticator: async ({ verified = true }) => {
    if (authenticator) await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: authenticator }).catch(() => {});
    const options = {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: verified, automaticPresenceSimulation: true,
    };
    authenticator = (await cdp.send("WebAuthn.addVirtualAuthenticator", { options })).authenticatorId;
  },
  // What an authenticator app shows (RFC 6238), `later` steps from now.
  app: async ({ secret, later }) => {
    const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + later));
    const mac = createHmac("sha1", key).update(step).digest();
    const at = mac[19] & 15;
    return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
  },
  verified: async ({ is }) => cdp.send("WebAuthn.setUserVerified", { authenticatorId: authenticator, isUserVerified: is }),
  credentials: async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId: authenticator })).credentials,
  // As somebody has it who copied the secret of an authenticator.
  restore: async ({ credentials }) => {
    await cdp.send("WebAuthn.clearCredentials", { authenticatorId: authenticator });
    for (const credential of credentials) {
      await cdp.send("WebAuthn.addCredential", { authenticatorId: authenticator, credential });
    }
  },
  // Doubles of wallets, as they show themselves to pages; what they sign with is what wallets are made of.
  wallets: async () => {
    const of = (peer) => createRequire(pathToFileURL(process.env.NODE_PATH + "/../../" + peer + "/node_modules/"));
    const { Wallet } = of("wallets")("ethers");
    const { wallet } = of("neon")("@cityofzion/neon-js");
    const x = Wallet.createRandom();
    const n3 = new wallet.Account(wallet.generatePrivateKey());
    const context = page.context();
    await context.exposeFunction("signOnX", (hex) => x.signMessage(Buffer.from(hex.slice(2), "hex")));
    await context.exposeFunction("signOnN3", (message) => {
      const salt = "00112233445566778899aabbccddeeff";
      const text = Buffer.from(salt + message).toString("hex");
      const bytes = text.length / 2;
      const length = bytes < 0xfd ? bytes.toString(16).padStart(2, "0") : "fd" + Buffer.from([bytes & 255, bytes >> 8]).toString("hex");
      const data = wallet.sign("010001f0" + length + text + "0000", n3.privateKey);
      return { publicKey: n3.publicKey, data, salt, message };
    });
    await context.addInitScript(([x, n3]) => {
      const request = async ({ method, params }) => (method === "personal_sign" ? window.signOnX(params[0]) : [x]);
      window.ethereum = { request };
      const Init = function () {};
      Init.prototype.getAccount = async () => ({ address: n3, label: "double" });
      Init.prototype.signMessage = ({ message }) => window.signOnN3(message);
      window.NEOLineN3 = { Init };
    }, [x.address, n3.address]);
    return { x: x.address, n3: n3.address };
  },
  open: async ({ url }) => {
    await page.goto(url);
  },
  // The page as somebody has it who cannot see it: by roles and names.
  press: async ({ name }) => page.getByRole("button", { name, exact: true }).click(),
  fill: async ({ label, value }) => page.getByLabel(label, { exact: false }).locator("visible=true").fill(value),
  see: async ({ text }) => {
    await page.getByText(text).locator("visible=true").first().waitFor();
  },
  heading: async ({ text }) => {
    await page.getByRole("heading", { name: text, exact: true }).waitFor();
  },
  problem: async () => {
    await page.locator("#problem").locator("visible=true").waitFor();
    return page.locator("#problem").textContent();
  },
  run: async ({ script, argument }) => page.evaluate(([script, argument]) => (0, eval)("(" + script + ")")(argument), [script, argument]),
  url: async () => page.url(),
  said: async () => said.splice(0),
  sent: async () => sent.splice(0),
  forget: async ({ url }) => page.context().clearCookies({ domain: new URL(url).hostname }),
  // What accessibility tools would stumble over.
  names: async () =>
    page.evaluate(() => {
      const nameless = [];
      for (const field of document.querySelectorAll("input")) if (!field.labels?.length) nameless.push(field.outerHTML);
      for (const button of document.querySelectorAll("button")) {
        if (!(button.textContent.trim() || button.getAttribute("aria-label"))) nameless.push(button.outerHTML);
      }
      return nameless;
    }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = await does[asked.do](asked).then((good) => ({ good: good ?? null }), (error) => ({ bad: String(error.stack) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
process.exit(0);
