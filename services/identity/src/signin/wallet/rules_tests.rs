use super::*;

const ADDRESS: &str = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

fn challenge(link_user: Option<&str>) -> Challenge {
    Challenge {
        nonce: "0123456789abcdef0123456789abcdef".to_owned(),
        chain: Chain::NeoN3,
        address: ADDRESS.to_owned(),
        network: 860_833_102,
        domain: "localhost:8080".to_owned(),
        link_user: link_user.map(str::to_owned),
        issued_at: NOW,
        expires_at: NOW.plus(LIFETIME),
    }
}

fn origin() -> Origin {
    Origin::read("http://localhost:8080").unwrap()
}

fn slug(change: impl FnOnce(&mut Message)) -> Option<String> {
    let challenge = challenge(None);
    let mut message = message(&challenge, &origin());
    change(&mut message);
    check(&message, &challenge, &origin(), NOW.plus(Duration::from_secs(1))).err().map(|error| error.slug.into_owned())
}

#[test]
fn a_message_must_say_what_its_challenge_says() {
    let is = |found: Option<String>, slug: &str| assert_eq!(found.as_deref(), Some(slug));
    assert_eq!(slug(|_| ()), None);
    is(slug(|message| message.address = "NNLi44dJNXtDNSBkofB48aTVYtb1zZrNEs".to_owned()), "wallet.nonce_other");
    is(slug(|message| message.kind = Kind::NeoX), "wallet.nonce_other");
    is(slug(|message| message.domain = "evil.example".to_owned()), "wallet.domain");
    is(slug(|message| message.domain = "localhost:80800".to_owned()), "wallet.domain");
    is(slug(|message| message.scheme = Some("https".to_owned())), "wallet.domain");
    for uri in [
        "http://evil.example/",
        "http://localhost:8080.evil.example/",
        "http://localhost:8080@evil.example/",
        "https://localhost:8080/",
        "urn:x",
    ] {
        is(slug(|message| message.uri = uri.to_owned()), "wallet.uri");
    }
    is(slug(|message| message.network = 894_710_606), "wallet.network");
    is(slug(|message| message.expiration = Some(NOW.into())), "wallet.expired");
    is(slug(|message| message.issued_at = NOW.minus(Duration::from_secs(301)).into()), "wallet.expired");
    is(slug(|message| message.issued_at = NOW.plus(Duration::from_secs(120)).into()), "wallet.not_yet");
    is(slug(|message| message.not_before = Some(NOW.plus(Duration::from_secs(2)).into())), "wallet.not_yet");
    // What pages may put in as they like.
    assert_eq!(slug(|message| message.uri = "http://localhost:8080/app?x#y".to_owned()), None);
    assert_eq!(slug(|message| message.statement = Some("Hello".to_owned())), None);
    assert_eq!(slug(|message| message.scheme = None), None);
    assert_eq!(slug(|message| message.expiration = None), None);
    assert_eq!(slug(|message| message.issued_at = NOW.minus(Duration::from_secs(200)).into()), None);
}

#[test]
fn a_message_ends_with_its_challenge_whatever_it_says() {
    let challenge = challenge(None);
    let message = Message { expiration: None, ..message(&challenge, &origin()) };
    let at = |seconds| check(&message, &challenge, &origin(), NOW.plus(Duration::from_secs(seconds)));
    assert!(at(299).is_ok());
    assert_eq!(&*at(300).unwrap_err().slug, "wallet.expired");
}

#[test]
fn what_ties_an_account_to_a_user_says_so() {
    let challenge = challenge(Some("usr_1"));
    let given = message(&challenge, &origin());
    assert!(given.statement.as_ref().unwrap().contains("usr_1"));
    assert!(given.write().is_ok());
    assert!(check(&given, &challenge, &origin(), NOW).is_ok());
    for statement in [None, Some(STATEMENT.to_owned())] {
        let other = Message { statement, ..given.clone() };
        assert_eq!(&*check(&other, &challenge, &origin(), NOW).unwrap_err().slug, "wallet.statement");
    }
}

#[test]
fn only_pages_that_are_known_get_messages() {
    let known = vec![Origin::read("https://nsl.example").unwrap(), Origin::read("https://app.example:8443").unwrap()];
    let public = Origins { known, local: false };
    assert_eq!(public.find(None).unwrap().domain, "nsl.example");
    assert_eq!(public.find(Some("app.example:8443")).unwrap().scheme, "https");
    for domain in ["app.example", "localhost", "evil.example", "", "APP.example:8443"] {
        assert_eq!(&*public.find(Some(domain)).unwrap_err().slug, "wallet.domain_unknown", "{domain}");
    }
    let nobody = Origins { known: Vec::new(), local: false };
    assert_eq!(&*nobody.find(None).unwrap_err().slug, "wallet.no_domain");
    assert_eq!(&*nobody.find(Some("localhost")).unwrap_err().slug, "wallet.domain_unknown");
    let desk = Origins { known: vec![Origin::read("http://localhost").unwrap()], local: true };
    for domain in ["localhost", "localhost:3000", "127.0.0.1:8080", "[::1]:1"] {
        assert_eq!(desk.find(Some(domain)).unwrap().domain, domain);
    }
    for domain in
        ["localhost.evil.example", "localhost:", "localhost:1:2", "localhost:99999", "127.0.0.10", "localhost@evil"]
    {
        assert!(desk.find(Some(domain)).is_err(), "{domain}");
    }
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let read = |text: &str| Origin::read(text).map(|Origin { scheme, domain }| format!("{scheme} {domain}"));
    assert_eq!(read("https://NSL.example:443/").as_deref(), Some("https nsl.example"));
    assert_eq!(read("http://localhost").as_deref(), Some("http localhost"));
    assert_eq!(read("https://bücher.example:8443").as_deref(), Some("https xn--bcher-kva.example:8443"));
    for bad in ["", "nsl.example", "ftp://nsl.example", "https://", "file:///x"] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn a_network_is_one_of_those_that_are_taken() {
    assert_eq!(network(&[7, 8], None).unwrap(), 7);
    assert_eq!(network(&[7, 8], Some(8)).unwrap(), 8);
    assert_eq!(&*network(&[7, 8], Some(9)).unwrap_err().slug, "wallet.network_unknown");
    assert!(network(&[], None).is_err());
}
