//! What is founded stays, what is damaged is named, what is signed says what the authority says.

use std::{
    collections::BTreeSet, os::unix::fs::PermissionsExt as _, path::Path, process::Command,
    sync::Arc,
};

use edge_ca::{Authority, CaError, LeastTls, Server, Validity};
use farm_model::UnixMillis;
use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519,
};

const NOW: UnixMillis = UnixMillis(1_795_140_000_000);
const DAY: i64 = 86_400_000;

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(ToString::to_string).collect()
}

/// What openssl reads in a certificate.
fn openssl(dir: &Path, pem: &str, args: &[&str]) -> String {
    let path = dir.join("shown.pem");
    std::fs::write(&path, pem).unwrap();
    let output = Command::new("openssl")
        .args(args)
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn it_is_founded_once_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let first = Authority::open(&ca).unwrap().pem().to_owned();
    assert_eq!(Authority::open(&ca).unwrap().pem(), first);
    for (file, mode) in [("", 0o700), ("authority.key", 0o600)] {
        let found = ca.join(file).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    let shown = openssl(dir.path(), &first, &["x509", "-noout", "-text", "-in"]);
    for expected in [
        "CA:TRUE, pathlen:0",
        "Not After : Dec 31",
        "Khamar farm",
        "prime256v1",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    // The power went before the certificate was written.
    std::fs::remove_file(ca.join("authority.pem")).unwrap();
    Authority::open(&ca).unwrap();
}

#[test]
fn what_is_damaged_is_named_and_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, other) = (dir.path().join("ca"), dir.path().join("other"));
    Authority::open(&ca).unwrap();
    Authority::open(&other).unwrap();
    let key = std::fs::read(ca.join("authority.key")).unwrap();
    let others = std::fs::read(other.join("authority.key")).unwrap();
    for broken in [&b""[..], &key[..40], &others] {
        std::fs::write(ca.join("authority.key"), broken).unwrap();
        let error = Authority::open(&ca).unwrap_err();
        assert!(matches!(error, CaError::Damaged { .. }), "{error}");
    }
    std::fs::remove_file(ca.join("authority.key")).unwrap();
    let error = Authority::open(&ca).unwrap_err();
    assert!(
        error.to_string().contains("authority.key is damaged"),
        "{error}"
    );
}

#[test]
fn a_devices_certificate_says_who_it_is_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(&dir.path().join("ca")).unwrap();
    let made = authority
        .issue("milk-meter-3", Validity::of_device(NOW))
        .unwrap();
    let ca = dir.path().join("ca/authority.pem");
    let verify = [
        "verify",
        "-purpose",
        "sslclient",
        "-attime",
        "1795140000",
        "-CAfile",
        ca.to_str().unwrap(),
    ];
    openssl(dir.path(), &made.pem, &verify);
    let shown = openssl(
        dir.path(),
        &made.pem,
        &["x509", "-noout", "-text", "-fingerprint", "-sha256", "-in"],
    );
    for expected in [
        "CN = milk-meter-3",
        "TLS Web Client Authentication",
        "Digital Signature",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(
        !shown.contains("CA:TRUE") && !shown.contains("Server Authentication"),
        "{shown}"
    );
    let printed: String = made
        .fingerprint
        .iter()
        .map(|b| format!("{b:02X}:"))
        .collect();
    assert!(shown.contains(printed.trim_end_matches(':')), "{shown}");
    assert!(made.key.as_ref().unwrap().contains("PRIVATE KEY"));
    assert!(!format!("{made:?}").contains("PRIVATE KEY"));
    for name in ["", "two words", "গরু", &"x".repeat(65)] {
        let refused = authority.issue(name, Validity::of_device(NOW));
        assert!(matches!(refused, Err(CaError::BadName(_))), "{name}");
    }
}

#[test]
fn a_request_gives_its_key_and_no_word_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(&dir.path().join("ca")).unwrap();
    let request = |algorithm| {
        let mut params = CertificateParams::new(["admin.farm".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "admin");
        let key = KeyPair::generate_for(algorithm).unwrap();
        params.serialize_request(&key).unwrap()
    };
    let asked = request(&PKCS_ECDSA_P256_SHA256);
    let validity = Validity::of_device(NOW);
    for bytes in [asked.pem().unwrap().as_bytes(), asked.der()] {
        let made = authority.sign("meter", bytes, validity).unwrap();
        assert!(made.key.is_none());
        let shown = openssl(dir.path(), &made.pem, &["x509", "-noout", "-text", "-in"]);
        assert!(
            shown.contains("CN = meter") && !shown.contains("admin"),
            "{shown}"
        );
    }
    let mut forged = asked.der().to_vec();
    // A bit of the signature.
    *forged.last_mut().unwrap() ^= 1;
    let long = vec![b'-'; 10_000];
    let others = [request(&PKCS_ED25519), request(&PKCS_ECDSA_P384_SHA384)];
    let bad: [&[u8]; 6] = [
        &forged,
        &long,
        b"",
        b"-----BEGIN",
        others[0].der(),
        others[1].der(),
    ];
    for bytes in bad {
        let refused = authority.sign("meter", bytes, validity);
        assert!(matches!(refused, Err(CaError::BadRequest)), "{refused:?}");
    }
}

#[test]
fn the_appliances_own_is_kept_until_it_lacks_a_name_or_its_end_is_near() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::open(&dir.path().join("ca")).unwrap());
    let file = dir.path().join("ca/server.pem");
    let open = |list: &[&str], now| {
        Arc::new(Server::open(Arc::clone(&authority), names(list), now).unwrap())
    };
    let kept = || std::fs::read_to_string(&file).unwrap();
    let server = open(&["127.0.0.1", "farm.local"], NOW);
    let first = kept();
    open(&["127.0.0.1", "farm.local"], NOW.plus(100 * DAY));
    assert_eq!(kept(), first);
    assert!(
        !server
            .renew(&names(&["127.0.0.1", "farm.local"]), NOW.plus(100 * DAY))
            .unwrap()
    );
    assert!(
        server
            .renew(&names(&["10.0.0.7", "farm.local"]), NOW)
            .unwrap()
    );
    let second = kept();
    assert_ne!(second, first);
    let shown = openssl(dir.path(), &second, &["x509", "-noout", "-text", "-in"]);
    for expected in [
        "IP Address:10.0.0.7",
        "DNS:farm.local",
        "TLS Web Server Authentication",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(
        server
            .renew(&names(&["10.0.0.7", "farm.local"]), NOW.plus(300 * DAY))
            .unwrap()
    );
    // Half a file is none.
    std::fs::write(&file, &second[..second.len() / 2]).unwrap();
    open(&["10.0.0.7", "farm.local"], NOW)
        .config(LeastTls::V1_2)
        .unwrap();
    assert!(kept().ends_with("-----END PRIVATE KEY-----\n"));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
