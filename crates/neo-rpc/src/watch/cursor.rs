//! Places in the chain.

use std::{cmp::Ordering, fmt, str::FromStr};

use neo::Hash256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::Error;

/// How far the chain was read: everything up to here, this place included.
///
/// Its text, for keeping it, is like `1234/0/2@0x…`: block 1234, first transaction, third notification, and the hash of
/// the block, by which a node that tells another past is noticed. Cursors are ordered by place; the hash does not count.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The block.
    pub height: u32,
    /// The place within it.
    pub place: Place,
    /// The hash of the block, where it is known.
    pub block: Option<Hash256>,
}

/// A place within a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Before everything in it.
    Start,
    /// In what the network runs before the transactions.
    OnPersist(Step),
    /// In the transaction of this number; the first is 0.
    Transaction(u32, Step),
    /// In what the network runs after the transactions.
    PostPersist(Step),
    /// The block as a whole: its header.
    Header,
    /// The block as a whole.
    Block,
    /// After everything in it.
    End,
}

/// A place within the run of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The run itself.
    Execution,
    /// The notification of this number; the first is 0.
    Notification(u32),
    /// The transaction as a whole.
    Whole,
}

impl Cursor {
    /// Before the block at this height.
    pub const fn before(height: u32) -> Self {
        Self { height, place: Place::Start, block: None }
    }

    /// After the block at this height.
    pub const fn after(height: u32) -> Self {
        Self { height, place: Place::End, block: None }
    }

    fn order(&self) -> (u32, Place) {
        (self.height, self.place)
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.height)?;
        match self.place {
            Place::Start => f.write_str("start"),
            Place::OnPersist(step) => write!(f, "before/{step}"),
            Place::Transaction(number, step) => write!(f, "{number}/{step}"),
            Place::PostPersist(step) => write!(f, "after/{step}"),
            Place::Header => f.write_str("header"),
            Place::Block => f.write_str("block"),
            Place::End => f.write_str("end"),
        }?;
        self.block.map_or(Ok(()), |hash| write!(f, "@{hash}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution => f.write_str("run"),
            Self::Notification(number) => write!(f, "{number}"),
            Self::Whole => f.write_str("whole"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).ok_or_else(|| Error::Settings("not the text of a cursor".into()))
    }
}

fn read(text: &str) -> Option<Cursor> {
    let (place, block) = match text.split_once('@') {
        Some((place, hash)) => (place, Some(hash.parse().ok()?)),
        None => (text, None),
    };
    let mut parts = place.split('/');
    let height = parts.next()?.parse().ok()?;
    let (name, step) = (parts.next()?, parts.next());
    let step = match step {
        None => None,
        Some("run") => Some(Step::Execution),
        Some("whole") => Some(Step::Whole),
        Some(number) => Some(Step::Notification(number.parse().ok()?)),
    };
    let place = match (name, step) {
        ("start", None) => Place::Start,
        ("header", None) => Place::Header,
        ("block", None) => Place::Block,
        ("end", None) => Place::End,
        ("before", Some(step)) => Place::OnPersist(step),
        ("after", Some(step)) => Place::PostPersist(step),
        (number, Some(step)) => Place::Transaction(number.parse().ok()?, step),
        _ => return None,
    };
    parts.next().is_none().then_some(Cursor { height, place, block })
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_as_things_happen_and_read_back() {
        let places = [
            Place::Start,
            Place::OnPersist(Step::Execution),
            Place::OnPersist(Step::Notification(0)),
            Place::Transaction(0, Step::Execution),
            Place::Transaction(0, Step::Notification(0)),
            Place::Transaction(0, Step::Notification(10)),
            Place::Transaction(0, Step::Whole),
            Place::Transaction(9, Step::Execution),
            Place::Transaction(10, Step::Execution),
            Place::PostPersist(Step::Notification(3)),
            Place::Header,
            Place::Block,
            Place::End,
        ];
        assert!(places.is_sorted());
        for place in places {
            for block in [None, Some(Hash256::from_le([7; 32]))] {
                let cursor = Cursor { height: 1234, place, block };
                let again: Cursor = cursor.to_string().parse().unwrap();
                assert_eq!((again, again.block), (cursor, block), "{cursor}");
            }
            assert!(Cursor::after(1233) < Cursor { height: 1234, place, block: None });
        }
        assert_eq!(Cursor::before(5).to_string(), "5/start");
    }

    #[test]
    fn no_other_text_is_a_cursor() {
        for text in ["", "5", "5/", "5/1", "x/end", "5/end/run", "5/0/run/1", "5/end@0x12", "-1/end", "5/before"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
