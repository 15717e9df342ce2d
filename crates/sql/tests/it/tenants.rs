//! Row-level security. SQLite has none: there each statement's own WHERE is all.

use nsl_core::Code;
use nsl_sql::{Config, Db, Scope, Statement, args};
use tokio::task::JoinSet;

use crate::{
    bed::{Bed, Engine, count, number, statement, tenant},
    deeds::Note,
};

async fn both() -> [Bed; 2] {
    [Bed::new(Engine::Postgres).await, Bed::new(Engine::Pooled).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_where_shows_no_row_of_another_tenant() {
    for bed in both().await {
        let db = bed.open().await;
        let (one, other) = (tenant(), tenant());
        db.write(&one, Note::new(&one, "k", 1)).await.unwrap();
        db.write(&other, Note::new(&other, "k", 2)).await.unwrap();
        let everything = "SELECT number FROM notes WHERE 1 = 1";
        let mut seen = db.query(Scope::Tenant(&one.tenant), everything, args![]).await.unwrap();
        assert_eq!((seen.len(), seen[0].take::<i64>(0).unwrap()), (1, 1));
        assert_eq!(number(&db, &one, "k").await, Some(1));
        let theirs = "SELECT number FROM notes WHERE tenant_id = $1";
        let seen = db.scan(Scope::Tenant(&one.tenant), theirs, args![&other.tenant]).await.unwrap();
        assert!(seen.is_empty());
        assert_eq!(db.query(Scope::Platform, everything, args![]).await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_write_makes_and_changes_no_row_of_another_tenant() {
    for bed in both().await {
        let db = bed.open().await;
        let (one, other) = (tenant(), tenant());
        db.write(&one, Note::new(&one, "k", 1)).await.unwrap();
        db.write(&other, Note::new(&other, "k", 2)).await.unwrap();
        let forged = db.write(&one, Note::new(&other, "forged", 3)).await.unwrap_err();
        assert_eq!(forged.code, Code::Internal);
        assert_eq!(db.write(&one, statement("UPDATE notes SET number = 9")).await.unwrap(), 1);
        assert_eq!(number(&db, &other, "k").await, Some(2));
        let moved = Statement { sql: "UPDATE notes SET tenant_id = $1", args: args![&other.tenant] };
        assert!(db.write(&one, moved).await.is_err());
        assert_eq!(db.write(&one, statement("DELETE FROM notes")).await.unwrap(), 1);
        assert_eq!((number(&db, &other, "k").await, count(&db).await), (Some(2), 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_never_keeps_the_tenants_of_the_one_before() {
    for bed in both().await {
        let mut config = bed.config.clone();
        (config.connections, config.writers) = (3, 1);
        let db = bed.open_with(&config, || None).await;
        let mut tenants = JoinSet::new();
        for n in 0..200 {
            let (db, cx) = (db.clone(), tenant());
            tenants.spawn(async move {
                db.write(&cx, Note::new(&cx, "k", n)).await.unwrap();
                let all = "SELECT number FROM notes";
                // Some go away in the middle of their answer.
                let read = db.query(Scope::Tenant(&cx.tenant), all, args![]);
                if n % 3 == 0 {
                    let mut read = Box::pin(read);
                    for _ in 0..n % 7 {
                        let _ = futures_util::poll!(&mut read);
                        tokio::task::yield_now().await;
                    }
                    return;
                }
                let mut seen = read.await.unwrap();
                assert_eq!((seen.len(), seen[0].take::<i64>(0).unwrap()), (1, n));
            });
        }
        tenants.join_all().await;
        assert_eq!(count(&db).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_no_tenant_sees_nothing() {
    let bed = Bed::new(Engine::Postgres).await;
    let db = bed.open().await;
    let cx = tenant();
    db.write(&cx, Note::new(&cx, "k", 1)).await.unwrap();
    let database = bed.database.as_ref().unwrap();
    let as_owner = |before: &str| {
        let sql = format!("SET ROLE nsl; {before} SELECT count(*) FROM neo_service_layer.notes;");
        database.query(&sql).unwrap()
    };
    assert_eq!(as_owner(""), "0");
    assert_eq!(as_owner("SET nsl.tenants = '';"), "0");
    assert_eq!(as_owner("SET nsl.tenants = 'ten_unknown';"), "0");
    assert_eq!(as_owner(&format!("SET nsl.tenants = 'ten_unknown,{}';", cx.tenant)), "1");
    let protected = "SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class
        WHERE relnamespace = 'neo_service_layer'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'schema_migrations'";
    assert_eq!(database.query(protected).unwrap(), "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_policies_do_not_bind_is_refused() {
    let bed = Bed::new(Engine::Postgres).await;
    let database = bed.database.as_ref().unwrap();
    let open = async |url: String| {
        let config = Config::postgres(url);
        let clock = std::sync::Arc::new(nsl_core::SystemClock);
        Db::open(&config, bed.dir(), clock, || None).await.map(drop).map_err(|error| format!("{error:#}"))
    };
    open(database.url()).await.unwrap();
    let refused = open(database.superuser_url()).await.unwrap_err();
    assert!(refused.contains("row-level security"), "{refused}");
    let role = format!("bypass_{}", database.name());
    database.query(&format!("CREATE ROLE {role} LOGIN BYPASSRLS")).unwrap();
    let refused = open(database.url().replace("nsl@", &format!("{role}@"))).await.unwrap_err();
    database.query(&format!("DROP ROLE {role}")).unwrap();
    assert!(refused.contains("row-level security"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_without_the_password() {
    let port = nsl_sandbox::free_port().unwrap();
    let mut config = Config::postgres(format!("postgres://nsl:hunter2@127.0.0.1:{port}/none"));
    config.connect_timeout_ms = 500;
    let clock = std::sync::Arc::new(nsl_core::SystemClock);
    let error = Db::open(&config, std::path::Path::new("."), clock, || None).await.err().unwrap();
    let said = format!("{error:#} {error:?}");
    assert!(said.contains("cannot reach PostgreSQL") && !said.contains("hunter2"), "{said}");
}
