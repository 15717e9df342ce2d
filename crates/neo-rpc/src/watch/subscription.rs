//! Events one after the other.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use neo::Hash256;

use super::{
    Bell, Cursor, Happened, Interest, Options, Place,
    bell::Ring,
    read::{ReadBlock, Source},
};
use crate::{
    client::Client,
    error::{Error, Result},
};

/// Gives what happens on the chain: each event exactly once and in order, whatever happens to connection and node.
///
/// It does nothing between calls of [`Subscription::next`], and holds a few blocks at most: who is slow is waited for.
pub struct Subscription {
    source: Arc<Source>,
    bell: Bell,
    ahead: usize,
    /// The newest block that the node is known to have.
    tip: Option<u32>,
    /// The blocks being read, in order; the last of them is the one before `next_read`.
    reading: FuturesOrdered<BoxFuture<'static, Result<ReadBlock>>>,
    next_read: u32,
    /// What remains to be given of the block that was read last.
    ready: VecDeque<Happened>,
    /// Where the block stands that `ready` is of, once all of it is given.
    end: Option<Cursor>,
    cursor: Cursor,
}

impl Subscription {
    /// Starts after a cursor, or with the next block that is made.
    pub async fn start(client: Client, interest: Interest, from: Option<Cursor>, options: Options) -> Result<Self> {
        interest.check()?;
        let cursor = match from {
            Some(cursor) => cursor,
            None => Cursor::after(client.block_count().await?.saturating_sub(1)),
        };
        let next_read = match cursor.place {
            Place::End => cursor.height.saturating_add(1),
            _ => cursor.height,
        };
        Ok(Self {
            source: Arc::new(Source::new(client.clone(), interest, options.patience)),
            bell: Bell::new(client, &options),
            ahead: options.ahead.max(1),
            tip: None,
            reading: FuturesOrdered::new(),
            next_read,
            ready: VecDeque::new(),
            end: None,
            cursor,
        })
    }

    /// How far it is: everything up to here was given or is not wanted. A caller that keeps this after it has dealt
    /// with an event, and later starts from it, misses nothing and gets nothing twice.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many blocks the node is known to have that were not given yet.
    pub fn behind(&self) -> u32 {
        self.tip.map_or(0, |tip| tip.saturating_sub(self.cursor.height))
    }

    /// The next event. Safe to be dropped while it waits: nothing is lost.
    ///
    /// Fails only where trying again by itself is of no use, or when the patience of [`Options`] is over. It can be
    /// called again then, except after [`Error::Forked`], which it will repeat.
    pub async fn next(&mut self) -> Result<Happened> {
        loop {
            if let Some(happened) = self.ready.pop_front() {
                self.cursor = happened.cursor;
                return Ok(happened);
            }
            if let Some(end) = self.end.take() {
                self.cursor = end;
            }
            self.read_ahead();
            tokio::select! {
                biased;
                Some(read) = self.reading.next(), if !self.reading.is_empty() => match read {
                    Ok(read) => self.take(read)?,
                    Err(error) => {
                        self.again();
                        return Err(error);
                    }
                },
                ring = self.bell.ring() => match ring {
                    Ring::Height(height) => self.tip = Some(height),
                    Ring::Failing => self.check_patience()?,
                },
            }
        }
    }

    fn read_ahead(&mut self) {
        while self.reading.len() < self.ahead && self.tip.is_some_and(|tip| self.next_read <= tip) {
            self.reading.push_back(Box::pin(Arc::clone(&self.source).read(self.next_read)));
            self.next_read += 1;
        }
    }

    /// Begins anew with the block after the cursor.
    fn again(&mut self) {
        self.reading = FuturesOrdered::new();
        self.next_read = match self.cursor.place {
            Place::End => self.cursor.height.saturating_add(1),
            _ => self.cursor.height,
        };
    }

    fn take(&mut self, read: ReadBlock) -> Result<()> {
        if let Err(error) = self.follows(&read) {
            self.again();
            return Err(error);
        }
        let (height, hash) = (read.height, read.hash);
        self.end = Some(Cursor { height, place: Place::End, block: Some(hash) });
        let after = self.cursor;
        self.ready = read.happened.into_iter().filter(|happened| happened.cursor > after).collect();
        Ok(())
    }

    /// Whether a block is the one that was seen in part, or comes after the one that was seen last.
    fn follows(&self, read: &ReadBlock) -> Result<()> {
        let Some(seen) = self.cursor.block else { return Ok(()) };
        let found = if read.height == self.cursor.height { read.hash } else { read.previous };
        if found == seen { Ok(()) } else { Err(forked(read.height, seen, found)) }
    }

    fn check_patience(&self) -> Result<()> {
        match (self.source.patience, self.bell.failing()) {
            (Some(patience), Some((since, error))) if since >= patience => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

fn forked(height: u32, expected: Hash256, found: Hash256) -> Error {
    Error::Forked { height, expected: expected.to_string(), found: found.to_string() }
}
