//! A farm with something of everything, for tests and for looking at pages.

use std::{path::Path, sync::Arc};

use farm::{
    Actor, Farm, Options,
    alerts::{self, AlertKind, Subject},
    animals::{self, AnimalForm},
    auth, devices,
    devices::DeviceForm,
    events::{self, EventBody, NewEvent},
    milkings, places,
    places::PlaceForm,
    readings, settings,
    staff::{self, Pin},
    text::{Name, Slug},
};
use farm_model::{
    AnimalId, AnimalStatus, Body, Clock as _, Destination, DeviceId, DeviceKind, Identity, Link,
    Milli, Observation, PlaceKind, Quantity, SessionKey, Sex, Stall, Stamp, Tag, UnixMillis, Visit,
    VisitId,
    live::{Parlour, Phase, StallView},
    milking::Finding,
    place::PlaceDetails,
    staff::Role,
    time::{ClockQuality, ScaledClock},
};

/// 20 November 2026, 06:40 in Dhaka.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_135_200_000);
const DAY_MS: i64 = 86_400_000;
/// The PIN of everybody.
pub(crate) const PIN: &str = "2580";

/// What was made, as far as a test needs it.
pub(crate) struct Seeded {
    /// Session secret of the owner.
    pub(crate) owner: String,
    /// Session secret of a manager.
    pub(crate) manager: String,
    /// Session secret of a worker.
    pub(crate) worker: String,
    /// A token that may read.
    pub(crate) read: String,
    /// A token that may manage.
    pub(crate) manage: String,
    /// A cow in milk.
    pub(crate) cow: AnimalId,
    /// A cow on medicine.
    pub(crate) held: AnimalId,
    /// A probe in tank 1.
    pub(crate) probe: DeviceId,
    /// Milk without a cow.
    pub(crate) unidentified: VisitId,
}

/// An empty farm at [`NOW`].
pub(crate) fn farm(path: &Path) -> Farm {
    let options = Options {
        clock: Arc::new(ScaledClock::new(NOW, 1.0, 1)),
        ..Options::default()
    };
    Farm::open(path, options).expect("a farm opens in a temporary folder")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(crate) fn stamp(wall: UnixMillis) -> Stamp {
    Stamp {
        wall,
        clock: ClockQuality::Synced,
        boot: 1,
        mono: 0,
    }
}

const NAMES: [&str; 20] = [
    "লালী",
    "শ্যামলী",
    "কাজলী",
    "ধলী",
    "বুধি",
    "মঙ্গলী",
    "রাঙী",
    "চাঁপা",
    "বেলী",
    "জবা",
    "টগর",
    "গৌরী",
    "লক্ষ্মী",
    "পদ্মা",
    "যমুনা",
    "মেঘনা",
    "সুরমা",
    "কমলা",
    "ফুলি",
    "মায়া",
];

/// Fills the farm.
pub(crate) async fn everything(farm: &Farm) -> Seeded {
    let people = people(farm).await;
    let herd = herd(farm).await;
    let probe = equipment(farm).await;
    milk(farm, &herd).await;
    let unidentified = trouble(farm, &herd).await;
    parlour(farm, &herd);
    Seeded {
        owner: people.0,
        manager: people.1,
        worker: people.2,
        read: people.3,
        manage: people.4,
        cow: herd[0],
        held: herd[3],
        probe,
        unidentified,
    }
}

async fn people(farm: &Farm) -> (String, String, String, String, String) {
    farm.write(Actor::CommandLine, |tx| {
        let hash = Pin::new(PIN).expect("a PIN").hash();
        let mut secret = |who: &str, role| {
            let id = staff::add(tx, &name(who), role, &hash).expect("a name that is free");
            auth::open(tx, id, "test")
                .expect("an active person")
                .as_str()
                .to_owned()
        };
        let owner = secret("রহিমা", Role::Owner);
        let manager = secret("আনোয়ার", Role::Manager);
        let worker = secret("করিম", Role::Worker);
        let mut token = |scope| {
            let (_, secret) = auth::add_token(tx, &name("test"), scope).expect("a token");
            secret.as_str().to_owned()
        };
        let (read, manage) = (token(auth::Scope::Read), token(auth::Scope::Manage));
        let settings = settings::Settings {
            name: "সোনালী খামার".into(),
            target_ml: Some(420_000),
            ..settings::Settings::default()
        };
        settings::save(tx, &settings)?;
        Ok::<_, farm::StoreError>((owner, manager, worker, read, manage))
    })
    .await
    .expect("people are added")
}

async fn herd(farm: &Farm) -> Vec<AnimalId> {
    farm.write(Actor::CommandLine, |tx| {
        let today = NOW
            .timestamp()
            .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(6)))
            .date();
        let mut milked = Vec::new();
        for i in 0..40u64 {
            let status = match i {
                0..30 => AnimalStatus::Lactating,
                30..33 => AnimalStatus::Dry,
                33..36 => AnimalStatus::Heifer,
                36..39 => AnimalStatus::Calf,
                _ => AnimalStatus::Bull,
            };
            let form = AnimalForm {
                name: Some(name(NAMES[i as usize % NAMES.len()])),
                sex: if i == 39 { Sex::Male } else { Sex::Female },
                breed: Some(name("হলস্টিন ক্রস")),
                group: Some(name(if i % 2 == 0 { "ক" } else { "খ" })),
                ..AnimalForm::new(name(&(101 + i).to_string()), status)
            };
            let tag: Tag = format!("050{:012}", 100_000 + i).parse().expect("a tag");
            let calved = (i < 33).then(|| {
                let days = jiff::Span::new().days(20 + i as i64 * 8);
                (today.saturating_sub(days), 1 + (i % 5) as u8)
            });
            let id = animals::register(tx, &form, Some(&tag), calved)?;
            if i < 30 {
                milked.push(id);
            }
        }
        let treatment = EventBody::Treatment {
            medicine: "সেফটিওফার".into(),
            dose: "১০ মিলি".into(),
            reason: "ওলান ফোলা".into(),
            milk_hold_h: 72,
            meat_hold_h: 120,
        };
        events::record(tx, &NewEvent::now(milked[3], treatment)).expect("a treatment");
        Ok::<_, animals::AnimalError>(milked)
    })
    .await
    .expect("a herd is registered")
}

async fn equipment(farm: &Farm) -> DeviceId {
    let probe = farm
        .write(Actor::CommandLine, |tx| {
            let place = |tx: &mut farm::Tx<'_>, kind, slug: &str, label: &str, details| {
                let form = PlaceForm {
                    kind,
                    slug: Slug::new(slug).expect("a slug"),
                    name: name(label),
                    details,
                };
                places::add(tx, &form).expect("a place that is free")
            };
            for n in 1..=8 {
                place(
                    tx,
                    PlaceKind::Stall,
                    &n.to_string(),
                    &format!("স্টল {n}"),
                    PlaceDetails::default(),
                );
            }
            let details = PlaceDetails {
                capacity_l: Some(1000),
                max_temperature: Some(Milli(6000)),
                min_temperature: Some(Milli(500)),
                ..PlaceDetails::default()
            };
            let tank = place(tx, PlaceKind::Tank, "1", "ট্যাংক ১", details.clone());
            place(tx, PlaceKind::Tank, "2", "ট্যাংক ২", details);
            let device = |tx: &mut farm::Tx<'_>, slug: &str, label: &str, kind, link| {
                let form = DeviceForm {
                    slug: Slug::new(slug).expect("a slug"),
                    name: name(label),
                    kind,
                    link,
                    place: Some(tank),
                    expect_every_s: Some(60),
                };
                devices::add(tx, &form).expect("a device that is free")
            };
            let rom = "28-0316a2795caf".to_owned();
            let probe = device(
                tx,
                "tank-1-probe",
                "ট্যাংক ১ প্রোব",
                DeviceKind::TemperatureProbe,
                Link::OneWire { rom },
            );
            device(
                tx,
                "node-tank-1",
                "ট্যাংক ১ নোড",
                DeviceKind::LevelSensor,
                Link::Mqtt { client: None },
            );
            Ok::<_, farm::StoreError>(probe)
        })
        .await
        .expect("equipment is added");
    let node = farm
        .read(|conn| devices::find(conn, "node-tank-1"))
        .await
        .expect("the node is read")
        .expect("the node exists")
        .id;
    let observe = move |device, quantity, value: f64, at: UnixMillis| Observation {
        device,
        at: stamp(at),
        body: Body::measured(quantity, Milli::from_f64(value).expect("a number")),
        raw: Vec::new(),
        key: None,
    };
    let mut batch = Vec::new();
    for i in 0..288i64 {
        let at = NOW.plus(-DAY_MS + i * 300_000);
        let wave = (i as f64 / 20.0).sin();
        batch.push(observe(probe, Quantity::Temperature, 3.8 + 0.4 * wave, at));
        batch.push(observe(node, Quantity::Level, 30.0 + i as f64 / 8.0, at));
    }
    farm.write(Actor::CommandLine, move |tx| readings::ingest(tx, &batch))
        .await
        .expect("readings are taken in");
    probe
}

fn visit(key: &str, at: UnixMillis, session: SessionKey, identity: Identity, ml: i64) -> Visit {
    Visit {
        id: VisitId::derive("seed", key),
        start: stamp(at),
        end: stamp(at.plus(330_000)),
        session,
        stall: Some(Stall(1)),
        identity,
        yield_ml: ml,
        avg_flow_ml_min: Some(1_900),
        peak_flow_ml_min: Some(2_700),
        conductivity: Some(Milli(5_100)),
        fat: Some(Milli(4_100)),
        snf: Some(Milli(8_600)),
        destination: Destination::Tank,
        findings: Vec::new(),
        meter: None,
        recorded_by: None,
    }
}

fn session(days_ago: i64, number: u8) -> (SessionKey, UnixMillis) {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(6));
    let date = NOW
        .plus(-days_ago * DAY_MS)
        .timestamp()
        .to_zoned(zone)
        .date();
    let hour = if number == 1 { 0 } else { 10 };
    // 05:00 of the day, local time
    let start = NOW.plus(-days_ago * DAY_MS - 6_000_000 + hour * 3_600_000);
    (SessionKey { date, number }, start)
}

async fn milk(farm: &Farm, herd: &[AnimalId]) {
    let herd = herd.to_vec();
    farm.write(Actor::CommandLine, move |tx| {
        for days_ago in (0..60).rev() {
            for number in 1..=2u8 {
                let (key, start) = session(days_ago, number);
                if days_ago == 0 && number == 2 {
                    continue;
                }
                for (i, animal) in herd.iter().enumerate() {
                    if days_ago == 0 && i >= 12 {
                        continue;
                    }
                    let scatter =
                        ((days_ago * 7 + i as i64 * 13 + i64::from(number)) % 11 - 5) * 90;
                    let ml = 6_500 + (i as i64 % 7) * 500 + scatter;
                    let identity = Identity::Animal {
                        animal: *animal,
                        tag: None,
                    };
                    let at = start.plus(i as i64 * 60_000);
                    let told = visit(&format!("{days_ago}/{number}/{i}"), at, key, identity, ml);
                    milkings::record(tx, told).expect("milk is recorded");
                }
            }
        }
        Ok::<_, farm::StoreError>(())
    })
    .await
    .expect("milk is recorded");
}

async fn trouble(farm: &Farm, herd: &[AnimalId]) -> VisitId {
    let held = herd[3];
    farm.write(Actor::System, move |tx| {
        let (key, start) = session(0, 1);
        let mut nobody = visit("nobody", start.plus(3_000_000), key, Identity::None, 7_200);
        nobody.findings = vec![Finding::Unidentified];
        let id = nobody.id;
        milkings::record(tx, nobody).expect("milk without a cow is recorded");
        let tag: Tag = "050000000999999".parse().expect("a tag");
        let mut stranger = visit(
            "stranger",
            start.plus(3_300_000),
            key,
            Identity::UnknownTag { tag },
            5_400,
        );
        stranger.findings = vec![Finding::UnknownTag];
        milkings::record(tx, stranger).expect("milk of a stranger is recorded");
        let detail = serde_json::json!({ "percent": 34, "yield_ml": 4_100 });
        alerts::raise(tx, AlertKind::YieldDrop, Subject::Animal(held), &detail)?;
        Ok::<_, farm::StoreError>(id)
    })
    .await
    .expect("trouble is made")
}

fn parlour(farm: &Farm, herd: &[AnimalId]) {
    let now = farm.clock().now().wall;
    let stall = |n: u16, phase, animal: Option<usize>, ml, flow| StallView {
        phase,
        animal: animal.map(|i| herd[i]),
        since: Some(now),
        yield_ml: ml,
        flow_ml_min: flow,
        ..StallView::empty(Stall(n))
    };
    let mut stalls = vec![
        stall(1, Phase::Milking, Some(12), 5_300, Some(2_100)),
        stall(2, Phase::Finishing, Some(13), 8_900, Some(250)),
        stall(3, Phase::Milking, Some(3), 2_200, Some(1_800)),
        stall(4, Phase::Waiting, Some(14), 0, None),
        stall(5, Phase::Milking, None, 3_100, Some(1_600)),
        stall(6, Phase::NoFlow, Some(15), 700, Some(0)),
        StallView::empty(Stall(7)),
        StallView::empty(Stall(8)),
    ];
    stalls[2].withheld = true;
    stalls[2].findings = vec![Finding::Withdrawal];
    farm.live().set_parlour(Parlour {
        stalls,
        session: Some(session(0, 1).0),
    });
}
