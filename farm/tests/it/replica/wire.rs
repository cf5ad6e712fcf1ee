//! What a day of a large herd weighs on the line.

use farm::{
    alerts::{self, AlertKind, Subject},
    animals::{self, AnimalForm},
    events::{self, EventBody, NewEvent},
    milkings::{self, Correction},
};
use farm_model::{
    AnimalId, AnimalStatus, Clock as _, Destination, DeviceId, Identity, Milli, Stall, Stamp, Tag,
    Visit, VisitId,
};
use sync::{
    exchange::Speak,
    wire::{self, Part},
};

use super::several::{Dice, Place, deliver, gather};
use crate::support::{NOW, name, session};

const COWS: usize = 1_200;
const STALLS: u64 = 24;
const WORDS: usize = 40;

/// As a parlour's meters tell it: polled once a second or so, hundredths of a litre, figures of quality averaged over the milk.
fn milked(
    dice: &mut Dice,
    animal: AnimalId,
    tag: Tag,
    stall: u64,
    end: Stamp,
    number: u8,
) -> Visit {
    let mut about = |mean: i64, spread: u64| {
        mean + dice.roll(spread) as i64 + dice.roll(spread) as i64 - spread as i64
    };
    let yield_ml = about(960, 250) * 10;
    let lasted = about(330_000, 70_000);
    let flowed = lasted - about(1_000, 900);
    let avg = yield_ml * 60_000 / flowed;
    // The clock is slewed all the time; the monotonic one is not.
    let drift = about(0, 2);
    let day = ["2026-11-20", "2026-11-21"][usize::from(end.wall.since(NOW) > 86_400_000)];
    let start = Stamp {
        wall: end.wall.plus(-lasted),
        mono: end.mono - (lasted + drift) as u64,
        ..end
    };
    Visit {
        id: VisitId::derive("meter", &format!("{animal} {number} {}", end.wall.0)),
        start,
        end,
        session: session(day, number),
        stall: Some(Stall(stall as u16)),
        identity: Identity::Animal {
            animal,
            tag: Some(tag),
        },
        yield_ml,
        avg_flow_ml_min: Some(avg),
        peak_flow_ml_min: Some(avg * 3 / 2 / 10 * 10 + about(0, 30) * 10),
        conductivity: Some(Milli(about(5_600, 300))),
        fat: Some(Milli(about(4_100, 300))),
        snf: Some(Milli(about(8_600, 200))),
        destination: Destination::Tank,
        findings: Vec::new(),
        meter: Some(DeviceId::from_bytes([stall as u8 + 100; 16])),
        recorded_by: None,
    }
}

fn bytes(parts: &[Part]) -> usize {
    wire::encode(&(), parts).expect("it is small enough").len()
}

/// A herd that was milked once as far as the hub knows, and the parts of the day after.
fn a_day() -> (Place, Place, Vec<Part>) {
    let (edge, hub) = (Place::new(), Place::new());
    let herd: Vec<(AnimalId, Tag)> = edge
        .write(|tx| {
            (0..COWS)
                .map(|n| {
                    let form =
                        AnimalForm::new(name(&(1_000 + n).to_string()), AnimalStatus::Lactating);
                    let tag: Tag = format!("05000000{:07}", n * 7_919)
                        .parse()
                        .expect("fifteen digits");
                    Ok((animals::register(tx, &form, Some(&tag), None)?, tag))
                })
                .collect::<Result<_, animals::AnimalError>>()
        })
        .unwrap();
    let mut dice = Dice(5);
    milk_all(&edge, &mut dice, &herd, 0, 3);
    super::several::join(&edge, &hub);
    for number in 1..=3 {
        milk_all(&edge, &mut dice, &herd, 1, number);
    }
    words(&edge, &mut dice, &herd);
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    (edge, hub, parts)
}

fn milk_all(edge: &Place, dice: &mut Dice, herd: &[(AnimalId, Tag)], day: i64, number: u8) {
    let mut order = herd.to_vec();
    for n in (1..order.len()).rev() {
        order.swap(n, dice.roll(n as u64 + 1) as usize);
    }
    let begin = NOW.plus(day * 86_400_000 + i64::from(number) * 6 * 3_600_000);
    edge.clock.pass(begin.since(edge.farm.clock().now().wall));
    for (animal, tag) in order {
        edge.clock.pass(3_000 + dice.roll(6_000) as i64);
        let end = edge.farm.clock().now();
        let stall = dice.roll(STALLS);
        let visit = milked(dice, animal, tag, stall, end, number);
        // The next poll, and the commit.
        edge.clock.pass(500 + dice.roll(1_000) as i64);
        edge.write(move |tx| milkings::record(tx, visit)).unwrap();
    }
}

/// What people add on a day: corrections, events, alerts.
fn words(edge: &Place, dice: &mut Dice, herd: &[(AnimalId, Tag)]) {
    let visits: Vec<VisitId> = edge.visits();
    for n in 0..WORDS {
        edge.clock.pass(60_000);
        let (cow, visit) = (
            dice.pick(herd).expect("a cow").0,
            dice.pick(&visits).expect("a visit"),
        );
        let correction = Correction {
            yield_ml: 9_001 + n as i64 * 10,
            destination: Destination::Tank,
            reason: None,
        };
        edge.write(move |tx| milkings::correct(tx, visit, &correction))
            .unwrap();
        let body = [
            EventBody::Heat,
            EventBody::Insemination {
                sire: "Sahiwal 12".into(),
            },
            EventBody::Note {
                text: "lame".into(),
            },
        ];
        for body in body {
            edge.write(move |tx| events::record(tx, &NewEvent::now(cow, body)))
                .unwrap();
        }
        edge.write(move |tx| {
            alerts::raise(
                tx,
                AlertKind::Health,
                Subject::Animal(cow),
                &serde_json::json!({ "n": n }),
            )
        })
        .unwrap();
    }
}

#[test]
fn a_day_of_1200_cows_is_small() {
    let (edge, hub, parts) = a_day();
    let mut all = 0;
    for part in &parts {
        let bytes = bytes(std::slice::from_ref(part));
        all += bytes;
        match part {
            Part::Facts(run) => println!(
                "{}: {} facts, {bytes} bytes, {:.1} each",
                run.log,
                run.rows.len(),
                bytes as f64 / run.rows.len() as f64
            ),
            Part::Records(span) => {
                println!("records: {} versions, {bytes} bytes", span.versions.len());
            }
        }
    }
    println!("the day: {all} bytes");
    let milkings = parts.iter().find_map(|part| match part {
        Part::Facts(run) if run.log == "milking" => {
            Some((run.rows.len(), bytes(std::slice::from_ref(part))))
        }
        _ => None,
    });
    let (facts, bytes) = milkings.expect("cows were milked");
    assert_eq!(facts, COWS * 3 + WORDS);
    assert!(
        bytes <= 14 * COWS * 3,
        "{:.1} bytes a milking",
        bytes as f64 / (COWS * 3) as f64
    );
    assert!(all <= 100 * 1_024, "{all} bytes");

    let before = hub.visits().len();
    deliver(&hub, sync::Sender::Edge(edge.site), parts);
    assert_eq!(hub.visits().len() - before, COWS * 3);
    assert_eq!(hub.content(), edge.content());
}
