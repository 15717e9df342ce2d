//! A writer's transactions at PostgreSQL. What a transaction is told waits until somebody needs an answer, and
//! then goes out in one piece: a group of writes costs as many round trips as it has answers to wait for.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use anyhow::anyhow;
use futures_util::{
    TryStreamExt,
    future::{MaybeDone, maybe_done},
};
use nsl_core::{Error, Result};
use tokio_postgres::types::ToSql;

use crate::{
    fault,
    postgres::{Postgres, Session, TRIES, row, typed},
    tx::Many,
    value::{Row, Value},
};

/// A statement on its way.
pub(crate) enum Asked {
    /// Several statements without arguments.
    Text(String),
    One(&'static str, Vec<Value>),
    /// A [`Many`] and its columns.
    Many(&'static Many, Vec<Vec<Value>>),
}

/// What a statement gave, and how many rows it changed.
type Answer = (Vec<Row>, u64);

/// The one connection of a writer, kept until it breaks, and the transaction that is open on it.
pub(crate) struct Pipeline {
    server: Postgres,
    session: Option<Session>,
    waiting: Vec<(u32, Asked)>,
    answers: HashMap<u32, Answer>,
    next: u32,
    /// Whether anything of this transaction was sent.
    begun: bool,
}

impl Pipeline {
    pub(crate) fn new(server: Postgres) -> Self {
        Self { server, session: None, waiting: Vec::new(), answers: HashMap::new(), next: 0, begun: false }
    }

    /// A transaction for these tenants. That there is a connection is known, that it works is not.
    pub(crate) async fn begin(&mut self, tenants: &str) -> Result<()> {
        self.forget();
        let session = match self.session.take() {
            Some(kept) => kept,
            None => self.server.session().await?,
        };
        // A plan that is made once must do for tables that were small then: no scans.
        let begin = session.begin(tenants, "");
        let plans = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";
        self.ask(Asked::Text(format!("{begin}; {plans}")));
        self.session = Some(session);
        Ok(())
    }

    /// Takes a statement up, to be sent with the next one that is waited for, or with the commit.
    pub(crate) fn ask(&mut self, asked: Asked) -> u32 {
        self.next += 1;
        self.waiting.push((self.next, asked));
        self.next
    }

    /// What the statement of this number gave.
    pub(crate) async fn answer(&mut self, number: u32) -> Result<Answer> {
        if !self.answers.contains_key(&number) {
            self.flush().await?;
        }
        self.answers.remove(&number).ok_or_else(|| Error::internal(anyhow!("an answer is taken once")))
    }

    /// Asks and waits.
    pub(crate) async fn now(&mut self, asked: Asked) -> Result<Answer> {
        let number = self.ask(asked);
        self.answer(number).await
    }

    async fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let asked: Vec<&Asked> = waiting.iter().map(|(_, asked)| asked).collect();
        let mut tries = if self.begun { 1 } else { TRIES };
        self.begun = true;
        let given = loop {
            let session = self.session.as_ref().ok_or_else(|| fault::down(anyhow!("the connection broke")))?;
            let sent = session.within(send(session, &asked)).await;
            tries -= 1;
            match sent {
                // Nothing was done yet, so a connection that broke since the last group costs no caller its write.
                Err(error) if tries > 0 && fault::lost(&error) => {
                    self.session = None;
                    self.session = Some(self.server.another().await?);
                }
                Err(error) => {
                    // A session that does not answer would not answer a ROLLBACK either.
                    if error.slug == fault::DOWN {
                        self.session = None;
                    }
                    return Err(error);
                }
                Ok(given) => break given,
            }
        };
        self.answers.extend(waiting.iter().map(|(number, _)| *number).zip(given));
        Ok(())
    }

    /// Sends what still waits together with the COMMIT. An error of the former makes the latter a rollback.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        // Before the first answer nobody knows that the connection works: without this, one that broke while it
        // rested would make the outcome of a write unknown which was never sent.
        if !self.begun
            && let Err(error) = self.flush().await
        {
            self.undo().await;
            return Err(error);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.forget();
        let Some(session) = &self.session else { return Ok(()) };
        waiting.push((0, Asked::Text("COMMIT".into())));
        let asked: Vec<&Asked> = waiting.iter().map(|(_, asked)| asked).collect();
        let ended = session.ending(send(session, &asked)).await;
        if !session.is_idle() {
            self.session = None;
        }
        ended
    }

    pub(crate) async fn undo(&mut self) {
        let begun = self.begun;
        self.forget();
        if let Some(session) = self.session.as_ref().filter(|_| begun)
            && session.rollback().await.is_err()
        {
            self.session = None;
        }
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.answers.clear();
        self.begun = false;
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Answer, tokio_postgres::Error>> + Send + 'a>>;

/// Sends all without waiting in between, and gives all answers or the first error.
async fn send(session: &Session, asked: &[&Asked]) -> Result<Vec<Answer>, tokio_postgres::Error> {
    let client = session.client();
    let mut statements = Vec::with_capacity(asked.len());
    for one in asked {
        statements.push(match one {
            Asked::One(sql, _) if !session.pooled() => Some(client.prepare_cached(sql).await?),
            Asked::Many(sql, _) if !session.pooled() => Some(client.prepare_cached(sql.many).await?),
            _ => None,
        });
    }
    // Each puts its message into the connection's queue when it is first polled.
    let sent = asked.iter().zip(statements).map(|(asked, statement)| -> Sent<'_> {
        Box::pin(async move {
            let rows = match (asked, statement) {
                (Asked::Text(text), _) => {
                    client.batch_execute(text).await?;
                    return Ok((Vec::new(), 0));
                }
                (Asked::One(_, args), Some(statement)) => {
                    client.query_raw(&statement, args.iter().map(|value| value as &(dyn ToSql + Sync))).await?
                }
                (Asked::Many(_, columns), Some(statement)) => {
                    client.query_raw(&statement, columns.iter().map(|column| column as &(dyn ToSql + Sync))).await?
                }
                (Asked::One(sql, args), None) => client.query_typed_raw(sql, typed(args)).await?,
                (Asked::Many(sql, columns), None) => {
                    let kinds = sql.kinds.iter().map(|kind| kind.postgres_array());
                    let typed = columns.iter().map(|column| column as &(dyn ToSql + Sync)).zip(kinds);
                    client.query_typed_raw(sql.many, typed).await?
                }
            };
            let mut rows = std::pin::pin!(rows);
            let mut found = Vec::new();
            while let Some(next) = rows.try_next().await? {
                found.push(row(next)?);
            }
            Ok((found, rows.rows_affected().unwrap_or_default()))
        })
    });
    in_order(sent.map(maybe_done).collect()).await
}

/// Polls all for the first time in their order. One whose arguments can't be written fails there, unsent, and
/// then none of those behind it is sent either: a COMMIT least of all.
async fn in_order(mut all: Vec<MaybeDone<Sent<'_>>>) -> Result<Vec<Answer>, tokio_postgres::Error> {
    let mut reached = 0;
    poll_fn(|cx| {
        let mut pending = false;
        for (at, one) in all.iter_mut().enumerate() {
            pending |= Pin::new(&mut *one).poll(cx).is_pending();
            let failed = matches!(one, MaybeDone::Done(Err(_)));
            if at >= reached && failed {
                return Poll::Ready(());
            }
            reached = reached.max(at + 1);
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    // After a failure at first sight those before it may still be without an answer, and nobody needs it.
    all.iter_mut().filter_map(|one| Pin::new(one).take_output()).collect()
}
