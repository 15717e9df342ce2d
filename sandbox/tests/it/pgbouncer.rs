use std::process::Command;

use nsl_sandbox::{Database, PgBouncer};

fn ask(url: &str, sql: &str) -> Option<String> {
    let said = Command::new("psql").args(["-XAtq", url, "-c", sql]).output().expect("psql runs");
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

#[test]
fn sessions_of_the_server_are_shared_between_clients() {
    let database = Database::fresh().unwrap();
    let mut pooler = PgBouncer::start(&database, 1).unwrap();
    let first = ask(&pooler.url(), "select pg_backend_pid()").unwrap();
    assert_eq!(ask(&pooler.url(), "select pg_backend_pid()").unwrap(), first);
    assert_eq!(ask(&pooler.url(), "select current_user").unwrap(), "nsl");
    pooler.stop().unwrap();
    assert_eq!(ask(&pooler.url(), "select 1"), None);
    pooler.start_again().unwrap();
    assert_eq!(ask(&pooler.url(), "select 1").unwrap(), "1");
}
