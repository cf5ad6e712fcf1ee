//! Readers on pseudo-terminals.

use std::{collections::BTreeSet, path::Path, time::Duration};

use edge_acquire::{DriverState, Settings};
use farm_model::{Body, Device, DeviceKind, Link, Rfid, Tag, device::RfidDialect};

use crate::rig::{Pty, Rig, device, line, settings};

/// Published frame of a WL-134A: 050 123456789012.
const WL134A: &[u8] = b"\x0241A199EBC12300010000000000\x00\xff\x03";

fn reader(port: &Path, dialect: RfidDialect) -> Device {
    let link = Link::Serial {
        port: port.to_str().unwrap().into(),
        line: line(),
        dialect,
    };
    device(DeviceKind::RfidReader, link)
}

fn cow(national: u64) -> Tag {
    Tag::Rfid(Rfid::new(50, national).unwrap())
}

/// The line that an Allflex reader writes for a cow.
fn allflex(national: u64) -> Vec<u8> {
    format!("LA 050 {national:012}\r\n").into_bytes()
}

fn identified(national: u64) -> Body {
    Body::Identified { tag: cow(national) }
}

#[tokio::test]
async fn a_cow_is_told_once_while_she_stays_with_her_frame_and_time() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Wl134a);
    let mut rig = Rig::new(settings(), &[&reader]).await;
    rig.status(&reader, |s| s.state == DriverState::Waiting)
        .await;
    let mut other = WL134A.to_vec();
    // Another national code, and the checksum that goes with it.
    other[1] = b'5';
    other[27] ^= b'4' ^ b'5';
    other[28] = !other[27];
    pty.write(&[WL134A, WL134A, &other].concat()).await.unwrap();

    assert_eq!(rig.next().await.body, Body::Heard);
    let first = rig.next().await;
    assert_eq!(first.body, identified(123_456_789_012));
    assert_eq!(first.raw, WL134A);
    assert_eq!((first.device, first.at.boot), (reader.id, 1));
    assert_eq!(rig.next().await.body, identified(123_456_789_013));
    let status = rig.status(&reader, |s| s.answers == 3).await;
    assert_eq!(status.state, DriverState::Running);
}

/// Writes what two readers write for cow 050 000000000007, by pyserial: a WL-134A's ASCII fields lie least significant digit first,
/// and its sum is their exclusive or, followed by its complement.
const PYSERIAL: &str = r#"
import serial, sys
tag, country = 7, 50
def wl134a():
    body = '%010X' % tag
    body = body[::-1] + ('%04X' % country)[::-1] + '0' + '1' + '0000' + '000000'
    total = 0
    for letter in body.encode(): total ^= letter
    return b'\x02' + body.encode() + bytes([total, total ^ 0xff]) + b'\x03'
frames = {'wl134a': wl134a(), 'allflex': b'LA %03d %012d\r\n' % (country, tag)}
with serial.Serial(sys.argv[1], 9600) as port:
    port.write(frames[sys.argv[2]])
    port.flush()
"#;

#[tokio::test]
async fn what_pyserial_writes_as_a_reader_is_read() {
    for (dialect, name) in [
        (RfidDialect::Wl134a, "wl134a"),
        (RfidDialect::Allflex, "allflex"),
    ] {
        let (driver, python) = (Pty::open(), Pty::open());
        let reader = reader(&driver.path, dialect);
        let mut rig = Rig::new(settings(), &[&reader]).await;
        rig.status(&reader, |s| s.state == DriverState::Waiting)
            .await;
        let written = tokio::process::Command::new("/usr/bin/python3")
            .args(["-c", PYSERIAL, python.path.to_str().unwrap(), name])
            .status();
        let cable = async {
            let mut bytes = [0; 256];
            loop {
                let length = python.read(&mut bytes).await.unwrap();
                driver.write(&bytes[..length]).await.unwrap();
            }
        };
        let seen = async {
            let ended = written.await.expect("Debian's python3 starts");
            assert!(ended.success(), "pyserial writes: python3-serial is needed");
            assert_eq!(rig.next().await.body, Body::Heard);
            rig.next().await
        };
        tokio::select! {
            () = cable => unreachable!("a cable has no end"),
            seen = seen => assert_eq!(seen.body, identified(7), "{name}"),
        }
    }
}

#[tokio::test]
async fn a_cow_that_stays_is_told_again_after_a_while() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Allflex);
    let presence_every = Duration::from_millis(30);
    let settings = Settings {
        presence_every,
        ..settings()
    };
    let mut rig = Rig::new(settings, &[&reader]).await;
    let mut told = Vec::new();
    while told.len() < 3 {
        pty.write(&allflex(7)).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(5), rig.next()).await;
        told.extend(heard.ok().filter(|o| o.body == identified(7)));
    }
    for pair in told.windows(2) {
        assert!(pair[1].at.wall.since(pair[0].at.wall) >= 30, "{pair:?}");
    }
}

#[tokio::test]
async fn noise_is_counted_and_kept_and_the_next_cow_is_read() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Wl134a);
    let mut rig = Rig::new(settings(), &[&reader]).await;
    let mut broken = WL134A.to_vec();
    broken[5] ^= 1;
    let noise: Vec<u8> = (0..4000u32).map(|n| ((n * 7919) >> 3) as u8).collect();
    pty.write(&[&noise[..], &broken, WL134A].concat())
        .await
        .unwrap();
    rig.body(&reader, identified(123_456_789_012)).await;
    let status = rig.status(&reader, |s| s.answers == 1).await;
    assert!(
        status.errors["noise"] > 0 && status.errors["checksum"] > 0,
        "{status:?}"
    );
    let kept = rig.rejects.iter().filter(|r| r.device == Some(reader.id));
    assert!(
        kept.clone()
            .any(|r| r.reason == "checksum" && r.raw == broken),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_line_that_stops_in_the_middle_of_a_frame_is_rejected_and_the_next_frame_read() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Wl134a);
    let mut rig = Rig::new(settings(), &[&reader]).await;
    pty.write(&WL134A[..12]).await.unwrap();
    rig.status(&reader, |s| s.errors.contains_key("partial"))
        .await;
    pty.write(WL134A).await.unwrap();
    rig.body(&reader, identified(123_456_789_012)).await;
}

#[tokio::test]
async fn a_port_that_vanishes_is_told_and_opened_again_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let port = dir.path().join("usb-reader");
    let pty = Pty::open_as(&port);
    let mut reader = reader(&port, RfidDialect::Allflex);
    reader.expect_every_s = Some(1);
    let mut rig = Rig::new(settings(), &[&reader]).await;
    pty.write(&allflex(1)).await.unwrap();
    rig.body(&reader, identified(1)).await;

    std::fs::remove_file(&port).unwrap();
    drop(pty);
    rig.status(&reader, |s| {
        s.state == DriverState::PortMissing && s.errors.contains_key("port_missing")
    })
    .await;
    let silent = rig.until(|o| match o.body {
        Body::Silent { for_ms } => Some(for_ms),
        _ => None,
    });
    assert!(silent.await >= 1000);

    let pty = Pty::open_as(&port);
    pty.write(&allflex(2)).await.unwrap();
    assert_eq!(
        rig.until(|o| (o.body == Body::Heard).then_some(o.device))
            .await,
        reader.id
    );
    rig.body(&reader, identified(2)).await;
}

#[tokio::test]
async fn a_killed_driver_starts_again_and_hears_what_was_said_meanwhile() {
    let (one, two) = (Pty::open(), Pty::open());
    let killed = reader(&one.path, RfidDialect::Allflex);
    let other = reader(&two.path, RfidDialect::Allflex);
    let mut rig = Rig::new(settings(), &[&killed, &other]).await;
    for round in 1..=10 {
        assert!(rig.drivers.kill(killed.id).await);
        one.write(&allflex(round)).await.unwrap();
        two.write(&allflex(round)).await.unwrap();
        let mut awaited = BTreeSet::from([killed.id.0, other.id.0]);
        while !awaited.is_empty() {
            let heard = rig.next().await;
            if heard.body == identified(round) {
                awaited.remove(&heard.device.0);
            }
        }
    }
    // A kill that came while the driver was not alive yet ended nothing.
    let status = rig
        .status(&killed, |s| s.errors.contains_key("killed"))
        .await;
    assert!(status.errors["killed"] <= 10);
    let status = rig.status(&other, |s| s.answers == 10).await;
    assert!(
        status.errors.is_empty(),
        "the other driver never noticed: {status:?}"
    );
}

#[tokio::test]
async fn while_nobody_takes_what_is_heard_no_cow_is_lost() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Allflex);
    let settings = Settings {
        buffer: 4,
        presence_every: Duration::ZERO,
        ..settings()
    };
    let mut rig = Rig::with_channel(settings, &[&reader], 1).await;
    // More than the channel, the buffer and the kernel's own buffer hold together.
    let writer = tokio::spawn(async move {
        for n in 1..=1000 {
            pty.write(&[allflex(n), allflex(n), allflex(n)].concat())
                .await
                .unwrap();
        }
        pty
    });
    rig.status(&reader, |s| s.state == DriverState::Running)
        .await;
    let mut last = 0;
    while last < 1000 {
        if let Body::Identified {
            tag: Tag::Rfid(rfid),
        } = rig.next().await.body
        {
            assert!(
                (last..=last + 1).contains(&rfid.national()),
                "{last}, then {rfid}"
            );
            last = rfid.national();
        }
    }
    writer.await.unwrap();
    rig.status(&reader, |s| s.errors.contains_key("stalled"))
        .await;
}

#[tokio::test]
async fn a_port_that_another_process_holds_is_said_to_be_busy() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Allflex);
    let held =
        tokio_serial::SerialStream::open(&tokio_serial::new(pty.path.to_str().unwrap(), 9600))
            .unwrap();
    let mut rig = Rig::new(settings(), &[&reader]).await;
    rig.status(&reader, |s| s.errors.contains_key("port_busy"))
        .await;
    drop(held);
    pty.write(&allflex(1)).await.unwrap();
    rig.body(&reader, identified(1)).await;
}

#[tokio::test]
async fn only_what_changed_is_started_again_and_a_port_has_one_owner() {
    let pty = Pty::open();
    let first = reader(&pty.path, RfidDialect::Allflex);
    let mut second = reader(&pty.path, RfidDialect::Wl134a);
    let mut rig = Rig::new(settings(), &[&first, &second]).await;
    let status = rig
        .status(&second, |s| s.errors.contains_key("port_conflict"))
        .await;
    assert_eq!(status.state, DriverState::Stopped);
    pty.write(&allflex(1)).await.unwrap();
    rig.body(&first, identified(1)).await;

    // A new name restarts nothing: the cow is still known, and nobody is heard for the first time.
    let renamed = Device {
        name: "gate".into(),
        ..first.clone()
    };
    rig.drivers.apply(vec![renamed]).await;
    pty.write(&[allflex(1), allflex(2)].concat()).await.unwrap();
    assert_eq!(rig.next().await.body, identified(2));

    second.enabled = false;
    let other = Device {
        id: second.id,
        enabled: true,
        ..first.clone()
    };
    rig.drivers.apply(vec![other.clone()]).await;
    pty.write(&allflex(3)).await.unwrap();
    rig.body(&other, identified(3)).await;
    assert_eq!(rig.drivers.status().len(), 1);
    rig.drivers.apply(vec![second.clone()]).await;
    rig.status(&second, |s| s.state == DriverState::Stopped)
        .await;
}

#[tokio::test]
async fn shutdown_hands_over_what_was_heard() {
    let pty = Pty::open();
    let reader = reader(&pty.path, RfidDialect::Allflex);
    let mut rig = Rig::with_channel(settings(), &[&reader], 1).await;
    for n in 1..=20 {
        pty.write(&allflex(n)).await.unwrap();
    }
    let heard = loop {
        let status = crate::rig::status(&rig.drivers, reader.id).unwrap();
        if status.answers == 20 {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(heard.state, DriverState::Running);
    let collect = async {
        let mut cows = 0;
        while let Some(batch) = rig.inbox.recv().await {
            let told = batch.observations.iter();
            cows += told
                .filter(|o| matches!(o.body, Body::Identified { .. }))
                .count();
        }
        cows
    };
    let ((), cows) = tokio::join!(rig.drivers.shutdown(), collect);
    assert_eq!(cows, 20);
}
