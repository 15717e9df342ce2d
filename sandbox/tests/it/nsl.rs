use nsl_sandbox::{Launch, http};

fn launch() -> Launch {
    // Two services suffice to see a process live and die.
    Launch::dev().expect("a directory of its own").env("NSL_SERVICES", "identity,audit")
}

#[test]
fn a_process_starts_serves_and_drains() {
    let nsl = launch().start().unwrap();
    assert_eq!(http("GET", nsl.ops(), "/health/ready", &[], "").unwrap().status, 200);
    let me = nsl.request("GET", "/v1/identity/whoami", "").unwrap();
    assert_eq!(me.status, 200, "{}", me.body);
    assert!(nsl.cli(&["health"]).unwrap().contains("Healthy"));
    assert!(nsl.terminate().unwrap().success());
}

#[test]
fn a_killed_process_starts_again_on_what_it_had() {
    let mut nsl = launch().start().unwrap();
    let key = nsl.api_key().to_owned();
    nsl.kill();
    assert!(nsl.request("GET", "/v1/identity/whoami", "").is_err());
    nsl.start_again().unwrap();
    assert_eq!(nsl.api_key(), key);
    assert_eq!(nsl.request("GET", "/v1/identity/whoami", "").unwrap().status, 200);
}

#[test]
fn a_moved_clock_is_seen_by_the_process() {
    let nsl = launch().with_movable_clock().unwrap().start().unwrap();
    nsl.move_clock(-7_200).unwrap();
    assert!(nsl.terminate().unwrap().success());
    let output = nsl.output();
    let times: Vec<&str> =
        output.lines().filter_map(|line| line.split("\"@timestamp\":\"").nth(1)?.get(..19)).collect();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    assert!(last < first, "from {first} to {last}");
}

#[test]
fn a_process_that_refuses_to_start_says_why() {
    let (status, said) = launch().env("NSL_HTTP__NO_SUCH_SETTING", "1").ends().unwrap();
    assert!(!status.success());
    assert!(said.to_lowercase().contains("no_such_setting"), "{said}");
}
