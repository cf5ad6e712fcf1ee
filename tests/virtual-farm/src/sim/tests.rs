//! The farm in time: the same seed is the same farm, and what is given is what was counted.

use super::*;
use crate::fault::Fault;

const START: &str = "2026-11-20T05:00:00+06:00";

fn setup(seed: u64, pace: Pace) -> Setup {
    let start = START.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    Setup {
        seed,
        cows: 60,
        start,
        schedule: Schedule::default(),
        pace,
    }
}

fn run(sim: &mut Sim, minutes: i64) -> Vec<Milking> {
    sim.advance(sim.now() + minutes * 60_000);
    sim.take_finished()
}

#[test]
fn a_seed_means_the_same_milkings_at_any_stride() {
    let mut one = Sim::new(setup(7, Pace::Scheduled));
    let mut other = Sim::new(setup(7, Pace::Scheduled));
    let leap = run(&mut one, 120);
    let mut strides = Vec::new();
    let end = other.now() + 120 * 60_000;
    while other.now() < end {
        other.advance((other.now() + 730).min(end));
        strides.extend(other.take_finished());
    }
    assert_eq!(leap, strides);
    assert_ne!(leap, run(&mut Sim::new(setup(8, Pace::Scheduled)), 120));
}

#[test]
fn a_session_milks_every_cow_once_and_then_rests() {
    let mut sim = Sim::new(setup(1, Pace::Scheduled));
    let morning = run(&mut sim, 180);
    let mut cows: Vec<_> = morning.iter().map(|m| m.cow).collect();
    cows.sort_unstable();
    cows.dedup();
    assert_eq!((morning.len(), cows.len()), (60, 60));
    assert!(
        morning
            .iter()
            .all(|m| m.session.number == 1 && m.end > m.start)
    );
    let hours = (morning.iter().map(|m| m.end).max().unwrap() - sim.setup().start) as f64 / 3.6e6;
    assert!((0.5..1.6).contains(&hours), "{hours} h");
    assert_eq!(run(&mut sim, 7 * 60), []);
    let evening = run(&mut sim, 4 * 60);
    assert_eq!(evening.len(), 60);
    assert!(evening.iter().all(|m| m.session.number == 2));
}

#[test]
fn always_milking_never_rests() {
    let mut sim = Sim::new(setup(1, Pace::Always));
    assert!(run(&mut sim, 10 * 60).len() > 300);
}

#[test]
fn a_meter_counts_what_the_cows_gave() {
    let mut sim = Sim::new(setup(3, Pace::Scheduled));
    let before: Vec<_> = sim
        .stalls
        .iter()
        .map(|s| (s.meter.total(), s.meter.visits()))
        .collect();
    let milkings = run(&mut sim, 180);
    for (stall, (total, visits)) in sim.stalls.iter().zip(before) {
        let here: Vec<_> = milkings
            .iter()
            .filter(|m| m.stall == stall.number)
            .collect();
        let ml: i64 = here.iter().map(|m| m.yield_ml).sum();
        assert_eq!(
            i64::from(stall.meter.total().wrapping_sub(total)) * PULSE_ML,
            ml
        );
        assert_eq!(stall.meter.visits() - visits, here.len() as u32);
        let counts: Vec<_> = here.iter().map(|m| m.visit_count).collect();
        assert!(
            counts
                .iter()
                .zip(visits + 1..)
                .all(|(count, n)| *count == n),
            "{counts:?}"
        );
    }
    let litres = milkings.iter().map(|m| m.yield_ml).sum::<i64>() as f64 / 1000.0;
    let in_tanks: f64 = sim.tanks().tanks.iter().map(|t| t.milk_l).sum();
    assert!(
        (litres - in_tanks).abs() < 0.001,
        "{litres} given, {in_tanks} in the tanks"
    );
}

#[test]
fn a_tag_shows_while_its_cow_stands_there() {
    let mut sim = Sim::new(setup(4, Pace::Scheduled));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3_600 {
        sim.advance(sim.now() + 2_000);
        for stall in 1..=STALLS {
            let tags = sim.tags_at(stall);
            assert!(tags.len() <= 1);
            seen.extend(tags.iter().map(Tags::iso));
        }
    }
    let milked: std::collections::BTreeSet<_> = sim
        .take_finished()
        .into_iter()
        .map(|m| m.tags[0].clone())
        .collect();
    assert_eq!(seen, milked);
}

#[test]
fn faults_reach_the_cows() {
    let well = run(&mut Sim::new(setup(5, Pace::Scheduled)), 180);
    let number = well[0].cow.unwrap();
    let mut sim = Sim::new(setup(5, Pace::Scheduled));
    for order in [
        format!("sick-cow:{number}"),
        format!("missing-tag:{number}"),
        "milk-without-cow:2@+20m".to_owned(),
    ] {
        let fault = Fault::parse(&order, sim.now()).unwrap();
        sim.faults_mut().order(fault);
    }
    let mut tags = Vec::new();
    let mut milkings = Vec::new();
    while milkings.len() < 61 {
        sim.advance(sim.now() + 10_000);
        milkings.extend(sim.take_finished());
        tags.extend((1..=STALLS).flat_map(|s| sim.tags_at(s)));
        assert!(sim.now() < sim.setup().start + 3 * 3_600_000);
    }
    let sick = milkings.iter().find(|m| m.cow == Some(number)).unwrap();
    assert!(
        (sick.yield_ml - well[0].yield_ml * 65 / 100).abs() <= 10,
        "{sick:?}"
    );
    assert!(!tags.iter().any(|t| t.iso() == sick.tags[0]));
    let nobody: Vec<_> = milkings.iter().filter(|m| m.cow.is_none()).collect();
    assert_eq!((nobody.len(), nobody[0].stall), (1, 2));
}

#[test]
fn the_last_stalls_total_rolls_over_in_its_first_session() {
    let mut sim = Sim::new(setup(3, Pace::Scheduled));
    let before = sim.stalls[7].meter.total();
    run(&mut sim, 180);
    assert!(sim.stalls[7].meter.total() < before);
}

#[test]
fn tags_can_be_swapped_and_doubled() {
    let numbers = |sim: &Sim, stall| -> Vec<u32> {
        let owner = |t: &Tags| sim.herd().iter().find(|a| a.tags == *t).map(|a| a.number);
        sim.tags_at(stall).iter().filter_map(owner).collect()
    };
    let mut sim = Sim::new(setup(4, Pace::Scheduled));
    sim.advance(sim.now() + 150_000);
    let (one, other) = (numbers(&sim, 1)[0], numbers(&sim, 2)[0]);
    let order = |sim: &mut Sim, text: &str| {
        let fault = Fault::parse(text, sim.now()).unwrap();
        sim.faults_mut().order(fault);
    };
    order(&mut sim, &format!("swapped-tags:{one},{other}"));
    assert_eq!(
        (numbers(&sim, 1), numbers(&sim, 2)),
        (vec![other], vec![one])
    );
    sim.faults_mut().clear();
    order(&mut sim, "two-tags:2");
    assert_eq!((numbers(&sim, 1).len(), numbers(&sim, 2).len()), (1, 2));
}

#[test]
fn a_warm_tank_warms_while_the_other_stays_cool() {
    let past = crate::provision::history(&setup(1, Pace::Scheduled), 2);
    let mut sim = Sim::new(setup(1, Pace::Scheduled)).with_tanks(past.tanks);
    let fault = Fault::parse("warm-tank:1", sim.now()).unwrap();
    sim.faults_mut().order(fault);
    sim.advance(sim.now() + 3 * 3_600_000);
    let [warm, cool] = sim.tanks().tanks;
    assert!(warm.celsius > 10.0, "{warm:?}");
    assert!(cool.milk_l < 1.0 || cool.celsius < 8.0, "{cool:?}");
}

#[test]
fn a_stuck_meter_stays_and_a_dead_one_is_silent() {
    let mut sim = Sim::new(setup(6, Pace::Always));
    sim.advance(sim.now() + 180_000);
    for order in [
        "stuck-meter:1@now+10m",
        "dead-slave:2@now+10m",
        "meter-restart:3",
    ] {
        let fault = Fault::parse(order, sim.now()).unwrap();
        sim.faults_mut().order(fault);
    }
    sim.advance(sim.now() + STEP_MS);
    let held = sim.registers(1).unwrap();
    assert_eq!(sim.registers(3).unwrap()[0], 1);
    sim.advance(sim.now() + 60_000);
    assert_eq!(sim.registers(1).unwrap(), held);
    assert_eq!(sim.registers(2), None);
    assert!(sim.stalls[2].meter.total() < 1_000);
    sim.advance(sim.now() + 600_000);
    assert_ne!(sim.registers(1).unwrap(), held);
    assert!(sim.registers(2).is_some());
    assert_eq!(sim.registers(9), None);
}
