//! What the farm did before it started: milkings, sensors, and the tanks as they stand.
//!
//! The weather is a function of time and a cow's milk one of the date, so that the history needs no simulation but that
//! of the tanks, and ends where the live farm begins.

use crate::{
    herd::{Animal, herd},
    rng::Rng,
    sim::{
        Health, JOIN_SESSION_MS, Pace, STALLS, Setup,
        climate::{Climate, Room},
        milk_quality,
        schedule::{DAY_MS, Session, local_date, shifted},
        tank::{Cooling, Tanks},
    },
};

const HOUR_MS: i64 = 3_600_000;

/// Time between two readings of a sensor in the last week.
const FINE_MS: i64 = 300_000;

/// Days of fine readings.
const FINE_DAYS: i64 = 7;

/// Time from one cow to the next in a stall.
const TURN_MS: i64 = 450_000;

/// Longest session.
const SESSION_MS: i64 = 5 * HOUR_MS;

/// Resolution of the tanks.
const STEP_MS: i64 = 60_000;

/// A milking of the past.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct PastMilking {
    /// Number of the cow.
    pub animal: String,
    /// Session.
    pub session: Session,
    /// When milk began, milliseconds since 1970.
    pub start: i64,
    /// When it ended, likewise.
    pub end: i64,
    /// Millilitres.
    pub yield_ml: i64,
    /// Stall.
    pub stall: u16,
    /// Mean flow, mL/min.
    pub avg_flow_ml_min: i64,
    /// Highest flow, mL/min.
    pub peak_flow_ml_min: i64,
    /// mS/cm.
    pub conductivity: f64,
    /// Percent.
    pub fat: f64,
    /// Percent.
    pub snf: f64,
}

/// A reading of the past.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct PastReading {
    /// Slug of the device.
    pub device: &'static str,
    /// What it measured.
    pub quantity: &'static str,
    /// In whole units.
    pub value: f64,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// The farm's past.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    /// Milkings, oldest first.
    pub milkings: Vec<PastMilking>,
    /// Readings, oldest first.
    pub readings: Vec<PastReading>,
    /// The tanks as they stand at the start.
    pub tanks: Tanks,
}

/// The `days` days before the farm of `setup` starts.
///
/// Only sessions that were over by then are told; the live farm milks the others.
pub fn history(setup: &Setup, days: u32) -> History {
    let (from, until) = (setup.start - i64::from(days) * DAY_MS, setup.start);
    let herd = herd(setup.seed, setup.cows, local_date(setup.start));
    let mut milkings = Vec::new();
    let mut date = local_date(from);
    while date <= local_date(until) {
        for (session, start) in setup.schedule.day(date) {
            let over = match setup.pace {
                Pace::Scheduled => start + JOIN_SESSION_MS,
                Pace::Always => setup.schedule.next_after(start).1,
            };
            if start >= from && over <= until {
                session_milkings(setup, &herd, session, start, &mut milkings);
            }
        }
        date = shifted(date, 1);
    }
    milkings.retain(|m| m.end < until);
    milkings.sort_by_key(|m| m.end);
    let (readings, tanks) = readings(setup, &milkings, from);
    History {
        milkings,
        readings,
        tanks,
    }
}

fn session_milkings(
    setup: &Setup,
    herd: &[Animal],
    session: Session,
    start: i64,
    out: &mut Vec<PastMilking>,
) {
    let (seed, sessions) = (setup.seed, setup.schedule.minutes().len());
    let mut rng = Rng::keyed(
        seed,
        &[
            crate::herd::ordinal(session.date),
            session.number.into(),
            TURN_MS,
        ],
    );
    let mut cows: Vec<&Animal> = herd
        .iter()
        .filter(|a| a.lactation_on(session.date).is_some())
        .collect();
    rng.shuffle(&mut cows);
    // What a large herd could not pass through eight stalls in time is told closer together.
    let turns = cows.len().div_ceil(STALLS.into()).max(1) as i64;
    let turn_ms = TURN_MS.min(SESSION_MS / turns);
    for (turn, cow) in cows.into_iter().enumerate() {
        let stall = (turn % usize::from(STALLS)) as u16 + 1;
        let yield_ml = cow.yield_ml(seed, session.date, session.number, sessions);
        let begin = start
            + (turn / usize::from(STALLS)) as i64 * turn_ms
            + i64::from(stall) * 4_000
            + rng.whole(40_000, 70_000);
        let lasts = (((2.6 + yield_ml as f64 / 2_600.0) + rng.between(-0.4, 0.4)).clamp(4.0, 6.2)
            * 60_000.0) as i64;
        let avg = yield_ml * 60_000 / lasts;
        let quality = milk_quality(cow, session, Health::Well, &mut rng);
        out.push(PastMilking {
            animal: cow.number.to_string(),
            session,
            start: begin,
            end: begin + lasts,
            yield_ml,
            stall,
            avg_flow_ml_min: avg,
            peak_flow_ml_min: (avg as f64 * rng.between(1.25, 1.45)) as i64,
            conductivity: hundredths(quality.conductivity),
            fat: hundredths(quality.fat),
            snf: hundredths(quality.snf),
        });
    }
}

fn readings(setup: &Setup, milkings: &[PastMilking], from: i64) -> (Vec<PastReading>, Tanks) {
    let climate = Climate { seed: setup.seed };
    let mut tanks = Tanks::new(setup.cows, climate.temperature(Room::MilkRoom, from), from);
    let mut milkings = milkings.iter().peekable();
    let fine_from = setup.start - FINE_DAYS * DAY_MS;
    let mut out = Vec::new();
    let mut at = from - from.rem_euclid(STEP_MS);
    while at < setup.start {
        while let Some(milking) = milkings.next_if(|m| m.end <= at) {
            tanks.receive(milking.yield_ml);
        }
        tanks.settle(
            at,
            STEP_MS as f64 / 1000.0,
            climate.temperature(Room::MilkRoom, at),
            [Cooling::On; 2],
        );
        let every = if at >= fine_from { FINE_MS } else { HOUR_MS };
        if at >= from && at.rem_euclid(every) == 0 {
            sample(climate, &tanks, at, &mut out);
        }
        at += STEP_MS;
    }
    (out, tanks)
}

/// One reading of each sensor.
fn sample(climate: Climate, tanks: &Tanks, at: i64, out: &mut Vec<PastReading>) {
    let mut say = |device, quantity, value: f64| {
        out.push(PastReading {
            device,
            quantity,
            value: hundredths(value),
            at,
        });
    };
    for (device, room) in [
        ("barn-a-mqtt", Room::Barn),
        ("milk-room-mqtt", Room::MilkRoom),
        ("yard-mqtt", Room::Yard),
    ] {
        say(device, "temperature", climate.temperature(room, at));
        say(device, "humidity", climate.humidity(room, at));
    }
    for (node, probe, tank) in [
        ("tank-1-mqtt", "tank-1-probe", tanks.tanks[0]),
        ("tank-2-mqtt", "tank-2-probe", tanks.tanks[1]),
    ] {
        say(node, "level", tank.level());
        say(node, "temperature", tank.celsius);
        say(probe, "temperature", tank.celsius);
    }
    say(
        "barn-probe",
        "temperature",
        climate.temperature(Room::Barn, at),
    );
    say(
        "cooler-probe",
        "temperature",
        climate.temperature(Room::Cooler, at),
    );
    let gas = climate.biogas(at);
    say("digester-gas", "methane", gas.methane);
    say("digester-gas", "carbon_dioxide", gas.carbon_dioxide);
    say("digester-gas", "pressure", gas.pressure_kpa);
    say("digester-gas", "gas_flow", gas.flow_m3_h);
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schedule::Schedule;

    fn setup(start: &str) -> Setup {
        let start = start.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        Setup {
            seed: 1,
            cows: 60,
            start,
            schedule: Schedule::default(),
            pace: Pace::Scheduled,
        }
    }

    #[test]
    fn a_quarter_of_a_year_has_what_it_should() {
        let setup = setup("2026-11-20T05:00:00+06:00");
        let past = history(&setup, 90);
        assert!(
            (7_000..12_000).contains(&past.milkings.len()),
            "{}",
            past.milkings.len()
        );
        assert!(
            past.milkings
                .iter()
                .all(|m| m.end < setup.start && m.end > m.start && m.yield_ml > 0)
        );
        let series = past
            .readings
            .iter()
            .filter(|r| r.at == past.readings[0].at)
            .count();
        assert_eq!(series, 18);
        assert_eq!(past.readings.len(), series * (83 * 24 + 7 * 288));
        assert!(
            past.readings.is_sorted_by_key(|r| r.at)
                && past
                    .readings
                    .iter()
                    .all(|r| r.at < setup.start && r.value.is_finite())
        );
        assert!(
            past.tanks.tanks[0].celsius < 5.0 && past.tanks.tanks[0].milk_l > 50.0,
            "{:?}",
            past.tanks
        );
    }

    #[test]
    fn a_session_that_the_live_farm_milks_is_not_in_the_past() {
        let morning = history(&setup("2026-11-20T05:00:00+06:00"), 1).milkings;
        let later = history(&setup("2026-11-20T06:00:00+06:00"), 1).milkings;
        let last = |m: &[PastMilking]| m.last().map(|m| m.session.number);
        assert_eq!((last(&morning), last(&later)), (Some(2), Some(2)));
        assert_eq!(
            last(&history(&setup("2026-11-20T12:00:00+06:00"), 1).milkings),
            Some(1)
        );
        assert_eq!(
            last(&history(&setup("2026-11-20T16:00:00+06:00"), 1).milkings),
            Some(1)
        );
        assert!(
            history(&setup("2026-11-20T05:00:00+06:00"), 0)
                .milkings
                .is_empty()
        );
    }
}
