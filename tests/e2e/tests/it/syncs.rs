//! A disk that takes writes and cannot sync them: nothing is acknowledged, nobody is cut off, and it goes on when the disk does.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use e2e::{Edge, EdgeOptions, trace};
use farm_model::Quantity;

use crate::{raw, store};

/// Syncs that each thread may do: the start needs some.
const SYNCS: u32 = 30;

/// Publishes a number; whether it is acknowledged within two seconds.
fn is_acknowledged(stream: &mut TcpStream, n: u16) -> bool {
    let payload = format!(r#"{{"value": {n}, "id": "sync-{n}"}}"#);
    let packet = raw::publish(0x32, "farm/device/syncs/steps", n, &payload);
    stream.write_all(&packet).unwrap();
    let mut answer = [0; 4];
    match stream.read_exact(&mut answer) {
        Ok(()) => {
            assert_eq!(answer, ack(n));
            true
        }
        Err(error) => {
            let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
            assert!(waits, "the publisher was cut off: {error}");
            false
        }
    }
}

fn ack(n: u16) -> [u8; 4] {
    let [high, low] = n.to_be_bytes();
    [0x40, 2, high, low]
}

#[test]
fn a_disk_that_cannot_sync_acknowledges_nothing_and_recovers() {
    let mut edge = Edge::start(&EdgeOptions::default());
    edge.stop();
    edge.spawn_failing(SYNCS);
    edge.wait_ready();
    let mut stream = raw::connect(edge.mqtt, "syncs");
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut n = 1;
    while is_acknowledged(&mut stream, n) {
        n += 1;
        assert!(n < 200, "the disk never fails");
    }
    assert!(n > 1, "it works before");
    let conn = store::open(&edge.database());
    let stored = || store::series(&conn, "syncs", Quantity::Steps);
    let numbers = |to: u16| {
        (1..=to)
            .map(|n| Some(i64::from(n) * 1000))
            .collect::<Vec<_>>()
    };
    assert_eq!(stored(), numbers(n - 1), "what is not synced is not there");

    trace::let_go(edge.pid());
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = [0; 4];
    stream
        .read_exact(&mut answer)
        .expect("the acknowledgement that was due");
    assert_eq!(answer, ack(n));
    assert!(is_acknowledged(&mut stream, n + 1));
    assert_eq!(stored(), numbers(n + 1));
    drop(conn);
    edge.stop();
}
