use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use nsl_core::Code;
use nsl_rpc::{Client, Dialer, Guard, PeerTls, Settings, Via, Wire};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use crate::echo::{Echo, EchoClient, Parrot, clock, keys, long, plain};

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem`.
    fn issue(&self, into: &Path) -> PeerTls {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let tls = PeerTls { ca: into.join("ca.pem"), identity: Some((into.join("cert.pem"), into.join("key.pem"))) };
        fs::write(&tls.ca, &self.1).unwrap();
        fs::write(into.join("cert.pem"), params.signed_by(&key, &self.0).unwrap().pem()).unwrap();
        fs::write(into.join("key.pem"), key.serialize_pem()).unwrap();
        tls
    }
}

#[derive(Clone)]
struct Proven;

/// A listener that believes client certificates of its authority and lets those without one through to
/// the guard.
async fn serve(tls: &PeerTls, parrot: &Arc<Parrot>, guard: Guard) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&tls.ca).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let (chain, key) = tls.identity.as_ref().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(chain).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut wire = Wire::new(["echo".to_owned()], Default::default());
    let parrot = Arc::clone(parrot) as Arc<dyn Echo>;
    wire.add::<EchoClient>(async move || Ok(parrot)).await;
    let routes = wire.finish(guard).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let proven = stream.get_ref().1.peer_certificates().is_some();
                let routes = if proven { routes.layer(axum::Extension(Proven)) } else { routes };
                let service = TowerToHyperService::new(routes);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn by_certificate() -> Guard {
    Guard::new(clock(), 1 << 20).with_certificate(|extensions| extensions.get::<Proven>().is_some())
}

fn client(dialer: &Dialer, address: SocketAddr) -> EchoClient {
    EchoClient::new(Via::Remote(dialer.channel("echo", &[format!("https://{address}")]).unwrap()))
}

#[tokio::test]
async fn certificates_prove_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let parrot = Parrot::named("p");
    let address = serve(&ours.issue(dirs[0].path()), &parrot, by_certificate()).await;
    let known = ours.issue(dirs[1].path());
    for http2 in [false, true] {
        let settings = Settings { http2, ..Settings::default() };
        let dialer = Dialer::new(settings, None, Some(known.clone()), clock()).unwrap();
        client(&dialer, address).write(&long(), plain()).await.unwrap();
    }
    assert_eq!(parrot.writes(), 2);
    let nameless = PeerTls { identity: None, ..known.clone() };
    let stranger = theirs.issue(dirs[2].path());
    let forger = PeerTls { ca: known.ca, ..stranger.clone() };
    for tls in [nameless, stranger, forger] {
        let dialer = Dialer::new(Settings::default(), None, Some(tls.clone()), clock()).unwrap();
        let error = client(&dialer, address).write(&long(), plain()).await.unwrap_err();
        assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "peer.unreachable"), "{tls:?}");
    }
    assert_eq!(parrot.writes(), 2, "nobody else ran anything");
}

#[tokio::test]
async fn with_both_proofs_asked_one_is_not_enough() {
    let (ours, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let (parrot, tls) = (Parrot::named("p"), ours.issue(dir.path()));
    let address = serve(&tls, &parrot, by_certificate().with_keys(keys(&["key"]))).await;
    let nameless = PeerTls { identity: None, ..tls.clone() };
    for (keys, tls, passes) in
        [(None, tls.clone(), false), (Some(keys(&["key"])), nameless, false), (Some(keys(&["key"])), tls, true)]
    {
        let dialer = Dialer::new(Settings::default(), keys, Some(tls), clock()).unwrap();
        assert_eq!(client(&dialer, address).write(&long(), plain()).await.is_ok(), passes);
    }
    assert_eq!(parrot.writes(), 1);
}

#[tokio::test]
async fn new_files_are_used_without_a_restart() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let parrot = Parrot::named("p");
    let address = serve(&ours.issue(dirs[0].path()), &parrot, by_certificate()).await;
    let dialer = Dialer::new(Settings::default(), None, Some(theirs.issue(dirs[1].path())), clock()).unwrap();
    let client = client(&dialer, address);
    client.write(&long(), plain()).await.unwrap_err();
    fs::write(dirs[1].path().join("ca.pem"), "nonsense").unwrap();
    assert!(dialer.reload_tls().is_err(), "a broken file changes nothing");
    ours.issue(dirs[1].path());
    dialer.reload_tls().unwrap();
    client.write(&long(), plain()).await.unwrap();
}

#[test]
fn missing_and_empty_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = PeerTls { ca: dir.path().join("ca.pem"), identity: None };
    let open = || Dialer::new(Settings::default(), None, Some(missing.clone()), clock()).err().unwrap().to_string();
    assert!(open().contains("ca.pem"), "{}", open());
    fs::write(&missing.ca, "").unwrap();
    assert!(open().contains("no certificate in"), "{}", open());
}
