// Wallets, asked over JSON lines: one question a line, one answer a line, in order.
const readline = require("readline");
const { wallet, u } = require("@cityofzion/neon-js");
const { NeonSigner } = require("@cityofzion/neon-dappkit");
const { Wallet, SigningKey, Signature, hashMessage, verifyMessage } = require("ethers");
const { SiweMessage } = require("siwe");

const utf8 = (text) => Buffer.from(text, "utf8").toString("hex");

function account({ private_key }) {
  const found = new wallet.Account(private_key);
  return { public_key: found.publicKey, address: found.address };
}

// It takes the keys as they come, where nodes sort them: whoever asks has to.
function multisig({ threshold, public_keys }) {
  const script = wallet.constructMultiSigVerificationScript(threshold, public_keys);
  return { script, address: wallet.getAddressFromScriptHash(u.reverseHex(u.hash160(script))) };
}

// neon-js alone: the text as it is.
function neon({ private_key, message }) {
  const found = new wallet.Account(private_key);
  return { public_key: found.publicKey, signature: wallet.sign(utf8(message), private_key) };
}

// As wallets behind WalletConnect sign: 1 with a salt in an envelope, 2 as it is, 3 in the envelope alone.
async function dappkit({ private_key, message, version }) {
  const signer = new NeonSigner(new wallet.Account(private_key));
  const { publicKey, data, salt } = await signer.signMessage({ message, version });
  return { public_key: publicKey, signature: data, salt: version === 1 ? salt : undefined };
}

// As NeoLine's signMessageV2 and signMessageWithoutSaltV2 sign: a transaction of zeros around the text.
function neoline2({ private_key, message, salt }) {
  const text = utf8((salt ?? "") + message);
  const around = "00".repeat(25) + "01" + "00".repeat(22);
  const hash = u.sha256(around + u.num2VarInt(text.length / 2) + text);
  const found = new wallet.Account(private_key);
  return { public_key: found.publicKey, signature: wallet.sign(u.num2hexstring(0, 4, true) + hash, private_key), salt };
}

async function ethers({ private_key, message }) {
  const found = new Wallet(private_key);
  return { address: found.address, signature: await found.signMessage(message) };
}

// The other signature that fits the same message and key.
function twin({ private_key, message }) {
  const order = BigInt("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  const { r, s, v } = new SigningKey(private_key).sign(hashMessage(message));
  const upper = (order - BigInt(s)).toString(16).padStart(64, "0");
  return { signature: r + upper + (v === 27 ? "1c" : "1b") };
}

const recovered = ({ message, signature }) => verifyMessage(message, signature);

// What a page would write itself.
const siwe = ({ fields }) => new SiweMessage(fields).prepareMessage();

// What a page would read; refused when it is no message by EIP-4361.
function read({ message }) {
  const { scheme, domain, address, statement, uri, version, chainId, nonce, ...rest } = new SiweMessage(message);
  const { issuedAt, expirationTime, notBefore, requestId, resources } = rest;
  return { scheme, domain, address, statement, uri, version, chainId, nonce, issuedAt, expirationTime, notBefore, requestId, resources };
}

const answers = { account, multisig, neon, dappkit, neoline2, ethers, twin, recovered, siwe, read };

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, ...question } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: await answers[op](question) };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
