//! The farm's devices as the appliance's API takes them.

use serde_json::{Value, json};

use crate::{
    device::{
        mqtt::collars,
        onewire::{Spot, probes},
        reader::Dialect,
    },
    herd::bengali_digits,
    run::Addresses,
    sim::{BIOGAS_UNIT, STALLS, Sim, climate::Room},
};

/// Every device of the farm.
pub(super) fn all(sim: &Sim, addresses: &Addresses) -> Vec<Value> {
    let pace = Pace::of(addresses.speed);
    let mut out = readers(addresses);
    out.extend(meters(addresses, pace));
    out.push(digester(addresses, pace));
    out.extend(thermometers(sim, pace));
    out.extend(nodes(pace));
    out.extend(worn(sim, pace));
    out
}

/// How a farm that lives faster than real time is polled and expected.
#[derive(Clone, Copy)]
struct Pace {
    /// Farm time: a second, or a tenth of a real one if that is longer.
    poll_ms: u32,
    least_s: u32,
}

impl Pace {
    fn of(speed: f64) -> Self {
        Self {
            poll_ms: (speed * 100.0).clamp(1_000.0, 60_000.0) as u32,
            // Ten real seconds, because polling does not quicken with the farm.
            least_s: (speed * 10.0) as u32,
        }
    }

    /// The farm's seconds within which something is heard that is due every `seconds`.
    fn within(self, seconds: u32) -> Option<u32> {
        Some(seconds.max(self.least_s))
    }
}

/// What a device's entry says beside its link.
struct Entry<'a> {
    slug: String,
    name: String,
    kind: &'a str,
    place: Option<(&'a str, &'a str)>,
    expect_every_s: Option<u32>,
}

impl Entry<'_> {
    fn with(&self, link: &Value) -> Value {
        json!({
            "slug": self.slug,
            "name": self.name,
            "kind": self.kind,
            "link": link,
            "place": self.place.map(|(kind, slug)| json!({ "kind": kind, "slug": slug })),
            "expect_every_s": self.expect_every_s,
            "enabled": true,
        })
    }
}

fn readers(addresses: &Addresses) -> Vec<Value> {
    let reader = |(stall, port): (u16, &std::path::PathBuf)| {
        let dialect = match Dialect::of_stall(stall) {
            Dialect::Wl134a => "wl134a",
            Dialect::Allflex => "allflex",
            Dialect::Rdm6300 => "rdm6300",
        };
        let entry = Entry {
            slug: format!("stall-{stall}-reader"),
            name: format!("স্টল {} ট্যাগ রিডার", bengali_digits(stall.into())),
            kind: "rfid_reader",
            place: Some(("stall", &stall.to_string())),
            // Nobody walks past between sessions.
            expect_every_s: None,
        };
        entry.with(&json!({ "transport": "serial", "port": port, "line": line(9_600), "dialect": { "name": dialect } }))
    };
    (1..=STALLS).zip(&addresses.readers).map(reader).collect()
}

fn meters(addresses: &Addresses, pace: Pace) -> impl Iterator<Item = Value> {
    let map = meter_map(pace.poll_ms);
    (1..=STALLS).map(move |stall| {
        let link = match stall {
            1..=4 => json!({ "transport": "modbus_rtu", "port": addresses.modbus_rtu, "line": line(19_200), "unit": stall, "map": map }),
            _ => tcp(addresses, stall, &map),
        };
        let entry = Entry {
            slug: format!("stall-{stall}-meter"),
            name: format!("স্টল {} দুধ মিটার", bengali_digits(stall.into())),
            kind: "milk_meter",
            place: Some(("stall", &stall.to_string())),
            expect_every_s: pace.within(60),
        };
        entry.with(&link)
    })
}

fn digester(addresses: &Addresses, pace: Pace) -> Value {
    let entry = Entry {
        slug: "digester-gas".to_owned(),
        name: "বায়োগ্যাস মিটার".to_owned(),
        kind: "biogas_monitor",
        place: Some(("digester", "1")),
        expect_every_s: pace.within(300),
    };
    entry.with(&tcp(
        addresses,
        BIOGAS_UNIT.into(),
        &biogas_map(pace.poll_ms),
    ))
}

fn thermometers(sim: &Sim, pace: Pace) -> impl Iterator<Item = Value> {
    probes(sim.setup().seed).into_iter().map(move |probe| {
        let (kind, slug, name) = match probe.spot {
            Spot::Tank(n) => (
                "tank",
                n.to_string(),
                format!("ট্যাংক {} থার্মোমিটার", bengali_digits(n.into())),
            ),
            Spot::Air(Room::Cooler) => ("room", "cooler".to_owned(), "হিমঘর থার্মোমিটার".to_owned()),
            Spot::Air(_) => ("room", "barn-a".to_owned(), "গোয়াল ক থার্মোমিটার".to_owned()),
        };
        let entry = Entry {
            slug: probe.name.to_owned(),
            name,
            kind: "temperature_probe",
            place: Some((kind, &slug)),
            expect_every_s: pace.within(60),
        };
        entry.with(&json!({ "transport": "one_wire", "rom": probe.rom }))
    })
}

/// MQTT nodes, by the short names under which an appliance makes them by itself when it first hears them.
fn nodes(pace: Pace) -> impl Iterator<Item = Value> {
    let nodes = [
        (
            "barn-a-mqtt",
            "গোয়াল ক বাতাস",
            "sensor",
            ("room", "barn-a"),
            300,
        ),
        (
            "milk-room-mqtt",
            "দুধঘর বাতাস",
            "sensor",
            ("room", "milk-room"),
            300,
        ),
        ("yard-mqtt", "উঠান বাতাস", "sensor", ("room", "yard"), 300),
        (
            "tank-1-mqtt",
            "ট্যাংক ১ মাপ",
            "level_sensor",
            ("tank", "1"),
            600,
        ),
        (
            "tank-2-mqtt",
            "ট্যাংক ২ মাপ",
            "level_sensor",
            ("tank", "2"),
            600,
        ),
    ];
    nodes
        .into_iter()
        .map(move |(slug, name, kind, place, every_s)| {
            let entry = Entry {
                slug: slug.to_owned(),
                name: name.to_owned(),
                kind,
                place: Some(place),
                expect_every_s: pace.within(every_s),
            };
            entry.with(&json!({ "transport": "mqtt" }))
        })
}

fn worn(sim: &Sim, pace: Pace) -> impl Iterator<Item = Value> {
    collars(sim.herd()).into_iter().map(move |(cow, dev_eui)| {
        let entry = Entry {
            slug: format!("collar-{cow}"),
            name: format!("কলার {}", bengali_digits(cow)),
            kind: "collar",
            place: None,
            expect_every_s: pace.within(900),
        };
        let fields = json!([
            ["steps", "steps"],
            ["rumination", "rumination"],
            ["battery", "battery"]
        ]);
        entry.with(&json!({ "transport": "chirp_stack", "dev_eui": dev_eui, "fields": fields }))
    })
}

fn line(baud: u32) -> Value {
    json!({ "baud": baud, "parity": "none", "stop_bits": 1 })
}

fn tcp(addresses: &Addresses, unit: u16, map: &Value) -> Value {
    let (host, port) = addresses
        .modbus_tcp
        .rsplit_once(':')
        .unwrap_or((&addresses.modbus_tcp, "502"));
    json!({ "transport": "modbus_tcp", "host": host, "port": port.parse::<u16>().unwrap_or(502), "unit": unit, "map": map })
}

fn field(quantity: &str, address: u16, kind: &str, scale: f64) -> Value {
    json!({ "quantity": quantity, "function": "holding_registers", "address": address, "type": kind, "scale": scale })
}

/// The registers that [`crate::sim::meter`] describes.
fn meter_map(poll_ms: u32) -> Value {
    let cell = |quantity: &str, address: u16| {
        let mut field = field(quantity, address, "u16", 0.01);
        field["missing"] = json!([65_535]);
        field
    };
    json!({
        "preset": "parlour-meter",
        "poll_ms": poll_ms,
        "status": { "function": "holding_registers", "address": 0, "normal": [2], "not_ready": [1] },
        "fields": [
            field("milk_total", 1, "u32", 0.01),
            field("milk_flow", 3, "u16", 0.001),
            field("visit_yield", 4, "u16", 0.01),
            field("visit_count", 5, "u32", 1.0),
            field("last_yield", 7, "u16", 0.01),
            cell("conductivity", 8),
            cell("fat", 9),
            cell("snf", 10),
        ],
    })
}

/// The registers that [`crate::wire::modbus::biogas_registers`] describes.
fn biogas_map(poll_ms: u32) -> Value {
    let float = |quantity: &str, address: u16, scale: f64| {
        let mut field = field(quantity, address, "f32", scale);
        field["order"] = json!("cdab");
        field
    };
    json!({
        "poll_ms": poll_ms.max(1_000),
        "fields": [
            float("methane", 0, 0.0001),
            float("carbon_dioxide", 4, 0.0001),
            float("pressure", 12, 1.0),
            float("gas_flow", 14, 1.0),
            float("temperature", 16, 1.0),
        ],
    })
}
