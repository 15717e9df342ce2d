use std::{collections::BTreeMap, sync::Arc};

use anyhow::bail;
use nsl_core::{Cx, Result};
use nsl_rpc::{Settings, Wire};

use crate::echo::{Echo, EchoClient, Parrot, dialer, guard};

nsl_rpc::service! {
    /// Needs an echo.
    Hall, HallClient, "hall" {
        /// Shouts.
        fn shout(String) -> String;
    }
}

struct Stone(EchoClient);

#[nsl_rpc::export::async_trait]
impl Hall for Stone {
    async fn shout(&self, cx: &Cx, text: String) -> Result<String> {
        let ask = crate::echo::Ask { text, ..Default::default() };
        Ok(self.0.read(cx, ask).await?.text)
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn wire_both(wire: &mut Wire, echo_starts: bool) -> nsl_rpc::Handle<HallClient> {
    let echo = wire
        .add::<EchoClient>(async || {
            if !echo_starts {
                bail!("the cage is locked");
            }
            Ok(Parrot::named("p") as Arc<dyn Echo>)
        })
        .await;
    wire.add::<HallClient>(async || Ok(Arc::new(Stone(echo.need()?)) as Arc<dyn Hall>)).await
}

#[tokio::test]
async fn a_service_finds_its_neighbour_in_the_same_process() {
    let mut wire = Wire::new(names(&["echo", "hall"]), BTreeMap::new());
    let hall = wire_both(&mut wire, true).await;
    assert!(hall.is_here());
    assert_eq!(wire.here(), ["echo", "hall"]);
    assert_eq!(hall.need().unwrap().shout(&crate::echo::long(), "ho".into()).await.unwrap(), "ho");
    assert!(wire.finish(guard()).is_ok());
}

#[tokio::test]
async fn a_missing_neighbour_is_named_with_its_cure() {
    let mut wire = Wire::new(names(&["hall"]), BTreeMap::new());
    let hall = wire_both(&mut wire, true).await;
    assert!(hall.get().is_none());
    let problems = wire.finish(guard()).unwrap_err();
    assert_eq!(problems.to_string(), "starting hall: needs echo: add it to --services or set peers.echo");
}

#[tokio::test]
async fn a_peer_stands_in_for_a_neighbour() {
    let peer = dialer(Settings::default()).channel("echo", &["http://127.0.0.1:1".into()]).unwrap();
    let mut wire = Wire::new(names(&["hall"]), BTreeMap::from([("echo".to_owned(), peer)]));
    assert!(wire_both(&mut wire, true).await.is_here());
    assert_eq!(wire.channels().map(nsl_rpc::Channel::service).collect::<Vec<_>>(), ["echo"]);
    assert!(wire.finish(guard()).is_ok());
}

#[tokio::test]
async fn all_problems_are_said_together_and_each_once() {
    let peer = dialer(Settings::default()).channel("ekko", &["http://127.0.0.1:1".into()]).unwrap();
    let peers = BTreeMap::from([("ekko".to_owned(), peer)]);
    let mut wire = Wire::new(names(&["echo", "hall", "hull"]), peers);
    wire_both(&mut wire, false).await;
    wire.problem("listening on :80: not allowed");
    assert_eq!(
        wire.finish(guard()).unwrap_err().0,
        [
            "starting echo: the cage is locked",
            "listening on :80: not allowed",
            "unknown service hull in --services: there are echo, hall",
            "unknown service ekko in peers.ekko: there are echo, hall",
        ]
    );
}

#[test]
fn addresses_that_cannot_be_right_are_refused() {
    let dialer = dialer(Settings::default());
    for bad in ["", "localhost", "localhost:9090", "ftp://a:1", "http://a:1/x", "http://u:p@a:1", "https://a:1"] {
        let error = dialer.channel("echo", &[bad.to_owned()]).err().map(|error| format!("{error:#}"));
        assert!(error.as_ref().is_some_and(|error| error.starts_with("peers.echo has ")), "{bad}: {error:?}");
    }
    assert!(dialer.channel("echo", &[]).is_err());
    assert!(dialer.channel("echo", &vec!["http://a:1".to_owned(); 65]).is_err());
    dialer.channel("echo", &["http://a:1/".to_owned(), "http://[::1]:9090".to_owned()]).unwrap();
}
