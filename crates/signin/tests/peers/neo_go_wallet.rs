//! Wallets of neo-go, by its command line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// A wallet file of neo-go with one account in it.
pub(crate) struct Wallet {
    program: PathBuf,
    dir: PathBuf,
    settings: PathBuf,
    pub(crate) address: String,
    pub(crate) public_key: String,
}

impl Wallet {
    pub(crate) fn fresh(program: &Path, dir: &Path, name: &str) -> Self {
        let settings = dir.join(format!("{name}.yml"));
        let file = dir.join(format!("{name}.json"));
        fs::write(&settings, format!("Path: {file:?}\nPassword: \"{name}\"\n")).unwrap();
        let mut wallet = Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            settings,
            address: String::new(),
            public_key: String::new(),
        };
        wallet.run("init", &["-a"]);
        let keys = wallet.run("dump-keys", &[]);
        let (address, public_key) = keys.trim().split_once(" (simple signature contract):\n").expect("one account");
        (wallet.address, wallet.public_key) = (address.to_owned(), public_key.to_owned());
        wallet
    }

    pub(crate) fn run(&self, command: &str, args: &[&str]) -> String {
        let mut process = Command::new(&self.program);
        process.args(["wallet", command, "--wallet-config"]).arg(&self.settings).args(args);
        let output = process.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Adds its signature for the account to the context.
    pub(crate) fn sign(&self, address: &str, context: &Value) -> Value {
        let (given, signed) = (self.dir.join("given.json"), self.dir.join("signed.json"));
        fs::write(&given, context.to_string()).unwrap();
        self.run("sign", &["--address", address, "--in", given.to_str().unwrap(), "--out", signed.to_str().unwrap()]);
        serde_json::from_slice(&fs::read(signed).unwrap()).unwrap()
    }
}
