//! A process of Node.js that does what it is told, a line of JSON each.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

pub(crate) struct Peer {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(file: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules: PathBuf = here.join("../.sandbox/peers/signin/node_modules");
        let modules = modules.canonicalize().expect("scripts/peers.sh installs what tests sign in with");
        let mut command = Command::new("node");
        command.env("NODE_PATH", modules).arg(here.join("tests/signin/peers").join(file));
        // What it says of itself helps nobody, and its errors come back as answers.
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node starts");
        let (to, from) = (process.stdin.take(), process.stdout.take().expect("it was piped"));
        Self { process, to, from: BufReader::new(from) }
    }

    /// Does what `what` names, with what else it is told.
    pub(crate) fn ask(&mut self, what: &str, mut told: Value) -> Value {
        told["do"] = json!(what);
        let to = self.to.as_mut().expect("it is open until the end");
        writeln!(to, "{told}").and_then(|()| to.flush()).expect("the peer reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the peer answers");
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: {line:?}"));
        assert!(answer.get("bad").is_none(), "{told}: {}", answer["bad"].as_str().unwrap_or_default());
        answer["good"].take()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input.
        self.to = None;
        let _ = self.process.wait();
    }
}
