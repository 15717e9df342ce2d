//! What of all that happens a caller wants.

use neo::{
    Hash160, Hash256,
    block::Header,
    stack::{Param, StackItem},
    tx::Transaction,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use crate::{
    error::{Error, Result},
    model::{Execution, Notification, VmState},
};

/// What a caller wants to know: what passes any of the filters of its kind. A kind without filters is not wanted; a
/// filter that says nothing lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Runs of scripts.
    pub executions: Vec<ExecutionFilter>,
    /// What contracts tell.
    pub notifications: Vec<NotificationFilter>,
    /// Transactions.
    pub transactions: Vec<TransactionFilter>,
    /// Headers of blocks.
    pub headers: Vec<BlockFilter>,
    /// Blocks.
    pub blocks: Vec<BlockFilter>,
}

impl Interest {
    /// All that contracts tell.
    pub fn notifications() -> Self {
        Self { notifications: vec![NotificationFilter::default()], ..Self::default() }
    }

    /// What a contract tells under a name.
    pub fn notification(contract: Hash160, name: impl Into<String>) -> Self {
        let filter = NotificationFilter { contract: Some(contract), name: Some(name.into()), parameters: Vec::new() };
        Self { notifications: vec![filter], ..Self::default() }
    }

    /// Everything of every kind.
    pub fn everything() -> Self {
        Self {
            executions: vec![ExecutionFilter::default()],
            notifications: vec![NotificationFilter::default()],
            transactions: vec![TransactionFilter::default()],
            headers: vec![BlockFilter::default()],
            blocks: vec![BlockFilter::default()],
        }
    }

    /// Refuses what no node takes.
    pub(crate) fn check(&self) -> Result<()> {
        let most = NotificationFilter::MOST_PARAMETERS;
        if self.notifications.iter().any(|filter| filter.parameters.len() > most) {
            return Err(Error::Settings(format!("a filter of notifications has more than {most} parameters")));
        }
        Ok(())
    }
}

/// Which blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockFilter {
    /// Those that this validator proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<u8>,
    /// From this one on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u32>,
    /// Up to this one, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub till: Option<u32>,
}

impl BlockFilter {
    pub(crate) fn passes(&self, header: &Header) -> bool {
        self.primary.is_none_or(|primary| primary == header.primary)
            && self.since.is_none_or(|since| since <= header.index)
            && self.till.is_none_or(|till| header.index <= till)
    }
}

/// Which transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransactionFilter {
    /// Those that this account pays for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Hash160>,
    /// Those that this account signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Hash160>,
}

impl TransactionFilter {
    pub(crate) fn passes(&self, transaction: &Transaction) -> bool {
        let mut accounts = transaction.signers.iter().map(|signer| signer.account);
        self.sender.is_none_or(|sender| accounts.clone().next() == Some(sender))
            && self.signer.is_none_or(|signer| accounts.any(|account| account == signer))
    }
}

/// Which runs of scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExecutionFilter {
    /// Those that ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<VmState>,
    /// That of this transaction, or those of this block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Hash256>,
}

impl ExecutionFilter {
    pub(crate) fn passes(&self, container: Hash256, execution: &Execution) -> bool {
        self.state.is_none_or(|state| state == execution.state) && self.container.is_none_or(|of| of == container)
    }
}

/// Which notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// Those of this contract.
    pub contract: Option<Hash160>,
    /// Those under this name.
    pub name: Option<String>,
    /// Those whose first values are these; none stands for any value.
    pub parameters: Vec<Option<Param>>,
}

impl NotificationFilter {
    /// As many values a node takes in a filter.
    pub const MOST_PARAMETERS: usize = 16;

    pub(crate) fn passes(&self, notification: &Notification) -> bool {
        if self.contract.is_some_and(|contract| contract != notification.contract)
            || self.name.as_ref().is_some_and(|name| *name != notification.name)
        {
            return false;
        }
        if self.parameters.is_empty() {
            return true;
        }
        let Some(values) = notification.values().filter(|values| values.len() >= self.parameters.len()) else {
            return false;
        };
        let same = |(wanted, value): (&Option<Param>, &StackItem)| match wanted {
            None | Some(Param::Null) => true,
            Some(wanted) => StackItem::from(wanted) == *value,
        };
        self.parameters.iter().zip(values).all(same)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.contract.is_none() && self.name.is_none() && self.parameters.is_empty()
    }
}

impl Serialize for NotificationFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(contract) = &self.contract {
            map.serialize_entry("contract", contract)?;
        }
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        if !self.parameters.is_empty() {
            let shown = |wanted: &Option<Param>| wanted.as_ref().map_or(json!({"type": "Any"}), |param| json!(param));
            map.serialize_entry("parameters", &self.parameters.iter().map(shown).collect::<Vec<_>>())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use neo::native::GAS;

    use super::*;
    use crate::model::Shown;

    fn transfer(values: Vec<StackItem>) -> Notification {
        Notification { contract: GAS, name: "Transfer".into(), state: Shown::Known(StackItem::Array(values)) }
    }

    #[test]
    fn a_notification_passes_by_contract_name_and_first_values() {
        let account = Hash160::from_le([5; 20]);
        let to = StackItem::ByteString(account.as_le().to_vec());
        let told = transfer(vec![StackItem::Null, to, StackItem::Integer(7.into())]);
        let filter = |parameters| NotificationFilter { contract: Some(GAS), name: Some("Transfer".into()), parameters };
        assert!(NotificationFilter::default().passes(&told) && filter(vec![]).passes(&told));
        assert!(filter(vec![None, Some(Param::Hash160(account))]).passes(&told));
        assert!(!filter(vec![Some(Param::Hash160(account))]).passes(&told));
        assert!(filter(vec![None, None, Some(Param::Integer(7.into()))]).passes(&told));
        assert!(!filter(vec![None; 4]).passes(&told), "more values than it has");
        assert!(!NotificationFilter { name: Some("transfer".into()), ..Default::default() }.passes(&told));
        let unshown = Notification { state: Shown::Unshown("error".into()), ..told };
        assert!(filter(vec![]).passes(&unshown) && !filter(vec![None]).passes(&unshown));
    }

    #[test]
    fn a_filter_is_written_as_nodes_take_it() {
        let filter =
            NotificationFilter { contract: Some(GAS), name: None, parameters: vec![None, Some(Param::Boolean(true))] };
        let json = json!({"contract": GAS, "parameters": [{"type": "Any"}, {"type": "Boolean", "value": true}]});
        assert_eq!(serde_json::to_value(filter).unwrap(), json);
        let filter = ExecutionFilter { state: Some(VmState::Fault), container: None };
        assert_eq!(serde_json::to_value(filter).unwrap(), json!({"state": "FAULT"}));
    }
}
