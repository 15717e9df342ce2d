//! What can go wrong between this process and a chain, as the catalogue of problems has it.

use axum::Router;
use nsl_edge::{Entry, Face};

/// No routes of its own: these come out of the routes of every service that asks a chain.
pub(crate) fn face() -> Face {
    Face::new("chain", Router::new()).problems(PROBLEMS)
}

const PROBLEMS: &[Entry] = &[
    Entry::new("chain.abi_invalid", 400, "the ABI cannot be read", "give the array that the compiler made"),
    Entry::new(
        "chain.argument_count",
        400,
        "another number of arguments was given than the method takes",
        "look up the method's parameters",
    ),
    Entry::new(
        "chain.argument_invalid",
        400,
        "an argument does not fit its type",
        "write it as its type asks; details has its number, name and type",
    ),
    Entry::new(
        "chain.artefact_invalid",
        400,
        "what a compiler made cannot be used",
        "give the whole output for one contract, linked",
    ),
    Entry::new(
        "chain.busy",
        429,
        "the endpoints of the chain are asked as much as they may be",
        "wait as `Retry-After` says",
    ),
    Entry::new("chain.endpoint_invalid", 400, "an endpoint of the chain is no URL", "set http:// or https:// URLs"),
    Entry::new(
        "chain.fee_invalid",
        400,
        "the fees contradict each other",
        "offer no higher tip than the most for a unit of gas",
    ),
    Entry::new(
        "chain.fee_too_high",
        400,
        "the transaction offers more for gas than is allowed here",
        "offer less, or ask an operator for a higher bound",
    ),
    Entry::new(
        "chain.filter_invalid",
        400,
        "a filter of events cannot be understood",
        "name contracts and events as the chain writes them",
    ),
    Entry::new("chain.gas_limit_too_high", 400, "the gas limit is above that of a block", "do less in one transaction"),
    Entry::new(
        "chain.gas_limit_too_low",
        400,
        "the gas limit does not pay for the transaction itself",
        "raise the gas limit",
    ),
    Entry::new(
        "chain.height_invalid",
        400,
        "the chain can have no such height",
        "give a height up to that of the last block",
    ),
    Entry::new("chain.insufficient_funds", 409, "the account cannot pay", "send money to the account"),
    Entry::new("chain.key_invalid", 400, "the bytes are no key", "give 32 bytes within the order of the curve"),
    Entry::new(
        "chain.method_ambiguous",
        400,
        "several methods have this name",
        "name the method with its parameter types",
    ),
    Entry::new("chain.method_unknown", 400, "the contract has no such method", "details has those that it has"),
    Entry::new("chain.node_error", 400, "the node refuses", "read what the node says"),
    Entry::new("chain.nonce_too_high", 409, "the nonce is too far ahead", "send the nonces before it first"),
    Entry::new("chain.nonce_used", 409, "the nonce is spent", "take the account's next nonce"),
    Entry::new("chain.not_there_yet", 503, "the endpoints have not read this block yet", "ask again in a moment"),
    Entry::new(
        "chain.output_invalid",
        400,
        "what the contract gave back cannot be read",
        "check the contract's address and its ABI",
    ),
    Entry::new(
        "chain.policy_refused",
        400,
        "the policy of the network refuses the account or contract",
        "use another account",
    ),
    Entry::new("chain.pool_full", 429, "the memory of the nodes is full", "wait, or offer a higher fee"),
    Entry::new(
        "chain.replaced_too_deep",
        409,
        "the chain replaced more blocks than are remembered",
        "check that the endpoints are of the right network",
    ),
    Entry::new(
        "chain.replacement_underpriced",
        409,
        "another transaction with this nonce offers about as much",
        "offer at least a tenth more",
    ),
    Entry::new("chain.reverted", 400, "the call came to nothing", "details has the reason"),
    Entry::new(
        "chain.script_invalid",
        400,
        "the script is not one that the VM can run",
        "check the script's instructions",
    ),
    Entry::new(
        "chain.signature_invalid",
        400,
        "a signature or witness does not fit",
        "sign the transaction as it is, with the accounts that it names",
    ),
    Entry::new("chain.too_large", 400, "the answer of the chain is larger than is read", "ask for less at once"),
    Entry::new("chain.too_slow", 504, "the endpoints of the chain did not answer in time", "ask again"),
    Entry::new(
        "chain.tx_attribute_refused",
        409,
        "the network refuses an attribute of the transaction",
        "check its attributes",
    ),
    Entry::new("chain.tx_conflict", 409, "another transaction excludes this one", "look up the other one"),
    Entry::new("chain.tx_expired", 409, "the transaction is past its last block", "make it anew with a later one"),
    Entry::new("chain.tx_id_invalid", 400, "this is no id of a transaction", "write 0x and 64 hex digits"),
    Entry::new(
        "chain.tx_malformed",
        400,
        "the bytes are no transaction",
        "give a whole transaction as its chain writes it",
    ),
    Entry::new("chain.tx_too_large", 400, "the transaction is larger than the network takes", "make it smaller"),
    Entry::new(
        "chain.tx_type_refused",
        400,
        "transactions of this kind are not taken",
        "send a legacy or a dynamic fee transaction",
    ),
    Entry::new(
        "chain.underpriced",
        400,
        "the transaction offers less than the network asks",
        "offer at least what an estimate says",
    ),
    Entry::new("chain.unknown", 400, "there is no such chain", "name neo-n3 or neo-x"),
    Entry::new(
        "chain.unreachable",
        503,
        "no endpoint of the chain answers",
        "ask again in a moment, or look at [chain.neo_n3] endpoints and [chain.neo_x] endpoints; at a desk, nsl devnet up \
         starts nodes that have ended",
    ),
    Entry::new("chain.wrong_chain", 400, "this is of the other chain", "use the routes of its own chain"),
    Entry::new(
        "chain.wrong_network",
        400,
        "the transaction is for another network",
        "sign it for the network that is set up here",
    ),
];
