//! What the farm would tell a new appliance about itself: animals, places, devices and milking times, as the bodies of
//! the appliance's JSON API.
//!
//! Written from the API's published form; the serial lines say "no parity" because a pseudo-terminal has none.

mod devices;
mod history;
mod upload;

pub use history::{History, history};
pub use upload::{Api, Report, upload};

use serde_json::{Value, json};

use crate::{
    herd::{Animal, Lactation, State, bengali_digits},
    run::Addresses,
    sim::{STALLS, Sim},
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
        devices: devices::all(sim, addresses),
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
