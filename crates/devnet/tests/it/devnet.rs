use std::time::Instant;

use nsl_devnet::{Devnet, Given};

#[tokio::test]
async fn a_second_up_finds_what_runs_and_down_ends_exactly_that() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let first = Devnet::up(dir.path(), Given::default()).await.unwrap();
    println!("up in {:?}", begun.elapsed());
    assert!(!first.n3_ran && !first.x_ran);
    let again = Devnet::up(dir.path(), Given::default()).await.unwrap();
    assert!(again.n3_ran && again.x_ran);
    assert_eq!((again.devnet.n3.pid(), again.devnet.x.pid()), (first.devnet.n3.pid(), first.devnet.x.pid()));
    let ended = Devnet::down(dir.path()).await.unwrap();
    assert_eq!((ended.n3, ended.x), (Some(first.devnet.n3.pid()), Some(first.devnet.x.pid())));
    assert!(!first.devnet.n3.runs() && !first.devnet.x.runs());
}
