//! A file of an older version, and a new one: the power goes while they are made ready, and they are made ready all the same.

use std::path::Path;

use disk::Disk;
use farm::StoreError;
use rusqlite::Connection;
use sync::{Sender, exchange, exchange::Speak};
use tempfile::TempDir;

use super::seeds;
use crate::{
    replica::several::{Dice, Place, gather},
    support::{HandClock, try_open},
    versions::VERSION_9,
};

/// What is in the folder to begin with.
type Before<'a> = &'a dyn Fn(&Path);

fn nothing(_: &Path) {}

fn of_version_9(folder: &Path) {
    let conn = Connection::open(folder.join("farm.db")).unwrap();
    conn.execute_batch(VERSION_9).unwrap();
}

/// Opens it through several cuts; what is in it then, without the identity of the site, and how many steps it took at the last.
fn open(
    before: Before<'_>,
    mut cut: impl FnMut() -> Option<u64>,
    dice: &mut Dice,
) -> (String, u64) {
    let mut dir = TempDir::new().unwrap();
    before(dir.path());
    let mut disk = Disk::new(dir.path());
    let clock = HandClock::synced();
    for _ in 0..6 {
        let Some(steps) = cut() else { break };
        disk.cut_after(steps);
        drop(try_open(disk.folder(), &clock));
        let next = TempDir::new().unwrap();
        disk = disk.power_on(&mut |sides| dice.roll(sides), next.path());
        dir = next;
    }
    let farm = try_open(disk.folder(), &clock).unwrap();
    let steps = disk.steps();
    let place = Place::of(farm, clock, dir, Some(disk));
    super::is_sound(&place).unwrap();
    let said = place.cells(&place);
    let content = format!("{:?} {said}", place.content());
    let site = place.site.to_string().to_uppercase();
    (content.replace(&site, "here"), steps)
}

fn is_made_ready(before: Before<'_>) -> String {
    let (expected, steps) = open(before, || None, &mut Dice(0));
    for seed in seeds(12) {
        let (mut dice, mut cuts) = (Dice(seed), Dice(seed ^ 0x5eed));
        let (content, _) = open(before, || Some(cuts.roll(steps)), &mut dice);
        assert_eq!(content, expected, "seed {seed}");
    }
    expected
}

#[test]
fn an_old_file_is_brought_up_to_date_through_cuts() {
    is_made_ready(&of_version_9);
}

#[test]
fn a_new_file_is_made_through_cuts() {
    is_made_ready(&nothing);
}

#[test]
fn what_waited_for_an_update_is_taken_through_cuts() {
    let (edge, hub) = (Place::new(), Place::new());
    let mut dice = Dice(5);
    for _ in 0..60 {
        edge.work(&mut dice);
    }
    // The hub does not know two of the logs yet, and keeps what comes of them aside.
    let mut older = (*hub.farm.replicated()).clone();
    older.logs.remove("milking");
    older.logs.remove("audit");
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 24);
    let sender = Sender::Edge(edge.site);
    hub.write(move |tx| {
        sync::site::register(tx.conn(), sender.site()).map_err(StoreError::from)?;
        exchange::take(tx.conn(), &older, sender, &parts).map_err(StoreError::from)?;
        tx.conn().execute("UPDATE local SET replayed = 0", [])?;
        Ok::<_, StoreError>(())
    })
    .unwrap();
    let Place { farm, dir, .. } = hub;
    drop(farm);
    let before = |folder: &Path| {
        std::fs::copy(dir.path().join("farm.db"), folder.join("farm.db")).unwrap();
    };
    let content = is_made_ready(&before);
    let milkings = &edge.content()[9];
    assert_eq!(milkings.0, "milking");
    assert!(!milkings.1.is_empty());
    for row in &milkings.1 {
        assert!(content.contains(&format!("{row:?}")), "{row}");
    }
}
