//! A farm of 1,200 cows as its own commands write it: the herd, and a day of its meters and its people.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use farm::{
    Actor, Farm, Options,
    alerts::{self, AlertKind, Subject},
    animals::{self, AnimalForm},
    events::{self, EventBody, NewEvent},
    milkings,
    text::Name,
};
use farm_model::{
    AnimalId, AnimalStatus, Clock, ClockQuality, Destination, DeviceId, Identity, Milli, Rfid,
    SessionKey, Stall, Stamp, Tag, UnixMillis, Visit, VisitId,
};
use jiff::civil::Date;

use super::place::Noise;

pub(super) const COWS: i64 = 1_200;
/// Sessions of a day.
pub(super) const TIMES: i64 = 3;
const STALLS: i64 = 24;
const DAY_MS: i64 = 86_400_000;
/// 2026-11-20, 04:00 in Dhaka.
const BEGINS: UnixMillis = UnixMillis(1_795_125_600_000);
const FIRST_DAY: Date = Date::constant(2026, 11, 20);

/// A clock that moves only when told.
struct Told(Mutex<Stamp>);

impl Told {
    fn pass(&self, ms: i64) {
        let mut stamp = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stamp.wall = stamp.wall.plus(ms);
        stamp.mono += ms.unsigned_abs();
    }
}

impl Clock for Told {
    fn now(&self) -> Stamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A farm, and who is milked there.
pub(super) struct Herd {
    pub(super) farm: Farm,
    clock: Arc<Told>,
    noise: Noise,
    cows: Vec<(AnimalId, Tag)>,
}

/// An empty farm in the file at `path`.
pub(super) fn empty(path: &Path) -> anyhow::Result<Farm> {
    open(path).map(|(farm, _)| farm)
}

fn open(path: &Path) -> anyhow::Result<(Farm, Arc<Told>)> {
    let clock = Arc::new(Told(Mutex::new(Stamp {
        wall: BEGINS,
        clock: ClockQuality::Synced,
        boot: 0,
        mono: 10_000,
    })));
    let options = Options {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..Options::default()
    };
    Ok((Farm::open(path, options)?, clock))
}

impl Herd {
    /// All cows, each milked once: from then on what a site calls an animal and a stall is known.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let (farm, clock) = open(path)?;
        let cows = farm.write_blocking(Actor::CommandLine, |tx| {
            (0..COWS)
                .map(|n| {
                    let name = Name::new(&(1_000 + n).to_string())?;
                    let form = AnimalForm::new(name, AnimalStatus::Lactating);
                    let tag = Tag::Rfid(Rfid::new(50, n.unsigned_abs() * 7_919)?);
                    Ok((animals::register(tx, &form, Some(&tag), None)?, tag))
                })
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        let mut herd = Self {
            farm,
            clock,
            noise: Noise(5),
            cows,
        };
        herd.milk(0, TIMES)?;
        Ok(herd)
    }

    /// A day of all sessions.
    pub(super) fn milk_all_day(&mut self, day: i64) -> anyhow::Result<()> {
        (1..=TIMES).try_for_each(|number| self.milk(day, number))
    }

    fn milk(&mut self, day: i64, number: i64) -> anyhow::Result<()> {
        let mut order = self.cows.clone();
        for n in (1..order.len()).rev() {
            order.swap(n, usize::try_from(self.noise.below(n as i64 + 1))?);
        }
        let begins = BEGINS.plus(day * DAY_MS + (number - 1) * 7 * 3_600_000);
        self.clock.pass(begins.since(self.clock.now().wall).max(0));
        let session = SessionKey {
            date: FIRST_DAY.checked_add(jiff::ToSpan::days(day))?,
            number: u8::try_from(number)?,
        };
        for (animal, tag) in order {
            self.clock.pass(3_000 + self.noise.below(6_000));
            let visit = self.visit(animal, tag, session)?;
            // The next poll, and the commit.
            self.clock.pass(500 + self.noise.below(1_000));
            self.farm
                .write_blocking(Actor::System, move |tx| milkings::record(tx, visit))?;
        }
        Ok(())
    }

    /// As a parlour's meters tell it: hundredths of a litre, figures of quality averaged over the milk.
    fn visit(&mut self, animal: AnimalId, tag: Tag, session: SessionKey) -> anyhow::Result<Visit> {
        let stall = self.noise.below(STALLS);
        let mut about = |mean, spread| self.noise.about(mean, spread);
        let yield_ml = about(960, 250) * 10;
        let lasted = about(330_000, 70_000);
        let avg = yield_ml * 60_000 / (lasted - about(1_000, 900));
        // The wall clock is slewed all the time; the monotonic one is not.
        let drift = about(0, 2);
        let end = self.farm.clock().now();
        let start = Stamp {
            wall: end.wall.plus(-lasted),
            mono: end.mono.saturating_add_signed(-(lasted + drift)),
            ..end
        };
        Ok(Visit {
            id: VisitId::derive("meter", &format!("{animal} {}", end.wall.0)),
            start,
            end,
            session,
            stall: Some(Stall(u16::try_from(stall)?)),
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
            meter: Some(DeviceId::from_bytes([u8::try_from(stall)? + 100; 16])),
            recorded_by: None,
        })
    }

    /// What people and rules add on a day: so many events, and an alert for every third.
    pub(super) fn live_a_day(&mut self, events: i64) -> anyhow::Result<()> {
        for n in 0..events {
            self.clock.pass(60_000);
            let cow = self.cows[usize::try_from(self.noise.below(COWS))?].0;
            let body = match n % 3 {
                0 => EventBody::Heat,
                1 => EventBody::Insemination {
                    sire: "Sahiwal 12".into(),
                },
                _ => EventBody::Note {
                    text: "lame".into(),
                },
            };
            self.farm.write_blocking(Actor::System, move |tx| {
                events::record(tx, &NewEvent::now(cow, body))
            })?;
            if n % 3 == 0 {
                let detail = serde_json::json!({ "n": n });
                self.farm.write_blocking(Actor::System, move |tx| {
                    alerts::raise(tx, AlertKind::Health, Subject::Animal(cow), &detail)
                })?;
            }
        }
        Ok(())
    }
}
