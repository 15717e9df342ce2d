use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use nsl_sandbox::{Redis, eventually};

fn accepts(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let redis = std::thread::spawn(|| Redis::start().unwrap()).join().unwrap();
    assert_eq!(redis.command(&["ping"]).unwrap(), "PONG");
}

#[test]
fn a_killed_test_takes_its_servers_along() {
    // This very test, run again in a process that is killed.
    if std::env::var_os("SANDBOX_TEST_INNER").is_some() {
        let redis = Redis::start().unwrap();
        println!("port={}", redis.port());
        loop {
            std::thread::park();
        }
    }
    let mut inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::a_killed_test_takes_its_servers_along", "--nocapture"])
        .env("SANDBOX_TEST_INNER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(inner.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| line.split_once("port=")?.1.parse::<u16>().ok()).unwrap();
    assert!(accepts(port));
    inner.kill().unwrap();
    inner.wait().unwrap();
    eventually("the server is gone", 5, || Ok(!accepts(port))).unwrap();
}

#[test]
fn a_paused_server_keeps_its_connections_and_says_nothing() {
    let redis = Redis::start().unwrap();
    redis.pause().unwrap();
    assert!(accepts(redis.port()), "the kernel still accepts for it");
    let asked = Command::new("timeout").args(["0.3", "redis-cli", "-p", &redis.port().to_string(), "ping"]).output();
    assert_eq!(asked.unwrap().status.code(), Some(124));
    redis.resume().unwrap();
    assert_eq!(redis.command(&["ping"]).unwrap(), "PONG");
}
