//! Iterators that a test run leaves behind: read out at the node that has them, as far as is sensible.

use neo::stack::{InteropInterface, StackItem};
use neo_rpc::model::{InvocationResult, Shown};

use super::Node;
use crate::error::Trouble;

/// So many iterators of one run are read, and of all of them together so much is kept.
const MOST_ITERATORS: usize = 8;
const MOST_ITEMS: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;
/// What nodes give at once, if they do not say that it is less.
const PAGE: u32 = 100;

/// Puts the items in the place of each iterator and ends the session. What does not fit is left out, and the iterator
/// is marked as truncated.
pub(super) async fn read_out(node: &Node, mut run: InvocationResult) -> Result<InvocationResult, Trouble> {
    let Some(session) = run.session.take() else { return Ok(run) };
    if let Shown::Known(stack) = &mut run.stack {
        let mut open = Vec::new();
        stack.iter_mut().for_each(|item| find(item, &mut open));
        if !open.is_empty() {
            let told = node.ask("getversion", |rpc| rpc.version()).await?.rpc.max_iterator_result_items;
            let page = if told == 0 { PAGE } else { told.min(PAGE) };
            let mut room = Room { items: MOST_ITEMS, bytes: MOST_BYTES };
            for (place, iterator) in open.into_iter().enumerate() {
                let Some(id) = iterator.id.take() else { continue };
                let (items, truncated) = match place < MOST_ITERATORS {
                    true => items(node, (&session, &id), page, &mut room).await?,
                    false => (Vec::new(), true),
                };
                *iterator = InteropInterface { id: None, items: Some(items), truncated };
            }
        }
    }
    // One that is not ended ends by itself after a while.
    if let Err(trouble) = node.ask("terminatesession", |rpc| rpc.terminate_session(&session)).await {
        tracing::debug!(%trouble, "a session of iterators was not ended");
    }
    Ok(run)
}

async fn items(
    node: &Node,
    (session, id): (&str, &str),
    page: u32,
    room: &mut Room,
) -> Result<(Vec<StackItem>, bool), Trouble> {
    let mut items = Vec::new();
    loop {
        let more = node.ask("traverseiterator", |rpc| rpc.traverse_iterator(session, id, page)).await;
        let more = match more {
            Ok(more) => more,
            // The session has ended before the iterator.
            Err(Trouble::Node(_)) => return Ok((items, true)),
            Err(trouble) => return Err(trouble),
        };
        let is_last = more.len() < page as usize;
        for item in more {
            if !room.takes(&item) {
                return Ok((items, true));
            }
            items.push(item);
        }
        if is_last {
            return Ok((items, false));
        }
    }
}

fn find<'a>(item: &'a mut StackItem, found: &mut Vec<&'a mut InteropInterface>) {
    match item {
        StackItem::InteropInterface(iterator) if iterator.id.is_some() => found.push(iterator),
        StackItem::Array(items) | StackItem::Struct(items) => items.iter_mut().for_each(|item| find(item, found)),
        StackItem::Map(entries) => entries.iter_mut().for_each(|(_, value)| find(value, found)),
        _ => {}
    }
}

/// What may still be kept.
struct Room {
    items: usize,
    bytes: usize,
}

impl Room {
    fn takes(&mut self, item: &StackItem) -> bool {
        let left = self.items.checked_sub(1).zip(self.bytes.checked_sub(weight(item)));
        if let Some((items, bytes)) = left {
            *self = Self { items, bytes };
        }
        left.is_some()
    }
}

// About how many bytes an item has.
fn weight(item: &StackItem) -> usize {
    const OWN: usize = 32;
    OWN + match item {
        StackItem::ByteString(bytes) | StackItem::Buffer(bytes) => bytes.len(),
        StackItem::Array(items) | StackItem::Struct(items) => items.iter().map(weight).sum(),
        StackItem::Map(entries) => entries.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_are_found_wherever_a_value_may_stand() {
        let iterator = |id: &str| {
            StackItem::InteropInterface(InteropInterface { id: Some(id.to_owned()), ..InteropInterface::default() })
        };
        let shown = StackItem::InteropInterface(InteropInterface { items: Some(vec![]), ..Default::default() });
        let entries = vec![(StackItem::Integer(1.into()), iterator("c"))];
        let mut stack = [
            iterator("a"),
            shown,
            StackItem::Array(vec![StackItem::Struct(vec![StackItem::Null, iterator("b")]), StackItem::Map(entries)]),
        ];
        let mut found = Vec::new();
        stack.iter_mut().for_each(|item| find(item, &mut found));
        let ids: Vec<_> = found.iter().filter_map(|one| one.id.as_deref()).collect();
        assert_eq!(ids, ["a", "b", "c"], "what the node has shown already is left as it is");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut few = Room { items: 2, bytes: 1_000 };
        assert!(few.takes(&StackItem::Null) && few.takes(&StackItem::Null) && !few.takes(&StackItem::Null));
        let mut small = Room { items: 9, bytes: 100 };
        let bytes = |count| StackItem::ByteString(vec![7; count]);
        assert!(!small.takes(&bytes(69)) && !small.takes(&StackItem::Array(vec![StackItem::Null; 3])));
        assert!(small.takes(&bytes(68)) && !small.takes(&StackItem::Null));
    }
}
