//! What the farm would tell a new appliance about itself: animals, places, devices and milking times, as the bodies of
//! the appliance's JSON API.
//!
//! Written from the API's published form; the serial lines say "no parity" because a pseudo-terminal has none.

mod history;
mod upload;

pub use history::{History, history};
pub use upload::{Report, upload};

use serde_json::{Value, json};

use crate::{
    device::{
        mqtt::{ROOMS, collars},
        onewire::{Spot, probes},
        reader::Dialect,
    },
    herd::{Animal, Lactation, State, bengali_digits},
    run::Addresses,
    sim::{BIOGAS_UNIT, STALLS, Sim, climate::Room},
};

/// Everything a new appliance must know, by the name of its collection.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Documents {
    /// Times of milking.
    pub sessions: Vec<Value>,
    /// Stalls, tanks, rooms and the digester.
    pub places: Vec<Value>,
    /// The herd.
    pub animals: Vec<Value>,
    /// Readers, meters, probes and nodes.
    pub devices: Vec<Value>,
}

/// The documents of the farm `sim` whose devices are at `addresses`.
pub fn documents(sim: &Sim, addresses: &Addresses) -> Documents {
    Documents {
        sessions: sessions(sim),
        places: places(sim),
        animals: sim.herd().iter().map(animal).collect(),
        devices: devices(sim, addresses),
    }
}

fn sessions(sim: &Sim) -> Vec<Value> {
    let clock = |minute: i64| format!("{:02}:{:02}", minute.rem_euclid(1440) / 60, minute % 60);
    let starts = sim.setup().schedule.minutes();
    let names = match starts.len() {
        1 => &["দোহন"][..],
        2 => &["সকাল", "বিকাল"],
        _ => &["সকাল", "দুপুর", "বিকাল", "রাত"],
    };
    starts
        .iter()
        .enumerate()
        .map(|(i, start)| {
            let next = starts.get(i + 1).copied().unwrap_or(starts[0] + 1440);
            let name = names.get(i).map_or_else(
                || format!("দোহন {}", bengali_digits(i as u32 + 1)),
                |n| (*n).to_owned(),
            );
            json!({ "name": name, "starts": clock(*start), "ends": clock((start + 360).min(next)) })
        })
        .collect()
}

fn animal(animal: &Animal) -> Value {
    let (status, sex, lactation, group): (_, _, Option<&Lactation>, _) = match &animal.state {
        State::Lactating(l) => (
            "lactating",
            "female",
            Some(l),
            if l.curve.kg_on(50) > 13.0 { "A" } else { "B" },
        ),
        State::Dry { last, .. } => ("dry", "female", Some(last), "dry"),
        State::Heifer => ("heifer", "female", None, "young"),
        State::HeiferCalf => ("calf", "female", None, "young"),
        State::BullCalf => ("calf", "male", None, "young"),
        State::Bull => ("bull", "male", None, "bulls"),
    };
    let mut body = json!({
        "number": animal.number.to_string(),
        "name": animal.name,
        "name_en": animal.name_en,
        "breed": animal.breed.name(),
        "sex": sex,
        "birth_date": animal.birth.to_string(),
        "status": status,
        "group": group,
        "tags": [animal.tags.iso(), format!("em:{}", animal.tags.em4100)],
    });
    if let Some(lactation) = lactation {
        body["calved_on"] = lactation.calved_on.to_string().into();
        body["parity"] = lactation.parity.into();
    }
    body
}

fn places(sim: &Sim) -> Vec<Value> {
    let place = |kind: &str, slug: &str, name: &str, details: Value| json!({ "kind": kind, "slug": slug, "name": name, "details": details });
    let air = json!({});
    let stalls = (1..=STALLS).map(|n| {
        place(
            "stall",
            &n.to_string(),
            &format!("স্টল {}", bengali_digits(n.into())),
            json!({}),
        )
    });
    let tanks = (1..).zip(sim.tanks().tanks).map(|(n, tank)| {
        let details = json!({
            "capacity_l": tank.capacity_l as i64,
            "max_temperature": 6_000,
            "min_temperature": 500,
            "alarm_after_min": 120,
        });
        place(
            "tank",
            &n.to_string(),
            &format!("ট্যাংক {}", bengali_digits(n)),
            details,
        )
    });
    let rooms = [
        place("room", "barn-a", "গোয়াল ক", air.clone()),
        place("room", "milk-room", "দুধঘর", air.clone()),
        place("room", "yard", "উঠান", air),
        place(
            "room",
            "cooler",
            "হিমঘর",
            json!({ "max_temperature": 8_000, "alarm_after_min": 30 }),
        ),
    ];
    let digester = place("digester", "1", "বায়োগ্যাস", json!({}));
    stalls.chain(tanks).chain(rooms).chain([digester]).collect()
}

fn devices(sim: &Sim, addresses: &Addresses) -> Vec<Value> {
    let poll_ms = (3_000.0 / addresses.speed).clamp(200.0, 1_000.0) as u32;
    let mut out = Vec::new();
    for (stall, port) in (1..=STALLS).zip(&addresses.readers) {
        let dialect = match Dialect::of_stall(stall) {
            Dialect::Wl134a => "wl134a",
            Dialect::Allflex => "allflex",
            Dialect::Rdm6300 => "rdm6300",
        };
        let link = json!({ "transport": "serial", "port": port, "line": line(9_600), "dialect": { "name": dialect } });
        let name = format!("স্টল {} ট্যাগ রিডার", bengali_digits(stall.into()));
        out.push(device(
            &format!("stall-{stall}-reader"),
            &name,
            "rfid_reader",
            &link,
            ("stall", &stall.to_string()),
            None,
        ));
    }
    for stall in 1..=STALLS {
        let link = match stall {
            1..=4 => {
                json!({ "transport": "modbus_rtu", "port": addresses.modbus_rtu, "line": line(19_200), "unit": stall, "map": meter_map(poll_ms) })
            }
            _ => tcp(addresses, stall, &meter_map(poll_ms)),
        };
        let name = format!("স্টল {} দুধ মিটার", bengali_digits(stall.into()));
        out.push(device(
            &format!("stall-{stall}-meter"),
            &name,
            "milk_meter",
            &link,
            ("stall", &stall.to_string()),
            Some(60),
        ));
    }
    let biogas = tcp(addresses, BIOGAS_UNIT.into(), &biogas_map(poll_ms));
    out.push(device(
        "digester-gas",
        "বায়োগ্যাস মিটার",
        "biogas_monitor",
        &biogas,
        ("digester", "1"),
        Some(300),
    ));
    for probe in probes(sim.setup().seed) {
        let (kind, slug) = match probe.spot {
            Spot::Tank(n) => ("tank", n.to_string()),
            Spot::Air(Room::Cooler) => ("room", "cooler".to_owned()),
            Spot::Air(_) => ("room", "barn-a".to_owned()),
        };
        let link = json!({ "transport": "one_wire", "rom": probe.rom });
        out.push(device(
            probe.name,
            probe.name,
            "temperature_probe",
            &link,
            (kind, &slug),
            Some(60),
        ));
    }
    for (room, _) in ROOMS {
        out.push(device(
            &format!("node-{room}"),
            &format!("node {room}"),
            "sensor",
            &json!({ "transport": "mqtt" }),
            ("room", room),
            Some(300),
        ));
    }
    for tank in ["1", "2"] {
        out.push(device(
            &format!("node-tank-{tank}"),
            &format!("node tank {tank}"),
            "level_sensor",
            &json!({ "transport": "mqtt" }),
            ("tank", tank),
            Some(600),
        ));
    }
    for (cow, dev_eui) in collars(sim.herd()) {
        let fields = json!([
            ["steps", "steps"],
            ["rumination", "rumination"],
            ["battery", "battery"]
        ]);
        let link = json!({ "transport": "chirp_stack", "dev_eui": dev_eui, "fields": fields });
        out.push(json!({ "slug": format!("collar-{cow}"), "name": format!("কলার {}", bengali_digits(cow)), "kind": "collar", "link": link, "expect_every_s": 900, "enabled": true }));
    }
    out
}

fn device(
    slug: &str,
    name: &str,
    kind: &str,
    link: &Value,
    place: (&str, &str),
    expect_every_s: Option<u32>,
) -> Value {
    json!({
        "slug": slug,
        "name": name,
        "kind": kind,
        "link": link,
        "place": { "kind": place.0, "slug": place.1 },
        "expect_every_s": expect_every_s,
        "enabled": true,
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

fn meter_map(poll_ms: u32) -> Value {
    let field = |quantity: &str, address: u16, kind: &str, scale: f64| json!({ "quantity": quantity, "function": "holding_registers", "address": address, "type": kind, "scale": scale });
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

fn biogas_map(poll_ms: u32) -> Value {
    let field = |quantity: &str, address: u16, scale: f64| json!({ "quantity": quantity, "function": "holding_registers", "address": address, "type": "f32", "order": "cdab", "scale": scale });
    json!({
        "poll_ms": poll_ms.max(1_000),
        "fields": [
            field("methane", 0, 0.0001),
            field("carbon_dioxide", 4, 0.0001),
            field("pressure", 12, 1.0),
            field("gas_flow", 14, 1.0),
            field("temperature", 16, 1.0),
        ],
    })
}
