use nsl_sandbox::{Launch, Signal, eventually};
use serde_json::json;

#[test]
fn what_may_change_while_running_does_and_the_rest_is_named() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("nsl.toml");
    std::fs::write(&file, "[quota]\nitems = 1\n").unwrap();
    let nsl = Launch::dev().unwrap().arg("--config").arg(&file).start().unwrap();
    let put = |key: &str| {
        let body = json!({ "key": key, "value": 1 }).to_string();
        nsl.request("POST", "/v1/storage/store/neo-n3", &body).unwrap().status
    };
    assert_eq!((put("a"), put("b")), (200, 507));

    std::fs::write(&file, "[quota]\nitems = 2\n\n[log]\nlevel = \"debug\"\n\n[edge]\nwaiting = 7\n").unwrap();
    eventually("the file is read again", 10, || Ok(put("b") == 200)).unwrap();
    assert_eq!(put("c"), 507);
    eventually("the rest is named", 10, || {
        Ok(nsl.output().lines().any(|line| line.contains("need a restart") && line.contains("edge.waiting")))
    })
    .unwrap();
    assert!(nsl.output().contains("\"level\":\"DEBUG\""), "the level changed too");

    // Mistakes change nothing.
    std::fs::write(&file, "[quota]\nitems = \"none\"\n").unwrap();
    nsl.process().signal(Signal::HangUp).unwrap();
    eventually("the mistake is told", 10, || Ok(nsl.output().contains("the configuration stays as it was"))).unwrap();
    assert_eq!((put("b"), put("c")), (200, 507));
    assert!(nsl.terminate().unwrap().success());
}
