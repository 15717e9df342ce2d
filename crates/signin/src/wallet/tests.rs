use proptest::prelude::*;

use super::*;

const X: &str = "https://app.example wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the terms: https://app.example/tos

URI: https://app.example/login
Version: 1
Chain ID: 47763
Nonce: 32891756abcd
Issued At: 2026-09-30T16:25:24Z
Expiration Time: 2026-09-30T16:30:24.000Z
Not Before: 2026-09-30T16:25:24+00:00
Request ID: one@2
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json";

const N3: &str = "localhost:8080 wants you to sign in with your Neo N3 account:
NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU


URI: http://localhost:8080/
Version: 1
Network: 860833102
Nonce: 32891756
Issued At: 2026-09-30T16:25:24.000Z";

#[test]
fn a_message_reads_and_writes_as_it_stands() {
    let read = Message::parse(Kind::NeoX, X).unwrap();
    assert_eq!((read.scheme.as_deref(), read.domain.as_str(), read.network), (Some("https"), "app.example", 47_763));
    assert_eq!(read.statement.as_deref(), Some("I accept the terms: https://app.example/tos"));
    assert_eq!((read.nonce.as_str(), read.request_id.as_deref()), ("32891756abcd", Some("one@2")));
    assert_eq!(read.expiration.as_ref().unwrap().at().since(read.issued_at.at()).as_secs(), 300);
    assert_eq!(read.resources.as_ref().unwrap().len(), 2);
    assert_eq!(read.write().unwrap(), X);
    let read = Message::parse(Kind::NeoN3, N3).unwrap();
    assert_eq!((read.scheme.as_deref(), read.statement.as_deref(), read.network), (None, None, 860_833_102));
    assert_eq!(read.write().unwrap(), N3);
    assert!(Message::parse(Kind::NeoX, N3).is_err() && Message::parse(Kind::NeoN3, X).is_err());
}

#[test]
fn each_optional_part_may_be_left_out_and_none_may_change_places() {
    let lines: Vec<&str> = X.lines().collect();
    // The lines from "Expiration Time" on, of which the last three belong together.
    for mask in 0..16 {
        let mut text = lines[..10].to_vec();
        (0..3).filter(|at| mask & (1 << at) != 0).for_each(|at| text.push(lines[10 + at]));
        if mask & 8 != 0 {
            text.extend(&lines[13..]);
        }
        let text = text.join("\n");
        assert_eq!(Message::parse(Kind::NeoX, &text).unwrap().write().unwrap(), text);
    }
    for (one, other) in (0..lines.len()).flat_map(|one| (one + 1..lines.len()).map(move |other| (one, other))) {
        let both_resources = one >= 14;
        let both_empty = lines[one] == lines[other];
        let mut text = lines.clone();
        text.swap(one, other);
        let taken = Message::parse(Kind::NeoX, &text.join("\n")).is_ok();
        assert_eq!(taken, both_resources || both_empty, "{one} and {other}");
    }
}

#[test]
fn nothing_is_taken_that_looks_like_a_message() {
    let turned = |from: &str, to: &str| {
        let text = X.replacen(from, to, 1);
        assert_ne!(text, X, "{from}");
        text
    };
    let cases = [
        turned("wants you", "Wants you"),
        turned("https://app.example wants", "https:// wants"),
        turned("https://app.example wants", " wants"),
        turned("https://app.example wants", "1https://app.example wants"),
        turned("https://app.example wants", "https://app.example/ wants"),
        turned("https://app.example wants", "https://app.example\u{200b} wants"),
        turned("0xC02a", "0xc02a"),
        turned("6Cc2\n", "6Cc2 \n"),
        turned("6Cc2\n\n", "6Cc2\n"),
        turned("tos\n\n", "tos\n"),
        turned("tos\n\n", "tos\n\n\n"),
        turned("terms", "tërms"),
        turned("terms", "\"terms\""),
        turned("URI: ", "Uri: "),
        turned("URI: ", "URI:"),
        turned("URI: https://app.example/login", "URI: /login"),
        turned("Version: 1", "Version: 2"),
        turned("Version: 1", "Version: 1 "),
        turned("Chain ID: 47763", "Chain ID: 0x1"),
        turned("Chain ID: 47763", "Chain ID: 047763"),
        turned("Chain ID: 47763", "Chain ID: +1"),
        turned("Chain ID: 47763", "Chain ID: 99999999999999999999"),
        turned("Chain ID: 47763", "Chain ID: "),
        turned("32891756abcd", "1234567"),
        turned("32891756abcd", "12345678-"),
        turned("2026-09-30T16:25:24Z", "2026-09-30"),
        turned("2026-09-30T16:25:24Z", "2026-09-31T16:25:24Z"),
        turned("2026-09-30T16:30:24.000Z", "never"),
        turned("Request ID: one@2", "Request ID: one two"),
        turned("Request ID: one@2", "Request ID: one%2"),
        turned("Resources:", "Resources: "),
        turned("- ipfs", "-ipfs"),
        turned("- ipfs://b", "- b"),
        turned("- https://example.com/my-web2-claim.json", "- "),
        X.replace('\n', "\r\n"),
        format!("{X}\n"),
        format!("{X} "),
        format!("{X}\n\n"),
        format!("\n{X}"),
        format!(" {X}"),
        format!("\u{feff}{X}"),
        format!("{X}\nResources:"),
        format!("{X}\n- https://a.example/{}", "a".repeat(LONGEST_MESSAGE)),
        String::new(),
    ];
    for text in cases {
        let refused = Message::parse(Kind::NeoX, &text).expect_err(&text);
        assert_eq!(&*refused.slug, "wallet.message");
    }
    for (from, to) in [("NMmR", "nMmR"), ("Network", "Chain ID"), ("860833102", "-1"), ("Neo N3", "Ethereum")] {
        assert!(Message::parse(Kind::NeoN3, &N3.replacen(from, to, 1)).is_err(), "{from}");
    }
}

#[test]
fn no_field_writes_another() {
    let good = Message::parse(Kind::NeoX, X).unwrap();
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        message.write()
    };
    assert!(with(&|message| message.statement = Some("a\nURI: https://evil.example".to_owned())).is_err());
    assert!(with(&|message| message.statement = Some(String::new())).is_err());
    assert!(
        with(&|message| message.domain = "a.example wants you to sign in with your Ethereum account:\n".to_owned())
            .is_err()
    );
    assert!(with(&|message| message.domain = "https://a.example".to_owned()).is_err());
    assert!(with(&|message| message.nonce = "12345678\nIssued At: x".to_owned()).is_err());
    assert!(with(&|message| message.request_id = Some("a\nResources:".to_owned())).is_err());
    assert!(with(&|message| message.address = message.address.to_lowercase()).is_err());
    assert!(with(&|message| message.resources = Some(vec!["a:\n- b:".to_owned()])).is_err());
    assert!(with(&|message| message.request_id = Some(String::new())).is_ok());
    assert!(with(&|message| message.resources = Some(Vec::new())).is_ok());
    assert!(with(&|message| message.expiration = Some(Time::from(Timestamp(1_789_000_000_123_456)))).is_ok());
}

proptest! {
    #[test]
    fn what_is_taken_is_written_back_byte_for_byte(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        for (kind, text) in [(Kind::NeoX, X), (Kind::NeoN3, N3)] {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(text) = String::from_utf8(bytes) && let Ok(read) = Message::parse(kind, &text) {
                prop_assert_eq!(read.write().unwrap(), text);
            }
        }
    }

    #[test]
    fn nothing_that_strangers_send_stops_us(text in "\\PC{0,400}", at in any::<prop::sample::Index>(), part in "\\PC{0,20}") {
        let mut spliced: Vec<char> = X.chars().collect();
        let at = at.index(spliced.len());
        spliced.splice(at..at, part.chars());
        for text in [text, spliced.into_iter().collect()] {
            if let Ok(read) = Message::parse(Kind::NeoX, &text) {
                prop_assert_eq!(read.write().unwrap(), text);
            }
        }
    }
}
