//! Keys: what is sealed opens, and nothing else does; claim codes as people type them.

use proptest::prelude::*;
use sync::{
    claim::ClaimCode,
    keys::{self, Purpose, SEALED_BYTES, SealError, SecretKey},
    wire::WireError,
};

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

#[test]
fn what_is_sealed_opens_for_its_purpose_alone() {
    let sealed = key(1).seal(Purpose::Exchange, 1_700_000_000_000, b"hello");
    let opened = keys::open(Purpose::Exchange, &sealed).unwrap();
    assert_eq!(opened.key, key(1).public());
    assert_eq!(
        (opened.at_ms, opened.message),
        (1_700_000_000_000, &b"hello"[..])
    );
    for other in [Purpose::Enrol, Purpose::Rotate] {
        assert_eq!(keys::open(other, &sealed), Err(SealError::Forged));
    }
}

#[test]
fn every_altered_byte_is_found() {
    let sealed = key(1).seal(Purpose::Exchange, 5, b"hello");
    for n in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[n] ^= 1;
        assert!(keys::open(Purpose::Exchange, &altered).is_err(), "byte {n}");
        assert!(
            keys::open(Purpose::Exchange, &sealed[..n]).is_err(),
            "cut at {n}"
        );
    }
    let large = vec![0; SEALED_BYTES + 1];
    assert_eq!(
        keys::open(Purpose::Exchange, &large),
        Err(WireError::TooLarge.into())
    );
}

#[test]
fn a_key_follows_only_the_one_it_was_made_for() {
    let rotation = key(2).follow(key(1).public());
    assert!(rotation.proves(key(1).public()));
    assert!(!rotation.proves(key(3).public()));
    let mut stolen = rotation;
    stolen.next = key(3).public();
    assert!(!stolen.proves(key(1).public()));
}

#[test]
fn two_keys_are_never_the_same() {
    let (one, two) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    assert_ne!(one.public(), two.public());
    assert_eq!(SecretKey::from_seed(*one.seed()).public(), one.public());
    assert_eq!(format!("{one:?}"), "SecretKey(…)");
}

#[test]
fn a_code_is_read_as_people_type_it() {
    let code = ClaimCode::generate().unwrap();
    let shown = code.to_string();
    assert_eq!((shown.len(), code.letters().len()), (19, 16));
    let typed = [shown.clone(), shown.to_lowercase(), shown.replace('-', " ")];
    for typed in typed {
        assert_eq!(typed.parse::<ClaimCode>().unwrap(), code);
    }
    let read = |typed: &str| {
        typed
            .parse::<ClaimCode>()
            .map(|code| code.letters().to_owned())
    };
    assert_eq!(read("oOiI-lL00-0000-0000").unwrap(), "0011110000000000");
    for bad in [
        "",
        "4GZ7-2MNC-K0QX-8TW",
        "4GZ7-2MNC-K0QX-8TWBB",
        "UUUU-UUUU-UUUU-UUUU",
        "কখগঘঙচছজঝঞটঠডঢণত",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300), sound_front in any::<bool>()) {
        let mut request = if sound_front { b"KHR1\x01".to_vec() } else { Vec::new() };
        request.extend(bytes);
        prop_assert!(keys::open(Purpose::Exchange, &request).is_err());
    }
}
