//! Changes that behave, and changes that don't.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

use futures_util::future::BoxFuture;
use nsl_core::{Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Change, Closer, Kind, Many, Tx, args};

/// What a note does besides being kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    Good,
    /// Says no by itself and touches nothing.
    Refuses,
    /// Runs a statement that fails.
    Fails,
    /// Runs a statement that fails, and makes nothing of it.
    Swallows,
    Panics,
    /// Waits for something besides its transaction.
    Waits,
    /// Gives no outcome.
    Forgets,
}

pub(crate) struct Note {
    cx: Cx,
    pub(crate) key: String,
    pub(crate) number: i64,
    manner: Manner,
    applied: Arc<AtomicUsize>,
}

impl Note {
    pub(crate) fn new(cx: &Cx, key: impl Into<String>, number: i64) -> Self {
        Self { cx: cx.clone(), key: key.into(), number, manner: Manner::Good, applied: Arc::default() }
    }

    pub(crate) fn that(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Counts the times that a group is applied.
    pub(crate) fn counted(mut self, applied: &Arc<AtomicUsize>) -> Self {
        self.applied = Arc::clone(applied);
        self
    }
}

static INSERT: Many = Many {
    one: "INSERT INTO notes (tenant_id, key, number) VALUES ($1, $2, $3)",
    many: "INSERT INTO notes (tenant_id, key, number) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])",
    kinds: &[Kind::Text, Kind::Text, Kind::Int],
};

impl Change for Note {
    type Done = (String, i64);

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Self::Done>>> {
        group[0].applied.fetch_add(1, Ordering::SeqCst);
        let (mut rows, mut done) = (Vec::new(), Vec::new());
        for note in group {
            match note.manner {
                Manner::Good => {}
                Manner::Refuses => {
                    done.push(Err(Error::invalid("notes.refused", "this note is refused")));
                    continue;
                }
                Manner::Fails => {
                    let _ = tx.execute("INSERT INTO notes (tenant_id, key) VALUES ('x', NULL)", args![]).await?;
                }
                Manner::Swallows => {
                    let _ = tx.execute("INSERT INTO notes (tenant_id, key) VALUES ('x', NULL)", args![]).await;
                    done.push(Ok((note.key.clone(), note.number)));
                    continue;
                }
                Manner::Panics => panic!("this note panics"),
                Manner::Waits => tokio::task::yield_now().await,
                Manner::Forgets => {
                    rows.push(args![&note.cx.tenant, note.key.as_str(), note.number]);
                    continue;
                }
            }
            rows.push(args![&note.cx.tenant, note.key.as_str(), note.number]);
            done.push(Ok((note.key.clone(), note.number)));
            tx.note(Entry::new(&note.cx, "notes.kept", "notes", "keep", Timestamp(0)));
        }
        tx.many(&INSERT, rows).await?;
        Ok(done)
    }
}

/// Adds one to a number that exists: doing it twice shows.
pub(crate) struct Add {
    pub(crate) tenant: TenantId,
    pub(crate) key: &'static str,
}

impl Change for Add {
    type Done = i64;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<i64>>> {
        let mut done = Vec::new();
        for add in group {
            let sql = "UPDATE notes SET number = number + 1 WHERE tenant_id = $1 AND key = $2 RETURNING number";
            let mut rows = tx.query(sql, args![&add.tenant, add.key]).await?;
            done.push(match rows.first_mut() {
                Some(row) => row.take(0),
                None => Err(Error::invalid("notes.absent", "there is no such note")),
            });
        }
        Ok(done)
    }
}

/// Holds a writer until it is let go: what comes meanwhile waits.
pub(crate) struct Gate {
    entered: SyncSender<()>,
    leave: Mutex<Receiver<()>>,
}

impl Gate {
    /// The change, what tells that a writer is inside, and what lets it go on.
    pub(crate) fn new() -> (Self, Receiver<()>, SyncSender<()>) {
        let (entered, inside) = sync_channel(8);
        let (open, leave) = sync_channel(8);
        (Self { entered, leave: Mutex::new(leave) }, inside, open)
    }
}

impl Change for Gate {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], _: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        for gate in group {
            gate.entered.send(()).unwrap();
            tokio::task::block_in_place(|| gate.leave.lock().unwrap().recv().unwrap());
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}

/// How often a closer was told what became of its groups.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) committed: AtomicUsize,
    pub(crate) undone: AtomicUsize,
    pub(crate) unknown: AtomicUsize,
}

/// Numbers the evidence of one writer without gaps, as a chain would.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) told: Arc<Told>,
    pub(crate) length: i64,
    pub(crate) pending: i64,
}

static EVIDENCE: Many = Many {
    one: "INSERT INTO evidence (tenant_id, id, lane, number) VALUES ($1, $2, $3, $4)",
    many: "INSERT INTO evidence (tenant_id, id, lane, number)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

impl Closer for Lane {
    fn close<'a>(&'a mut self, notes: Vec<Entry>, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.pending = self.length;
            let mut rows = Vec::new();
            for note in notes {
                self.pending += 1;
                rows.push(args![&note.tenant, note.id, self.name.as_str(), self.pending]);
            }
            tx.many(&EVIDENCE, rows).await.map(drop)
        })
    }

    fn committed(&mut self) {
        self.length = self.length.max(self.pending);
        self.told.committed.fetch_add(1, Ordering::SeqCst);
    }

    fn undone(&mut self) {
        self.pending = self.length;
        self.told.undone.fetch_add(1, Ordering::SeqCst);
    }

    fn unknown(&mut self) {
        // A lane whose end is not known is left, and another begun.
        self.name = nsl_core::fresh("lane");
        (self.length, self.pending) = (0, 0);
        self.told.unknown.fetch_add(1, Ordering::SeqCst);
    }
}
