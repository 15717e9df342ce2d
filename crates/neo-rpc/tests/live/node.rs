//! A live node, asked by the shortest client there can be.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash160, PrivateKey, account,
    fee::{PICO, Prices, Verification, network_fee},
    native,
    nef::{Nef, contract_hash},
    script::{Builder, CallFlags},
    stack::Param,
    tx::{Signer, Transaction, Witness},
    wire::Wire,
};
use nsl_devnet::N3;
use serde_json::{Value, json};

use crate::shapes::Verifier;

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) struct Node {
    place: String,
    pub(crate) magic: u32,
    accounts: Vec<PrivateKey>,
    committee: PrivateKey,
}

impl Node {
    pub(crate) fn of(network: &N3) -> Self {
        let key = |account: &nsl_devnet::Account| PrivateKey::from_wif(&account.key).unwrap();
        Self {
            place: network.rpc.trim_start_matches("http://").to_owned(),
            magic: network.magic,
            accounts: network.accounts.iter().map(key).collect(),
            committee: key(&network.committee),
        }
    }

    pub(crate) fn payer(&self, number: usize) -> PrivateKey {
        self.accounts[number % self.accounts.len()].clone()
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut stream = TcpStream::connect(&self.place).unwrap();
        let head = "Content-Type: application/json\r\nConnection: close";
        write!(stream, "POST / HTTP/1.0\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let reply: Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
        match reply.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(reply["result"].clone()),
        }
    }

    pub(crate) fn height(&self) -> u32 {
        self.call("getblockcount", json!([])).unwrap().as_u64().unwrap() as u32 - 1
    }

    pub(crate) fn prices(&self) -> Prices {
        let ask = |method: &str, args: Value| -> i64 {
            let found = self.call("invokefunction", json!([native::POLICY, method, args])).unwrap();
            found["stack"][0]["value"].as_str().unwrap().parse().unwrap()
        };
        let attribute = |tag: u8| ask("getAttributeFee", json!([{"type": "Integer", "value": tag}]));
        let prices = Prices {
            fee_per_byte: ask("getFeePerByte", json!([])),
            exec_pico_fee_factor: ask("getExecPicoFeeFactor", json!([])),
            high_priority: attribute(0x01),
            oracle_response: attribute(0x11),
            not_valid_before: attribute(0x20),
            conflicts: attribute(0x21),
            notary_assisted: attribute(0x22),
        };
        assert_eq!(ask("getExecFeeFactor", json!([])), prices.exec_pico_fee_factor / PICO);
        prices
    }

    /// Calls methods of the Policy contract, signed by the committee.
    pub(crate) fn set_prices(&self, calls: &[(&str, &[i64])]) {
        let mut script = Builder::new();
        for (method, args) in calls {
            let args: Vec<_> = args.iter().map(|arg| Param::from(*arg)).collect();
            script.call(&native::POLICY, method, CallFlags::ALL, &args);
        }
        self.run(&script.finish().unwrap());
    }

    /// Contracts whose method `verify` says yes, each to other arguments and at another price.
    pub(crate) fn deploy_verifiers(&self) -> Vec<Verifier> {
        // Drops its arguments, busies itself, says yes.
        let verify = |arguments: usize, work: usize| {
            [vec![0x45; arguments], [0x11, 0x9c, 0x45].repeat(work), vec![0x08, 0x40]].concat()
        };
        let shapes: [(&[&str], usize); 3] = [(&[], 0), (&["Signature"], 1), (&["Integer", "ByteArray"], 100)];
        shapes.iter().map(|(types, work)| self.deploy(types, &verify(types.len(), *work))).collect()
    }

    fn deploy(&self, types: &[&str], script: &[u8]) -> Verifier {
        let nef = Nef { compiler: "by hand".into(), source: String::new(), tokens: vec![], script: script.to_vec() };
        let parameters: Vec<_> = types.iter().map(|kind| json!({"name": kind, "type": kind})).collect();
        let name = format!("Verifier{}", types.len());
        let manifest = json!({
            "name": name, "groups": [], "features": {}, "supportedstandards": [], "trusts": [], "extra": null,
            "permissions": [{"contract": "*", "methods": "*"}],
            "abi": {"events": [], "methods": [
                {"name": "verify", "parameters": parameters, "returntype": "Boolean", "offset": 0, "safe": true},
            ]},
        });
        let args = [Param::from(nef.to_bytes()), Param::from(manifest.to_string().into_bytes())];
        let mut builder = Builder::new();
        builder.call(&native::CONTRACT_MANAGEMENT, "deploy", CallFlags::ALL, &args);
        self.run(&builder.finish().unwrap());
        let hash = contract_hash(self.committee_account(), nef.checksum(), &name);
        assert!(self.call("getcontractstate", json!([hash])).is_ok(), "deployed under the predicted hash");

        let arguments = types.iter().map(|kind| match *kind {
            "Signature" => Param::Signature([7; 64]),
            "Integer" => Param::from(1_000_000),
            _ => Param::from(vec![1_u8; 300]),
        });
        let arguments: Vec<_> = arguments.collect();
        Verifier { hash, arguments, gas: 0 }
    }

    /// Notes what asking each contract costs at the prices of now.
    pub(crate) fn measure(&self, contracts: &mut [Verifier]) {
        for contract in contracts {
            let params = json!([contract.hash, contract.arguments, [Signer::none(contract.hash)]]);
            let ran = self.call("invokecontractverify", params).unwrap();
            assert_eq!(ran["state"], "HALT", "{ran}");
            contract.gas = ran["gasconsumed"].as_str().unwrap().parse().unwrap();
        }
    }

    fn committee_script(&self) -> Vec<u8> {
        account::multi(1, &[self.committee.public()]).unwrap()
    }

    fn committee_account(&self) -> Hash160 {
        Hash160::of_script(&self.committee_script())
    }

    /// Runs a script as the committee, and returns once it is in the chain.
    fn run(&self, script: &[u8]) {
        let mut tx = Transaction {
            nonce: self.height(),
            system_fee: 2_000_000_000,
            valid_until_block: self.height() + 1000,
            signers: vec![Signer::called_by_entry(self.committee_account())],
            script: script.to_vec(),
            ..Transaction::default()
        };
        tx.network_fee = network_fee(&tx, &[Verification::Script(self.committee_script())], &self.prices()).unwrap();
        let signed = [(self.committee.public(), self.committee.sign(&tx.message(self.magic)))];
        tx.witnesses = vec![Witness::multi(&self.committee_script(), &signed).unwrap()];
        self.call("sendrawtransaction", json!([base64(&tx.to_bytes())])).unwrap();
        let begun = Instant::now();
        let log = loop {
            match self.call("getapplicationlog", json!([tx.hash()])) {
                Ok(log) => break log,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
        };
        assert_eq!(log["executions"][0]["vmstate"], "HALT", "{log}");
    }
}
