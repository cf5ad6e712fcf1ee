//! The power is cut, again and again, on a disk that loses what was not synced: whatever was acknowledged is there afterwards, what was
//! under way is there whole or not at all, and the file is sound.
//!
//! Everything follows from the seed, which a failure names; `SYNC_SEEDS` looks longer. With a disk that lies about its syncs the same
//! checks must fail, or they would see nothing.

mod alone;
mod apart;
mod upgrade;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use disk::Disk;
use farm::StoreError;
use tempfile::TempDir;

use crate::{
    replica::several::{Dice, Place},
    support::{HandClock, try_open},
};

/// How the disk takes a sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syncs {
    Kept,
    Ignored,
}

/// Worlds for each test.
fn seeds(or: u64) -> std::ops::Range<u64> {
    0..std::env::var("SYNC_SEEDS").map_or(or, |n| n.parse().unwrap())
}

/// A place whose power may be cut.
fn place(syncs: Syncs) -> Place {
    let (dir, clock) = (TempDir::new().unwrap(), HandClock::synced());
    let disk = Disk::new(dir.path());
    if syncs == Syncs::Ignored {
        disk.lie();
    }
    let farm = try_open(disk.folder(), &clock).unwrap();
    Place::of(farm, clock, dir, Some(disk))
}

/// Ends one life of a place and begins the next, which may be short: the power is cut while it starts, too. What must have been kept
/// is compared.
fn restart(place: Place, dice: &mut Dice) -> Result<Place, String> {
    let before = State::of(&place);
    let Place {
        farm,
        clock,
        dir,
        disk,
        ..
    } = place;
    let mut disk = disk.expect("it is on a disk");
    drop((farm, dir));
    let (farm, dir) = loop {
        let next = TempDir::new().unwrap();
        disk = disk.power_on(&mut |sides| dice.roll(sides), next.path());
        if dice.roll(3) == 0 {
            disk.cut_after(dice.roll(12));
        }
        match try_open(disk.folder(), &clock) {
            Ok(farm) if !disk.is_off() => break (farm, next),
            Err(error) if !disk.is_off() => return Err(format!("it does not open: {error:?}")),
            _ => {}
        }
    };
    disk.stay_on();
    let place = Place::of(farm, Arc::clone(&clock), dir, Some(disk));
    before.is_kept(&place)?;
    Ok(place)
}

/// What a file holds, and how far each stream goes in it.
struct State {
    content: Vec<(String, Vec<String>)>,
    heads: BTreeMap<(String, String), i64>,
}

/// Logs: their rows never change.
const FACTS: [&str; 4] = ["animal_event", "milking", "audit", "sample"];

/// What follows from facts in a transaction after the one that took them: a start goes on with it.
const FOLLOWED: &str = "sample_series WHERE spelt > 0";

/// Up to where each stream is said to be held, and what is there of each.
const HEADS: &str = "
    SELECT (SELECT hex(id) FROM sync_site WHERE ordinal = site), stream || ' mark', upto FROM sync_mark
    UNION ALL SELECT hex(site_id), 'records', db_version FROM crsql_db_versions
    UNION ALL SELECT (SELECT hex(id) FROM sync_site WHERE ordinal = site), 'animal_event', max(seq) FROM animal_event GROUP BY site
    UNION ALL SELECT (SELECT hex(id) FROM sync_site WHERE ordinal = site), 'milking', max(seq) FROM milking GROUP BY site
    UNION ALL SELECT (SELECT hex(id) FROM sync_site WHERE ordinal = site), 'audit', max(seq) FROM audit GROUP BY site
    UNION ALL SELECT (SELECT hex(id) FROM sync_site WHERE ordinal = site), 'sample', max(seq) FROM sample GROUP BY site";

impl State {
    fn of(place: &Place) -> Self {
        let heads = place.farm.read_blocking(|conn| {
            let mut read = conn.prepare(HEADS)?;
            let heads = read.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
            Ok::<_, StoreError>(heads.collect::<Result<_, _>>()?)
        });
        Self {
            content: place.content(),
            heads: heads.unwrap(),
        }
    }

    fn is_kept(&self, place: &Place) -> Result<(), String> {
        is_sound(place)?;
        let after = Self::of(place);
        for (stream, head) in &self.heads {
            let now = after.heads.get(stream).copied().unwrap_or(0);
            if now < *head {
                return Err(format!("{stream:?} went to {head} and goes to {now}"));
            }
        }
        for ((table, before), (_, after)) in self.content.iter().zip(&after.content) {
            let after: BTreeSet<_> = after.iter().collect();
            let lost = before.iter().find(|row| !after.contains(row));
            if (FACTS.contains(&table.as_str()) || table == FOLLOWED)
                && let Some(lost) = lost
            {
                return Err(format!("{table} has lost {lost}"));
            }
        }
        if self.heads == after.heads {
            // A series of readings has a number before anything of it is told.
            let mut both = self.content.iter().zip(&after.content);
            let other = both.find(|(before, after)| before != after && before.0 != FOLLOWED);
            if let Some((before, after)) = other {
                return Err(format!("{before:#?} is now {after:#?}"));
            }
        } else {
            // What was under way has come through: then all of it has.
            place.write(farm::replica::rebuild).unwrap();
            if place.content() != after.content {
                return Err("part of a command was kept".to_owned());
            }
        }
        Ok(())
    }
}

/// SQLite's own check, and each mark against what is there: a log is held from its first fact to its mark, and no further.
fn is_sound(place: &Place) -> Result<(), String> {
    let read = place.farm.read_blocking(|conn| {
        let verdict: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let mut wrong = Vec::new();
        for log in FACTS {
            let sql = format!(
                "SELECT site, upto, (SELECT count(*) FROM {log} f WHERE f.site = m.site),
                    (SELECT max(seq) FROM {log} f WHERE f.site = m.site)
                 FROM sync_mark m WHERE stream = '{log}' AND site > 0"
            );
            let mut marks = conn.prepare(&sql)?;
            let mut rows = marks.query([])?;
            while let Some(row) = rows.next()? {
                let (site, upto): (i64, i64) = (row.get(0)?, row.get(1)?);
                let (count, last): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
                if count != upto || last != Some(upto) {
                    wrong.push(format!(
                        "{log} of {site} is held to {upto}; {count} facts are there, to {last:?}"
                    ));
                }
            }
        }
        Ok::<_, StoreError>((verdict, wrong))
    });
    match read {
        Ok((verdict, wrong)) if verdict == "ok" && wrong.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
