//! TLS from files: versions, reload while serving, client certificates.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use axum::{Extension, Router, routing::get};
use nsl_kit::serve::{PeerIdentity, Serving};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{GET, ask, connect, serve};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

struct Issued {
    cert: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

fn issue(authority: &Authority, name: &str) -> Issued {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names.push(SanType::URI(format!("spiffe://nsl/{name}").try_into().unwrap()));
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    Issued { cert: cert.pem(), der: cert.der().clone(), key }
}

/// Writes as orchestrators do: beside, then renamed into place.
fn put(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!("{name}.new"));
    fs::write(&beside, text).unwrap();
    fs::rename(beside, folder.join(name)).unwrap();
}

fn install(folder: &TempDir, issued: &Issued) {
    put(folder.path(), "cert.pem", &issued.cert);
    put(folder.path(), "key.pem", &issued.key.serialize_pem());
}

async fn serve_tls(folder: &TempDir, more: &[&str]) -> Result<Arc<Serving>> {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut flags = vec![
        "public.tls.mode=files".to_owned(),
        format!("public.tls.cert={}", at("cert.pem")),
        format!("public.tls.key={}", at("key.pem")),
    ];
    flags.extend(more.iter().map(|flag| (*flag).to_owned()));
    let who = async |identity: Option<Extension<Arc<PeerIdentity>>>| match identity {
        Some(Extension(identity)) => format!("{:?} {:?}", identity.common_name, identity.names),
        None => "a stranger".to_owned(),
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    serve(&flags, Router::new().route("/", get(who))).await
}

async fn client(
    serving: &Serving,
    authority: &Authority,
    identity: Option<&Issued>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?.with_root_certificates(roots);
    let config = match identity {
        Some(issued) => {
            let key = PrivateKeyDer::try_from(issued.key.serialize_der()).map_err(anyhow::Error::msg)?;
            builder.with_client_auth_cert(vec![issued.der.clone()], key)?
        }
        None => builder.with_no_client_auth(),
    };
    let socket = connect(serving).await;
    Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, socket).await?)
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_dropping_a_connection() {
    let (folder, authority) = (TempDir::new().unwrap(), authority());
    let (old, new) = (issue(&authority, "old"), issue(&authority, "new"));
    install(&folder, &old);
    let serving = serve_tls(&folder, &[]).await.unwrap();
    assert!(serving.url().starts_with("https://"));
    let mut kept = client(&serving, &authority, None, &[&TLS13]).await.unwrap();
    assert_eq!(shown(&kept), old.der);
    assert_eq!(ask(&mut kept, GET).await.unwrap().0, 200);

    put(folder.path(), "cert.pem", "half written");
    install(&folder, &new);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let mut fresh = client(&serving, &authority, None, &[&TLS13]).await.unwrap();
        assert_eq!(ask(&mut fresh, GET).await.unwrap().0, 200, "there is always one certificate that works");
        if shown(&fresh) == new.der {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the new certificate was not taken");
    }
    assert_eq!(ask(&mut kept, GET).await.unwrap().0, 200, "the old connection lives");
    assert_eq!(shown(&kept), old.der);
}

#[tokio::test]
async fn handlers_see_whom_a_client_certificate_names() {
    let (folder, authority, other) = (TempDir::new().unwrap(), authority(), authority());
    install(&folder, &issue(&authority, "server"));
    put(folder.path(), "ca.pem", &authority.pem());
    let ca = format!("public.tls.client_ca={}", folder.path().join("ca.pem").display());
    let storage = issue(&authority, "storage");

    let required = serve_tls(&folder, &[&ca, "public.tls.client_auth=required"]).await.unwrap();
    let mut known = client(&required, &authority, Some(&storage), &[&TLS13]).await.unwrap();
    let expected = "Some(\"storage\") [\"localhost\", \"spiffe://nsl/storage\"]";
    assert_eq!(ask(&mut known, GET).await.unwrap(), (200, expected.into()));
    for wrong in [None, Some(&issue(&other, "storage"))] {
        // With TLS 1.3 the client hears of the refusal only when it reads.
        let refused = match client(&required, &authority, wrong, &[&TLS13]).await {
            Ok(mut stream) => ask(&mut stream, GET).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }

    let optional = serve_tls(&folder, &[&ca, "public.tls.client_auth=optional"]).await.unwrap();
    let mut stranger = client(&optional, &authority, None, &[&TLS13]).await.unwrap();
    assert_eq!(ask(&mut stranger, GET).await.unwrap(), (200, "a stranger".into()));
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_by_choice() {
    let (folder, authority) = (TempDir::new().unwrap(), authority());
    install(&folder, &issue(&authority, "server"));
    let strict = serve_tls(&folder, &[]).await.unwrap();
    assert!(client(&strict, &authority, None, &[&TLS12]).await.is_err());
    let lax = serve_tls(&folder, &["public.tls.min_version=1.2"]).await.unwrap();
    let mut stream = client(&lax, &authority, None, &[&TLS12]).await.unwrap();
    assert_eq!(ask(&mut stream, GET).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_pair_that_does_not_fit_fails_at_start_and_names_its_files() {
    let (folder, authority) = (TempDir::new().unwrap(), authority());
    let (one, two) = (issue(&authority, "one"), issue(&authority, "two"));
    put(folder.path(), "cert.pem", &one.cert);
    put(folder.path(), "key.pem", &two.key.serialize_pem());
    let error = format!("{:#}", serve_tls(&folder, &[]).await.map(drop).unwrap_err());
    assert!(error.contains("cert.pem and ") && error.contains("key.pem do not fit together"), "{error}");
    put(folder.path(), "key.pem", "nonsense");
    let error = format!("{:#}", serve_tls(&folder, &[]).await.map(drop).unwrap_err());
    assert!(error.contains("cannot read a private key from") && !error.contains("nonsense"), "{error}");
}
