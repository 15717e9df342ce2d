use std::path::Path;

use nsl_sandbox::{Launch, Ready, free_port, nsl_command};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// An authority, and a certificate of 127.0.0.1 for servers and clients, as PEM files in `room`.
fn certificates(room: &Path, name: &str) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, format!("{name} authority"));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let write = |kind: &str, text: String| std::fs::write(room.join(format!("{name}-{kind}.pem")), text).unwrap();
    write("ca", authority.pem());
    write("cert", leaf.pem());
    write("key", key.serialize_pem());
}

fn with_files(launch: Launch, listener: &str, room: &Path, name: &str, client_ca: bool) -> Launch {
    let file = |kind: &str| room.join(format!("{name}-{kind}.pem"));
    let launch = launch
        .env(&format!("NSL_{listener}__TLS__MODE"), "files")
        .env(&format!("NSL_{listener}__TLS__CERT"), file("cert"))
        .env(&format!("NSL_{listener}__TLS__KEY"), file("key"));
    if client_ca { launch.env(&format!("NSL_{listener}__TLS__CLIENT_CA"), file("ca")) } else { launch }
}

#[test]
fn the_public_listener_speaks_tls_to_those_who_know_its_authority() {
    let room = tempfile::tempdir().unwrap();
    certificates(room.path(), "public");
    let nsl = with_files(Launch::dev().unwrap(), "PUBLIC", room.path(), "public", false).start().unwrap();
    assert!(nsl.public().starts_with("https://"), "{}", nsl.public());
    let run = |more: &[&str]| {
        let mut command = nsl_command(["storage", "usage"]).unwrap();
        command.args(more).env("NSL_DATA_DIR", nsl.directory()).output().unwrap()
    };
    let authority = room.path().join("public-ca.pem");
    let known = run(&["--ca-file", authority.to_str().unwrap()]);
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stderr));
    let unknown = run(&[]);
    assert_eq!(unknown.status.code(), Some(5), "{}", String::from_utf8_lossy(&unknown.stderr));
}

#[test]
fn peers_know_each_other_by_certificates() {
    let room = tempfile::tempdir().unwrap();
    certificates(room.path(), "peer");
    certificates(room.path(), "other");
    let data = room.path().join("data");
    let ports = [(); 3].map(|()| [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()]);
    let start = |services: &str, peers: &[(&str, u16)], ports: [u16; 3], name: &str| {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let ready =
            Ready { public: url(ports[0]), internal: url(ports[1]), ops: url(ports[2]), tenant: None, api_key: None };
        let launch = Launch::serve(["serve", "--services", services, "--migrate"], ready).unwrap();
        let mut launch = with_files(launch, "INTERNAL", room.path(), name, true)
            .env("NSL_PROFILE", "development")
            .env("NSL_DATA_DIR", &data)
            .env("NSL_RPC__CA", room.path().join(format!("{name}-ca.pem")));
        for (listener, port) in ["PUBLIC", "INTERNAL", "OPS"].iter().zip(ports) {
            launch = launch.env(&format!("NSL_{listener}__ADDRESS"), format!("127.0.0.1:{port}"));
        }
        for (service, port) in peers {
            let variable = format!("NSL_PEERS__{}", service.to_ascii_uppercase());
            launch = launch.env(&variable, format!("https://127.0.0.1:{port}"));
        }
        launch.start().unwrap()
    };
    let core = start("audit,identity", &[], ports[0], "peer");
    let to_core = [("audit", ports[0][1]), ("identity", ports[0][1])];
    let friend = start("storage", &to_core, ports[1], "peer");
    // Of another authority: neither side believes the other, and what it asks for is not done.
    let stranger = start("storage", &to_core, ports[2], "other");
    let mut create = nsl_command(["tenant", "create", "acme", "--json"]).unwrap();
    let made = create.env("NSL_PROFILE", "development").env("NSL_DATA_DIR", &data).output().unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let headers = [format!("X-API-Key: {}", made["key"]["secret"].as_str().unwrap())];
    let usage = |at: &str| nsl_sandbox::http("GET", at, "/v1/storage/usage", &headers, "").unwrap();
    assert_eq!(usage(friend.public()).status, 200);
    assert_eq!(usage(stranger.public()).status, 503);
    assert!(core.terminate().unwrap().success());
}
