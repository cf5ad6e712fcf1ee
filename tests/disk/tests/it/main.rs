//! What the disk keeps and what it may lose, as SQLite sees it.
#![expect(clippy::unwrap_used, reason = "tests fail at once and with the line")]

use disk::Disk;
use rusqlite::Connection;
use tempfile::TempDir;

/// SplitMix64 (Steele, Lea and Flood 2014): a cut is told by its seed alone.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |sides| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn open(disk: &Disk, mode: &str, synchronous: &str) -> rusqlite::Result<Connection> {
    let conn = Connection::open(disk.folder().join("file.db"))?;
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = {mode}; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 4;
         CREATE TABLE IF NOT EXISTS row (n INTEGER PRIMARY KEY, filler BLOB)"
    ))?;
    Ok(conn)
}

/// Rows that were there when the power went, and those that are there afterwards; `None` when the file is damaged.
fn live(seed: u64, mode: &str, synchronous: &str, lie: bool) -> (i64, Option<i64>) {
    let mut roll = dice(seed);
    let (dir, next) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let disk = Disk::new(dir.path());
    if lie {
        disk.lie();
    }
    disk.cut_after(roll(60));
    let mut acknowledged = 0;
    if let Ok(conn) = open(&disk, mode, synchronous) {
        let insert = "INSERT INTO row (filler) VALUES (randomblob(3000))";
        while conn.execute(insert, []).is_ok() {
            acknowledged += 1;
        }
    }
    assert!(disk.is_off());
    let disk = disk.power_on(&mut roll, next.path());
    let read = || {
        let conn = open(&disk, mode, synchronous)?;
        let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let kept = conn.query_row("SELECT count(*) FROM row", [], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>((sound == "ok").then_some(kept))
    };
    (acknowledged, read().unwrap_or(None))
}

#[test]
fn what_was_synced_is_kept() {
    for seed in 0..100 {
        for (mode, synchronous) in [("WAL", "FULL"), ("DELETE", "EXTRA")] {
            let (acknowledged, kept) = live(seed, mode, synchronous, false);
            let kept = kept.unwrap_or_else(|| panic!("seed {seed}, {mode}: damaged"));
            let bound = acknowledged..=acknowledged + 1;
            assert!(
                bound.contains(&kept),
                "seed {seed}, {mode}: {kept} of {bound:?}"
            );
        }
    }
}

/// How many of a hundred cuts lost or damaged something.
fn lost(mode: &str, synchronous: &str, lie: bool) -> usize {
    let cuts = (0..100).map(|seed| live(seed, mode, synchronous, lie));
    cuts.filter(|(acknowledged, kept)| kept.is_none_or(|kept| kept < *acknowledged))
        .count()
}

#[test]
fn what_was_not_synced_gets_lost() {
    let unsynced = lost("WAL", "OFF", false);
    let sloppy = lost("WAL", "NORMAL", false);
    let lied = lost("WAL", "FULL", true);
    assert!(
        unsynced > 30 && sloppy > 10 && lied > 30,
        "{unsynced} {sloppy} {lied}"
    );
}

#[test]
fn a_deleted_journal_comes_back_where_the_folder_is_not_synced() {
    assert!(lost("DELETE", "FULL", false) > 0);
}

#[test]
fn other_folders_are_left_alone() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let disk = Disk::new(dir.path());
    disk.cut_after(0);
    let conn = Connection::open(other.path().join("file.db")).unwrap();
    conn.execute_batch("CREATE TABLE row (n INTEGER)").unwrap();
    assert!(!disk.is_off());
    assert!(open(&disk, "WAL", "FULL").is_err());
    assert!(disk.is_off());
}
