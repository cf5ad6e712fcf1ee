//! Modbus TCP: pymodbus as the server, and a scripted server for what pymodbus never does wrong.

use std::{sync::Arc, time::Duration};

use edge_acquire::{DriverState, ProbeError, Settings};
use edge_decode::modbus::ReadRequest;
use farm_model::{
    Body, Device, DeviceKind, Flaw, Link,
    Quantity::{self, Level, MilkTotal, Pulses, Steps, Temperature},
    device::{
        ReadFunction::{self, Coils, DiscreteInputs, HoldingRegisters, InputRegisters},
        RegisterField, RegisterMap, RegisterType,
    },
    time::{ScaledClock, UnixMillis},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::rig::{Rig, Slaves, device, field, good, map, missing, settings};

fn server(port: u16, unit: u8, map: RegisterMap) -> Device {
    let link = Link::ModbusTcp {
        host: "127.0.0.1".into(),
        port,
        unit,
        map,
    };
    device(DeviceKind::Sensor, link)
}

fn bit(quantity: Quantity, function: ReadFunction, address: u16) -> RegisterField {
    RegisterField {
        kind: RegisterType::Bit,
        ..field(quantity, function, address)
    }
}

fn range(function: ReadFunction, address: u16, count: u16) -> ReadRequest {
    ReadRequest {
        function,
        address,
        count,
    }
}

/// The next request: transaction and address.
async fn request(stream: &mut TcpStream) -> std::io::Result<(u16, u16)> {
    let mut request = [0; 12];
    stream.read_exact(&mut request).await?;
    let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
    Ok((word(0), word(8)))
}

/// The answer of unit 1 to function 3 in transaction `tid`: this register.
fn answer(tid: u16, word: u16) -> Vec<u8> {
    let ([t, u], [w, x]) = (tid.to_be_bytes(), word.to_be_bytes());
    vec![t, u, 0, 0, 0, 5, 1, 3, 2, w, x]
}

#[tokio::test]
async fn all_four_functions_are_read_from_pymodbus() {
    let spec = r#"{"1": {"coils": {"3": 1}, "discrete": {"9": 1}, "holding": {"0": 42}, "input": {"65534": 21}}}"#;
    let slaves = Slaves::start(&["tcp", spec]).await;
    let fields = [
        bit(Steps, Coils, 3),
        bit(Pulses, DiscreteInputs, 9),
        field(Level, HoldingRegisters, 0),
        field(Temperature, InputRegisters, 65534),
        field(MilkTotal, InputRegisters, 5),
    ];
    let meter = server(slaves.port, 1, map(5, &fields));
    let mut rig = Rig::new(settings(), &[&meter]).await;
    assert_eq!(rig.next().await.body, Body::Heard);
    for body in [
        good(Steps, 1),
        good(Pulses, 1),
        good(Level, 42),
        good(Temperature, 21),
        missing(MilkTotal, Flaw::Exception),
    ] {
        assert_eq!(rig.next().await.body, body);
    }
    rig.status(&meter, |s| s.answers >= 1).await;

    // The server goes: told once, and read again when another takes its port.
    let port = slaves.port;
    drop(slaves);
    rig.body(&meter, missing(Level, Flaw::Disconnected)).await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let (_, address) = request(&mut stream).await.unwrap();
    assert_eq!(address, 3, "the poll begins anew");
}

#[tokio::test]
async fn a_running_server_is_looked_through_by_its_owner() {
    let holding: Vec<String> = (0..300)
        .filter(|a| *a != 77)
        .map(|a| format!(r#""{a}": {a}"#))
        .collect();
    let spec = format!(
        r#"{{"1": {{"holding": {{{}}}, "coils": {{"0": 1, "1": 0, "2": 1}}}}}}"#,
        holding.join(",")
    );
    let slaves = Slaves::start(&["tcp", &spec]).await;
    let meter = server(
        slaves.port,
        1,
        map(5, &[field(Level, HoldingRegisters, 42)]),
    );
    let mut rig = Rig::new(settings(), &[&meter]).await;
    rig.body(&meter, good(Level, 42)).await;
    let ranges = [range(HoldingRegisters, 0, 400), range(Coils, 0, 3)];
    let found = rig.drivers.probe(&meter.link, &ranges).await.unwrap();
    let spans: Vec<_> = found
        .iter()
        .map(|(f, at, words)| (*f, *at, words.len()))
        .collect();
    assert_eq!(
        spans,
        [
            (Coils, 0, 3),
            (HoldingRegisters, 0, 77),
            (HoldingRegisters, 78, 222)
        ]
    );
    assert_eq!(found[0].2, [1, 0, 1]);
    assert_eq!(found[2].2[0], 78);
    assert_eq!(
        rig.drivers.status()[0].errors.get("timeout"),
        None,
        "polls went on"
    );

    // Without an owner the same is found; a unit that is not there does not answer.
    rig.drivers.apply(Vec::new()).await;
    assert_eq!(
        rig.drivers.probe(&meter.link, &ranges).await.unwrap(),
        found
    );
    let nobody = server(slaves.port, 9, RegisterMap::default());
    let settled = rig.drivers.probe(&nobody.link, &ranges).await;
    assert_eq!(settled, Err(ProbeError::NoAnswer(9)));
    let not_modbus = rig.drivers.probe(&Link::Http, &ranges).await;
    assert_eq!(not_modbus, Err(ProbeError::NotModbus));
}

#[tokio::test]
async fn an_answer_of_an_older_transaction_is_thrown_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let meter = server(port, 1, map(5, &[field(MilkTotal, HoldingRegisters, 7)]));
    let mut rig = Rig::new(settings(), &[&meter]).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let line = tokio::spawn(async move {
        loop {
            let (tid, _) = request(&mut stream).await.unwrap();
            let both = [answer(tid.wrapping_sub(1), 666), answer(tid, 5)].concat();
            // In pieces, as networks do.
            stream.write_all(&both[..14]).await.unwrap();
            stream.write_all(&both[14..]).await.unwrap();
        }
    });
    rig.body(&meter, good(MilkTotal, 5)).await;
    let status = rig
        .status(&meter, |s| {
            s.errors.get("late_answer").is_some_and(|n| *n > 3)
        })
        .await;
    assert_eq!(status.errors.len(), 1, "{status:?}");
    line.abort();
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_read_without_a_word() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let meter = server(port, 1, map(5, &[field(MilkTotal, HoldingRegisters, 7)]));
    let mut rig = Rig::new(settings(), &[&meter]).await;
    let line = tokio::spawn(async move {
        for litres in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (tid, _) = request(&mut stream).await.unwrap();
            stream.write_all(&answer(tid, litres)).await.unwrap();
        }
    });
    assert_eq!(rig.next().await.body, Body::Heard);
    for litres in 1..10 {
        assert_eq!(rig.next().await.body, good(MilkTotal, litres));
    }
    line.abort();
}

#[tokio::test]
async fn a_server_that_falls_mute_is_told_missing_then_silent_and_connected_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut meter = server(port, 1, map(5, &[field(MilkTotal, HoldingRegisters, 7)]));
    meter.expect_every_s = Some(1);
    let settings = Settings {
        response_timeout: Duration::from_millis(20),
        ..settings()
    };
    let mut rig = Rig::new(settings, &[&meter]).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let (tid, _) = request(&mut stream).await.unwrap();
    stream.write_all(&answer(tid, 5)).await.unwrap();
    rig.body(&meter, good(MilkTotal, 5)).await;
    assert_eq!(rig.next().await.body, missing(MilkTotal, Flaw::Timeout));
    rig.status(&meter, |s| {
        matches!(s.state, DriverState::BackingOff { failures: 1.., .. })
    })
    .await;
    // Still connected, the first connection says nothing more; a second is made.
    let (mut again, _) = listener.accept().await.unwrap();
    let silent = rig.next().await.body;
    assert!(
        matches!(silent, Body::Silent { for_ms: 1000.. }),
        "{silent:?}"
    );
    let answering = tokio::spawn(async move {
        loop {
            let answered = async {
                let (tid, _) = request(&mut again).await?;
                again.write_all(&answer(tid, 6)).await
            };
            // That connection may have been given up meanwhile as well.
            if answered.await.is_err() {
                (again, _) = listener.accept().await.unwrap();
            }
        }
    });
    rig.until(|o| (o.body == Body::Heard).then_some(())).await;
    rig.body(&meter, good(MilkTotal, 6)).await;
    answering.abort();
}

#[tokio::test]
async fn a_server_that_does_not_speak_modbus_stops_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let meter = server(port, 1, map(5, &[field(MilkTotal, HoldingRegisters, 7)]));
    let mut rig = Rig::new(settings(), &[&meter]).await;
    let line = tokio::spawn(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (tid, _) = request(&mut stream).await.unwrap();
            let bytes = if connection < 4 {
                b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()
            } else {
                answer(tid, 5)
            };
            stream.write_all(&bytes).await.unwrap();
        }
    });
    assert_eq!(
        rig.next().await.body,
        missing(MilkTotal, Flaw::Disconnected)
    );
    rig.body(&meter, good(MilkTotal, 5)).await;
    assert!(rig.rejects.iter().any(|r| r.raw.starts_with(b"HTTP/1.1")));
    line.abort();
}

#[tokio::test]
async fn a_stalled_edge_makes_the_owner_wait_and_no_slave_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // A second of the farm is five milliseconds; the slave counts its polls.
    let clock = Arc::new(ScaledClock::new(UnixMillis(0), 200.0, 1));
    let mut meter = server(port, 1, map(1000, &[field(MilkTotal, HoldingRegisters, 7)]));
    meter.expect_every_s = Some(10);
    let settings = Settings {
        buffer: 2,
        ..settings()
    };
    let mut rig = Rig::with_clock(settings, &[&meter], 1, Arc::clone(&clock) as _).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    for litres in 0..20 {
        let asked = timeout(Duration::from_millis(300), request(&mut stream)).await;
        let Ok(Ok((tid, _))) = asked else {
            break;
        };
        stream.write_all(&answer(tid, litres)).await.unwrap();
        assert!(
            litres < 10,
            "nobody takes what is heard, and still it is asked"
        );
    }
    // Sixty seconds of the farm without a poll, and nobody was silent.
    let line = tokio::spawn(async move {
        for litres in 100.. {
            let (tid, _) = request(&mut stream).await.unwrap();
            stream.write_all(&answer(tid, litres)).await.unwrap();
        }
    });
    let mut told = Vec::new();
    while told.last() != Some(&good(MilkTotal, 103)) {
        told.push(rig.next().await.body);
    }
    let silent = told.iter().find(|body| matches!(body, Body::Silent { .. }));
    assert_eq!(silent, None);
    let litres = (0..)
        .map(|n| good(MilkTotal, n))
        .take_while(|b| told.contains(b))
        .count();
    assert_eq!(told.len(), 1 + litres + 4, "nothing lost: {told:?}");
    line.abort();
}
