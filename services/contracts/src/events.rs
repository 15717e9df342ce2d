//! What contracts told, by blocks.

use std::time::Duration;

use nsl_api::contracts::{AskEvents, Event, Events};
use nsl_chain::{self as chain, Filter, Position};
use nsl_core::{Cx, Error, Result};
use tokio::time::Instant;

use crate::{place::Place, run::told, service::Service, x::Faces};

const LONGEST_PAGE: u32 = 100;
/// How many blocks are read at once, where they are read one by one.
const PIECE: u32 = 500;
/// How far back is looked where nothing says since when the contract is there.
const BACK: u64 = 999;
/// How long is read for one page; what remains is left to the next one.
const SLICE: Duration = Duration::from_secs(4);

impl Service {
    pub(crate) async fn told(&self, cx: &Cx, ask: AskEvents) -> Result<Events> {
        let place = Place::read(ask.chain, &ask.hash)?;
        let after = ask.after.as_deref().map(position).transpose()?;
        let (node, state, faces, names): (&dyn chain::Chain, _, _, Vec<String>) = match place {
            Place::N3(hash) => {
                let state = self.n3_state(hash).await?;
                (self.chains.n3()?, Some(state), Faces::default(), ask.name.iter().cloned().collect())
            }
            Place::X(address) => {
                let node = self.chains.x()?;
                // An event may be of the contract behind a proxy: any name of a method that nobody has asks for both.
                let faces = self.faces(cx, address, "").await?;
                let names = ask.name.iter().map(|name| faces.topic(name)).collect::<Result<_>>()?;
                (node, None, faces, names)
            }
        };
        let last = (node.height().await? + 1).saturating_sub(node.finality());
        let to = ask.to.map_or(last, |to| to.min(last));
        let from = match after {
            Some(after) if after.is_end() => after.height + 1,
            Some(after) => after.height,
            None => match ask.from {
                Some(from) => from,
                None => self.since(cx, place).await?.unwrap_or(last.saturating_sub(BACK)),
            },
        };
        let filter = Filter { contracts: vec![place.kept()], names };
        let until = Instant::now() + SLICE.min(cx.deadline.remaining() / 2);
        let limit = ask.limit.clamp(1, LONGEST_PAGE) as usize;
        let mut items = Vec::new();
        let first = from;
        let mut from = from;
        while from <= to {
            let most = u32::try_from(to - from + 1).unwrap_or(PIECE).min(PIECE);
            let Some(stretch) = node.stretch(from, most, &filter).await? else { break };
            let end = stretch.blocks.last().map_or(from, |block| block.height);
            let fresh = |event: &&chain::Event| after.is_none_or(|after| event.at > after) && event.at.height <= to;
            for event in stretch.events.iter().filter(fresh) {
                items.push(shown(event, told(event, state.as_ref(), &faces)));
                if items.len() == limit {
                    return Ok(read(items, Some(event.at), first, event.at.height));
                }
            }
            from = end + 1;
            if from <= to && Instant::now() >= until {
                return Ok(read(items, Some(Position::end_of(end)), first, end));
            }
        }
        // A block that this process saw and its endpoint has not yet ends it early.
        Ok(match from.checked_sub(1).filter(|last| *last >= first) {
            Some(last) => read(items, None, first, last),
            None => Events { items, next: None, from: None, to: None },
        })
    }

    async fn since(&self, cx: &Cx, place: Place) -> Result<Option<u64>> {
        let known = self.recorded(cx, place).await?;
        Ok(known.and_then(|known| known.height).and_then(|height| u64::try_from(height).ok()))
    }
}

fn read(items: Vec<Event>, after: Option<Position>, from: u64, to: u64) -> Events {
    Events { items, next: after.map(cursor), from: Some(from), to: Some(to) }
}

fn shown(event: &chain::Event, told: nsl_api::contracts::Told) -> Event {
    Event {
        cursor: cursor(event.at),
        height: event.block.height,
        block: event.block.hash.clone(),
        tx: event.tx.as_ref().map(ToString::to_string),
        told,
    }
}

fn cursor(at: Position) -> String {
    format!("{}-{}-{}", at.height, at.tx, at.index)
}

fn position(text: &str) -> Result<Position> {
    let refused = || Error::invalid("contracts.cursor_malformed", "after is not the cursor of an event");
    let mut parts = text.split('-');
    let mut next = || parts.next().filter(|part| part.bytes().all(|digit| digit.is_ascii_digit())).ok_or_else(refused);
    let (height, tx, index) = (next()?, next()?, next()?);
    let height = height.parse().ok().filter(|height| *height < u64::MAX).ok_or_else(refused)?;
    let at = Position { height, tx: tx.parse().map_err(|_| refused())?, index: index.parse().map_err(|_| refused())? };
    if parts.next().is_some() { Err(refused()) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_written() {
        for at in [Position { height: 7, tx: 1, index: 0 }, Position::end_of(9)] {
            assert_eq!(position(&cursor(at)).unwrap(), at);
        }
        for wrong in
            ["", "1", "1-2", "1-2-3-4", "-1-2-3", "a-1-2", "+1-2-3", "1-4294967296-0", "18446744073709551615-1-1"]
        {
            assert_eq!(position(wrong).unwrap_err().slug, "contracts.cursor_malformed", "{wrong}");
        }
    }
}
