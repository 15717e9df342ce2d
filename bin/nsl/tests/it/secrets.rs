use nsl_sandbox::{Launch, eventually, nsl_command};
use serde_json::json;

#[test]
fn the_root_key_rotates_while_serving_and_old_values_still_open() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let put = |key: &str| {
        let body = json!({ "key": key, "value": "sealed", "encrypted": true }).to_string();
        assert_eq!(nsl.request("POST", "/v1/storage/store/neo-n3", &body).unwrap().status, 200);
    };
    let get = |key: &str| {
        let path = format!("/v1/storage/retrieve/neo-n3/{key}");
        nsl.request("GET", &path, "").unwrap().json().unwrap()["value"].clone()
    };
    put("before");
    let rotate = || {
        let mut command = nsl_command(["secrets", "rotate", "root", "--json", "--data-dir"]).unwrap();
        command.arg(nsl.directory()).env("NSL_PROFILE", "development").output().unwrap()
    };
    let rotated = rotate();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    assert_eq!(rotated.stdout, b"{\"secret\":\"root\",\"version\":2}\n");
    put("after");
    assert_eq!((get("before"), get("after")), (json!("sealed"), json!("sealed")));

    let db = rusqlite::Connection::open(nsl.directory().join("nsl.db")).unwrap();
    eventually("all data keys are under the new root key", 60, || {
        let count = "SELECT count(*) FROM data_keys WHERE root_version < 2";
        Ok(db.query_row(count, [], |row| row.get::<_, i64>(0))? == 0)
    })
    .unwrap();
    assert_eq!(get("before"), json!("sealed"));
}
