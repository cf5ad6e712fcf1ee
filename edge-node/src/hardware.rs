//! What the Devices page reaches of this machine: ports, probes, drivers, and a meter's registers.

use std::{path::Path, sync::Arc};

use edge_acquire::{DriverStatus, Drivers, Found, ProbeError, Settings};
use edge_decode::{
    modbus::{self, ReadRequest},
    w1,
};
use farm_model::{
    Body, Link, Quality, Quantity,
    device::{DecodeProposal, ReadFunction},
};
use farm_web::{
    DriverHealth, DriverState, Hardware, HardwareError, Preset, Probe, SerialPort, Words,
};
use futures_util::future::BoxFuture;

/// This machine's ports and drivers.
pub(crate) struct EdgeHardware {
    drivers: Arc<Drivers>,
    settings: Settings,
}

impl EdgeHardware {
    pub(crate) fn new(drivers: Arc<Drivers>, settings: Settings) -> Self {
        Self { drivers, settings }
    }
}

impl Hardware for EdgeHardware {
    fn serial_ports(&self) -> BoxFuture<'_, Vec<SerialPort>> {
        let settings = self.settings.clone();
        Box::pin(async move {
            let listed = tokio::task::spawn_blocking(move || edge_acquire::list_ports(&settings))
                .await
                .unwrap_or_default();
            listed
                .into_iter()
                .map(|path| SerialPort {
                    path: path.display().to_string(),
                    description: None,
                })
                .collect()
        })
    }

    fn probes(&self) -> BoxFuture<'_, Vec<Probe>> {
        let root = self.settings.onewire_root.clone();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || probes(&root))
                .await
                .unwrap_or_default()
        })
    }

    fn drivers(&self) -> BoxFuture<'_, Vec<DriverState>> {
        Box::pin(async { self.drivers.status().iter().map(state).collect() })
    }

    fn registers(
        &self,
        link: Link,
        function: ReadFunction,
        address: u16,
        count: u16,
    ) -> BoxFuture<'_, Result<Words, HardwareError>> {
        Box::pin(async move {
            let found = self
                .drivers
                .probe(
                    &link,
                    &[ReadRequest {
                        function,
                        address,
                        count,
                    }],
                )
                .await
                .map_err(|e| hardware_error(&e))?;
            let (function, address, words) =
                found.into_iter().next().ok_or(HardwareError::NoAnswer)?;
            Ok(Words {
                function,
                address,
                words,
            })
        })
    }

    fn propose(&self, shown: &str, blocks: &[Words], quantity: Quantity) -> Vec<DecodeProposal> {
        modbus::auto::propose(shown, &found(blocks), quantity).unwrap_or_default()
    }

    fn narrow(
        &self,
        proposals: &[DecodeProposal],
        shown: &str,
        blocks: &[Words],
    ) -> Vec<DecodeProposal> {
        modbus::auto::narrow(proposals, shown, &found(blocks)).unwrap_or_default()
    }

    fn presets(&self) -> Vec<Preset> {
        let preset = |p: &modbus::presets::Preset| Preset {
            name: p.name.to_owned(),
            title: p.title.to_owned(),
            map: p.map(),
        };
        modbus::presets::PRESETS.iter().map(preset).collect()
    }
}

/// Every probe and what it reads now; each takes most of a second to ask.
fn probes(root: &Path) -> Vec<Probe> {
    let roms = edge_acquire::list_probes(root).unwrap_or_default();
    let read = |rom: &str| {
        let text = std::fs::read(root.join(rom).join("w1_slave")).ok()?;
        match w1::parse(&text, None).body {
            Body::Measured {
                value,
                quality: Quality::Good,
                ..
            } => value,
            _ => None,
        }
    };
    roms.into_iter()
        .map(|rom| Probe {
            temperature: read(&rom),
            rom,
        })
        .collect()
}

fn found(blocks: &[Words]) -> Found {
    blocks
        .iter()
        .map(|b| (b.function, b.address, b.words.clone()))
        .collect()
}

fn state(status: &DriverStatus) -> DriverState {
    let error = status
        .errors
        .iter()
        .max_by_key(|(_, n)| **n)
        .map(|(reason, n)| format!("{reason} × {n}"));
    DriverState {
        device: status.device,
        health: match status.state {
            edge_acquire::DriverState::Running => DriverHealth::Running,
            edge_acquire::DriverState::Waiting | edge_acquire::DriverState::Stopped => {
                DriverHealth::Starting
            }
            edge_acquire::DriverState::BackingOff { .. } => DriverHealth::BackingOff,
            edge_acquire::DriverState::PortMissing => DriverHealth::NoPort,
        },
        heard: status.last_heard.map(|stamp| stamp.wall),
        error,
    }
}

fn hardware_error(error: &ProbeError) -> HardwareError {
    match error {
        ProbeError::NoAnswer(_) => HardwareError::NoAnswer,
        ProbeError::Refused { .. } => HardwareError::Refused(error.to_string()),
        ProbeError::NotModbus
        | ProbeError::PortInUse(_)
        | ProbeError::NotThere { .. }
        | ProbeError::Stopped => HardwareError::Port(error.to_string()),
    }
}
