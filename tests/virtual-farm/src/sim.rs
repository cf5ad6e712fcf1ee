//! The farm as it runs: cows come to the parlour, are milked, and go; tanks fill and cool.
//!
//! Pure: no clock, no I/O. Time moves in steps of [`STEP_MS`], however far [`Sim::advance`] is asked to go at once, so
//! the same seed, start and faults give the same farm at any speed. Invariant: a visit's yield in the truth is exactly
//! the pulses that its meter counted.

pub mod climate;
pub mod meter;
pub mod schedule;
pub mod tank;
pub mod visit;

use std::{collections::VecDeque, mem};

use crate::{
    fault::{Faults, Kind},
    herd::{Animal, Tags, herd},
    rng::Rng,
    sim::{
        climate::{Climate, Room},
        meter::{Meter, MilkQuality, PULSE_ML},
        schedule::{Schedule, Session, local_date},
        tank::{Cooling, Tanks},
        visit::{Guest, Visit},
    },
};

/// Stalls of the parlour.
pub const STALLS: u16 = 8;

/// Resolution of the simulation, in milliseconds.
pub const STEP_MS: i64 = 200;

/// How late a farm may start and still milk the session under way.
pub(crate) const JOIN_SESSION_MS: i64 = 2 * 3_600_000;

/// Modbus unit of the biogas instrument.
pub const BIOGAS_UNIT: u8 = 20;

/// What a farm is made from.
#[derive(Clone, PartialEq, Debug)]
pub struct Setup {
    /// Same seed, same farm.
    pub seed: u64,
    /// Cows in milk.
    pub cows: u32,
    /// First moment, milliseconds since 1970.
    pub start: i64,
    /// When milking begins.
    pub schedule: Schedule,
    /// When the next session begins.
    pub pace: Pace,
}

/// When the next session begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// At the time of the schedule.
    Scheduled,
    /// As soon as the parlour is empty.
    Always,
}

/// A milking as it truly was.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Milking {
    /// Number of the cow; none when nobody stood there.
    pub cow: Option<u32>,
    /// Her own tags, in the forms the store keeps.
    pub tags: Vec<String>,
    /// Stall, from 1.
    pub stall: u16,
    /// Session by the farm's schedule.
    pub session: Session,
    /// When milk began to flow, milliseconds since 1970.
    pub start: i64,
    /// When the cluster came off, likewise.
    pub end: i64,
    /// Yield in millilitres: the meter's pulses.
    pub yield_ml: i64,
    /// The meter's count of visits after this one.
    pub visit_count: u32,
}

/// A running farm.
#[derive(Clone, Debug)]
pub struct Sim {
    setup: Setup,
    herd: Vec<Animal>,
    rng: Rng,
    now: i64,
    stalls: Vec<Stall>,
    queue: VecDeque<usize>,
    next_session: i64,
    tanks: Tanks,
    climate: Climate,
    faults: Faults,
    finished: Vec<Milking>,
}

#[derive(Clone, Debug)]
struct Stall {
    number: u16,
    meter: Meter,
    stuck: Option<Vec<u16>>,
    bay: Bay,
}

#[derive(Clone, Debug)]
enum Bay {
    Empty {
        until: i64,
    },
    Taken {
        visit: Visit,
        counted: i64,
        milked: Milked,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Milked {
    Not,
    Done,
}

impl Sim {
    /// A farm with empty tanks, just before its first moment.
    pub fn new(setup: Setup) -> Self {
        let herd = herd(setup.seed, setup.cows, local_date(setup.start));
        let climate = Climate { seed: setup.seed };
        let mut rng = Rng::stream(setup.seed, "parlour");
        let stalls = (1..=STALLS)
            .map(|number| Stall {
                number,
                meter: used_meter(number, &mut rng),
                stuck: None,
                bay: Bay::Empty {
                    until: setup.start + i64::from(number) * 4_000,
                },
            })
            .collect();
        let (_, begun) = setup.schedule.session_at(setup.start);
        let next_session = match setup.pace {
            Pace::Scheduled if setup.start - begun > JOIN_SESSION_MS => {
                setup.schedule.next_after(setup.start).1
            }
            _ => setup.start,
        };
        let tanks = Tanks::new(
            setup.cows,
            climate.temperature(Room::MilkRoom, setup.start),
            setup.start,
        );
        let now = setup.start;
        Self {
            setup,
            herd,
            rng,
            now,
            stalls,
            queue: VecDeque::new(),
            next_session,
            tanks,
            climate,
            faults: Faults::default(),
            finished: Vec::new(),
        }
    }

    /// The farm with tanks in this state.
    #[must_use]
    pub fn with_tanks(mut self, tanks: Tanks) -> Self {
        self.tanks = tanks;
        self
    }

    /// Goes on to `to`, in steps; a time not later than the present does nothing.
    pub fn advance(&mut self, to: i64) {
        while self.now + STEP_MS <= to {
            self.now += STEP_MS;
            self.step();
        }
    }

    /// The present, milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What it was made from.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Every animal.
    pub fn herd(&self) -> &[Animal] {
        &self.herd
    }

    /// The weather and the digester.
    pub fn climate(&self) -> Climate {
        self.climate
    }

    /// The tanks.
    pub fn tanks(&self) -> &Tanks {
        &self.tanks
    }

    /// Faults ordered.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Faults ordered, to order more.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Takes the milkings that have ended since this was last asked.
    pub fn take_finished(&mut self) -> Vec<Milking> {
        mem::take(&mut self.finished)
    }

    /// The tags that the reader of `stall` can read now.
    pub fn tags_at(&self, stall: u16) -> Vec<Tags> {
        let Some(Bay::Taken { visit, .. }) =
            self.stalls.get(usize::from(stall) - 1).map(|s| &s.bay)
        else {
            return Vec::new();
        };
        let Guest::Cow(index) = visit.guest else {
            return Vec::new();
        };
        if self.now < visit.tag_from {
            return Vec::new();
        }
        let mut tags: Vec<Tags> = self.worn_by(index).into_iter().collect();
        if self.faults.any(
            self.now,
            |k| matches!(k, Kind::TwoTags(s) if s.is_none_or(|s| s == stall)),
        ) {
            tags.extend(self.worn_by((index + 1) % self.herd.len()));
        }
        tags
    }

    /// The transponders that hang from the ear of the animal at `index`, faults considered.
    fn worn_by(&self, index: usize) -> Option<Tags> {
        let number = self.herd[index].number;
        let mut wearer = number;
        for kind in self.faults.active(self.now) {
            match kind {
                Kind::MissingTag(n) if *n == number => return None,
                Kind::SwappedTags(a, b) if *a == number => wearer = *b,
                Kind::SwappedTags(a, b) if *b == number => wearer = *a,
                _ => {}
            }
        }
        self.herd
            .iter()
            .find(|a| a.number == wearer)
            .map(|a| a.tags)
    }

    /// The registers of Modbus unit `unit`: the meters of stalls 1 to 8, and the biogas instrument.
    ///
    /// `None` when there is no such unit or it does not answer.
    pub fn registers(&self, unit: u8) -> Option<Vec<u16>> {
        if self.faults.any(self.now, |k| *k == Kind::DeadSlave(unit)) {
            return None;
        }
        if unit == BIOGAS_UNIT {
            return Some(crate::wire::modbus::biogas_registers(
                &self.climate.biogas(self.now),
            ));
        }
        let stall = self.stalls.iter().find(|s| s.number == u16::from(unit))?;
        Some(
            stall
                .stuck
                .clone()
                .unwrap_or_else(|| stall.meter.registers(self.now)),
        )
    }

    fn step(&mut self) {
        self.begin_session();
        for kind in self.faults.take_events(self.now) {
            if let Kind::MeterRestart(number) = kind
                && let Some(stall) = self.stalls.iter_mut().find(|s| s.number == number)
            {
                stall.meter.restart(self.now);
            }
        }
        for index in 0..self.stalls.len() {
            self.step_stall(index);
        }
        if self.now.div_euclid(1_000) != (self.now - STEP_MS).div_euclid(1_000) {
            self.settle_tanks();
        }
    }

    fn begin_session(&mut self) {
        if self.now < self.next_session || !self.parlour_is_empty() {
            return;
        }
        let session = self.setup.schedule.session_at(self.now).0;
        let mut cows: Vec<usize> = (0..self.herd.len())
            .filter(|i| self.herd[*i].lactation_on(session.date).is_some())
            .collect();
        self.rng.shuffle(&mut cows);
        self.queue = cows.into();
        self.next_session = match self.setup.pace {
            Pace::Always => self.now,
            Pace::Scheduled => self.setup.schedule.next_after(self.now).1,
        };
    }

    fn parlour_is_empty(&self) -> bool {
        self.queue.is_empty()
            && self
                .stalls
                .iter()
                .all(|s| matches!(s.bay, Bay::Empty { .. }))
    }

    fn step_stall(&mut self, index: usize) {
        let now = self.now;
        let number = self.stalls[index].number;
        if let Bay::Empty { until } = self.stalls[index].bay {
            if now >= until {
                self.admit(index);
            }
        } else {
            self.milk(index);
        }
        let stuck = self.faults.any(now, |k| *k == Kind::StuckMeter(number));
        let stall = &mut self.stalls[index];
        match (stuck, &stall.stuck) {
            (true, None) => stall.stuck = Some(stall.meter.registers(now)),
            (false, Some(_)) => stall.stuck = None,
            _ => {}
        }
    }

    fn admit(&mut self, index: usize) {
        let number = self.stalls[index].number;
        let visit = if self.faults.take_milk_without_cow(number, self.now) {
            let quality = MilkQuality {
                conductivity: 4.9,
                fat: 3.9,
                snf: 8.6,
            };
            let yield_ml = self.rng.whole(200, 450) * PULSE_ML;
            Visit::plan(Guest::Nobody, self.now, yield_ml, quality, &mut self.rng)
        } else if let Some(cow) = self.queue.pop_front() {
            self.plan(cow)
        } else {
            return;
        };
        self.stalls[index].bay = Bay::Taken {
            visit,
            counted: 0,
            milked: Milked::Not,
        };
    }

    fn plan(&mut self, cow: usize) -> Visit {
        let animal = &self.herd[cow];
        let session = self.setup.schedule.session_at(self.now).0;
        let sessions = self.setup.schedule.minutes().len();
        let well_ml = animal.yield_ml(self.setup.seed, session.date, session.number, sessions);
        let (health, yield_ml) = match self
            .faults
            .any(self.now, |k| *k == Kind::SickCow(animal.number))
        {
            true => (Health::Sick, well_ml * 65 / 100 / PULSE_ML * PULSE_ML),
            false => (Health::Well, well_ml),
        };
        let quality = milk_quality(animal, session, health, &mut self.rng);
        Visit::plan(Guest::Cow(cow), self.now, yield_ml, quality, &mut self.rng)
    }

    fn milk(&mut self, index: usize) {
        let now = self.now;
        let stall = &mut self.stalls[index];
        let Bay::Taken {
            visit,
            counted,
            milked,
        } = &mut stall.bay
        else {
            return;
        };
        let pulses = visit.pulses(now) - *counted;
        *counted += pulses;
        stall.meter.see(visit.quality_at(now));
        if *milked == Milked::Not {
            stall
                .meter
                .count(pulses, visit.flow.flow_ml_min(now - visit.flow_from) as i64);
        }
        self.tanks.receive(pulses * PULSE_ML);
        if now >= visit.cluster_off && *milked == Milked::Not {
            *milked = Milked::Done;
            stall.meter.end_visit();
            let cow = match visit.guest {
                Guest::Cow(cow) => Some(&self.herd[cow]),
                Guest::Nobody => None,
            };
            self.finished.push(Milking {
                cow: cow.map(|c| c.number),
                tags: cow.map_or_else(Vec::new, |c| {
                    vec![c.tags.iso(), format!("em:{}", c.tags.em4100)]
                }),
                stall: stall.number,
                session: self.setup.schedule.session_at(visit.flow_from).0,
                start: visit.flow_from,
                end: visit.cluster_off,
                yield_ml: *counted * PULSE_ML,
                visit_count: stall.meter.visits(),
            });
        }
        if now >= visit.leave {
            stall.meter.see(None);
            stall.bay = Bay::Empty {
                until: now + self.rng.whole(10_000, 25_000),
            };
        }
    }

    fn settle_tanks(&mut self) {
        let cooling =
            [1, 2].map(
                |tank| match self.faults.any(self.now, |k| *k == Kind::WarmTank(tank)) {
                    true => Cooling::Failed,
                    false => Cooling::On,
                },
            );
        let room = self.climate.temperature(Room::MilkRoom, self.now);
        self.tanks.settle(self.now, 1.0, room, cooling);
    }
}

/// A meter that has been in use for years. That of the last stall is about to roll its total over.
fn used_meter(stall: u16, rng: &mut Rng) -> Meter {
    let total = if stall == STALLS {
        (i64::from(u32::MAX) - rng.whole(500, 2_500)) as u32
    } else {
        rng.whole(2_000_000, 90_000_000) as u32
    };
    Meter::new(total, rng.whole(4_000, 70_000) as u32)
}

/// How a cow feels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// As she should.
    Well,
    /// An inflamed quarter.
    Sick,
}

/// What a cow's milk is like in a session; a sick quarter lets salt into it.
pub fn milk_quality(
    animal: &Animal,
    session: Session,
    health: Health,
    rng: &mut Rng,
) -> MilkQuality {
    let Some(lactation) = animal.lactation_on(session.date) else {
        return MilkQuality {
            conductivity: 5.0,
            fat: 4.0,
            snf: 8.7,
        };
    };
    // Evening milk is richer: it comes after the shorter interval.
    let evening = if session.number > 1 { 0.3 } else { 0.0 };
    MilkQuality {
        conductivity: rng.around(
            lactation.conductivity + if health == Health::Sick { 1.9 } else { 0.0 },
            0.12,
        ),
        fat: rng.around(lactation.fat + evening, 0.2),
        snf: rng.around(lactation.snf, 0.1),
    }
}

#[cfg(test)]
mod tests;
