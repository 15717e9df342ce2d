// A real OpenID provider (oidc-provider), with a liar in front of it that the test tells what to lie about. One line of
// JSON asks, one answers.
import http from "node:http";
import { createHash, createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Its advice for production is no answer.
console.log = console.info = console.warn = console.error;

// Beside this file nothing is installed: what is lies where NODE_PATH says.
const require = createRequire(pathToFileURL(process.env.NODE_PATH + "/"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: Provider } = await load("oidc-provider");
const jose = await load("jose");

const people = {
  alice: { email: "alice@corp.example", email_verified: true, name: "Alice" },
  mallory: { email: "victim@example.com", email_verified: true, name: "Mallory" },
  unverified: { email: "unverified@corp.example", email_verified: false, name: "Una" },
};
let person = "alice";
let keys, provider, lie = {};
const asked = [];

const server = http.createServer((request, response) => pass(request, response));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = "http://127.0.0.1:" + server.address().port;
const inner = http.createServer((request, response) => provider.callback()(request, response));
await new Promise((ready) => inner.listen(0, "127.0.0.1", ready));

let clients = [];

async function makeKeys(alg) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await jose.exportJWK(privateKey)), alg, use: "sig" };
  jwk.kid = await jose.calculateJwkThumbprint(jwk);
  return { privateKey, publicKey, jwk, alg };
}

// The store of oidc-provider belongs to the module, so that what was begun before a change of keys goes on after it.
async function open(alg) {
  keys = await makeKeys(alg);
  provider = new Provider(issuer, {
    clients,
    jwks: { keys: [keys.jwk] },
    cookies: { keys: ["a key for tests only"] },
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    claims: { email: ["email", "email_verified"], profile: ["name"] },
    clientDefaults: { id_token_signed_response_alg: alg },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => "/interaction/" + interaction.uid },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  });
  provider.use(async (context, next) => {
    const uid = context.path.match(/^\/interaction\/(.+)$/)?.[1];
    if (!uid) return next();
    const { prompt, params, session } = await provider.interactionDetails(context.req, context.res);
    let result;
    if (person === null) result = { error: "access_denied", error_description: "not today" };
    else if (prompt.name === "login") result = { login: { accountId: person } };
    else {
      const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      grant.addOIDCScope(params.scope);
      result = { consent: { grantId: await grant.save() } };
    }
    await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: true });
    context.respond = false;
  });
}

const gather = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
};

async function pass(request, response) {
  const body = await gather(request);
  const path = request.url.split("?")[0];
  if (path === "/token") {
    asked.push({ form: Object.fromEntries(new URLSearchParams(body.toString())), authorization: request.headers.authorization });
  }
  const onward = http.request(
    { host: "127.0.0.1", port: inner.address().port, method: request.method, path: request.url, headers: request.headers },
    async (answer) => {
      const [status, headers, text] = await bend(path, answer.statusCode, { ...answer.headers }, await gather(answer));
      delete headers["content-length"];
      delete headers["transfer-encoding"];
      response.writeHead(status, headers);
      response.end(text);
    },
  );
  onward.end(body);
}

async function bend(path, status, headers, text) {
  if (path === "/.well-known/openid-configuration" && lie.discovery) {
    text = JSON.stringify({ ...JSON.parse(text), ...lie.discovery });
  }
  if (path === "/jwks" && lie.jwks) text = JSON.stringify(lie.jwks);
  if (path === "/token" && status === 200) {
    if (lie.redirect) return [307, { location: lie.redirect }, ""];
    if (lie.endless) return [200, headers, Buffer.alloc(4 << 20, 32)];
    const reply = JSON.parse(text);
    if (lie.token) reply.id_token = await forge(reply.id_token, lie.token);
    if (lie.reply) Object.assign(reply, lie.reply);
    text = JSON.stringify(reply);
  }
  return [status, headers, text];
}

const b64 = (value) => Buffer.from(value).toString("base64url");

async function forge(real, { claims = {}, header = {}, by = "provider", raw = "" }) {
  const said = { ...jose.decodeJwt(real), ...claims };
  for (const name of Object.keys(said)) if (said[name] === null) delete said[name];
  const head = { ...jose.decodeProtectedHeader(real), ...header };
  for (const name of Object.keys(head)) if (head[name] === null) delete head[name];
  const payload = raw ? JSON.stringify(said).replace(/^\{/, "{" + raw + ",") : JSON.stringify(said);
  const input = b64(JSON.stringify(head)) + "." + b64(payload);
  if (by === "nobody") return input + ".";
  if (by === "secret") return input + "." + createHmac("sha256", clients[0].client_secret).update(input).digest("base64url");
  if (by === "public") {
    const pem = await jose.exportSPKI(keys.publicKey);
    return input + "." + createHmac("sha256", pem).update(input).digest("base64url");
  }
  if (by === "public-jwk") {
    const text = JSON.stringify({ keys: [await jose.exportJWK(keys.publicKey)] });
    return input + "." + createHmac("sha256", text).update(input).digest("base64url");
  }
  const own = by === "provider" ? keys : await makeKeys(keys.alg);
  if (by === "embedded") head.jwk = await jose.exportJWK(own.publicKey);
  return new jose.CompactSign(new TextEncoder().encode(payload)).setProtectedHeader(head).sign(own.privateKey);
}

// What a browser does between this server's two pages, and nothing else.
async function visit(url) {
  const jar = new Map();
  for (let hop = 0; hop < 12; hop++) {
    const answer = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...jar].map(([name, value]) => name + "=" + value).join("; ") },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      jar.set(name, value);
    }
    const location = answer.headers.get("location");
    if (!location) return { status: answer.status, text: await answer.text() };
    url = new URL(location, url).href;
    if (!url.startsWith(issuer)) return { url };
  }
  throw new Error("too many redirects");
}

const does = {
  open: async (said) => {
    clients = said.clients;
    await open(said.alg || "RS256");
    return { issuer };
  },
  rotate: async (said) => {
    await open(said.alg || keys.alg);
    return { kid: keys.jwk.kid };
  },
  be: async (said) => {
    person = said.person;
    return {};
  },
  lie: async (said) => {
    lie = said.lie;
    return {};
  },
  visit: async (said) => visit(said.url),
  asked: async () => asked.splice(0),
  s256: async (said) => createHash("sha256").update(said.text).digest("base64url"),
};

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  const answer = await does[said.do](said).then((good) => ({ good }), (error) => ({ bad: String(error.stack) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
