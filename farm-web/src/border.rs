//! The borders through which the pages reach what is not in the database: real ports, the ingest pipeline, and the farm's
//! authority over certificates.
//!
//! The edge node implements them; the hub has none, and says so on the page. All are object-safe, so that a test can
//! put its own in their place. Invariant: `Ingest::submit` resolves only when what it accepted is on disk.

mod hub;

use farm::{Actor, Farm, readings};
use farm_model::{
    DeviceId, Link, Milli, Observation, Quantity,
    device::{DecodeProposal, ReadFunction, RegisterMap},
    time::UnixMillis,
};
use futures_util::future::BoxFuture;

pub use self::hub::{HubLink, HubStanding, HubTrouble, JoinError, JoinedHub};

/// What the Devices page asks of the machine that it runs on.
pub trait Hardware: Send + Sync + 'static {
    /// Serial ports that exist now.
    fn serial_ports(&self) -> BoxFuture<'_, Vec<SerialPort>>;

    /// Probes in the kernel's 1-wire tree now.
    fn probes(&self) -> BoxFuture<'_, Vec<Probe>>;

    /// How each driver fares.
    fn drivers(&self) -> BoxFuture<'_, Vec<DriverState>>;

    /// Reads `count` registers from `address` of the Modbus device at `link`, whether or not a driver runs for it.
    fn registers(
        &self,
        link: Link,
        function: ReadFunction,
        address: u16,
        count: u16,
    ) -> BoxFuture<'_, Result<Words, HardwareError>>;

    /// Ways to read `blocks` that give what the display shows, likeliest first; none when `shown` is no number or teaches
    /// nothing.
    fn propose(&self, shown: &str, blocks: &[Words], quantity: Quantity) -> Vec<DecodeProposal>;

    /// Those of `proposals` that also agree with a second look, likeliest first.
    fn narrow(
        &self,
        proposals: &[DecodeProposal],
        shown: &str,
        blocks: &[Words],
    ) -> Vec<DecodeProposal>;

    /// Published register maps, ready to use.
    fn presets(&self) -> Vec<Preset>;
}

/// A published register map.
#[derive(Clone, PartialEq, Debug)]
pub struct Preset {
    /// The name kept in [`RegisterMap::preset`].
    pub name: String,
    /// What people call the device.
    pub title: String,
    /// The map.
    pub map: RegisterMap,
}

/// A serial port of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialPort {
    /// Path: `/dev/ttyUSB0`.
    pub path: String,
    /// What the adapter says it is, if anything.
    pub description: Option<String>,
}

/// A probe on the 1-wire bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// ROM identity: `28-0316a2795caf`.
    pub rom: String,
    /// What it reads now, in thousandths of a degree Celsius, so that a hand around it shows which one it is.
    pub temperature: Option<Milli>,
}

/// How a driver fares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriverState {
    /// Its device.
    pub device: DeviceId,
    /// Whether it works.
    pub health: DriverHealth,
    /// When it last got anything from the device.
    pub heard: Option<UnixMillis>,
    /// The last error in the driver's own words, if it has one.
    pub error: Option<String>,
}

/// Whether a driver works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DriverHealth {
    /// It is being started or looks for its port.
    Starting,
    /// The device answers.
    Running,
    /// The device does not answer; the driver tries again, less and less often.
    BackingOff,
    /// Its port is gone.
    NoPort,
}

/// Registers as they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// Which function read them.
    pub function: ReadFunction,
    /// Address of the first, from 0.
    pub address: u16,
    /// The words.
    pub words: Vec<u16>,
}

/// Why registers could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HardwareError {
    /// This machine has no ports (the hub).
    #[error("this machine reaches no devices")]
    Absent,
    /// The device did not answer in time.
    #[error("no answer from the device")]
    NoAnswer,
    /// The device answered with a Modbus exception.
    #[error("the device refused: {0}")]
    Refused(String),
    /// The port or the network failed.
    #[error("the port failed: {0}")]
    Port(String),
}

/// A machine without ports: the hub, and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHardware;

impl Hardware for NoHardware {
    fn serial_ports(&self) -> BoxFuture<'_, Vec<SerialPort>> {
        Box::pin(async { Vec::new() })
    }

    fn probes(&self) -> BoxFuture<'_, Vec<Probe>> {
        Box::pin(async { Vec::new() })
    }

    fn drivers(&self) -> BoxFuture<'_, Vec<DriverState>> {
        Box::pin(async { Vec::new() })
    }

    fn registers(
        &self,
        _: Link,
        _: ReadFunction,
        _: u16,
        _: u16,
    ) -> BoxFuture<'_, Result<Words, HardwareError>> {
        Box::pin(async { Err(HardwareError::Absent) })
    }

    fn propose(&self, _: &str, _: &[Words], _: Quantity) -> Vec<DecodeProposal> {
        Vec::new()
    }

    fn narrow(&self, _: &[DecodeProposal], _: &str, _: &[Words]) -> Vec<DecodeProposal> {
        Vec::new()
    }

    fn presets(&self) -> Vec<Preset> {
        Vec::new()
    }
}

/// The farm's own authority, which makes the certificates of devices.
pub trait Authority: Send + Sync + 'static {
    /// Its certificate, PEM: by it a device knows the appliance. No secret.
    fn certificate(&self) -> String;

    /// Makes a key and a certificate for a device that cannot make its own, and enters it in the farm
    /// ([`farm::credentials::add_certificate`]). The key is kept nowhere: what is returned is shown once.
    fn issue(
        &self,
        actor: Actor,
        device: DeviceId,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>>;

    /// Signs the certificate request (PEM) of a device that made its own key, and enters the certificate in the farm.
    fn sign(
        &self,
        actor: Actor,
        device: DeviceId,
        request: String,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>>;
}

/// What a device needs to come with a certificate; all PEM.
#[derive(Clone)]
pub struct Bundle {
    /// The authority's certificate.
    pub authority: String,
    /// The device's certificate.
    pub certificate: String,
    /// The device's private key, unless it made its own.
    pub key: Option<String>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The request is none, or its signature is wrong.
    #[error("this is no certificate request: send one in PEM form, signed by an ECDSA P-256 key")]
    BadRequest,
    /// The farm refused.
    #[error(transparent)]
    Farm(#[from] farm::credentials::CredentialError),
    /// The authority's key cannot be used.
    #[error("the farm's authority cannot sign: {0}")]
    Failed(String),
}

/// Where observations that arrive over HTTP go: the same pipeline as those of MQTT and of the drivers.
pub trait Ingest: Send + Sync + 'static {
    /// Takes `items` in, all or none, and resolves when they are durable.
    fn submit(&self, items: Vec<Observation>) -> BoxFuture<'_, Result<Report, Refused>>;
}

/// What became of a batch of observations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Stored now.
    pub stored: u64,
    /// Known already by their key, and not stored again.
    pub duplicates: u64,
}

/// Why a batch was not taken in; nothing of it is stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The pipeline is full; the same batch will be welcome a little later.
    #[error("the ingest queue is full")]
    Busy,
    /// The store cannot write (the disk is full, the database stalled).
    #[error("the store cannot write: {0}")]
    Unavailable(String),
}

/// The shortest pipeline: straight into the store. The hub and tests use it; the edge has its own.
#[derive(Clone, Debug)]
pub struct StoreIngest(pub Farm);

impl Ingest for StoreIngest {
    fn submit(&self, items: Vec<Observation>) -> BoxFuture<'_, Result<Report, Refused>> {
        Box::pin(async move {
            let stored = self
                .0
                .write(Actor::System, move |tx| readings::ingest(tx, &items))
                .await;
            match stored {
                Ok(report) => Ok(Report {
                    stored: report.stored as u64,
                    duplicates: report.duplicates as u64,
                }),
                Err(error) => Err(Refused::Unavailable(error.to_string())),
            }
        })
    }
}
