//! What tokens notify.

use num_bigint::{BigInt, Sign};

use crate::{
    error::{Result, malformed},
    hash::Hash160,
    stack::StackItem,
};

/// A token or a part of it that changed hands, as the token's contract notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who had it; nobody if it was made.
    pub from: Option<Hash160>,
    /// Who has it; nobody if it was burnt.
    pub to: Option<Hash160>,
    /// How much.
    pub amount: BigInt,
    /// Which one; nothing for a fungible token.
    pub id: Option<Vec<u8>>,
}

/// Reads a notification `Transfer` by its name and state: of NEP-17 it has three values, of NEP-11 four. `None` if it
/// has another name; an error if it has the name and not the form, for then the contract breaks its standard.
pub fn transfer_of(event: &str, state: &StackItem) -> Result<Option<Transfer>> {
    if event != "Transfer" {
        return Ok(None);
    }
    let account = |item: &StackItem| item.non_null().map(StackItem::as_hash160).transpose();
    let (from, to, amount, id) = match state.as_list()? {
        [from, to, amount] => (from, to, amount, None),
        [from, to, amount, id] => (from, to, amount, Some(id.as_bytes()?)),
        items => return Err(malformed("Transfer", format!("{} values instead of three or four", items.len()))),
    };
    let amount = amount.as_integer()?;
    if amount.sign() == Sign::Minus {
        return Err(malformed("Transfer", "a negative amount"));
    }
    Ok(Some(Transfer { from: account(from)?, to: account(to)?, amount, id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_read_and_nothing_else() {
        let account = |byte| StackItem::ByteString(vec![byte; 20]);
        let number = |number: i64| StackItem::Integer(number.into());
        let read = |items: Vec<StackItem>| transfer_of("Transfer", &StackItem::Array(items));
        let minted = read(vec![StackItem::Null, account(1), number(5)]).unwrap().unwrap();
        assert_eq!((minted.from, minted.to), (None, Some(Hash160::from_le([1; 20]))));
        assert_eq!((minted.amount, minted.id), (5.into(), None));
        let id = StackItem::ByteString(b"id".to_vec());
        let moved = read(vec![account(1), account(2), number(1), id.clone()]).unwrap().unwrap();
        assert_eq!(moved.id, Some(b"id".to_vec()));
        assert_eq!(transfer_of("transfer", &StackItem::Null).unwrap(), None);
        assert!(read(vec![account(1), account(2)]).is_err() && read(vec![id.clone(), id, number(1)]).is_err());
        assert!(read(vec![account(1), account(2), number(-1)]).is_err());
    }
}
