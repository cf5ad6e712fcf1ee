//! Devices described in data: how each is reached, what its registers mean, where it stands.
//!
//! These types are what the store keeps and the Devices page edits; the functions that read bytes by them live in
//! `edge-node/decode`, the tasks that talk to ports in `edge-node/acquire`.

use serde::{Deserialize, Serialize};

use crate::{
    id::{DeviceId, PlaceId},
    quantity::{Milli, Quantity},
};

/// A reader, meter, probe or node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Identity.
    pub id: DeviceId,
    /// ASCII name, one per farm: `stall-3-meter`. Used in topics, metrics and files.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub kind: DeviceKind,
    /// How it is reached.
    pub link: Link,
    /// Where it stands.
    pub place: Option<PlaceId>,
    /// Seconds within which it should be heard, as a person said; silence three times as long raises an alarm. 0: never.
    pub expect_every_s: Option<u32>,
    /// Whether drivers run for it.
    pub enabled: bool,
}

impl Device {
    /// Seconds within which a person expects it to be heard; `None` when nobody said, or said never.
    pub fn expected_s(&self) -> Option<u32> {
        self.expect_every_s.filter(|s| *s > 0)
    }
}

/// What a device is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Reads animals' tags.
    RfidReader,
    /// Measures milk at a stall.
    MilkMeter,
    /// Measures a temperature.
    TemperatureProbe,
    /// Measures a tank's fill.
    LevelSensor,
    /// Measures biogas.
    BiogasMonitor,
    /// An animal's activity collar.
    Collar,
    /// Anything else that reports values.
    Sensor,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::RfidReader,
        Self::MilkMeter,
        Self::TemperatureProbe,
        Self::LevelSensor,
        Self::BiogasMonitor,
        Self::Collar,
        Self::Sensor,
    ];

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::RfidReader => "rfid_reader",
            Self::MilkMeter => "milk_meter",
            Self::TemperatureProbe => "temperature_probe",
            Self::LevelSensor => "level_sensor",
            Self::BiogasMonitor => "biogas_monitor",
            Self::Collar => "collar",
            Self::Sensor => "sensor",
        }
    }

    /// The kind called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.key() == key)
    }
}

/// How a device is reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "transport")]
pub enum Link {
    /// A reader alone on a serial port.
    Serial {
        /// Path of the port: `/dev/ttyUSB0`.
        port: String,
        /// Line settings.
        #[serde(default)]
        line: SerialLine,
        /// What the reader speaks.
        dialect: RfidDialect,
    },
    /// A slave on a Modbus RTU bus; slaves with the same port share one owner.
    ModbusRtu {
        /// Path of the port.
        port: String,
        /// Line settings; must agree with the port's other slaves.
        #[serde(default)]
        line: SerialLine,
        /// Slave address, 1 to 247.
        unit: u8,
        /// What its registers mean.
        map: RegisterMap,
    },
    /// A Modbus TCP server.
    ModbusTcp {
        /// Host name or address.
        host: String,
        /// TCP port, 502 by the standard.
        port: u16,
        /// Unit identifier.
        unit: u8,
        /// What its registers mean.
        map: RegisterMap,
    },
    /// A DS18B20 family probe in the kernel's 1-wire tree.
    OneWire {
        /// ROM identity: `28-0316a2795caf`.
        rom: String,
    },
    /// An MQTT client; `client` is the user name it logs in with, if the device has its own.
    Mqtt {
        /// User name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
    },
    /// A LoRaWAN device behind ChirpStack.
    ChirpStack {
        /// Device EUI: 16 hexadecimal digits.
        dev_eui: String,
        /// JSON keys of the decoded object to quantities: `temperature` to [`Quantity::Temperature`].
        #[serde(default)]
        fields: Vec<(String, Quantity)>,
    },
    /// A Zigbee device behind Zigbee2MQTT.
    Zigbee {
        /// Its IEEE address, `0x` and 16 hexadecimal digits, or the friendly name that the bridge knows it by.
        name: String,
    },
    /// A node on a serial port: it sends frames of the firmware protocol, for itself or for others.
    Node {
        /// Path of the port.
        port: String,
        /// Line settings.
        #[serde(default = "SerialLine::of_nodes")]
        line: SerialLine,
    },
    /// An input of a node: what that measures is this device's.
    Input {
        /// Short name of the node.
        node: String,
        /// Which of its inputs, as its frames number them.
        channel: u8,
    },
    /// A client of the HTTP API.
    Http,
}

/// Serial line settings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SerialLine {
    /// Bits per second.
    pub baud: u32,
    /// Parity: Modbus asks for even, RFID readers for none.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
}

impl Default for SerialLine {
    fn default() -> Self {
        Self {
            baud: 9600,
            parity: Parity::None,
            stop_bits: 1,
        }
    }
}

impl SerialLine {
    /// What nodes use: 115,200 bits per second.
    pub fn of_nodes() -> Self {
        Self {
            baud: 115_200,
            ..Self::default()
        }
    }
}

/// Parity of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

/// What an RFID reader speaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum RfidDialect {
    /// WL-134A and kin: 30-byte frames, ISO 11784.
    Wl134a,
    /// RDM6300 and kin: 14-byte frames, EM4100.
    Rdm6300,
    /// Allflex ASCII lines: `LA 982 000001088420`.
    Allflex,
    /// Text lines of a form that is written here, see `edge_decode::rfid::template`.
    Template {
        /// The form: literals, `{c3}` three digits of country, `{n12}` twelve of national code, `{id15}` all fifteen,
        /// `{hex16}` sixteen hexadecimal digits of the 64-bit code, `{skip}` anything.
        pattern: String,
    },
    /// UHF readers with frames `BB type command length payload sum 7E`.
    UhfBb,
}

/// Registers of a Modbus device and what each means.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisterMap {
    /// Name of the published map this came from, if any: `eastron-sdm630`.
    pub preset: Option<String>,
    /// Milliseconds between polls; 1,000 when 0.
    pub poll_ms: u32,
    /// What to read.
    pub fields: Vec<RegisterField>,
    /// A register whose value gates all others, if the device has one.
    pub status: Option<StatusField>,
}

/// One value in a device's registers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterField {
    /// What it measures.
    pub quantity: Quantity,
    /// Which function reads it.
    pub function: ReadFunction,
    /// Address in the protocol data unit, from 0 (a manual's 40001 or 30001 is 0).
    pub address: u16,
    /// Type and width.
    #[serde(rename = "type")]
    pub kind: RegisterType,
    /// Order of bytes.
    #[serde(default)]
    pub order: WordOrder,
    /// Whole units = raw × `scale` + `offset`.
    #[serde(default = "one")]
    pub scale: f64,
    /// See `scale`, in whole units.
    #[serde(default)]
    pub offset: f64,
    /// Raw integers that mean "no value", such as 65535 or -32768.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<i64>,
    /// For counters: the raw value after which the register starts again at 0; the type's own range when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wraps_after: Option<u64>,
}

fn one() -> f64 {
    1.0
}

/// A register that says whether the others can be believed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusField {
    /// Which function reads it.
    pub function: ReadFunction,
    /// Address, from 0.
    pub address: u16,
    /// Codes that mean normal operation.
    pub normal: Vec<u16>,
    /// Codes that mean warming up or standby; every other code is a fault.
    #[serde(default)]
    pub not_ready: Vec<u16>,
}

/// Modbus read functions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFunction {
    /// Function 01.
    Coils,
    /// Function 02.
    DiscreteInputs,
    /// Function 03.
    HoldingRegisters,
    /// Function 04.
    InputRegisters,
}

impl ReadFunction {
    /// The function code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Coils => 1,
            Self::DiscreteInputs => 2,
            Self::HoldingRegisters => 3,
            Self::InputRegisters => 4,
        }
    }
}

/// How a number is laid out in registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterType {
    /// One bit (coils and discrete inputs).
    Bit,
    /// One register, unsigned.
    U16,
    /// One register, two's complement.
    I16,
    /// Two registers, unsigned.
    U32,
    /// Two registers, two's complement.
    I32,
    /// Four registers, unsigned.
    U64,
    /// Four registers, two's complement.
    I64,
    /// Two registers, IEEE 754 single.
    F32,
    /// Four registers, IEEE 754 double.
    F64,
    /// Two registers, binary-coded decimal.
    Bcd32,
}

impl RegisterType {
    /// How many registers (or bits) it takes.
    pub fn width(self) -> u16 {
        match self {
            Self::Bit | Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 | Self::Bcd32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }
}

/// Order of the bytes of a value, most significant first when `Abcd`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordOrder {
    /// Big-endian words, big-endian bytes: the standard.
    #[default]
    Abcd,
    /// Words swapped.
    Cdab,
    /// Bytes swapped within words.
    Badc,
    /// Both swapped.
    Dcba,
}

/// A proposal of the auto-decoder: a way to read the registers that gives what the display shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DecodeProposal {
    /// The field that would be read.
    pub field: RegisterField,
    /// What it reads now, in thousandths.
    pub reads: Milli,
    /// Words it was read from.
    pub raw: Vec<u16>,
    /// Likelihood among the proposals, 0 to 100.
    pub score: u8,
}
