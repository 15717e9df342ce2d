// neon-js, asked over JSON lines: one question a line, one answer a line, in order.
const readline = require("readline");
const { experimental, sc, tx, u, wallet } = require("@cityofzion/neon-js");

const bare = (hash) => hash.replace(/^0x/, "");

function account({ private_key, wif, address }) {
  const found = new wallet.Account(private_key ?? wif ?? address);
  const keyed = address === undefined;
  return {
    private_key: keyed ? found.privateKey : undefined,
    wif: keyed ? found.WIF : undefined,
    public_key: keyed ? found.publicKey : undefined,
    verification_script: keyed ? u.base642hex(found.contract.script) : undefined,
    script_hash: "0x" + found.scriptHash,
    address: found.address,
  };
}

// It takes the keys as they come, where nodes sort them: whoever asks has to.
function multisig({ threshold, public_keys, script }) {
  const verification = script ?? wallet.constructMultiSigVerificationScript(threshold, public_keys);
  const hash = u.reverseHex(u.hash160(verification));
  return {
    threshold: wallet.getSigningThresholdFromVerificationScript(verification),
    public_keys: wallet.getPublicKeysFromVerificationScript(verification),
    verification_script: verification,
    script_hash: "0x" + hash,
    address: wallet.getAddressFromScriptHash(hash),
  };
}

// It hands p to scrypt as r and r as p.
const swapped = ({ n, r, p }) => ({ n, r: p, p: r });

async function encrypt({ private_key, passphrase, scrypt }) {
  return wallet.encrypt(private_key, passphrase, swapped(scrypt));
}

async function decrypt({ nep2, passphrase, scrypt }) {
  return wallet.getPrivateKeyFromWIF(await wallet.decrypt(nep2, passphrase, swapped(scrypt)));
}

// It packs the entries of a map first to last, where nodes and other clients go last to first.
function turned(param) {
  if (param.type === "Array") return { type: "Array", value: param.value.map(turned) };
  if (param.type !== "Map") return param;
  const entry = ({ key, value }) => ({ key: turned(key), value: turned(value) });
  return { type: "Map", value: param.value.map(entry).reverse() };
}

function script({ contract, method, flags, args }) {
  const params = args.map((arg) => sc.ContractParam.fromJson(turned(arg)));
  return new sc.ScriptBuilder().emitAppCall(bare(contract), method, params, flags).build();
}

const instructions = ({ script }) =>
  sc.OpToken.fromScript(script).map(({ code, params }) => [code, params ?? ""]);

function shown(made) {
  return {
    unsigned: made.serialize(false),
    signed: made.serialize(true),
    hash: "0x" + made.hash(),
    size: made.size,
    json: made.toJson(),
  };
}

// Its transactions lose their attributes when they are made, from whatever: they are read again and put back.
function read(hex) {
  const made = tx.Transaction.deserialize(hex);
  const stream = new u.StringStream(hex);
  stream.read(made.headerSize);
  for (let left = stream.readVarInt(); left > 0; left--) tx.Signer.deserialize(stream);
  for (let left = stream.readVarInt(); left > 0; left--) {
    made.attributes.push(tx.TransactionAttribute.deserialize(stream));
  }
  return made;
}

function encode({ json }) {
  const made = tx.Transaction.fromJson(json);
  made.attributes = json.attributes.map((attribute) => tx.TransactionAttribute.fromJson(attribute));
  return shown(made);
}

const decode = ({ hex }) => shown(read(hex));

function sign({ hex, private_key, magic }) {
  const message = read(hex).getMessageForSigning(magic);
  return { message, signature: wallet.sign(message, private_key) };
}

const verify = ({ message, signature, public_key }) => wallet.verify(message, signature, public_key);

async function open_wallet({ json, passphrase }) {
  const opened = new wallet.Wallet(json);
  const locked = opened.accounts.filter((one) => one.tryGet("encrypted"));
  // One by one: it works on one thread anyway.
  for (const one of locked) await one.decrypt(passphrase, opened.scrypt);
  return opened.accounts.map((one) => [one.address, locked.includes(one) ? one.privateKey : null]);
}

async function make_wallet({ name, scrypt, passphrase, private_keys, threshold, public_keys }) {
  const made = new wallet.Wallet({ name, scrypt, accounts: [] });
  private_keys.forEach((key) => made.addAccount(new wallet.Account(key)));
  await made.encryptAll(passphrase);
  made.addAccount(wallet.Account.createMultiSig(threshold, public_keys));
  return made.export();
}

function nef({ hex, sender, name }) {
  const read = sc.NEF.fromBuffer(Buffer.from(hex, "hex"));
  const hash = experimental.getContractHash(u.HexString.fromHex(bare(sender)), read.checksum, name);
  return { bytes: read.serialize(), checksum: read.checksum, hash: "0x" + hash };
}

// Makes, signs and writes so many transactions; answers with the seconds that it took.
function speed({ count, private_key, magic, signer, script }) {
  const key = new wallet.Account(private_key);
  void key.publicKey;
  let bytes = 0;
  const start = process.hrtime.bigint();
  for (let nonce = 0; nonce < count; nonce++) {
    const made = new tx.Transaction({
      nonce,
      systemFee: u.BigInteger.fromNumber(1000000),
      networkFee: u.BigInteger.fromNumber(1000000),
      validUntilBlock: 1000,
      signers: [{ account: bare(signer), scopes: "CalledByEntry" }],
      script: u.HexString.fromHex(script),
    });
    made.sign(key, magic);
    bytes += made.serialize(true).length / 2;
  }
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, bytes };
}

const answers = {
  account,
  multisig,
  encrypt,
  decrypt,
  script,
  instructions,
  decode,
  encode,
  sign,
  verify,
  open_wallet,
  make_wallet,
  nef,
  speed,
};

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
