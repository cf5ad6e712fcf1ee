//! Devices that ask to join: with the code on the sticker they do, without it they do not.

use std::net::{IpAddr, Ipv4Addr};

use farm::{
    credentials, devices,
    joins::{
        self, Ask, Grant, HalfKey, JoinAs, JoinCode, JoinError, JoinKeys, Said, Side, Welcome,
    },
};
use farm_model::{ClockQuality, DeviceKind};

use crate::{
    credentials::form,
    support::{Fixture, NOW},
};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20));

/// A device that wants to join, with its sticker.
struct Node {
    serial: &'static str,
    code: JoinCode,
    key: HalfKey,
}

impl Node {
    fn new(serial: &'static str, code: &str) -> Self {
        Self {
            serial,
            code: JoinCode::new(code).unwrap(),
            key: HalfKey::fresh(),
        }
    }

    fn keys(&self, f: &Fixture) -> JoinKeys {
        let edge = f.write(joins::public_key).unwrap();
        JoinKeys::agree(Side::Device, &self.key, &edge, self.serial, &self.code).unwrap()
    }

    fn ask(&self, f: &Fixture) -> Ask {
        let said = Said {
            kind: "milk_meter".into(),
            model: "KM 1".into(),
            firmware: "1.0.2".into(),
        };
        Ask {
            serial: self.serial.into(),
            proof: self.keys(f).prove(&said.text()),
            said,
            public: self.key.public(),
        }
    }

    fn asks(&self, f: &Fixture, from: IpAddr) -> Result<(), JoinError> {
        let ask = self.ask(f);
        f.write(move |tx| joins::ask(tx, &ask, from))
    }

    fn granted(&self, f: &Fixture) -> Grant {
        let answers = f.read(|conn| joins::answers(conn, &f.now()));
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].serial, self.serial);
        let plain = self.keys(f).open(self.serial, &answers[0].sealed).unwrap();
        serde_json::from_slice(&plain).unwrap()
    }
}

fn new(slug: &str) -> JoinAs {
    JoinAs::New(Box::new(form(slug, DeviceKind::MilkMeter)))
}

fn waiting(f: &Fixture) -> Vec<joins::Request> {
    f.read(|conn| joins::waiting(conn, &f.now()))
}

#[test]
fn a_device_with_its_code_joins_and_gets_its_credential() {
    let f = Fixture::new();
    let welcome = Welcome {
        ca: Some("PEM".into()),
        tls_port: Some(8883),
    };
    let told = welcome.clone();
    f.write(move |tx| joins::set_welcome(tx, &told)).unwrap();
    let node = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    node.asks(&f, HOME).unwrap();
    node.asks(&f, HOME).unwrap();
    let asks = waiting(&f);
    assert_eq!(asks.len(), 1, "repeating changes nothing");
    assert_eq!(asks[0].kind, Some(DeviceKind::MilkMeter));
    assert_eq!(asks[0].peer, "192.168.1.20");
    let code = node.code.clone();
    let found = f.read(|conn| joins::by_code(conn, &code, &f.now()));
    assert_eq!(found.as_ref(), Some(&asks[0]));

    let id = f
        .write(move |tx| joins::approve(tx, &code, &new("meter-1")))
        .unwrap();
    assert_eq!(waiting(&f), []);
    let grant = node.granted(&f);
    assert_eq!(grant.user, "meter-1");
    assert_eq!(grant.welcome, welcome);
    let key = f.read(|conn| credentials::frame_key(conn, id)).unwrap();
    assert_eq!(grant.frame_key, key.to_hex());
    let secret = grant.secret;
    let enters = f.read(|conn| credentials::device_by_secret(conn, "meter-1", &secret));
    assert_eq!(enters.unwrap().id, id);
    let held = f.read(|conn| credentials::of(conn, id));
    assert_eq!(held.serial.as_deref(), Some("KM-0042"));
    f.write(move |tx| joins::arrived(tx, id)).unwrap();
    assert_eq!(f.read(|conn| joins::answers(conn, &f.now())), []);
}

#[test]
fn a_code_that_no_waiting_device_knows_approves_nobody() {
    let f = Fixture::new();
    let node = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    // Somebody else says the serial number of the sticker, without knowing its code.
    let liar = Node::new("KM-0042", "0000-0000-0000");
    liar.asks(&f, HOME).unwrap();
    let code = node.code.clone();
    let refused = f.write({
        let code = code.clone();
        move |tx| joins::approve(tx, &code, &new("meter-1"))
    });
    assert!(matches!(refused, Err(JoinError::NoSuchCode)));
    assert_eq!(f.read(devices::list), []);
    // The true one beside it is found, and the other one's request ends.
    node.asks(&f, HOME).unwrap();
    f.write(move |tx| joins::approve(tx, &code, &new("meter-1")))
        .unwrap();
    assert_eq!(waiting(&f), []);
    let answers = f.read(|conn| joins::answers(conn, &f.now()));
    assert!(liar.keys(&f).open("KM-0042", &answers[0].sealed).is_none());
    node.granted(&f);
}

#[test]
fn what_is_said_cannot_be_changed_under_way() {
    let f = Fixture::new();
    let node = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    let mut ask = node.ask(&f);
    ask.said.kind = "level_sensor".into();
    f.write(move |tx| joins::ask(tx, &ask, HOME)).unwrap();
    let refused = f.write(move |tx| joins::approve(tx, &node.code, &new("meter-1")));
    assert!(matches!(refused, Err(JoinError::NoSuchCode)));
}

#[test]
fn a_device_that_lost_its_memory_takes_its_place_again() {
    let f = Fixture::new();
    let node = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    node.asks(&f, HOME).unwrap();
    let code = node.code.clone();
    let id = f
        .write(move |tx| joins::approve(tx, &code, &new("meter-1")))
        .unwrap();
    let first = node.granted(&f);
    let reset = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    reset.asks(&f, HOME).unwrap();
    assert_eq!(waiting(&f)[0].before, Some(id));
    let code = reset.code.clone();
    f.write(move |tx| joins::approve(tx, &code, &JoinAs::Known(id)))
        .unwrap();
    let second = reset.granted(&f);
    assert_ne!(first.secret, second.secret);
    let old = first.secret;
    let enters = f.read(|conn| credentials::device_by_secret(conn, "meter-1", &old));
    assert_eq!(enters, None);
}

#[test]
fn asking_is_bounded_by_address_number_and_time() {
    let f = Fixture::new();
    let address = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
    let ask = Node::new("KM-1", "7K3M-9QXT-2FHB").ask(&f);
    let named = |n: usize| Ask {
        serial: format!("KM-{n}"),
        ..ask.clone()
    };
    for n in 0..20 {
        let ask = named(n);
        f.write(move |tx| joins::ask(tx, &ask, address(1))).unwrap();
    }
    let serials: Vec<String> = waiting(&f).into_iter().map(|r| r.serial).collect();
    assert_eq!(serials.len(), 8);
    assert_eq!(serials[7], "KM-19", "the oldest of the address make room");
    let mut refused = 0;
    for n in 20..200 {
        let ask = named(n);
        let from = address(2 + (n % 50) as u8);
        match f.write(move |tx| joins::ask(tx, &ask, from)) {
            Err(JoinError::TooMany) => refused += 1,
            other => other.unwrap(),
        }
    }
    assert_eq!(waiting(&f).len(), 64);
    assert!(refused > 0);
    let first = waiting(&f)[0].id;
    f.write(move |tx| joins::refuse(tx, first)).unwrap();
    let again = f.write(move |tx| joins::refuse(tx, first));
    assert!(matches!(again, Err(JoinError::Unknown)));
    // Time passes, whatever the wall clock says.
    f.clock.set(NOW, ClockQuality::Unknown);
    f.clock.pass(3_600_001);
    assert_eq!(waiting(&f), []);
    let ask = named(1);
    f.write(move |tx| joins::ask(tx, &ask, HOME)).unwrap();
    let f = f.reopen(NOW, ClockQuality::Synced);
    assert_eq!(waiting(&f), [], "a device asks again by itself");
}

#[test]
fn an_answer_is_offered_for_an_hour_and_ends_with_the_device() {
    let f = Fixture::new();
    let node = Node::new("KM-0042", "7K3M-9QXT-2FHB");
    node.asks(&f, HOME).unwrap();
    let code = node.code.clone();
    let id = f
        .write(move |tx| joins::approve(tx, &code, &new("meter-1")))
        .unwrap();
    let offered = |f: &Fixture| f.read(|conn| joins::answers(conn, &f.now())).len();
    assert_eq!(offered(&f), 1);
    f.clock.pass(3_600_001);
    assert_eq!(offered(&f), 0);
    f.write(joins::forget_old).unwrap();
    node.asks(&f, HOME).unwrap();
    let code = node.code;
    f.write(move |tx| joins::approve(tx, &code, &JoinAs::Known(id)))
        .unwrap();
    f.write(move |tx| credentials::revoke(tx, id)).unwrap();
    assert_eq!(offered(&f), 0);
}
