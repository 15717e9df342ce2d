use proptest::prelude::*;

use super::*;
use crate::script::CallFlags;

fn nef(script: &[u8]) -> Nef {
    Nef { compiler: "test".into(), source: String::new(), tokens: Vec::new(), script: script.to_vec() }
}

fn token(method: &str, call_flags: u8) -> MethodToken {
    let call_flags = CallFlags::try_from(call_flags).unwrap();
    MethodToken { hash: crate::native::GAS, method: method.into(), parameters: 2, has_return_value: true, call_flags }
}

#[test]
fn a_file_that_neo_go_takes_and_the_reference_node_does_not_is_refused() {
    // It has text behind the end of the compiler's name, as an old compiler wrote it.
    let mut file = b"NEF3neo-go".to_vec();
    file.resize(36, 0);
    file.extend_from_slice(b"0.93.0-pre-47-g94f25c3e");
    file.resize(73, 0);
    file.extend_from_slice(&hex::decode("095701001140570003405dd7df74").unwrap());
    assert_eq!(sha256d(&file[..file.len() - 4])[..4], file[file.len() - 4..]);
    assert_eq!(Nef::from_bytes(&file), Err(malformed("compiler of a NEF", "something follows its end")));
}

#[test]
fn every_changed_bit_is_noticed() {
    let good = Nef { tokens: vec![token("transfer", 15)], ..nef(&[0x11, 0x40]) }.to_bytes();
    assert!(Nef::from_bytes(&good).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Nef::from_bytes(&bad).is_err(), "bit {bit}");
    }
    assert_eq!(Nef::from_bytes(&[good.as_slice(), &[0]].concat()), Err(Error::Trailing(1)));
}

#[test]
fn what_nodes_refuse_is_refused_with_a_right_checksum_too() {
    let refused = |nef: &Nef| nef.check().is_err() && Nef::from_bytes(&nef.to_bytes()).is_err();
    assert!(refused(&nef(&[])));
    assert!(refused(&nef(&vec![0x21; MOST_BYTES - 81])));
    assert!(refused(&Nef { source: "s".repeat(257), ..nef(&[0x40]) }));
    assert!(refused(&Nef { tokens: vec![token("_deploy", 15)], ..nef(&[0x40]) }));
    assert!(refused(&Nef { tokens: vec![token("a", 1); 129], ..nef(&[0x40]) }));
    assert!(refused(&Nef { compiler: "a\0b".into(), ..nef(&[0x40]) }));
    assert!(Nef { compiler: "c".repeat(65), ..nef(&[0x40]) }.check().is_err());
    assert!(nef(&vec![0x21; MOST_BYTES - 82]).check().is_ok());
}

#[test]
fn flags_are_named_as_nodes_name_them() {
    for (flags, name) in [
        (0, "None"),
        (3, "States"),
        (5, "ReadOnly"),
        (7, "WriteStates, ReadOnly"),
        (11, "States, AllowNotify"),
        (15, "All"),
    ] {
        let json = serde_json::to_value(token("m", flags)).unwrap();
        assert_eq!(json["callflags"], name);
        assert_eq!(serde_json::from_value::<MethodToken>(json).unwrap().call_flags.bits(), flags);
    }
}

proptest! {
    #[test]
    fn strangers_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Nef::from_bytes(&[MAGIC.as_slice(), &bytes].concat());
    }

    #[test]
    fn both_forms_read_back(script in proptest::collection::vec(any::<u8>(), 1..400), source in "\\PC{0,40}", flags in 0_u8..16) {
        let nef = Nef { source, tokens: vec![token("m", flags)], ..nef(&script) };
        prop_assert_eq!(&Nef::from_bytes(&nef.to_bytes()).unwrap(), &nef);
        prop_assert_eq!(&serde_json::from_str::<Nef>(&serde_json::to_string(&nef).unwrap()).unwrap(), &nef);
    }
}
