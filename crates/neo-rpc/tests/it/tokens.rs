//! NEP-11 tokens of both kinds on a live node: deployed under the predicted hash, moved by the library's scripts, and
//! told by its client.

use neo::{
    Hash160,
    manifest::{Manifest, missing},
    native::CONTRACT_MANAGEMENT,
    nef::{Nef, contract_hash},
    script::{Builder, CallFlags},
    stack::{Param, StackItem},
    token::{nep11, transfer_of},
    tx::{Scopes, Signer, Transaction, Witness},
    wire::Wire,
};
use neo_rpc::{
    model::{Execution, Notification, VmState},
    watch::Options,
};
use num_bigint::BigInt;

use crate::net::Net;

const RECEIVER: Hash160 = Hash160::from_le([0x42; 20]);

const ITEM: (&[u8], &str) =
    (include_bytes!("../../../../contracts/n3/item.nef"), include_str!("../../../../contracts/n3/item.manifest.json"));
const SHARE: (&[u8], &str) = (
    include_bytes!("../../../../contracts/n3/share.nef"),
    include_str!("../../../../contracts/n3/share.manifest.json"),
);

/// Without a span neo-go leaves out what came within the present second.
const ALWAYS: Option<std::ops::Range<u64>> = Some(0..u32::MAX as u64 * 1000);

/// An account that signs whatever it is given.
struct Maker {
    net: Net,
    account: Hash160,
}

impl Maker {
    async fn new() -> Self {
        let net = Net::memory().await;
        let account = net.key(0).public().script_hash();
        Self { net, account }
    }

    /// Runs a script in a block, and gives its run.
    async fn run(&self, script: Vec<u8>) -> Execution {
        let client = &self.net.client;
        let signer = Signer::new(self.account, Scopes::CALLED_BY_ENTRY);
        let tried = client.invoke_script(&script, &[signer.clone().into()], false).await.unwrap();
        assert_eq!(tried.state, VmState::Halt, "{tried:?}");
        let height = self.net.height().await;
        let mut tx = Transaction {
            nonce: height,
            system_fee: tried.gas_consumed,
            valid_until_block: height + 100,
            signers: vec![signer],
            script,
            ..Transaction::default()
        };
        let key = self.net.key(0);
        tx.witnesses = vec![Witness::of_signature(&key.public(), &[0; 64])];
        tx.network_fee = client.calculate_network_fee(&tx).await.unwrap();
        tx.sign(self.net.node.magic, &key).unwrap();
        let hash = client.send_transaction(&tx).await.unwrap();
        let outcome = client.wait(hash, tx.valid_until_block, &Options::default()).await.unwrap();
        let neo_rpc::Outcome::Executed { execution: Some(run), .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(run.state, VmState::Halt, "{run:?}");
        *run
    }

    async fn deploy(&self, (nef, manifest): (&[u8], &str)) -> Hash160 {
        let (read, written) = (Nef::from_bytes(nef).unwrap(), Manifest::from_json(manifest.as_bytes()).unwrap());
        assert_eq!(written.standards, ["NEP-11"]);
        assert_eq!(missing(&written, "NEP-11"), Some(vec![]));
        let args = [Param::from(nef), Param::from(written.to_json().into_bytes())];
        let script = Builder::new().call(&CONTRACT_MANAGEMENT, "deploy", CallFlags::ALL, &args).finish().unwrap();
        self.run(script).await;
        let hash = contract_hash(self.account, read.checksum(), &written.name);
        let found = self.net.client.contract(hash).await.unwrap().expect("deployed under the predicted hash");
        assert_eq!((&found.nef, &found.manifest), (&read, &written));
        hash
    }

    async fn mint(&self, contract: Hash160, id: &[u8]) {
        let args = [self.account.into(), id.into()];
        let run = self.run(Builder::new().call(&contract, "mint", CallFlags::ALL, &args).finish().unwrap()).await;
        assert_eq!(moved(&run.notifications[0]), (None, Some(self.account), id.to_vec()));
    }

    /// What a script leaves on the stack, with the items of an iterator in its place.
    async fn ask(&self, script: Vec<u8>) -> StackItem {
        let run = self.net.client.invoke_script(&script, &[], false).await.unwrap();
        assert_eq!(run.state, VmState::Halt, "{run:?}");
        let item = run.stack.known().unwrap()[0].clone();
        let StackItem::InteropInterface(iterator) = &item else { return item };
        let (session, id) = (run.session.unwrap(), iterator.id.as_deref().unwrap());
        StackItem::Array(self.net.client.traverse_iterator(&session, id, 100).await.unwrap())
    }
}

fn moved(told: &Notification) -> (Option<Hash160>, Option<Hash160>, Vec<u8>) {
    let StackItem::Array(_) = told.state.known().unwrap() else { panic!("{told:?}") };
    let transfer = transfer_of(&told.name, told.state.known().unwrap()).unwrap().unwrap();
    (transfer.from, transfer.to, transfer.id.unwrap())
}

fn data(bytes: &[u8]) -> StackItem {
    StackItem::ByteString(bytes.to_vec())
}

fn list(items: &[&[u8]]) -> StackItem {
    StackItem::Array(items.iter().map(|item| data(item)).collect())
}

#[tokio::test]
async fn tokens_that_are_whole() {
    let maker = Maker::new().await;
    let contract = maker.deploy(ITEM).await;
    let (token, client) = (nep11(contract), &maker.net.client);
    for id in [&b"one"[..], &[0xff; 32]] {
        maker.mint(contract, id).await;
    }
    assert_eq!(maker.ask(token.symbol().unwrap()).await, data(b"ITEM"));
    assert_eq!(maker.ask(token.decimals().unwrap()).await, StackItem::Integer(0.into()));
    assert_eq!(maker.ask(token.total_supply().unwrap()).await, StackItem::Integer(2.into()));
    assert_eq!(maker.ask(token.tokens().unwrap()).await, list(&[b"one", &[0xff; 32]]));
    assert_eq!(maker.ask(token.tokens_of(&maker.account).unwrap()).await, list(&[b"one", &[0xff; 32]]));
    let properties = maker.ask(token.properties(b"one").unwrap()).await;
    assert_eq!(properties.get("name").unwrap(), Some(&data(b"item one")));
    let told = client.nep11_properties(contract, &hex(b"one")).await.unwrap();
    assert_eq!(told["name"].as_deref(), Some("item one"));

    let run = maker.run(token.transfer_or_fault(&RECEIVER, b"one", "a note").unwrap()).await;
    assert_eq!(moved(&run.notifications[0]), (Some(maker.account), Some(RECEIVER), b"one".to_vec()));
    assert_eq!(maker.ask(token.owner_of(b"one").unwrap()).await.as_hash160().unwrap(), RECEIVER);
    assert_eq!(maker.ask(token.balance_of(&RECEIVER).unwrap()).await, StackItem::Integer(1.into()));
    let again = maker.ask(token.transfer(&maker.account, b"one", Param::Null).unwrap()).await;
    assert_eq!(again, StackItem::Boolean(false), "another owns it now");

    let held = client.nep11_balances(RECEIVER).await.unwrap();
    let [held] = &held[..] else { panic!("{held:?}") };
    let [one] = &held.tokens[..] else { panic!("{held:?}") };
    assert_eq!((held.asset, held.symbol.as_str(), held.decimals.as_str()), (contract, "ITEM", "0"));
    assert_eq!((one.id.as_str(), &one.amount), (hex(b"one").as_str(), &BigInt::from(1)));
    let transfers = client.nep11_transfers(maker.account, ALWAYS).await.unwrap();
    let [sent] = &transfers.sent[..] else { panic!("{transfers:?}") };
    assert_eq!((sent.id.as_str(), sent.transfer.asset, sent.transfer.other), (&*hex(b"one"), contract, Some(RECEIVER)));
    assert_eq!(transfers.received.len(), 2);
    assert!(transfers.received.iter().all(|minted| minted.transfer.other.is_none()));
}

#[tokio::test]
async fn tokens_that_can_be_divided() {
    let maker = Maker::new().await;
    let contract = maker.deploy(SHARE).await;
    let (token, client) = (nep11(contract), &maker.net.client);
    for id in [b"aaaa", b"bbbb"] {
        maker.mint(contract, id).await;
    }
    assert_eq!(maker.ask(token.decimals().unwrap()).await, StackItem::Integer(2.into()));
    let part = token.transfer_part(&maker.account, &RECEIVER, &30.into(), b"aaaa", Param::Null).unwrap();
    let run = maker.run(part).await;
    assert_eq!(moved(&run.notifications[0]), (Some(maker.account), Some(RECEIVER), b"aaaa".to_vec()));
    let held = |account: Hash160, id: &'static [u8]| maker.ask(token.balance_of_token(&account, id).unwrap());
    assert_eq!(held(RECEIVER, b"aaaa").await, StackItem::Integer(30.into()));
    assert_eq!(held(maker.account, b"aaaa").await, StackItem::Integer(70.into()));
    assert_eq!(maker.ask(token.balance_of(&maker.account).unwrap()).await, StackItem::Integer(170.into()));
    let StackItem::Array(mut owners) = maker.ask(token.owner_of(b"aaaa").unwrap()).await else { panic!("no list") };
    owners.sort_by_key(|owner| owner.as_bytes().unwrap());
    let mut expected = [maker.account, RECEIVER].map(|owner| data(owner.as_le()));
    expected.sort_by_key(|owner| owner.as_bytes().unwrap());
    assert_eq!(owners, expected);
    let too_much = token.transfer_part(&maker.account, &RECEIVER, &71.into(), b"aaaa", Param::Null).unwrap();
    assert_eq!(maker.ask(too_much).await, StackItem::Boolean(false));

    maker.run(token.transfer_or_fault(&RECEIVER, b"bbbb", Param::Null).unwrap()).await;
    let held = client.nep11_balances(RECEIVER).await.unwrap();
    let [held] = &held[..] else { panic!("{held:?}") };
    let mut amounts: Vec<_> = held.tokens.iter().map(|token| (token.id.clone(), token.amount.clone())).collect();
    amounts.sort();
    assert_eq!(amounts, [(hex(b"aaaa"), 30.into()), (hex(b"bbbb"), 100.into())]);
    let transfers = client.nep11_transfers(RECEIVER, ALWAYS).await.unwrap();
    let mut amounts: Vec<_> = transfers.received.iter().map(|one| one.transfer.amount.clone()).collect();
    amounts.sort();
    assert_eq!(amounts, [BigInt::from(30), BigInt::from(100)]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
