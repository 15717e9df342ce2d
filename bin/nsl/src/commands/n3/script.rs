use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use neo::{
    explain::explain,
    script::{from_text, instructions, to_text},
};
use serde_json::{Value, json};

use super::{super::Done, refused};
use crate::{commands::input, exit::Failure};

#[derive(Args)]
pub(crate) struct Script {
    /// The script in hex or base64, or a file with it, - for standard input; with --assemble its text
    #[arg(value_name = "SCRIPT")]
    what: String,
    /// From readable form to bytes
    #[arg(long)]
    assemble: bool,
    /// What could be hex as well as base64 is base64
    #[arg(long)]
    base64: bool,
}

impl Script {
    pub(super) fn run(self) -> Result<Done, Failure> {
        if self.assemble {
            let text = input::material(&self.what)?;
            let text = std::str::from_utf8(&text).map_err(|_| Failure::usage("the text of the script is not UTF-8"))?;
            let script = from_text(text).map_err(refused)?;
            let json = json!({ "script": hex::encode(&script), "base64": STANDARD.encode(&script) });
            return Ok(Done { json: json.to_string(), shown: format!("{}\n", hex::encode(&script)) });
        }
        let script = input::bytes(&self.what, self.base64)?;
        // Only instructions are printed, so that what is printed assembles.
        let shown = to_text(&script).map_err(|flaw| Failure::usage(format!("the script is malformed {flaw}")))?;
        let lines: Vec<Value> = instructions(&script)
            .flatten()
            .map(|instruction| json!({ "offset": instruction.offset, "text": instruction.to_string() }))
            .collect();
        let json = json!({
            "script": hex::encode(&script),
            "base64": STANDARD.encode(&script),
            "instructions": lines,
            "explained": explain(&script, &[]),
        });
        Ok(Done { json: json.to_string(), shown })
    }
}
