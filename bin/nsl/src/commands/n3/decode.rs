use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use neo::{
    Hash160,
    block::Block,
    context::Context,
    explain::{Explanation, TokenInfo, explain_with},
    manifest::{Manifest, missing},
    nef::Nef,
    script::to_text,
    token::format_amount,
    tx::Transaction,
};
use serde_json::{Value, json};

use super::{
    super::Done,
    recognise::{Kind, Thing, recognise},
    refused,
};
use crate::{exit::Failure, show};

#[derive(Args)]
pub(crate) struct Decode {
    /// Hex, base64, JSON, or a file with one of these or with the bytes themselves; - for standard input
    what: String,
    /// What it is, where that is not to be guessed
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
    /// What could be hex as well as base64 is base64
    #[arg(long)]
    base64: bool,
    /// The number of the network: then signatures are checked
    #[arg(long, value_name = "NUMBER")]
    magic: Option<u32>,
    /// A token to tell amounts of, such as 0x…=FLM:8; may be given several times
    #[arg(long, value_name = "HASH=SYMBOL:DECIMALS", value_parser = token)]
    token: Vec<(Hash160, TokenInfo)>,
}

impl Decode {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let thing = recognise(&self.what, self.base64, self.kind)?;
        let (json, shown) = match &thing {
            Thing::Transaction(tx) => self.transaction(tx),
            Thing::Block(block) => self.block(block),
            Thing::Script(script) => self.script(script),
            Thing::Nef(nef) => nef_file(nef),
            Thing::Manifest(manifest) => contract(manifest),
            Thing::Context(context) => self.context(context)?,
        };
        Ok(Done { json: json.to_string(), shown })
    }

    fn explained(&self, script: &[u8], signers: &[Hash160]) -> Explanation {
        let known = |hash: &Hash160| self.token.iter().find(|(token, _)| token == hash).map(|(_, info)| info.clone());
        explain_with(script, signers, known)
    }

    fn transaction(&self, tx: &Transaction) -> (Value, String) {
        let signers: Vec<Hash160> = tx.signers.iter().map(|signer| signer.account).collect();
        let explained = self.explained(&tx.script, &signers);
        let mut json = json!({
            "as": "transaction",
            "hash": tx.hash(),
            "sender": tx.signers.first().map(|signer| signer.account.address()),
            "signed": !tx.witnesses.is_empty(),
            "transaction": tx,
            "explained": explained,
        });
        let signed = self.signed(tx, &mut json);
        let gas = |datoshi: i64| format!("{} GAS", format_amount(&datoshi.into(), 8));
        let each = |items: Vec<Value>| items.iter().map(|item| format!("           {item}\n")).collect::<String>();
        let attributes = tx.attributes.iter().map(|attribute| json!(attribute)).collect::<Vec<_>>();
        let shown = format!(
            "transaction {}\nfees       {} for what it runs, {} for its size and witnesses\nvalid      until block {}\n\
             signatures {signed}\nsigners\n{}{}script\n{explained}",
            tx.hash(),
            gas(tx.system_fee),
            gas(tx.network_fee),
            tx.valid_until_block,
            tx.signers.iter().map(signer).collect::<String>(),
            if attributes.is_empty() { String::new() } else { format!("attributes\n{}", each(attributes)) },
        );
        (json, shown)
    }

    /// Whether it is signed; with the network's number, also whether the signatures fit.
    fn signed(&self, tx: &Transaction, json: &mut Value) -> String {
        if let Some(magic) = self.magic {
            json["message"] = hex::encode(tx.message(magic)).into();
        }
        match (tx.witnesses.is_empty(), self.magic) {
            (true, _) => "none".to_owned(),
            (false, None) => format!("{}, not checked without --magic", tx.witnesses.len()),
            (false, Some(magic)) => match tx.verify(magic) {
                Ok(()) => {
                    json["verified"] = true.into();
                    "of all signers, and they fit".to_owned()
                }
                Err(error) => {
                    json["verified"] = false.into();
                    json["why"] = error.to_string().into();
                    format!("not verified: {error}")
                }
            },
        }
    }

    fn block(&self, block: &Block) -> (Value, String) {
        let told: Vec<(Value, String)> = block.transactions.iter().map(|tx| self.transaction(tx)).collect();
        let content = block.verify_content();
        let (explained, texts): (Vec<Value>, Vec<String>) = told.into_iter().unzip();
        let json = json!({
            "as": "block",
            "hash": block.hash(),
            "content_verified": content.is_ok(),
            "block": block,
            "explained": explained.iter().map(|one| one["explained"].clone()).collect::<Vec<_>>(),
        });
        let head = &block.header;
        let shown = format!(
            "block {} {}\nafter      {}\ntime       {}\nnext       {}\ncontent    {}\n",
            head.index,
            block.hash(),
            head.previous,
            time(head.timestamp),
            head.next_consensus.address(),
            content.map_or_else(
                |error| error.to_string(),
                |()| format!("{} in it, for which the Merkle root stands", block.transactions.len())
            ),
        );
        (json, shown + &texts.into_iter().map(|text| format!("\n{text}")).collect::<String>())
    }

    fn script(&self, script: &[u8]) -> (Value, String) {
        let explained = self.explained(script, &[]);
        let text = to_text(script);
        let json = json!({
            "as": "script",
            "script": hex::encode(script),
            "base64": STANDARD.encode(script),
            "text": text.as_ref().ok(),
            "explained": explained,
        });
        let instructions = text.unwrap_or_else(|flaw| format!("malformed {flaw}\n"));
        (json, format!("{explained}\ninstructions\n{instructions}"))
    }

    fn context(&self, context: &Context) -> Result<(Value, String), Failure> {
        let (mut json, mut shown) = self.transaction(context.transaction());
        if self.magic.is_some_and(|magic| magic != context.network()) {
            return Err(Failure::usage(format!("the context is for network {}", context.network())));
        }
        let missing: Vec<String> = context.missing().iter().map(Hash160::address).collect();
        json["as"] = "context".into();
        json["network"] = context.network().into();
        json["message"] = hex::encode(context.message()).into();
        json["missing"] = json!(missing);
        let lacks =
            if missing.is_empty() { "complete".to_owned() } else { format!("to be signed by {}", missing.join(" ")) };
        shown.insert_str(0, &format!("signing context for network {}: {lacks}\n", context.network()));
        if missing.is_empty() {
            json["signed_transaction"] = json!(context.complete().map_err(refused)?);
        }
        Ok((json, shown))
    }
}

fn time(milliseconds: u64) -> String {
    // Beyond the year 9999 there are no dates.
    match i64::try_from(milliseconds) {
        Ok(known @ ..253_402_300_800_000) => nsl_core::Timestamp(known * 1000).rfc3339(),
        _ => format!("{milliseconds} ms since 1970"),
    }
}

fn signer(signer: &neo::tx::Signer) -> String {
    let mut line = format!("           {} {}", signer.account.address(), signer.scopes);
    for (name, limits) in [
        ("contracts", json!(signer.allowed_contracts)),
        ("groups", json!(signer.allowed_groups)),
        ("rules", json!(signer.rules)),
    ] {
        if limits.as_array().is_some_and(|limits| !limits.is_empty()) {
            line.push_str(&format!(" {name} {limits}"));
        }
    }
    line + "\n"
}

fn nef_file(nef: &Nef) -> (Value, String) {
    let json = json!({ "as": "nef", "nef": nef, "checksum": nef.checksum() });
    let tokens: String = nef
        .tokens
        .iter()
        .map(|token| format!("calls      {} of {} with {}\n", show::clean(&token.method), token.hash, token.call_flags))
        .collect();
    let shown = format!(
        "nef        checksum {}, {} bytes of script\ncompiler   {}\nsource     {}\n{tokens}instructions\n{}",
        nef.checksum(),
        nef.script.len(),
        show::clean(&nef.compiler),
        if nef.source.is_empty() { "-".to_owned() } else { show::clean(&nef.source) },
        to_text(&nef.script).unwrap_or_else(|flaw| format!("malformed {flaw}\n")),
    );
    (json, shown)
}

fn contract(manifest: &Manifest) -> (Value, String) {
    let lacks: Vec<String> =
        manifest.standards.iter().filter_map(|standard| missing(manifest, standard)).flatten().collect();
    let json = json!({ "as": "manifest", "manifest": manifest, "lacks": lacks });
    let parameters = |list: &[neo::manifest::Parameter]| {
        let each: Vec<String> = list.iter().map(|one| format!("{}: {:?}", show::clean(&one.name), one.kind)).collect();
        each.join(", ")
    };
    let mut shown = format!("manifest   {}\n", show::clean(&manifest.name));
    let standards: Vec<String> = manifest.standards.iter().map(|standard| show::clean(standard)).collect();
    shown
        .push_str(&format!("standards  {}\n", if standards.is_empty() { "-".to_owned() } else { standards.join(" ") }));
    lacks.iter().for_each(|what| shown.push_str(&format!("lacks      {}\n", show::clean(what))));
    for method in &manifest.abi.methods {
        let safe = if method.safe { ", changes nothing" } else { "" };
        let (name, takes) = (show::clean(&method.name), parameters(&method.parameters));
        shown.push_str(&format!("method     {name}({takes}) -> {:?}{safe}\n", method.return_type));
    }
    for event in &manifest.abi.events {
        shown.push_str(&format!("event      {}({})\n", show::clean(&event.name), parameters(&event.parameters)));
    }
    for permission in &manifest.permissions {
        shown.push_str(&format!("may call   {}\n", json!(permission)));
    }
    (json, shown)
}

fn token(text: &str) -> Result<(Hash160, TokenInfo), String> {
    let form = "write HASH=SYMBOL:DECIMALS";
    let (hash, about) = text.split_once('=').ok_or(form)?;
    let (symbol, decimals) = about.split_once(':').ok_or(form)?;
    let hash = Hash160::from_text(hash).map_err(|error| error.to_string())?;
    let decimals = decimals.parse().map_err(|_| "the decimals are a number up to 255")?;
    Ok((hash, TokenInfo { symbol: symbol.to_owned(), decimals }))
}
