//! A farm of several edges and a hub in virtual time: the state machines of both sides over a line that loses, delays, doubles,
//! reorders, tears and forges, sites that start again with other clocks, and files that are restored from old copies. While it
//! runs and when it has come to rest, a checker holds it to what replication promises.
//!
//! Everything follows from the seed, which a failure names; `SYNC_SEEDS` and `SYNC_STEPS` look longer.

mod check;
mod files;
mod light;
mod world;

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use sync::{
    Site,
    store::{Fault, Turn, Turned},
    wire::Stream,
};

use crate::{dice::Dice, farm::Farm};
use light::Light;
use world::World;

/// A file that can be simulated.
pub(crate) trait Replica: Sized {
    fn new(dice: &mut Dice) -> Self;
    /// What a backup holds.
    fn copy(&self) -> Self;
    fn site(&self) -> Site;
    fn turn(&mut self, turn: &Turn) -> Result<Turned, Fault>;
    /// Writes something of its own; the number and value of the fact, if it was one.
    fn edit(&mut self, dice: &mut Dice) -> Option<(i64, i64)>;
    /// All facts here, by site and number.
    fn facts(&self) -> BTreeMap<(Site, i64), i64>;
    /// What must be the same everywhere in the end.
    fn content(&self) -> String;
    /// How much of each stream is here.
    fn held(&self) -> BTreeMap<Stream, i64>;
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |n| n.parse().expect("a number"))
}

/// Lives through a world for each seed and tells of them.
fn live<R: Replica>(seeds: Range<u64>, steps: u64) -> Vec<String> {
    let world = |seed| {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::<R>::new(seed);
            world.live(steps);
            world.settle();
            world.told()
        }));
        match lived {
            Ok(told) => format!("seed {seed}: {told}"),
            Err(_) => panic!("seed {seed}: the failure stands above"),
        }
    };
    seeds.map(world).collect()
}

/// A million steps in all, in two halves that run beside each other.
fn half(first: u64) -> String {
    let (seeds, steps) = (number("SYNC_SEEDS", 25), number("SYNC_STEPS", 20_000));
    live::<Light>(first * seeds..(first + 1) * seeds, steps).join("\n")
}

#[test]
fn half_a_million_steps_keep_every_promise() {
    println!("{}", half(0));
}

#[test]
fn the_other_half_keeps_every_promise() {
    println!("{}", half(1));
}

#[test]
fn the_real_extension_keeps_every_promise() {
    let told = live::<Farm>(0..number("SYNC_SEEDS", 3), number("SYNC_STEPS", 1_500));
    println!("{}", told.join("\n"));
}
