// A wallet on neon-js, as a dApp's page has one: it is given what was prepared, looks at it, and signs.
// One question on standard input as JSON, one answer on standard output.
const { tx, u, wallet } = require("@cityofzion/neon-js");

const bytes = (base64) => u.HexString.fromBase64(base64).toBigEndian();

function sign({ prepared, wif, sponsor, contract }) {
  const account = new wallet.Account(wif);
  const made = tx.Transaction.deserialize(bytes(prepared.transaction));
  const [first, second] = made.signers;
  // What a careful wallet asks: that another one pays, and that its own word is good for this call only.
  if ("0x" + first.account.toBigEndian() !== sponsor || first.scopes !== tx.WitnessScope.None) throw new Error("sponsor");
  if (second.account.toBigEndian() !== account.scriptHash) throw new Error("user");
  if (second.scopes !== tx.WitnessScope.CalledByEntry) throw new Error("scope " + second.scopes);
  if ("0x" + made.hash() !== prepared.hash) throw new Error("hash");
  if (made.getMessageForSigning(prepared.network) !== prepared.message) throw new Error("message");
  if (!made.script.toBigEndian().includes(u.reverseHex(contract.slice(2)))) throw new Error("contract");
  const signature = wallet.sign(prepared.message, account.privateKey);
  made.sign(account, prepared.network);
  const [witness] = made.witnesses;
  return {
    signature,
    public_key: account.publicKey,
    witness: {
      invocation: witness.invocationScript.toBase64(),
      verification: witness.verificationScript.toBase64(),
    },
    transaction: u.HexString.fromHex(made.serialize(true)).toBase64(),
  };
}

let text = "";
process.stdin.on("data", (more) => (text += more));
process.stdin.on("end", () => process.stdout.write(JSON.stringify(sign(JSON.parse(text)))));
