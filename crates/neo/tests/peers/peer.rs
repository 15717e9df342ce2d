//! A peer: a process that answers questions, a line of JSON each.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::{Value, json};

/// One of the clients.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    process: Child,
}

/// Both of them.
pub(crate) struct Peers {
    pub(crate) neon: Peer,
    pub(crate) mamba: Peer,
}

impl Peers {
    pub(crate) fn start() -> Self {
        Self { neon: Peer::neon(), mamba: Peer::mamba() }
    }

    /// Asks both the same questions, side by side.
    pub(crate) fn ask(&mut self, questions: &[Value]) -> [(&'static str, Vec<Value>); 2] {
        let (neon, mamba) = (&mut self.neon, &mut self.mamba);
        thread::scope(|scope| {
            let neons = scope.spawn(|| neon.ask(questions));
            let mambas = mamba.ask(questions);
            [("neon-js", neons.join().unwrap()), ("neo-mamba", mambas)]
        })
    }
}

impl Peer {
    pub(crate) fn neon() -> Self {
        let modules = installed("neon/node_modules");
        Self::start("neon-js", Command::new("node").env("NODE_PATH", modules).arg(driver("neon.js")))
    }

    pub(crate) fn mamba() -> Self {
        // It decides for itself where it caches its compiled sources; here it shall not.
        let python = installed("mamba/bin/python");
        Self::start("neo-mamba", Command::new(python).arg("-B").arg(driver("mamba.py")))
    }

    fn start(name: &'static str, command: &mut Command) -> Self {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self { name, process: process.unwrap_or_else(|error| panic!("{name} does not start: {error}")) }
    }

    /// Its answers. What it refuses fails the test.
    pub(crate) fn ask(&mut self, questions: &[Value]) -> Vec<Value> {
        let answers = self.try_ask(questions);
        let good = |(answer, question): (Result<Value, String>, &Value)| {
            answer.unwrap_or_else(|error| panic!("{} refuses {question}: {error}", self.name))
        };
        answers.into_iter().zip(questions).map(good).collect()
    }

    /// Its answers, and why it refused.
    pub(crate) fn try_ask(&mut self, questions: &[Value]) -> Vec<Result<Value, String>> {
        let name = self.name;
        let to = self.process.stdin.as_mut().expect("it was piped");
        let from = BufReader::new(self.process.stdout.as_mut().expect("it was piped"));
        thread::scope(|scope| {
            // Beside the reading: neither side may wait for the other with a full pipe.
            scope.spawn(move || {
                for question in questions {
                    writeln!(to, "{question}").unwrap_or_else(|error| panic!("{name} ended: {error}"));
                }
                to.flush().unwrap();
            });
            let answers: Vec<_> = from.lines().take(questions.len()).map(|line| answer(&line.unwrap())).collect();
            assert_eq!(answers.len(), questions.len(), "{name} ended early");
            answers
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A question.
pub(crate) fn question(op: &str, mut fields: Value) -> Value {
    fields["op"] = json!(op);
    fields
}

fn answer(line: &str) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    match answer.get_mut("ok") {
        Some(ok) => Ok(ok.take()),
        None => Err(answer["error"].as_str().unwrap().to_owned()),
    }
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sandbox/peers").join(name);
    assert!(path.exists(), "{} is missing: run scripts/peers.sh", path.display());
    path
}
