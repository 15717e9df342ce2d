use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::ground::{both, dev, get, ok, put};

/// Two hundred that send a byte now and then, half of them in the head and half in the body.
#[test]
fn two_hundred_slow_clients_keep_nobody_waiting_and_are_cut() {
    for database in both() {
        let nsl = dev(database.as_ref())
            .env("NSL_HTTP__HEADER_TIMEOUT_MS", "3000")
            .env("NSL_HTTP__BODY_GRACE_MS", "2000")
            .start()
            .unwrap();
        let to = nsl.public().trim_start_matches("http://").to_owned();
        let mut slow: Vec<TcpStream> = (0..200)
            .map(|n| {
                let mut stream = TcpStream::connect(&to).unwrap();
                let head =
                    format!("POST /v1/storage/store/neo-n3 HTTP/1.1\r\nHost: nsl\r\nX-API-Key: {}\r\n", nsl.api_key());
                stream.write_all(head.as_bytes()).unwrap();
                if n % 2 == 0 {
                    let rest = "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"key\":";
                    stream.write_all(rest.as_bytes()).unwrap();
                }
                stream.set_nonblocking(true).unwrap();
                stream
            })
            .collect();
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        for n in 0..60 {
            for stream in &mut slow {
                let _ = stream.write(b"x");
            }
            let asked = Instant::now();
            ok(&put(&nsl, &format!("k{n}"), &json!(n), true));
            ok(&get(&nsl, &format!("k{n}")));
            slowest = slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(slowest < Duration::from_secs(2), "others waited {slowest:?}");
        assert!(began.elapsed() > Duration::from_secs(5));
        // The longest that either kind may take has passed: all are answered or cut.
        nsl_sandbox::eventually("all slow clients are cut", 20, || {
            let mut open = 0;
            for stream in &mut slow {
                let mut said = [0; 4096];
                loop {
                    match stream.read(&mut said) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                            open += 1;
                            break;
                        }
                        Err(_) => break,
                    }
                }
            }
            anyhow::ensure!(open == 0, "{open} are still open");
            Ok(true)
        })
        .unwrap();
    }
}
