//! Two edges and a hub with one farm, over a line that loses, doubles and delays, and at each the power may go at any moment.

use std::collections::BTreeMap;

use sync::{
    Sender, Site,
    exchange::Speak,
    store::Turn,
    wire::{Part, Stream},
};

use super::{Syncs, place, restart, seeds};
use crate::{
    replica::{
        samples::look_after,
        several::{self, Dice, Place, join, try_deliver, try_gather},
    },
    support::{HOUR, NOW},
};

const STEPS: u32 = 160;

/// What is on the line: to whom, from whom.
type Letter = (usize, Sender, Vec<Part>);

struct World {
    /// The hub and two edges.
    places: Vec<Place>,
    line: Vec<Letter>,
    cuts: u64,
}

impl World {
    fn new(syncs: Syncs) -> Self {
        let places: Vec<_> = (0..3).map(|_| place(syncs)).collect();
        for (n, place) in (0..).zip(&places) {
            let clock = farm_model::ClockQuality::Synced;
            place.clock.set(NOW.plus(n * 7_777), clock);
        }
        Self {
            places,
            line: Vec::new(),
            cuts: 0,
        }
    }

    fn step(&mut self, dice: &mut Dice) -> Result<(), String> {
        let n = dice.roll(3) as usize;
        match dice.roll(12) {
            0..=5 => self.places[n].work(dice),
            6..=7 => self.send(dice)?,
            8..=10 if !self.line.is_empty() => self.deliver(dice)?,
            _ => {
                let disk = self.places[n].disk.as_ref().expect("it is on a disk");
                disk.cut_after(dice.roll(60));
            }
        }
        for n in 0..3 {
            if self.places[n].is_off() {
                let place = self.places.remove(n);
                self.places.insert(n, restart(place, dice)?);
                self.cuts += 1;
                self.nobody_is_ahead()?;
            }
        }
        Ok(())
    }

    fn send(&mut self, dice: &mut Dice) -> Result<(), String> {
        let n = 1 + dice.roll(2) as usize;
        let (hub, edge) = (&self.places[0], &self.places[n]);
        let room = 1 << (4 + dice.roll(14));
        let (gathered, letter) = if dice.roll(2) == 0 {
            let gathered = try_gather(edge, hub, Speak::ForItself, room);
            (gathered, (0, Sender::Edge(edge.site)))
        } else {
            let gathered = try_gather(hub, edge, Speak::ForAll, room);
            (gathered, (n, Sender::Hub(hub.site)))
        };
        match gathered {
            Ok(parts) => self.line.push((letter.0, letter.1, parts)),
            Err(_) if hub.is_off() || edge.is_off() => {}
            Err(fault) => return Err(format!("nothing is sent: {fault:?}")),
        }
        Ok(())
    }

    fn deliver(&mut self, dice: &mut Dice) -> Result<(), String> {
        let at = dice.roll(self.line.len() as u64) as usize;
        let (to, sender, parts) = if dice.roll(3) == 0 {
            self.line[at].clone()
        } else {
            self.line.remove(at)
        };
        if dice.roll(5) == 0 {
            return Ok(());
        }
        let to = &self.places[to];
        match try_deliver(to, sender, parts) {
            Ok(turned) => match turned.verdicts.iter().find(|v| v.outcome.is_err()) {
                None => Ok(()),
                Some(refused) => Err(format!("refused: {refused:?}")),
            },
            Err(_) if to.is_off() => Ok(()),
            Err(fault) => Err(format!("nothing is taken: {fault:?}")),
        }
    }

    /// Nobody holds of a site what that site has lost: it would number other things so.
    fn nobody_is_ahead(&self) -> Result<(), String> {
        let mut heads: BTreeMap<Stream, i64> = BTreeMap::new();
        let mut held: Vec<(Site, Stream, i64)> = Vec::new();
        for place in &self.places {
            let Ok(turned) = several::try_turn(&place.farm, Turn::default()) else {
                // Its own turn to be cut comes first.
                return Ok(());
            };
            for head in turned.heads {
                let stream = Stream {
                    site: place.site,
                    name: head.stream,
                };
                heads.insert(stream, head.upto);
            }
            for have in turned.holdings {
                held.push((place.site, have.stream, have.mark.upto));
            }
        }
        for (at, stream, upto) in held {
            let head = heads.get(&stream).copied().unwrap_or(0);
            if upto > head {
                return Err(format!(
                    "{at} holds {stream:?} to {upto}; it goes to {head}"
                ));
            }
        }
        Ok(())
    }

    /// The power stays, the line is sound: all end the same.
    fn settle(&self) -> Result<(), String> {
        for place in &self.places {
            place.disk.as_ref().expect("it is on a disk").stay_on();
            // What was measured and not told yet when the power went is told.
            place.clock.pass(2 * HOUR);
            look_after(place);
        }
        let (hub, edges) = self.places.split_first().expect("three places");
        for _ in 0..2 {
            for edge in edges {
                join(edge, hub);
            }
        }
        self.nobody_is_ahead()?;
        let expected = hub.content();
        for edge in edges {
            for (here, there) in edge.content().iter().zip(&expected) {
                if here != there {
                    return Err(format!("an edge has {here:?}, the hub {there:?}"));
                }
            }
        }
        for place in &self.places {
            super::is_sound(place)?;
            place.write(farm::replica::rebuild).unwrap();
            if place.content() != expected {
                return Err("built anew it is something else".to_owned());
            }
        }
        Ok(())
    }
}

/// How often the power went.
fn live(seed: u64, syncs: Syncs) -> Result<u64, String> {
    let (mut dice, mut world) = (Dice(seed), World::new(syncs));
    for _ in 0..STEPS {
        world.step(&mut dice)?;
    }
    world.settle()?;
    Ok(world.cuts)
}

#[test]
fn places_that_lose_their_power_end_the_same() {
    let mut cuts = 0;
    for seed in seeds(8) {
        match live(seed, Syncs::Kept) {
            Ok(more) => cuts += more,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    assert!(cuts > 40, "the power went {cuts} times");
}

#[test]
fn a_place_whose_disk_ignores_syncs_is_found_out() {
    let found = (0..3).filter(|seed| live(*seed, Syncs::Ignored).is_err());
    assert_eq!(found.count(), 3, "the checks see a loss");
}
