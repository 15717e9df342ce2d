use nsl_sandbox::{Chaos, Database, Launch};

fn survives(launch: Launch) {
    let outcome = Chaos { kills: 3, clients: 100, stores: 10 }.run(launch, |_| {}).expect("the rounds run");
    assert!(outcome.is_good(), "{outcome}");
    assert_eq!(outcome.kills, 3);
}

#[test]
fn heavy_kills_lose_nothing_on_sqlite() {
    survives(Launch::dev().unwrap());
}

#[test]
fn heavy_kills_lose_nothing_on_postgres() {
    let database = Database::fresh().unwrap();
    survives(Launch::dev().unwrap().env("DATABASE_URL", database.url()));
    let tables = "select count(*) > 3 from pg_tables where schemaname = 'neo_service_layer'";
    assert_eq!(database.query(tables).unwrap(), "t", "it was this database that was written");
}
