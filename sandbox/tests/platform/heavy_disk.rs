use nsl_sandbox::{Launch, Nsl, Postgres, PostgresOptions, SmallDisk, eventually};
use serde_json::json;

use crate::ground::{get, ok, problem, put, unlimited, verifies, with};

fn fills_up_and_heals(nsl: &Nsl, disk: &SmallDisk) {
    ok(&put(nsl, "first", &json!("before"), true));
    disk.fill().unwrap();
    let big = json!("x".repeat(300_000));
    let mut kept = 0;
    let refused = loop {
        let reply = put(nsl, &format!("big:{kept}"), &big, kept % 2 == 0);
        if reply.status != 200 {
            break reply;
        }
        kept += 1;
        assert!(kept < 1_000, "the disk does not get full");
    };
    problem(&refused, 503, refused.json().unwrap()["code"].as_str().unwrap());
    assert_eq!(ok(&get(nsl, "first"))["value"], json!("before"), "reads go on");
    disk.free().unwrap();
    eventually("writes go on", 60, || Ok(put(nsl, "after", &json!("there is room"), true).status == 200)).unwrap();
    for n in 0..kept {
        assert_eq!(ok(&get(nsl, &format!("big:{n}")))["value"], big);
    }
}

#[test]
fn sqlite_on_a_full_disk() {
    let disk = SmallDisk::mount(24 << 20).unwrap();
    let directory = disk.path().join("data");
    let mut nsl = with(Launch::dev_in(&directory).unwrap(), &unlimited()).start().unwrap();
    fills_up_and_heals(&nsl, &disk);
    nsl.kill();
    nsl.start_again().unwrap();
    assert_eq!(ok(&get(&nsl, "after"))["value"], json!("there is room"));
    assert!(nsl.terminate().unwrap().success());
    assert!(verifies(&directory, None));
}

#[test]
fn postgres_on_a_full_disk() {
    let disk = SmallDisk::mount(160 << 20).unwrap();
    let settings = [("max_wal_size", "64MB"), ("min_wal_size", "32MB"), ("wal_recycle", "off")];
    let options = PostgresOptions {
        within: Some(disk.path().to_owned()),
        settings: settings.map(|(name, value)| (name.into(), value.into())).to_vec(),
        ..PostgresOptions::default()
    };
    let mut server = Postgres::start_with(options).unwrap();
    let database = server.database().unwrap();
    let nsl = with(Launch::dev().unwrap(), &unlimited()).env("DATABASE_URL", database.url()).start().unwrap();
    fills_up_and_heals(&nsl, &disk);
    // A server that found no room for its log has ended; it comes back with all that it had acknowledged.
    server.stop().unwrap();
    server.start_again().unwrap();
    eventually("it is found again", 20, || Ok(get(&nsl, "after").status == 200)).unwrap();
    let verdict = ok(&nsl.request("POST", "/v1/audit/verify", "").unwrap());
    assert_eq!(verdict["whole"], json!(true), "{verdict}");
}
