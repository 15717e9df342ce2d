use std::time::Duration;

use nsl_sandbox::{Chain, Storm, Tally};

use crate::ground::{both, dev};

fn storm(storm: Storm, database: Option<&nsl_sandbox::Database>) -> Tally {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tally = runtime.block_on(storm.run(dev(database), |line| println!("{line}"))).unwrap();
    runtime.shutdown_background();
    println!("{tally}");
    tally
}

fn short(chain: Chain) -> Storm {
    Storm { chain, requests: 240, per_second: 20, life: Duration::from_secs(3), percent: 10 }
}

#[test]
fn nothing_is_stuck_doubled_or_lost_on_neo_x_while_everything_fails() {
    for database in both() {
        let tally = storm(short(Chain::NeoX), database.as_ref());
        assert!(tally.is_good() && tally.kills >= 2 && tally.befallen.faults > 0, "{tally}");
    }
}

#[test]
fn nothing_is_stuck_doubled_or_lost_on_neo_n3_while_everything_fails() {
    let tally = storm(short(Chain::NeoN3), None);
    assert!(tally.is_good() && tally.kills >= 2 && tally.befallen.faults > 0, "{tally}");
}
