//! `edge.ingest.modbus`: polls of eight registers per second through the drivers, from pymodbus's server over TCP.
//!
//! Eight units behind one connection are asked in turn, one request at a time, as fast as the answers come. The peer is
//! pymodbus's own client at the same server. Both are bound by the server, which is in Python.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use edge_acquire::{Drivers, Settings};
use farm_model::{
    Device, DeviceId, DeviceKind, Link, Quantity, UnixMillis,
    device::{ReadFunction, RegisterField, RegisterMap, RegisterType, WordOrder},
    time::ScaledClock,
};
use tokio::{sync::mpsc, time::sleep};

use crate::{figure::Figure, peer::Script};

const LASTS: Duration = Duration::from_secs(8);
const UNITS: u8 = 8;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut slave = Script::start(include_str!("../peers/modbus_slave.py"), &[])?;
    let port = slave.number()? as u16;
    let ours = tokio::runtime::Runtime::new()?.block_on(ours(port))?;
    let args = [port.to_string(), LASTS.as_secs().to_string()];
    let peer = Script::start(include_str!("../peers/modbus_client.py"), &args)?.number()?;
    Ok(vec![
        Figure::new("edge.ingest.modbus", ours, "polls/s").peer("pymodbus client", peer),
    ])
}

async fn ours(port: u16) -> anyhow::Result<f64> {
    let settings = Settings {
        min_poll: Duration::from_micros(1),
        ..Settings::default()
    };
    let (sink, mut inbox) = mpsc::channel(256);
    // A farm that lives a hundred times as fast, because a map's shortest period is a millisecond.
    let clock = Arc::new(ScaledClock::new(UnixMillis(0), 100.0, 1));
    let drivers = Drivers::start(sink, clock, settings);
    let drain = tokio::spawn(async move { while inbox.recv().await.is_some() {} });
    drivers
        .apply((1..=UNITS).map(|unit| device(port, unit)).collect())
        .await;
    let polls = || drivers.status().iter().map(|s| s.answers).sum::<u64>();
    e2e::until_async("all units to answer", 10, || async {
        drivers.status().iter().all(|s| s.answers > 0).then_some(())
    })
    .await;
    let (before, started) = (polls(), Instant::now());
    sleep(LASTS).await;
    let rate = (polls() - before) as f64 / started.elapsed().as_secs_f64();
    let errors: Vec<_> = drivers.status().into_iter().map(|s| s.errors).collect();
    anyhow::ensure!(
        errors.iter().all(|e| e.is_empty()),
        "polls failed: {errors:?}"
    );
    drivers.shutdown().await;
    drain.await?;
    Ok(rate)
}

fn device(port: u16, unit: u8) -> Device {
    let fields = Quantity::ALL[..8]
        .iter()
        .zip(0..)
        .map(|(quantity, address)| RegisterField {
            quantity: *quantity,
            function: ReadFunction::HoldingRegisters,
            address,
            kind: RegisterType::U16,
            order: WordOrder::Abcd,
            scale: 0.1,
            offset: 0.0,
            missing: Vec::new(),
            wraps_after: None,
        })
        .collect();
    Device {
        id: DeviceId::new(),
        slug: format!("unit-{unit}"),
        name: format!("unit {unit}"),
        kind: DeviceKind::Sensor,
        link: Link::ModbusTcp {
            host: "127.0.0.1".to_owned(),
            port,
            unit,
            map: RegisterMap {
                poll_ms: 1,
                fields,
                ..RegisterMap::default()
            },
        },
        place: None,
        expect_every_s: None,
        enabled: true,
    }
}
