//! What devices prove themselves with: issued, shown once, rotated, revoked.

use std::os::unix::fs::PermissionsExt as _;

use farm::{
    Change, Resume,
    auth::{self, Scope},
    credentials::{self, Certificate, CredentialError, Fingerprint, Standing},
    devices::{self, DeviceForm, Enabled},
    text::Slug,
};
use farm_model::{ClockQuality, DeviceId, DeviceKind, Link, Stamp, UnixMillis};

use crate::support::{DAY, Fixture, NOW, name};

pub(crate) fn form(slug: &str, kind: DeviceKind) -> DeviceForm {
    DeviceForm {
        slug: Slug::new(slug).unwrap(),
        name: name(slug),
        kind,
        link: Link::Mqtt { client: None },
        place: None,
        expect_every_s: None,
    }
}

fn device(f: &Fixture, slug: &str) -> DeviceId {
    let form = form(slug, DeviceKind::MilkMeter);
    f.write(move |tx| devices::add(tx, &form)).unwrap()
}

fn secret(f: &Fixture, device: DeviceId) -> String {
    let secret = f.write(move |tx| credentials::issue_secret(tx, device));
    let secret = secret.unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    secret.as_str().to_owned()
}

fn enters(f: &Fixture, slug: &'static str, secret: &str) -> bool {
    let secret = secret.to_owned();
    f.read(move |conn| credentials::device_by_secret(conn, slug, &secret))
        .is_some()
}

fn certificate(n: u8) -> Certificate {
    Certificate {
        fingerprint: Fingerprint([n; 32]),
        serial: format!("{n:02x}"),
        not_before: NOW,
        not_after: NOW.plus(30 * DAY),
        issued: NOW,
        used: None,
        revoked: None,
    }
}

fn certify(f: &Fixture, device: DeviceId, n: u8) {
    f.write(move |tx| credentials::add_certificate(tx, device, &certificate(n)))
        .unwrap();
}

fn standing(f: &Fixture, n: u8) -> Standing {
    let found = f.read(|conn| credentials::certificate(conn, &Fingerprint([n; 32])));
    found.unwrap().1.standing(&f.now())
}

#[test]
fn a_secret_is_its_devices_own_and_the_newest_counts() {
    let f = Fixture::new();
    let (one, other) = (device(&f, "meter-1"), device(&f, "meter-2"));
    let first = secret(&f, one);
    assert_eq!(first.len(), 32);
    assert!(enters(&f, "meter-1", &first));
    assert!(!enters(&f, "meter-2", &first), "a device without a secret");
    let others = secret(&f, other);
    assert!(!enters(&f, "meter-1", &others));
    assert!(!enters(&f, "meter-1", ""));
    assert!(!enters(&f, "nobody", &first));
    let second = secret(&f, one);
    assert!(!enters(&f, "meter-1", &first), "the older one ended");
    assert!(enters(&f, "meter-1", &second));
    f.write(move |tx| credentials::revoke(tx, one)).unwrap();
    assert!(!enters(&f, "meter-1", &second));
    assert!(enters(&f, "meter-2", &others));
    let again = f.write(move |tx| credentials::revoke(tx, one));
    assert!(matches!(again, Err(CredentialError::NothingToRevoke)));
    let third = secret(&f, one);
    assert!(enters(&f, "meter-1", &third), "it may come back");
    let nobody = f.write(|tx| credentials::issue_secret(tx, DeviceId::new()));
    assert!(matches!(nobody, Err(CredentialError::UnknownDevice)));
}

#[test]
fn a_hash_moved_to_another_device_lets_nobody_in() {
    let f = Fixture::new();
    let (one, other) = (device(&f, "meter-1"), device(&f, "meter-2"));
    let known = secret(&f, one);
    secret(&f, other);
    f.write(move |tx| {
        tx.conn().execute(
            "UPDATE device_credential SET secret_hash =
                 (SELECT secret_hash FROM device_credential WHERE device = ?1)",
            [one.as_bytes()],
        )?;
        Ok::<_, farm::StoreError>(())
    })
    .unwrap();
    assert!(enters(&f, "meter-1", &known));
    assert!(!enters(&f, "meter-2", &known));
}

#[test]
fn the_frame_key_is_there_until_it_is_revoked_and_never_shown() {
    let f = Fixture::new();
    let id = device(&f, "node-1");
    let look = || f.read(move |conn| credentials::frame_key(conn, id));
    assert_eq!(look(), None);
    let key = f
        .write(move |tx| credentials::issue_frame_key(tx, id))
        .unwrap();
    assert_eq!(look().as_ref(), Some(&key));
    assert_eq!(key.to_hex().len(), 64);
    assert_eq!(format!("{key:?}"), "FrameKey(…)");
    let next = f
        .write(move |tx| credentials::issue_frame_key(tx, id))
        .unwrap();
    assert_ne!(next, key);
    f.write(move |tx| credentials::revoke(tx, id)).unwrap();
    assert_eq!(look(), None);
}

#[test]
fn a_newer_certificate_ends_the_older_one_when_it_is_first_used() {
    let f = Fixture::new();
    let id = device(&f, "meter-1");
    certify(&f, id, 1);
    f.clock.pass(DAY);
    certify(&f, id, 2);
    assert_eq!(standing(&f, 1), Standing::Good, "the answer may be lost");
    let use_it =
        |n| move |tx: &mut farm::Tx<'_>| credentials::used_certificate(tx, &Fingerprint([n; 32]));
    f.write(use_it(2)).unwrap();
    assert_eq!(standing(&f, 1), Standing::Revoked);
    assert_eq!(standing(&f, 2), Standing::Good);
    f.write(use_it(2)).unwrap();
    let held = f.read(|conn| credentials::of(conn, id));
    assert_eq!(held.certificates.len(), 2);
    assert_eq!(held.certificates[0].used, Some(f.now().wall));
    let all = f.read(credentials::all);
    assert_eq!(all[&id], held);
    let twice = f.write(move |tx| {
        credentials::revoke_certificate(tx, id, &Fingerprint([2; 32]).to_string())?;
        credentials::revoke_certificate(tx, id, "02")
    });
    assert!(matches!(twice, Err(CredentialError::UnknownCertificate)));
    for n in 3..40 {
        certify(&f, id, n);
    }
    assert_eq!(f.read(|conn| credentials::certificates(conn, id)).len(), 8);
    assert_eq!(standing(&f, 39), Standing::Good, "the newest is kept");
    f.write(move |tx| credentials::revoke(tx, id)).unwrap();
    assert_eq!(standing(&f, 39), Standing::Revoked);
}

#[test]
fn dates_count_only_by_a_clock_that_can_be_believed() {
    let certificate = certificate(1);
    let at = |wall: UnixMillis, clock| Stamp {
        wall,
        clock,
        ..Stamp::default()
    };
    let late = certificate.not_after.plus(1);
    for (now, expected) in [
        (at(NOW, ClockQuality::Synced), Standing::Good),
        (at(late, ClockQuality::Synced), Standing::Expired),
        (at(late, ClockQuality::Told), Standing::Good),
        (at(UnixMillis(0), ClockQuality::Unknown), Standing::Good),
        (at(UnixMillis(0), ClockQuality::Synced), Standing::Good),
    ] {
        assert_eq!(certificate.standing(&now), expected, "{now:?}");
    }
    assert!(!certificate.wants_renewal(&at(NOW, ClockQuality::Synced)));
    assert!(certificate.wants_renewal(&at(NOW.plus(21 * DAY), ClockQuality::Synced)));
}

#[test]
fn what_rights_follow_from_changes_with_rights_alone() {
    let f = Fixture::new();
    let id = device(&f, "meter-1");
    let basis = || f.read(move |conn| credentials::basis(conn, id)).unwrap();
    secret(&f, id);
    let before = basis();
    let mut renamed = form("meter-1", DeviceKind::MilkMeter);
    renamed.name = name("another name");
    renamed.expect_every_s = Some(60);
    f.write(move |tx| devices::edit(tx, id, &renamed)).unwrap();
    certify(&f, id, 1);
    f.write(move |tx| credentials::issue_frame_key(tx, id))
        .unwrap();
    assert_eq!(basis(), before, "none of these is a reason to end");
    let mut seen = vec![before];
    let mut must_differ = |what: &str| {
        let now = basis();
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    secret(&f, id);
    must_differ("a new secret");
    f.write(move |tx| credentials::revoke_certificate(tx, id, &Fingerprint([1; 32]).to_string()))
        .unwrap();
    must_differ("a revoked certificate");
    f.write(move |tx| devices::set_enabled(tx, id, Enabled::No))
        .unwrap();
    must_differ("switched off");
    f.write(move |tx| devices::edit(tx, id, &form("meter-1", DeviceKind::RfidReader)))
        .unwrap();
    must_differ("another kind");
    f.write(move |tx| devices::edit(tx, id, &form("meter-2", DeviceKind::RfidReader)))
        .unwrap();
    must_differ("another short name");
    f.write(move |tx| credentials::revoke(tx, id)).unwrap();
    must_differ("revoked");
}

#[test]
fn every_command_is_told_and_audited_and_no_secret_with_it() {
    let f = Fixture::new();
    let id = device(&f, "meter-1");
    let from = f.farm.events().newest();
    let shown = secret(&f, id);
    let key = f
        .write(move |tx| credentials::issue_frame_key(tx, id))
        .unwrap();
    certify(&f, id, 1);
    f.write(move |tx| credentials::revoke_certificate(tx, id, &Fingerprint([1; 32]).to_string()))
        .unwrap();
    f.write(move |tx| credentials::revoke(tx, id)).unwrap();
    let Resume::Events(events) = f.farm.events().since(from) else {
        panic!("nothing was forgotten yet");
    };
    assert_eq!(events.len(), 5);
    assert!(
        events
            .iter()
            .all(|e| e.change == Change::Device { device: id })
    );
    let audit = f.read(|conn| farm::audit::list(conn, None, 5));
    let actions: Vec<&str> = audit.iter().rev().map(|e| e.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "device.secret",
            "device.frame_key",
            "device.certificate",
            "device.certificate.revoke",
            "device.revoke"
        ]
    );
    let text = format!("{audit:?}{events:?}");
    assert!(!text.contains(&shown) && !text.contains(&key.to_hex()));
    let file = std::fs::read(f.farm.path()).unwrap();
    let wal = std::fs::read(f.farm.path().with_extension("db-wal")).unwrap();
    for bytes in [file, wal] {
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        assert!(!holds(shown.as_bytes()), "only the hash is stored");
    }
}

#[test]
fn a_revoked_token_is_told() {
    let f = Fixture::new();
    let (token, _) = f
        .write(|tx| auth::add_token(tx, &name("gateway"), Scope::Observe))
        .unwrap();
    assert!(f.read(|conn| auth::is_valid_token(conn, token)));
    let from = f.farm.events().newest();
    f.write(move |tx| auth::revoke_token(tx, token)).unwrap();
    assert!(!f.read(|conn| auth::is_valid_token(conn, token)));
    let Resume::Events(events) = f.farm.events().since(from) else {
        panic!("nothing was forgotten yet");
    };
    assert_eq!(events[0].change, Change::Token { token });
}

#[test]
fn nobody_else_on_the_machine_may_read_the_file_or_its_copies() {
    let f = Fixture::new();
    let copy = f.dir.path().join("copy.db");
    farm::backup::copy(f.farm.path(), &copy).unwrap();
    let wal = f.farm.path().with_extension("db-wal");
    for path in [f.farm.path(), &wal, &copy] {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
