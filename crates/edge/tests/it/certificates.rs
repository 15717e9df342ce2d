use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::Value;

use crate::rig::{KEY, Rig};

fn pem_of(names: &[&str], issuer: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
    params.subject_alt_names.push(SanType::DnsName("localhost".try_into().unwrap()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_client_certificate_stands_for_whom_the_settings_say() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (server, server_key) = pem_of(&[], &issuer);
    let flags = [
        "public.tls.mode=files".to_owned(),
        format!("public.tls.cert={}", write("cert.pem", &server)),
        format!("public.tls.key={}", write("key.pem", &server_key)),
        format!("public.tls.client_ca={}", write("ca.pem", &issuer.pem())),
        "auth.certificates=spiffe://neo/ci ten_7 ci-bot echo:read echo:write".to_owned(),
    ];
    let rig = Rig::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let url = format!("https://localhost:{}/v1/echo/me", rig.address.port());
    let client = |names: Option<&[&str]>| {
        let root = reqwest::Certificate::from_pem(issuer.pem().as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
        if let Some(names) = names {
            let (certificate, key) = pem_of(names, &issuer);
            builder = builder.identity(reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap());
        }
        builder.build().unwrap()
    };

    let response = client(Some(&["spiffe://neo/ci"])).get(&url).send().await.unwrap();
    assert!(response.headers().contains_key("strict-transport-security"));
    let facts: Value = response.json().await.unwrap();
    assert_eq!((&facts["tenant"], &facts["subject"]), (&"ten_7".into(), &"ci-bot".into()));
    assert_eq!((&facts["kind"], &facts["scopes"][1]), (&"certificate".into(), &"echo:write".into()));
    let aliased = url.replace("/v1/", "/api/");
    let facts: Value = client(Some(&["spiffe://neo/ci"])).get(&aliased).send().await.unwrap().json().await.unwrap();
    assert_eq!(facts["subject"], "ci-bot");

    for names in [None, Some(&["spiffe://neo/cj"][..]), Some(&[])] {
        assert_eq!(client(names).get(&url).send().await.unwrap().status(), 401, "{names:?}");
    }
    let keyed = client(Some(&["spiffe://neo/ci"])).get(&url).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(keyed.json::<Value>().await.unwrap()["subject"], "alice", "a credential in the request comes first");
    rig.stop().await;
}
