//! One place.

use std::collections::BTreeMap;

use farm::{Actor, StoreError};

use super::{Syncs, place, restart, seeds};
use crate::replica::several::{Dice, Place};

const CUTS: u32 = 12;
/// Marks the commands whose answers are compared with what is there afterwards.
const TOKEN: &str = "test.power";

/// Commands that are given at once, so that they share commits; those that were acknowledged, by the number of their fact.
fn burst(place: &Place, dice: &mut Dice, next: &mut u64) -> BTreeMap<i64, u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let tokens = *next..*next + 1 + dice.roll(6);
    *next = tokens.end;
    runtime.block_on(async {
        let commands: Vec<_> = tokens
            .map(|token| {
                let farm = place.farm.clone();
                tokio::spawn(async move {
                    let told = farm.write(Actor::System, move |tx| {
                        tx.audit(TOKEN, &token.to_string(), None)
                    });
                    let done: Result<_, StoreError> = told.await;
                    done.map(|fact| (fact.seq, token))
                })
            })
            .collect();
        let mut acknowledged = BTreeMap::new();
        for command in commands {
            acknowledged.extend(command.await.unwrap());
        }
        acknowledged
    })
}

fn tokens(place: &Place) -> BTreeMap<i64, u64> {
    place
        .farm
        .read_blocking(|conn| {
            let mut read =
                conn.prepare("SELECT seq, CAST(subject AS INTEGER) FROM audit WHERE action = ?1")?;
            let rows = read.query_map([TOKEN], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
            })?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap()
}

/// Works through a dozen cuts.
fn live(seed: u64, syncs: Syncs) -> Result<(), String> {
    let mut dice = Dice(seed);
    let mut place = place(syncs);
    let (mut acknowledged, mut next) = (BTreeMap::new(), 0);
    for _ in 0..CUTS {
        let disk = place.disk.as_ref().expect("it is on a disk");
        disk.cut_after(dice.roll(120));
        while !place.is_off() {
            if dice.roll(3) == 0 {
                acknowledged.extend(burst(&place, &mut dice, &mut next));
            } else {
                place.work(&mut dice);
            }
        }
        place = restart(place, &mut dice)?;
        let there = tokens(&place);
        for (seq, token) in &acknowledged {
            if there.get(seq) != Some(token) {
                return Err(format!("{token} was acknowledged as fact {seq}"));
            }
        }
        let mut once: Vec<_> = there.values().collect();
        once.sort_unstable();
        if once.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a command was done twice".to_owned());
        }
        acknowledged = there;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_outlives_each_cut() {
    for seed in seeds(10) {
        if let Err(what) = live(seed, Syncs::Kept) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn a_disk_that_ignores_syncs_is_found_out() {
    let found = (0..4).filter(|seed| live(*seed, Syncs::Ignored).is_err());
    assert_eq!(found.count(), 4, "the checks see a loss");
}
