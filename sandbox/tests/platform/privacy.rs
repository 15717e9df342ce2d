//! Copies and erasures of what all services hold of a person, on the running program.

use std::{fs, path::Path};

use nsl_sandbox::{Database, eventually};
use serde_json::{Value, json};

use crate::{
    ground::{Cut, Engines, Ground, ok, problem},
    users::{PASSWORD, Person, login, register},
};

fn store(ground: &Ground, who: &Person, key: &str, encrypted: bool) {
    let value = json!({ "key": key, "value": format!("{key} of mine"), "encrypted": encrypted });
    ok(&who.ask(ground, "POST", "/v1/storage/store/neo-n3", &value));
}

fn items(ground: &Ground, who: &Person) -> i64 {
    let usage = ok(&who.ask(ground, "GET", "/v1/storage/usage", &Value::Null));
    usage["items"].as_i64().or_else(|| usage["items"]["used"].as_i64()).unwrap()
}

/// Asks for a copy and gives it when it is there.
fn copy_of(ground: &Ground, who: &Person) -> Value {
    let asked = who.ask(ground, "POST", "/v1/privacy/requests", &json!({ "kind": "export" }));
    assert_eq!(asked.status, 202, "{}", asked.body);
    let path = format!("/v1/privacy/requests/{}", ok(&asked)["id"].as_str().unwrap());
    eventually("all services gave what they hold", 90, || {
        let found = ok(&who.ask(ground, "GET", &path, &Value::Null));
        assert_ne!(found["state"], json!("failed"), "{found}");
        Ok(found["state"] == json!("done"))
    })
    .unwrap();
    ok(&who.ask(ground, "GET", &format!("{path}/export"), &Value::Null))
}

fn assert_copy(copy: &Value, tenant: &str) {
    let part = |service: &str, tenant: &str| {
        let parts = copy["parts"].as_array().unwrap();
        let found = parts.iter().find(|part| part["service"] == service && part["tenant"] == tenant);
        found.unwrap_or_else(|| panic!("no {service} in {tenant}: {copy}"))["items"].as_array().unwrap().clone()
    };
    assert_eq!(part("identity", "platform")[0]["email"], "bob@example.com");
    assert_eq!(part("identity", tenant)[0]["what"], "membership");
    let values: Vec<_> = part("storage", tenant).iter().map(|item| item["value"].clone()).collect();
    assert_eq!(values, ["plain of mine", "sealed of mine"]);
    assert!(part("audit", tenant).iter().any(|entry| entry["address"] == "127.0.0.1"), "{copy}");
    assert!(part("relay", tenant).is_empty() && part("contracts", tenant).is_empty());
}

/// The lines of the ledger of erasures that lie in this data directory.
fn erasures(data: &Path) -> usize {
    let folders = fs::read_dir(data.join("blobs/erasures")).into_iter().flatten().flatten();
    folders.map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum()
}

fn team(ground: &Ground) -> (Person, Person) {
    let ada = register(ground, "ada@example.com", None);
    store(ground, &ada, "adas", true);
    let invite = ada.invites(ground, "bob@example.com", "developer");
    let bob = register(ground, "bob@example.com", Some(&invite));
    store(ground, &bob, "plain", false);
    store(ground, &bob, "sealed", true);
    (ada, bob)
}

fn assert_gone(ground: &Ground, ada: &Person) {
    problem(&login(ground, "bob@example.com"), 401, "signin.wrong");
    let found = ok(&ada.ask(ground, "GET", "/v1/users?email=bob", &Value::Null));
    assert_eq!(found["items"], json!([]));
    assert_eq!(items(ground, ada), 1, "of storage, only what is not Bob's is left");
    ok(&ada.ask(ground, "GET", "/v1/storage/retrieve/neo-n3/adas", &Value::Null));
}

#[test]
fn who_was_erased_stays_so_through_a_kill_and_an_old_database() {
    for engine in [Engines::Embedded, Engines::Real] {
        let mut ground = Ground::start(engine, Cut::One, &[]);
        let data = ground.environment.iter().find(|(name, _)| name == "NSL_DATA_DIR").unwrap().1.clone();
        let data = Path::new(&data);
        let (ada, bob) = team(&ground);
        assert_copy(&copy_of(&ground, &bob), &ada.tenant);
        assert_eq!(items(&ground, &ada), 3);
        let backup = Backup::take(&mut ground, data);

        let wrong = bob.ask(&ground, "POST", "/v1/users/me/delete", &json!({ "password": "another one" }));
        problem(&wrong, 401, "signin.wrong");
        ok(&bob.ask(&ground, "POST", "/v1/users/me/delete", &json!({ "password": PASSWORD })));
        // Nobody has done anything about it yet when everything dies.
        ground.nodes[0].kill();
        ground.nodes[0].start_again().unwrap();
        problem(&login(&ground, "bob@example.com"), 401, "signin.wrong");
        eventually("what Bob stored is gone", 120, || Ok(items(&ground, &ada) == 1)).unwrap();
        let receipts = ok(&ada.ask(&ground, "GET", "/v1/storage/privacy/requests", &Value::Null));
        assert_eq!(receipts["items"].as_array().unwrap().len(), 1, "{receipts}");
        if engine == Engines::Embedded {
            eventually("the ledger of erasures knows", 60, || Ok(erasures(data) == 3)).unwrap();
        } else {
            let open = "select count(*) from neo_service_layer.privacy_requests where state = 'open'";
            let database = ground.database.as_ref().unwrap();
            eventually("all services confirmed", 60, || Ok(database.query(open)?.trim() == "0")).unwrap();
        }
        assert_gone(&ground, &ada);

        // Someone puts the database of before back: Bob and all that was his are in it.
        backup.restore(&mut ground, data);
        let ada = crate::users::signed_in(&ground, &login(&ground, "ada@example.com"));
        assert_gone(&ground, &ada);
        problem(&bob.ask(&ground, "GET", "/v1/users/me", &Value::Null), 401, "auth.token_revoked");
    }
}

const FILES: [&str; 2] = ["nsl.db", "nsl.db-wal"];

/// The database as it was, apart from everything else.
enum Backup {
    /// The database and its log.
    Files([Option<Vec<u8>>; 2]),
    Copy {
        spare: Database,
    },
}

impl Backup {
    fn take(ground: &mut Ground, data: &Path) -> Self {
        assert!(ground.nodes[0].terminate().unwrap().success());
        let taken = match &ground.database {
            None => Self::Files(FILES.map(|name| fs::read(data.join(name)).ok())),
            Some(database) => {
                let (spare, name) = (Database::fresh().unwrap(), database.name());
                spare.query(&format!("create database {name}_old template {name} owner nsl")).unwrap();
                Self::Copy { spare }
            }
        };
        ground.nodes[0].start_again().unwrap();
        taken
    }

    fn restore(&self, ground: &mut Ground, data: &Path) {
        assert!(ground.nodes[0].terminate().unwrap().success());
        match (self, &ground.database) {
            (Self::Copy { spare }, Some(database)) => {
                let name = database.name();
                spare.query(&format!("drop database {name} with (force)")).unwrap();
                spare.query(&format!("alter database {name}_old rename to {name}")).unwrap();
            }
            (Self::Files(files), _) => {
                let _ = fs::remove_file(data.join("nsl.db-shm"));
                for (name, bytes) in FILES.iter().zip(files) {
                    let _ = fs::remove_file(data.join(name));
                    if let Some(bytes) = bytes {
                        fs::write(data.join(name), bytes).unwrap();
                    }
                }
            }
            (Self::Copy { .. }, None) => unreachable!("a copy is of a database"),
        }
        ground.nodes[0].start_again().unwrap();
    }
}

#[test]
fn a_copy_and_an_erasure_go_through_all_processes() {
    let ground = Ground::start(Engines::Real, Cut::Each, &[]);
    let (ada, bob) = team(&ground);
    assert_copy(&copy_of(&ground, &bob), &ada.tenant);
    problem(&ada.ask(&ground, "GET", "/v1/users/me/delete", &Value::Null), 405, "route.method");
    ok(&bob.ask(&ground, "POST", "/v1/privacy/requests", &json!({ "kind": "erasure", "password": PASSWORD })));
    eventually("what Bob stored is gone", 120, || Ok(items(&ground, &ada) == 1)).unwrap();
    assert_gone(&ground, &ada);
    let open = "select count(*) from neo_service_layer.privacy_parts where done_at is null";
    let database = ground.database.as_ref().unwrap();
    eventually("all services confirmed", 60, || Ok(database.query(open)?.trim() == "0")).unwrap();
    let report = ok(&ada.ask(&ground, "GET", "/v1/privacy/report", &Value::Null));
    assert_eq!((&report["open"], &report["overdue"]), (&json!(0), &json!(0)));
    let verdict = ok(&ada.ask(&ground, "POST", "/v1/audit/verify", &Value::Null));
    assert_eq!(verdict["whole"], json!(true), "{verdict}");
}
