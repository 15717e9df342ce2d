//! The wallets of `wallets.js`: a process that answers questions, a line of JSON each.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

pub(crate) struct Peer {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let root = above.find(|dir| dir.join("Cargo.lock").exists()).expect("the workspace is around");
        let modules = root.join(".sandbox/peers/wallets/node_modules");
        assert!(modules.exists(), "{} is missing: run scripts/peers.sh", modules.display());
        let mut process = Command::new("node")
            .env("NODE_PATH", modules)
            .arg(root.join("crates/signin/tests/peers/wallets.js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let answers = BufReader::new(process.stdout.take().expect("it was piped"));
        Self { process, answers }
    }

    pub(crate) fn try_ask(&mut self, op: &str, mut question: Value) -> Result<Value, String> {
        question["op"] = json!(op);
        writeln!(self.process.stdin.as_mut().expect("it was piped"), "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get_mut("ok") {
            Some(ok) => Ok(ok.take()),
            None => Err(answer["error"].as_str().unwrap().to_owned()),
        }
    }

    pub(crate) fn ask(&mut self, op: &str, question: Value) -> Value {
        let asked = question.to_string();
        self.try_ask(op, question).unwrap_or_else(|error| panic!("{op} refuses {asked}: {error}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The text of a field.
pub(crate) fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("{field} in {answer}"))
}
