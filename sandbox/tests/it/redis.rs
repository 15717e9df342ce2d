use nsl_sandbox::{Redis, Sentinel};

#[test]
fn redis_keeps_nothing_and_evicts_nothing() {
    let mut redis = Redis::start().unwrap();
    redis.command(&["set", "k", "v"]).unwrap();
    assert_eq!(redis.command(&["get", "k"]).unwrap(), "v");
    assert!(redis.command(&["config", "get", "maxmemory-policy"]).unwrap().contains("noeviction"));
    redis.stop();
    assert!(redis.command(&["ping"]).is_err());
    redis.start_again().unwrap();
    assert_eq!(redis.command(&["get", "k"]).unwrap(), "");
}

#[test]
fn redis_refuses_without_its_password() {
    let redis = Redis::with_password("s3cret").unwrap();
    assert_eq!(redis.command(&["ping"]).unwrap(), "PONG");
    let said =
        std::process::Command::new("redis-cli").args(["-p", &redis.port().to_string(), "get", "k"]).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains("NOAUTH"));
}

#[test]
fn sentinels_promote_the_replica() {
    let mut cluster = Sentinel::start().unwrap();
    let before = cluster.master_port().unwrap();
    cluster.fail_over().unwrap();
    assert_ne!(cluster.master_port().unwrap(), before);
}
