//! Modbus RTU buses on pseudo-terminals: pymodbus as slaves, and a scripted line for what pymodbus never does wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use edge_acquire::{Backoff, DriverState, Settings, modbus::frame::crc_holds};
use farm_model::{
    Body, Device, DeviceKind, Flaw, Link, Milli,
    Quantity::{self, Conductivity, GasFlow, Methane, MilkFlow, MilkTotal, Temperature},
    device::{
        ReadFunction::{self, HoldingRegisters, InputRegisters},
        RegisterField, RegisterMap, RegisterType, WordOrder,
    },
};

use tokio::time::timeout;

use crate::rig::{
    Pty, Rig, Slaves, device, field, framed, good, holding, line, map, missing, settings,
};

fn slave(port: &std::path::Path, kind: DeviceKind, unit: u8, map: RegisterMap) -> Device {
    let link = Link::ModbusRtu {
        port: port.to_str().unwrap().into(),
        line: line(),
        unit,
        map,
    };
    device(kind, link)
}

/// A slave with one holding register, 0, that measures `quantity` and is polled every few milliseconds.
fn simple(port: &std::path::Path, unit: u8, quantity: Quantity) -> Device {
    let map = map(5, &[field(quantity, HoldingRegisters, 0)]);
    slave(port, DeviceKind::Sensor, unit, map)
}

fn float(quantity: Quantity, function: ReadFunction, address: u16) -> RegisterField {
    RegisterField {
        kind: RegisterType::F32,
        order: WordOrder::Cdab,
        ..field(quantity, function, address)
    }
}

/// Joins the driver's line and pymodbus' line, and counts requests by unit.
fn join(driver: Pty, slaves: Pty) -> (Arc<Mutex<BTreeMap<u8, u32>>>, tokio::task::JoinHandle<()>) {
    let polls = Arc::new(Mutex::new(BTreeMap::new()));
    let task = tokio::spawn({
        let polls = Arc::clone(&polls);
        async move {
            let forth = async {
                loop {
                    let request = driver.request().await.unwrap();
                    assert!(crc_holds(&request), "{request:02x?}");
                    *polls.lock().unwrap().entry(request[0]).or_default() += 1;
                    slaves.write(&request).await.unwrap();
                }
            };
            let back = async {
                let mut bytes = [0; 256];
                loop {
                    let len = slaves.read(&mut bytes).await.unwrap();
                    driver.write(&bytes[..len]).await.unwrap();
                }
            };
            tokio::join!(forth, back);
        }
    });
    (polls, task)
}

#[tokio::test]
async fn several_slaves_of_pymodbus_share_a_bus_with_a_dead_one_and_keep_their_pace() {
    let (driver, serial) = (Pty::open(), Pty::open());
    // Unit 3's float is NaN: low word 0, high word 7fc0.
    let spec = r#"{"1": {"holding": {"0": 25}}, "2": {"holding": {"0": 50}},
        "3": {"input": {"7": 0, "8": 32704, "9": 0, "10": 16968}}}"#;
    let _slaves = Slaves::start(&["rtu", serial.path.to_str().unwrap(), spec]).await;
    const PERIOD: Duration = Duration::from_millis(150);
    let poll_ms = PERIOD.as_millis() as u32;
    let paced = |unit, quantity| {
        let map = map(poll_ms, &[field(quantity, HoldingRegisters, 0)]);
        slave(&driver.path, DeviceKind::Sensor, unit, map)
    };
    let [one, two, dead] = [
        paced(1, MilkFlow),
        paced(2, Conductivity),
        paced(9, Temperature),
    ];
    let gas = [
        float(Methane, InputRegisters, 7),
        float(GasFlow, InputRegisters, 9),
    ];
    let three = slave(
        &driver.path,
        DeviceKind::BiogasMonitor,
        3,
        map(poll_ms, &gas),
    );
    let settings = Settings {
        response_timeout: Duration::from_millis(75),
        slave_backoff: Backoff {
            first: Duration::from_millis(300),
            cap: Duration::from_secs(2),
        },
        ..settings()
    };
    let (polls, bridge) = join(driver, serial);
    let mut rig = Rig::new(settings, &[&dead, &one, &two, &three]).await;
    let mut awaited = vec![
        // Flow of 25 L/min is no cow's: flagged and kept.
        (
            one.id,
            Body::bad(MilkFlow, Milli(25_000), Flaw::OutOfPhysics),
        ),
        (
            two.id,
            Body::bad(Conductivity, Milli(50_000), Flaw::OutOfPhysics),
        ),
        (three.id, missing(Methane, Flaw::NotANumber)),
        (three.id, good(GasFlow, 50)),
        (dead.id, missing(Temperature, Flaw::Timeout)),
    ];
    while !awaited.is_empty() {
        let heard = rig.next().await;
        awaited.retain(|(device, body)| !(heard.device == *device && heard.body == *body));
    }
    rig.status(&dead, |s| matches!(s.state, DriverState::BackingOff { .. }))
        .await;

    let count = |unit| polls.lock().unwrap().get(&unit).copied().unwrap_or(0);
    let (begun, before) = (Instant::now(), [1, 2, 3, 9].map(count));
    while count(1) < before[0] + 20 {
        assert!(
            begun.elapsed() < crate::rig::PATIENCE,
            "the bus hardly moves"
        );
        tokio::task::yield_now().await;
    }
    let periods = begun.elapsed().as_secs_f64() / PERIOD.as_secs_f64();
    let asked: Vec<f64> = [1, 2, 3]
        .iter()
        .zip(before)
        .map(|(u, b)| f64::from(count(*u) - b))
        .collect();
    for polls in &asked {
        assert!((polls - asked[0]).abs() <= 2.0, "evenly: {asked:?}");
        assert!(
            polls / periods > 0.8,
            "in time: {asked:?} in {periods} periods"
        );
    }
    let dead_polls = count(9) - before[3];
    assert!(
        (1..=8).contains(&dead_polls),
        "rarely, and not given up: {dead_polls}"
    );
    bridge.abort();
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another_slaves() {
    let pty = Pty::open();
    let (one, two) = (
        simple(&pty.path, 1, MilkTotal),
        simple(&pty.path, 2, MilkTotal),
    );
    let settings = Settings {
        response_timeout: Duration::from_millis(30),
        retries: 0,
        ..settings()
    };
    let mut rig = Rig::new(settings, &[&one, &two]).await;
    let line = tokio::spawn(async move {
        let mut late: Option<Vec<u8>> = None;
        loop {
            let request = pty.request().await.unwrap();
            match request[0] {
                // Unit 1 is always too late: it speaks when unit 2 is asked.
                1 => late = Some(holding(1, &[111])),
                unit => {
                    let before = late.take().unwrap_or_default();
                    let answer = holding(unit, &[222]);
                    pty.write(&[before, answer].concat()).await.unwrap();
                }
            }
        }
    });
    rig.status(&two, |s| {
        s.errors.is_empty() && s.state == DriverState::Running
    })
    .await;
    rig.status(&one, |s| s.errors.get("timeout").is_some_and(|n| *n >= 5))
        .await;
    let mut told = Vec::new();
    let mut stop = rig.inbox;
    rig.drivers.apply(Vec::new()).await;
    while let Ok(batch) = stop.try_recv() {
        told.extend(batch.observations);
    }
    line.abort();
    let wrong = told.iter().find(|o| {
        matches!(o.body, Body::Measured { value: Some(value), .. }
            if (o.device == one.id) || value != Milli(222_000))
    });
    assert_eq!(wrong, None);
}

#[tokio::test]
async fn an_answer_to_the_first_of_two_requests_is_never_taken_for_other_registers() {
    let pty = Pty::open();
    let fields = [
        field(MilkTotal, HoldingRegisters, 0),
        field(Temperature, HoldingRegisters, 100),
    ];
    let meter = slave(&pty.path, DeviceKind::Sensor, 1, map(5, &fields));
    let settings = Settings {
        response_timeout: Duration::from_millis(60),
        ..settings()
    };
    let mut rig = Rig::new(settings, &[&meter]).await;
    let line = tokio::spawn(async move {
        loop {
            // The first answer comes when the request is repeated, the second a little later, asked for or not.
            let first = pty.request().await.unwrap();
            assert_eq!(first[2..4], [0, 0]);
            let again = pty.request().await.unwrap();
            assert_eq!(first, again);
            pty.write(&holding(1, &[7])).await.unwrap();
            let early = timeout(Duration::from_millis(20), pty.request()).await;
            pty.write(&holding(1, &[7])).await.unwrap();
            let other = match early {
                Ok(request) => request.unwrap(),
                Err(_) => pty.request().await.unwrap(),
            };
            assert_eq!(other[2..4], [0, 100]);
            pty.write(&holding(1, &[38])).await.unwrap();
        }
    });
    rig.body(&meter, good(MilkTotal, 7)).await;
    assert_eq!(rig.next().await.body, good(Temperature, 38));
    rig.status(&meter, |s| s.answers >= 3).await;
    assert!(!line.is_finished());
    line.abort();
}

#[tokio::test]
async fn what_comes_instead_of_an_answer_is_counted_kept_and_asked_again() {
    let pty = Pty::open();
    let mut meter = simple(&pty.path, 5, Temperature);
    // Asked often, heard at the third request of each poll.
    let Link::ModbusRtu { map, .. } = &mut meter.link else {
        panic!("it is a slave");
    };
    map.fields[0].kind = RegisterType::U32;
    let mut rig = Rig::new(settings(), &[&meter]).await;
    let right = holding(5, &[0, 21]);
    let mut flipped = right.clone();
    flipped[6] ^= 4;
    let wrong = [
        ("checksum", flipped),
        ("truncated", right[..6].to_vec()),
        ("wrong_unit", holding(6, &[0, 99])),
        ("wrong_length", holding(5, &[99])),
        ("wrong_function", framed(&[5, 4, 4, 0, 0, 0, 99])),
        ("noise", b"\xff\x00\x55 nothing".to_vec()),
    ];
    let line = tokio::spawn({
        let (right, wrong) = (right.clone(), wrong.clone());
        async move {
            for (_, answer) in wrong {
                pty.request().await.unwrap();
                pty.write(&answer).await.unwrap();
                pty.request().await.unwrap();
                pty.write(&right).await.unwrap();
            }
            loop {
                pty.request().await.unwrap();
                pty.write(&[b"\xff\xff", &right[..]].concat())
                    .await
                    .unwrap();
            }
        }
    });
    let first = rig
        .until(|o| matches!(o.body, Body::Measured { .. }).then(|| o.clone()))
        .await;
    assert_eq!(
        (first.body, first.raw),
        (good(Temperature, 21), vec![0, 0, 0, 21])
    );
    let status = rig.status(&meter, |s| s.answers > 8).await;
    for (reason, bytes) in &wrong {
        assert!(status.errors.contains_key(reason), "{reason}: {status:?}");
        assert!(
            rig.rejects
                .iter()
                .any(|r| r.reason == *reason && r.raw == *bytes),
            "{reason}"
        );
    }
    line.abort();
}

#[tokio::test]
async fn an_exception_is_told_once_and_spoils_only_its_own_register() {
    let pty = Pty::open();
    // Neighbours, so that they are first asked for together.
    let fields = [
        field(MilkTotal, HoldingRegisters, 0),
        field(Temperature, HoldingRegisters, 1),
    ];
    let meter = slave(&pty.path, DeviceKind::MilkMeter, 1, map(5, &fields));
    let mut rig = Rig::new(settings(), &[&meter]).await;
    let line = tokio::spawn(async move {
        let mut litres = 0;
        loop {
            let request = pty.request().await.unwrap();
            let answer = match (request[3], request[5]) {
                (0, 1) => {
                    litres += 1;
                    holding(1, &[litres / 3])
                }
                _ => framed(&[1, 0x83, 2]),
            };
            pty.write(&answer).await.unwrap();
        }
    });
    assert_eq!(rig.next().await.body, Body::Heard);
    assert_eq!(rig.next().await.body, good(MilkTotal, 0));
    assert_eq!(rig.next().await.body, missing(Temperature, Flaw::Exception));
    for litres in 1..20 {
        assert_eq!(
            rig.next().await.body,
            good(MilkTotal, litres),
            "the exception is no news"
        );
    }
    let status = rig
        .status(&meter, |s| s.errors.contains_key("illegal_address"))
        .await;
    assert_eq!(status.state, DriverState::Running);
    line.abort();
}

#[tokio::test]
async fn a_port_that_vanishes_is_told_once_and_opened_again_when_it_returns() {
    async fn serve(pty: &Pty) {
        loop {
            pty.request().await.unwrap();
            pty.write(&holding(1, &[4])).await.unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let port = dir.path().join("usb-bus");
    let pty = Pty::open_as(&port);
    let mut tank = simple(&port, 1, Temperature);
    tank.expect_every_s = Some(1);
    let mut rig = Rig::new(settings(), &[&tank]).await;
    tokio::select! {
        () = serve(&pty) => {}
        _ = rig.body(&tank, good(Temperature, 4)) => {}
    }
    std::fs::remove_file(&port).unwrap();
    drop(pty);
    assert_eq!(
        rig.next().await.body,
        missing(Temperature, Flaw::Disconnected)
    );
    rig.status(&tank, |s| s.state == DriverState::PortMissing)
        .await;
    let silent = rig.next().await.body;
    assert!(
        matches!(silent, Body::Silent { for_ms: 1000.. }),
        "{silent:?}"
    );
    let pty = Pty::open_as(&port);
    let back = async {
        rig.until(|o| (o.body == Body::Heard).then_some(())).await;
        rig.body(&tank, good(Temperature, 4)).await;
    };
    tokio::select! {
        () = serve(&pty) => {}
        () = back => {}
    }
}

#[tokio::test]
async fn a_slave_that_joins_the_bus_disturbs_no_other() {
    let pty = Pty::open();
    let (one, two) = (
        simple(&pty.path, 1, Temperature),
        simple(&pty.path, 2, MilkTotal),
    );
    let mut elsewhere = simple(&pty.path, 3, MilkTotal);
    if let Link::ModbusRtu { line, .. } = &mut elsewhere.link {
        line.baud = 9600;
    }
    let mut rig = Rig::new(settings(), &[&one]).await;
    let line = tokio::spawn(async move {
        loop {
            let unit = pty.request().await.unwrap()[0];
            pty.write(&holding(unit, &[unit.into()])).await.unwrap();
        }
    });
    rig.body(&one, good(Temperature, 1)).await;
    rig.drivers
        .apply(vec![one.clone(), two.clone(), elsewhere.clone()])
        .await;
    // Were the bus started again, slave 1 would be told again before slave 2.
    assert_eq!(rig.next().await.device, two.id);
    assert_eq!(rig.next().await.body, good(MilkTotal, 2));
    let status = rig
        .status(&elsewhere, |s| s.errors.contains_key("port_conflict"))
        .await;
    assert_eq!(status.state, DriverState::Stopped);
    // A driver that is killed asks again, and the other slave of its bus with it.
    assert!(rig.drivers.kill(two.id).await);
    rig.status(&one, |s| s.errors.contains_key("killed")).await;
    rig.body(&two, good(MilkTotal, 2)).await;
    line.abort();
}
