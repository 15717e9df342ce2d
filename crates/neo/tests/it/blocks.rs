//! Blocks that nodes made.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    block::{Block, Header},
    wire::{Reader, Wire},
};
use serde_json::Value;

use crate::vectors::{binary, bytes, json};

#[test]
fn three_blocks_of_a_live_node_are_the_same_bytes_and_the_same_json() {
    compare(&serde_json::from_str(include_str!("blocks.json")).unwrap(), 3);
}

#[test]
fn blocks_of_a_live_node_are_the_same_bytes_and_the_same_json() {
    if let Some(all) = json("neo-n3/fresh/node_state_proofs_blocks.json") {
        compare(&all, 6);
    }
}

fn compare(all: &Value, count: usize) {
    let magic = all["magic"].as_u64().unwrap() as u32;
    let all = all["blocks"].as_array().unwrap();
    let mut signed = 0;
    for case in all {
        let raw = STANDARD.decode(case["block_b64"].as_str().unwrap()).unwrap();
        let block = Block::from_bytes(&raw).unwrap();
        assert_eq!(block.to_bytes(), raw);

        let mut shown = case["json"].clone();
        for of_chain in ["confirmations", "nextblockhash"] {
            shown.as_object_mut().unwrap().remove(of_chain);
        }
        assert_eq!(serde_json::to_value(&block).unwrap(), shown);
        assert_eq!(serde_json::from_value::<Block>(case["json"].clone()).unwrap(), block);

        shown.as_object_mut().unwrap().remove("tx");
        shown["size"] = block.header.to_bytes().len().into();
        assert_eq!(serde_json::to_value(&block.header).unwrap(), shown);
        assert_eq!(serde_json::from_value::<Header>(shown).unwrap(), block.header);

        block.verify_content().unwrap();
        block.transactions.iter().for_each(|tx| tx.verify(magic).unwrap());
        if block.header.index > 0 {
            // One validator made this chain, and names itself for ever.
            block.verify(magic, &block.header.next_consensus).unwrap();
            assert!(block.verify(magic + 1, &block.header.next_consensus).is_err());
            let mut bad = block;
            bad.header.nonce ^= 1;
            assert!(bad.verify(magic, &bad.header.next_consensus).is_err());
            signed += 1;
        }
    }
    println!("{} blocks, {signed} proven to be signed", all.len());
    assert_eq!((all.len(), signed), (count, count - 1), "nobody signs the first one");
}

#[test]
fn every_block_of_a_chain_follows_the_one_before() {
    for (file, count) in [("cli_server_chain50x2.acc", 51), ("pkg_services_rpcsrv_testblocks.acc", 23)] {
        let Some(dump) = binary(&format!("neo-n3/neo-go/{file}")) else { return };
        let mut reader = Reader::new(&dump);
        assert_eq!(reader.u32("count").unwrap(), count);
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..count {
            let size = reader.u32("size").unwrap() as usize;
            let raw = reader.bytes(size, "block").unwrap();
            let block = Block::from_bytes(raw).unwrap();
            assert_eq!(block.to_bytes(), raw);
            block.verify_content().unwrap();
            if let Some(before) = blocks.last() {
                block.header.follows(42, &before.header).unwrap();
            }
            blocks.push(block);
        }
        let transactions: usize = blocks.iter().map(|block| block.transactions.len()).sum();
        println!("{file}: {count} blocks, {transactions} transactions");
    }
}

#[test]
fn a_block_of_an_early_test_network_keeps_its_hash() {
    let Some(case) = json("neo-n3/neo-go/pkg_core_test_data_block_1.json") else { return };
    let raw = bytes(&case["raw"]);
    let block = Block::from_bytes(&raw).unwrap();
    assert_eq!(block.to_bytes(), raw);
    assert_eq!(block.hash().to_string(), *case["hash"].as_str().unwrap());
    // Transactions were hashed otherwise then, and its Merkle root is of those hashes.
    assert!(block.verify_content().is_err());
}
