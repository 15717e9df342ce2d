//! Every call, to a live node.

use neo::{
    Hash160, Hash256,
    native::{CONTRACT_MANAGEMENT, GAS, NEO, ORACLE},
    script::{Builder, CallFlags},
    stack::{Param, StackItem},
    tx::Transaction,
    wire::Wire,
};
use neo_rpc::{
    Client, Code, Endpoint, Error, Settings,
    model::{At, InvokeSigner, Trigger, VmState},
    watch::{Mempool, MempoolEvent, MempoolFilter, NotificationFilter},
};
use num_bigint::BigInt;
use serde_json::json;

use crate::{
    net::{Net, Payer, send_all},
    proxy::with_tls,
};

const RECEIVER: Hash160 = Hash160::from_le([7; 20]);

async fn with_a_transfer() -> (Net, Payer, Transaction, u32) {
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    let until = net.height().await + 100;
    let transfer = payer.transfer(RECEIVER, 12_345, 1, until);
    send_all(&net.client, std::slice::from_ref(&transfer)).await;
    let outcome = net.client.wait(transfer.hash(), until, &Default::default()).await.unwrap();
    assert!(outcome.succeeded(), "{outcome:?}");
    let height = net.client.transaction_height(transfer.hash()).await.unwrap().unwrap();
    (net, payer, transfer, height)
}

#[tokio::test]
async fn blocks_and_transactions() {
    let (net, payer, transfer, height) = with_a_transfer().await;
    let client = &net.client;
    let hash = transfer.hash();

    let version = client.version().await.unwrap();
    assert_eq!(version.protocol.network, net.node.magic);
    assert_eq!((version.protocol.ms_per_block, version.protocol.address_version), (100, 0x35));
    assert_eq!(version.protocol.hardfork("Aspidochelone"), Some(0));
    assert!(version.user_agent.contains("NEO-GO") && version.rpc.session_enabled);
    assert!(!version.application.keep_only_latest_state && !version.application.save_invocations);

    let count = client.block_count().await.unwrap();
    assert!(count > height && client.header_count().await.unwrap() >= count);
    let block = client.block(height).await.unwrap();
    assert_eq!(block, client.block(block.hash()).await.unwrap());
    assert_eq!(client.block_hash(height).await.unwrap(), block.hash());
    assert_eq!(client.header(height).await.unwrap(), block.header);
    let view = client.block_view(height).await.unwrap();
    assert_eq!(view.block, block);
    assert!(view.confirmations >= 1);
    let header = client.header_view(block.hash()).await.unwrap();
    assert_eq!(header.header, block.header);
    let next = client.block_view(height - 1).await.unwrap().next;
    assert_eq!(next, Some(block.hash()));
    assert!(client.block(client.best_block_hash().await.unwrap()).await.unwrap().header.index >= height);
    assert_eq!(client.block_system_fee(height).await.unwrap(), transfer.system_fee);

    assert_eq!(client.transaction(hash).await.unwrap(), Some(transfer.clone()));
    let view = client.transaction_view(hash).await.unwrap().unwrap();
    assert_eq!(
        (view.transaction, view.block, view.block_time),
        (transfer.clone(), Some(block.hash()), Some(block.header.timestamp))
    );
    let nothing = Hash256::default();
    assert_eq!(client.transaction(nothing).await.unwrap(), None);
    assert_eq!(client.transaction_view(nothing).await.unwrap(), None);
    assert_eq!(client.transaction_height(nothing).await.unwrap(), None);
    assert_eq!(client.application_log(nothing, None).await.unwrap(), None);

    let log = client.application_log(hash, None).await.unwrap().unwrap();
    assert_eq!((log.transaction, log.block), (Some(hash), None));
    let run = &log.executions[0];
    assert_eq!((run.trigger, run.state, run.exception.as_deref()), (Trigger::Application, VmState::Halt, None));
    assert_eq!(run.gas_consumed, transfer.system_fee);
    let told = &run.notifications[0];
    assert_eq!((told.contract, told.name.as_str()), (GAS, "Transfer"));
    assert_eq!(told.values().unwrap()[2].as_integer().unwrap(), BigInt::from(12_345));
    let of_block = client.application_log(block.hash(), None).await.unwrap().unwrap();
    assert_eq!((of_block.block, of_block.executions.len()), (Some(block.hash()), 2));
    let only = client.application_log(block.hash(), Some(Trigger::PostPersist)).await.unwrap().unwrap();
    assert_eq!(only.executions, of_block.executions[1..]);

    let told = client.block_notifications(height, None).await.unwrap();
    assert_eq!((told.application.len(), told.application[0].container), (1, hash));
    let filter =
        NotificationFilter { contract: Some(GAS), name: None, parameters: vec![None, Some(Param::Hash160(RECEIVER))] };
    assert_eq!(client.block_notifications(block.hash(), Some(&filter)).await.unwrap().application, told.application);
    let filter = NotificationFilter { contract: Some(NEO), ..Default::default() };
    assert!(client.block_notifications(height, Some(&filter)).await.unwrap().application.is_empty());

    assert!(client.candidates().await.unwrap().is_empty());
    assert_eq!(client.committee().await.unwrap(), version.protocol.standby_committee);
    assert_eq!(client.next_block_validators().await.unwrap()[0].key, version.protocol.standby_committee[0]);
    assert!(client.unclaimed_gas(payer.account()).await.unwrap().unclaimed >= BigInt::ZERO);
    assert!(client.validate_address(&RECEIVER.address()).await.unwrap());
    assert!(!client.validate_address("Nobody").await.unwrap());
    assert_eq!(client.connection_count().await.unwrap(), 0);
    assert!(client.peers().await.unwrap().connected.is_empty());
    assert_eq!(client.raw_notary_pool().await.unwrap(), Default::default());
    assert_eq!(client.raw_notary_transaction(nothing).await.unwrap(), None);
}

#[tokio::test]
async fn contracts_storage_and_tokens() {
    let (net, payer, transfer, height) = with_a_transfer().await;
    let client = &net.client;
    let gas = client.contract(GAS).await.unwrap().unwrap();
    assert_eq!((gas.hash, gas.manifest.name.as_str()), (GAS, "GasToken"));
    assert_eq!(client.contract(gas.id).await.unwrap().as_ref(), Some(&gas));
    assert_eq!(client.contract("GasToken").await.unwrap(), Some(gas.clone()));
    assert_eq!(client.contract(RECEIVER).await.unwrap(), None);
    let natives = client.native_contracts().await.unwrap();
    assert!(natives.len() >= 10 && natives.contains(&gas));

    let key = [&[0x14], &RECEIVER.as_le()[..]].concat();
    let balance = client.storage(GAS, &key).await.unwrap().unwrap();
    assert_eq!(client.storage(gas.id, &key).await.unwrap(), Some(balance.clone()));
    assert_eq!(client.storage(GAS, b"nothing").await.unwrap(), None);
    let found = client.find_storage(GAS, &[0x14], 0).await.unwrap();
    assert!(found.results.iter().any(|item| item.key == key && item.value == balance));
    let rest = client.find_storage(GAS, &[0x14], 1).await.unwrap();
    assert_eq!(rest.results, found.results[1..]);

    let held = client.nep17_balances(RECEIVER).await.unwrap();
    let [held] = &held[..] else { panic!("{held:?}") };
    assert_eq!((held.asset, &held.amount, held.last_updated_block), (GAS, &BigInt::from(12_345), height));
    assert_eq!((held.symbol.as_str(), held.decimals.as_str()), ("GAS", "8"));
    let moved = client.nep17_transfers(RECEIVER, Some(0..u64::from(u32::MAX) * 1000)).await.unwrap();
    assert!(moved.sent.is_empty());
    let [received] = &moved.received[..] else { panic!("{moved:?}") };
    assert_eq!((received.other, received.transaction), (Some(payer.account()), transfer.hash()));
    assert_eq!((&received.amount, received.block), (&BigInt::from(12_345), height));
    assert!(client.nep17_transfers(RECEIVER, None).await.unwrap().sent.is_empty());
    assert!(client.nep11_balances(RECEIVER).await.unwrap().is_empty());
    assert!(client.nep11_transfers(RECEIVER, None).await.unwrap().received.is_empty());
    assert_eq!(client.nep11_properties(GAS, "00").await.unwrap_err().code(), Some(Code::ExecutionFailed));

    let root = client.state_root(height).await.unwrap();
    assert_eq!((root.index, root.version), (height, 0));
    assert_eq!(client.state_root(client.block_hash(height).await.unwrap()).await.unwrap().root, root.root);
    assert!(client.state_height().await.unwrap().local >= height);
    let proof = client.proof(root.root, GAS, &key).await.unwrap().unwrap();
    assert_eq!(client.verify_proof(root.root, &proof).await.unwrap(), balance);
    let mut wrong = proof.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(client.verify_proof(root.root, &wrong).await.unwrap_err().code(), Some(Code::InvalidProof));
    assert_eq!(client.proof(root.root, GAS, b"nothing").await.unwrap(), None);
    assert_eq!(client.state(root.root, GAS, &key).await.unwrap(), balance);
    let states = client.find_states(root.root, GAS, &[0x14], None, None).await.unwrap();
    assert!(states.results.iter().any(|item| item.key == key && item.value == balance));
    assert!(states.first_proof.is_some() && states.last_proof.is_some());
    let after = client.find_states(root.root, GAS, &[0x14], Some(&states.results[0].key), Some(1)).await.unwrap();
    assert_eq!(after.results, states.results[1..2]);
    assert!(after.truncated);
    assert_eq!(client.storage_historic(root.root, GAS, &key).await.unwrap(), Some(balance));
    let before = client.state_root(height - 1).await.unwrap().root;
    assert_eq!(client.storage_historic(before, GAS, &key).await.unwrap(), None);
    assert_eq!(client.find_storage_historic(root.root, GAS, &key, 0).await.unwrap().results.len(), 1);
}

#[tokio::test]
async fn test_runs() {
    let (net, payer, _, height) = with_a_transfer().await;
    let client = &net.client;
    let balance = |arguments: &[Param]| (GAS, "balanceOf", arguments.to_vec());
    let (contract, method, arguments) = balance(&[Param::Hash160(RECEIVER)]);
    let run = client.invoke_function(contract, method, &arguments, &[], false).await.unwrap();
    assert_eq!((run.state, run.exception.as_deref()), (VmState::Halt, None));
    assert_eq!(run.stack.known().unwrap()[..], [StackItem::Integer(12_345.into())]);
    assert!(run.gas_consumed > 0 && run.diagnostics.is_none() && run.session.is_none());
    let again = client.invoke_script(&run.script, &[], true).await.unwrap();
    assert_eq!((&again.stack, again.gas_consumed), (&run.stack, run.gas_consumed));
    let calls = again.diagnostics.unwrap().calls;
    assert!(format!("{calls:?}").contains(&GAS.to_string()), "{calls:?}");

    let before = client.invoke_function_historic(height - 1, contract, method, &arguments, &[], false).await.unwrap();
    assert_eq!(before.stack.known().unwrap()[..], [StackItem::Integer(0.into())]);
    let root = client.state_root(height).await.unwrap().root;
    for at in [At::Hash(root), At::Height(height), At::Hash(client.block_hash(height).await.unwrap())] {
        let then = client.invoke_script_historic(at, &run.script, &[], false).await.unwrap();
        assert_eq!(then.stack, run.stack, "{at:?}");
    }

    let transfer = payer.transfer(RECEIVER, 1, 1, height + 100);
    let unsigned = client.invoke_script(&transfer.script, &[], false).await.unwrap();
    assert_eq!(unsigned.state, VmState::Fault);
    assert!(unsigned.exception.unwrap().contains("ASSERT"));
    let signers = [InvokeSigner::from(transfer.signers[0].clone())];
    let signed = client.invoke_script(&transfer.script, &signers, true).await.unwrap();
    assert_eq!((signed.state, signed.notifications.len()), (VmState::Halt, 1));
    assert!(!signed.diagnostics.unwrap().storage_changes.is_empty());

    // The only contract with `verify` that every network has answers its own callers.
    let verify = client.invoke_contract_verify(ORACLE, &[], &[]).await.unwrap();
    assert_eq!(verify.state, VmState::Halt, "{verify:?}");
    assert!(!verify.stack.known().unwrap()[0].as_bool().unwrap());
    let old = client.invoke_contract_verify_historic(height, ORACLE, &[], &[]).await.unwrap();
    assert_eq!(old.stack, verify.stack);
    let none = client.invoke_contract_verify(RECEIVER, &[], &[]).await.unwrap_err();
    assert_eq!(none.code(), Some(Code::UnknownContract));

    let all = client.invoke_function(CONTRACT_MANAGEMENT, "getContractHashes", &[], &[], false).await.unwrap();
    let StackItem::InteropInterface(iterator) = &all.stack.known().unwrap()[0] else { panic!("{all:?}") };
    let (session, iterator) = (all.session.as_deref().unwrap(), iterator.id.as_deref().unwrap());
    assert!(client.traverse_iterator(session, iterator, 10).await.unwrap().is_empty(), "nothing is deployed");
    assert!(client.terminate_session(session).await.unwrap());
    assert!(!client.terminate_session(session).await.unwrap());
    let ended = client.traverse_iterator(session, iterator, 1).await.unwrap_err();
    assert_eq!(ended.code(), Some(Code::UnknownSession));

    let mut script = Builder::new();
    script.call(&GAS, "transfer", CallFlags::ALL, &[]);
    let faulted = client.invoke_script(&script.finish().unwrap(), &[], false).await.unwrap();
    assert_eq!(faulted.state, VmState::Fault);
    assert!(faulted.exception.is_some());
}

#[tokio::test]
async fn sending_and_its_refusals() {
    let net = Net::memory().await;
    let client = &net.client;
    let payer = net.payer(0).await;
    let mut pool = Mempool::open(client, &MempoolFilter { sender: Some(payer.account()), signer: None }).await.unwrap();
    let height = net.height().await;
    let transfer = payer.transfer(RECEIVER, 5, 1, height + 100);
    let least = client.calculate_network_fee(&transfer).await.unwrap();
    assert!(least <= transfer.network_fee);
    assert_eq!(client.send_transaction(&transfer).await.unwrap(), transfer.hash());
    let twice = client.send_transaction(&transfer).await.unwrap_err();
    assert!(matches!(twice.code(), Some(Code::AlreadyInPool | Code::AlreadyExists)), "{twice}");
    assert_eq!(pool.next().await.unwrap(), MempoolEvent::Added(Box::new(transfer.clone())));
    assert_eq!(pool.next().await.unwrap(), MempoolEvent::Removed(Box::new(transfer.clone())));
    client.wait(transfer.hash(), height + 100, &Default::default()).await.unwrap();
    assert_eq!(client.send_transaction(&transfer).await.unwrap_err().code(), Some(Code::AlreadyExists));

    let poor = |change: &dyn Fn(&mut Transaction)| {
        let mut transaction = payer.transfer(RECEIVER, 5, 2, height + 200);
        change(&mut transaction);
        transaction.sign(net.node.magic, &payer.key).unwrap();
        transaction
    };
    for (transaction, code) in [
        (poor(&|tx| tx.network_fee = 1), Code::InsufficientNetworkFee),
        (poor(&|tx| tx.valid_until_block = 1), Code::ExpiredTransaction),
        (poor(&|tx| tx.system_fee = 1 << 60), Code::PolicyFailed),
        (poor(&|tx| tx.network_fee = 1 << 60), Code::InsufficientFunds),
        (poor(&|tx| tx.script = vec![0xff]), Code::InvalidScript),
    ] {
        let refused = client.send_transaction(&transaction).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
        assert!(!refused.is_transient() && !refused.may_have_arrived());
    }
    let mut forged = poor(&|_| {});
    forged.witnesses[0].invocation[10] ^= 1;
    assert_eq!(client.send_transaction(&forged).await.unwrap_err().code(), Some(Code::InvalidSignature));
    assert_eq!(client.send_raw_transaction(b"?").await.unwrap_err().code(), Some(Code::InvalidParams));
    let block = client.block(1).await.unwrap();
    assert_eq!(client.submit_block(&block.to_bytes()).await.unwrap_err().code(), Some(Code::AlreadyExists));
    assert!(client.submit_notary_request(b"?").await.unwrap_err().code().is_some());
    assert!(client.mempool().await.unwrap().height >= height);
    let _ = client.raw_mempool().await.unwrap();
}

#[tokio::test]
async fn what_a_caller_can_do_about_a_failure_is_told() {
    let net = Net::memory().await;
    let unknown = net.client.call::<u32>("nosuchmethod", &[]).await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::MethodNotFound));
    assert_eq!(net.client.block(u32::MAX).await.unwrap_err().code(), Some(Code::UnknownHeight));
    let malformed = net.client.call::<u32>("getversion", &[]).await.unwrap_err();
    assert!(matches!(malformed, Error::Malformed { method: "getversion", .. }));

    let params: Vec<_> = (0..250).map(|height| vec![json!(height % 2)]).collect();
    let hashes = net.client.batch::<Hash256>("getblockhash", &params).await.unwrap();
    let (zero, one) = (net.client.block_hash(0).await.unwrap(), net.client.block_hash(1).await.unwrap());
    assert_eq!(hashes.len(), 250);
    assert!(hashes.chunks(2).all(|pair| pair[0] == Ok(zero) && pair[1] == Ok(one)));
    let mixed = net.client.batch::<Hash256>("getblockhash", &[vec![json!(0)], vec![json!(u32::MAX)]]).await.unwrap();
    assert_eq!(mixed[0], Ok(zero));
    assert_eq!(mixed[1].as_ref().unwrap_err().code(), Some(Code::UnknownHeight));
    assert!(net.client.batch::<Hash256>("getblockhash", &[]).await.unwrap().is_empty());

    let small = Settings { most_answer: 500, ..Settings::default() };
    let small = Client::with(Endpoint::http(&net.node.rpc).unwrap(), &small).unwrap();
    assert!(small.block_count().await.is_ok());
    let large = small.native_contracts().await.unwrap_err();
    assert_eq!(large, Error::TooLarge { method: "getnativecontracts", most: 500 });

    net.node.stop().await.unwrap();
    // Of one that has a connection already, nobody knows whether the node read the request before it went.
    let lost = net.client.block_count().await.unwrap_err();
    assert!(matches!(lost, Error::Unreachable { .. } | Error::Lost { .. }) && lost.is_transient(), "{lost:?}");
    let fresh = Client::new(&net.node.rpc).unwrap();
    let gone = fresh.block_count().await.unwrap_err();
    assert!(matches!(gone, Error::Unreachable { .. }), "{gone:?}");
    assert!(gone.is_transient() && !gone.may_have_arrived());
}

#[tokio::test]
async fn calls_and_websocket_go_over_tls() {
    let net = Net::memory().await;
    let (url, authority, _tasks) = with_tls(&net.node.rpc).await;
    let stranger = Client::new(&url).unwrap();
    let refused = stranger.block_count().await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused:?}");
    assert!(Mempool::open(&stranger, &MempoolFilter::default()).await.is_err());
    let settings = Settings { authorities: vec![authority], ..Settings::default() };
    let client = Client::with(Endpoint::http(&url).unwrap(), &settings).unwrap();
    assert!(client.block_count().await.unwrap() > 0);
    let mut pool = Mempool::open(&client, &MempoolFilter::default()).await.unwrap();
    let transfer = net.payer(0).await.transfer(RECEIVER, 5, 1, net.height().await + 100);
    client.send_transaction(&transfer).await.unwrap();
    assert_eq!(pool.next().await.unwrap(), MempoolEvent::Added(Box::new(transfer)));
}
