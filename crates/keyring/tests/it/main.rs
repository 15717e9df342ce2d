//! The promises of the keyring, on both SQL engines.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;
use nsl_core::{Clock, Cx, Entry, ManualClock, Secret, Subject, TenantId, Timestamp};
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine};
use nsl_keyring::{Keyring, MIGRATIONS, Presence, SecretsRoot, destroy};
use nsl_sql::{BASE, Change, Closer, Config, Db, Scope, Statement, Tx, args};
use parking_lot::Mutex;

struct Ground {
    db: Db,
    secrets: Secrets,
    clock: Arc<ManualClock>,
    /// The evidence of each change, in order.
    notes: Arc<Mutex<Vec<Entry>>>,
    _dir: tempfile::TempDir,
    _database: Option<nsl_sandbox::Database>,
}

/// Keeps evidence where a test can look at it.
struct Keeper(Arc<Mutex<Vec<Entry>>>);

impl Closer for Keeper {
    fn close<'a>(&'a mut self, mut notes: Vec<Entry>, _: &'a mut Tx<'_>) -> BoxFuture<'a, nsl_core::Result<()>> {
        self.0.lock().append(&mut notes);
        Box::pin(std::future::ready(Ok(())))
    }

    fn committed(&mut self) {}
    fn undone(&mut self) {}
    fn unknown(&mut self) {}
}

impl Ground {
    async fn on(database: Option<nsl_sandbox::Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        config.migrate(dir.path(), &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
        let notes = Arc::new(Mutex::new(Vec::new()));
        let closer = || Some(Box::new(Keeper(Arc::clone(&notes))) as Box<dyn Closer>);
        let db = Db::open(&config, dir.path(), clock.clone(), closer).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        Self { db, secrets, clock, notes, _dir: dir, _database: database }
    }

    /// The keyring of a process that starts now.
    async fn keyring(&self) -> Keyring {
        let root = SecretsRoot::open(self.secrets.clone()).await.unwrap();
        Keyring::new(self.db.clone(), Arc::new(root), self.clock.clone())
    }
}

async fn each(test: impl AsyncFn(Ground)) {
    test(Ground::on(None).await).await;
    test(Ground::on(Some(nsl_sandbox::Database::fresh().unwrap())).await).await;
}

fn alice() -> (TenantId, Subject) {
    (TenantId::parse("ten_a").unwrap(), Subject::parse("sub_alice").unwrap())
}

#[tokio::test]
async fn a_subject_has_one_key_however_many_ask_first() {
    each(async |ground| {
        let (tenant, subject) = alice();
        let rings = [ground.keyring().await, ground.keyring().await];
        let asked = (0..40).map(|n| rings[n % 2].current(&tenant, &subject));
        let keys = futures_util::future::join_all(asked).await;
        let mut ids: Vec<_> = keys.into_iter().map(|key| key.unwrap().id().clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1);
        let other = rings[0].current(&TenantId::parse("ten_b").unwrap(), &subject).await.unwrap();
        assert_ne!(*other.id(), ids[0]);
    })
    .await;
}

#[tokio::test]
async fn the_root_rotates_while_serving_and_every_value_still_opens() {
    each(async |ground| {
        let (tenant, subject) = alice();
        let sealed = ground.keyring().await.current(&tenant, &subject).await.unwrap().seal(b"place", b"value").unwrap();
        let serving = ground.keyring().await;
        assert_eq!(serving.rewrap(10).await.unwrap(), 0, "all are under the newest root");
        ground.secrets.put_new_version("root", &Secret::new([7; 32])).await.unwrap();
        let id = serving.current(&tenant, &subject).await.unwrap().id().clone();
        assert_eq!(serving.rewrap(10).await.unwrap(), 1);
        assert_eq!(serving.rewrap(10).await.unwrap(), 0);
        let notes = std::mem::take(&mut *ground.notes.lock());
        let events: Vec<_> = notes.iter().map(|note| &*note.event_type).collect();
        assert_eq!(events, ["keyring.data_key_made", "keyring.data_key_rewrapped"]);
        assert_eq!((&notes[1].tenant, notes[1].subject.as_ref()), (&tenant, Some(&subject)));
        assert_eq!(
            (&notes[1].request_data["key_id"], &notes[1].response_data["root_version"]),
            (&(*id).into(), &2.into())
        );
        for ring in [serving, ground.keyring().await] {
            let key = ring.find(&tenant, &id).await.unwrap().unwrap();
            assert_eq!(key.open(b"place", &sealed).unwrap(), b"value");
        }
        let mut rows = ground.db.query(Scope::Platform, "SELECT root_version FROM data_keys", vec![]).await.unwrap();
        assert_eq!(rows[0].take::<i64>(0).unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_wrapped_key_does_not_open_in_anothers_row() {
    each(async |ground| {
        let (tenant, subject) = alice();
        let mallory = Subject::parse("sub_mallory").unwrap();
        let ring = ground.keyring().await;
        ring.current(&tenant, &subject).await.unwrap();
        ring.current(&tenant, &mallory).await.unwrap();
        let sql = "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE subject = 'sub_alice') WHERE subject = $1";
        ground.db.write_platform(Statement { sql, args: args![&mallory] }).await.unwrap();
        assert!(ground.keyring().await.current(&tenant, &mallory).await.is_err());
        assert!(ground.keyring().await.current(&tenant, &subject).await.is_ok());
    })
    .await;
}

struct Destroy(TenantId, Subject);

impl Change for Destroy {
    type Done = (Vec<String>, Vec<bool>);

    async fn apply<'a>(
        group: &'a [&'a Self],
        tx: &'a mut Tx<'_>,
    ) -> nsl_core::Result<Vec<nsl_core::Result<Self::Done>>> {
        let mut done = Vec::new();
        for Self(tenant, subject) in group {
            let gone = destroy(tx, tenant, subject).await?;
            let asked: Vec<_> = gone.iter().map(|id| (tenant.clone(), id.as_str().into())).collect();
            let left = Presence::ask(tx, asked.clone())?.answer(tx).await?;
            done.push(Ok((gone, left)));
        }
        Ok(done)
    }
}

#[tokio::test]
async fn a_destroyed_key_is_gone_for_good_and_the_next_is_another() {
    each(async |ground| {
        let (tenant, subject) = alice();
        let ring = ground.keyring().await;
        let first = ring.current(&tenant, &subject).await.unwrap();
        let cx = Cx::system(tenant.clone(), std::time::Duration::from_secs(5));
        let (gone, left) = ground.db.write(&cx, Destroy(tenant.clone(), subject.clone())).await.unwrap();
        assert_eq!((gone.as_slice(), left.as_slice()), ([first.id().to_string()].as_slice(), [false].as_slice()));
        ring.forget(&tenant, &subject);
        assert!(ring.find(&tenant, first.id()).await.unwrap().is_none());
        ground.clock.advance(std::time::Duration::from_secs(1));
        let _ = ground.clock.now();
        assert_ne!(ring.current(&tenant, &subject).await.unwrap().id(), first.id());
    })
    .await;
}
