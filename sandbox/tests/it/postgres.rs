use nsl_sandbox::{Database, Postgres, PostgresOptions, eventually};

#[test]
fn shared_databases_are_apart_and_their_owner_is_no_superuser() {
    let one = Database::fresh().unwrap();
    let two = Database::fresh().unwrap();
    assert_ne!(one.name(), two.name());
    one.query("create table only_here (n int)").unwrap();
    assert!(two.query("select * from only_here").is_err());
    assert_eq!(one.query("select rolsuper from pg_roles where rolname = 'nsl'").unwrap(), "f");
    assert_eq!(one.query("show fsync").unwrap(), "on");
}

#[test]
fn committed_rows_outlive_kill_stop_and_pause() {
    let mut server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    database.query("create table t (n int); insert into t values (1)").unwrap();
    server.kill().unwrap();
    assert!(database.query("select 1").is_err());
    server.start_again().unwrap();
    assert_eq!(database.query("select count(*) from t").unwrap(), "1");
    server.stop().unwrap();
    server.start_again().unwrap();
    server.pause().unwrap();
    server.resume().unwrap();
    assert_eq!(database.query("select count(*) from t").unwrap(), "1");
}

#[test]
fn a_server_of_ones_own_asks_for_the_password() {
    let options = PostgresOptions {
        password: Some("pa'ss".into()),
        settings: vec![("max_connections".into(), "17".into())],
        ..PostgresOptions::default()
    };
    let server = Postgres::start_with(options).unwrap();
    let database = server.database().unwrap();
    assert_eq!(database.query("show max_connections").unwrap(), "17");
    let login = |password: &str| {
        std::process::Command::new("psql")
            .args(["-XAtq", "-h", "127.0.0.1", "-U", "nsl", "-d", database.name(), "-c", "select 1", "-p"])
            .arg(server.port().to_string())
            .env("PGPASSWORD", password)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(login("pa'ss"));
    assert!(!login("other"));
}

#[test]
fn a_dropped_server_is_gone() {
    let server = Postgres::start().unwrap();
    let pid = server.process().pid();
    drop(server);
    eventually("the server's process is gone", 5, || Ok(!std::path::Path::new(&format!("/proc/{pid}")).exists()))
        .unwrap();
}

#[test]
fn a_standby_follows_and_refuses_writes() {
    let server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    let standby = server.standby().unwrap();
    let ask = |sql: &str| {
        let said = std::process::Command::new("psql")
            .args(["-XAtq", &database.url_on(&standby), "-c", sql])
            .output()
            .expect("psql runs");
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    assert_eq!(ask("select pg_is_in_recovery()").as_deref(), Some("t"));
    database.query("create table t (n int); grant select on t to nsl; insert into t values (7)").unwrap();
    eventually("the row arrives", 10, || Ok(ask("select n from t").as_deref() == Some("7"))).unwrap();
    assert_eq!(ask("create table u (n int)"), None);
}
