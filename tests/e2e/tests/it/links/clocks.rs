//! A Pi whose clock is a week wrong: nobody vouches for it and the hub sets it right, or it is believed and all that is wrong are its times.

use std::{
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use e2e::{Wall, until};
use rusqlite::Connection;

use super::{Apart, SOON_S, checker, herd, ledger::Ledger, people::Work, sound, work_at_both_ends};

/// Seconds in a week.
const WEEK: i64 = 7 * 86_400;
/// Milliseconds by which a time that was told may differ from this machine's.
const TOLERANCE_MS: i64 = 60_000;
/// What the appliance logs when it believes the hub.
const TOLD: &str = "the hub told the time";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

/// The day in so many seconds, as a log writes it.
fn day(ahead_s: i64) -> String {
    let at = farm_model::UnixMillis(now_ms() + 1000 * ahead_s);
    at.timestamp().strftime("%Y-%m-%d").to_string()
}

/// Of the last milking of a file: milliseconds by which its end lies ahead of now, and how well the clock was known.
fn last_milking(file: &Path) -> (i64, i64) {
    let conn =
        Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT ended, clock FROM visit ORDER BY yield_ml DESC LIMIT 1";
    let (ended, clock): (i64, i64) = conn
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    (ended - now_ms(), clock)
}

impl Apart {
    /// Waits until the hub has told the appliance the time, once more than `times`.
    fn is_told(&self, times: usize) {
        until("the hub to tell the time", SOON_S, || {
            (self.edge.log().matches(TOLD).count() > times).then_some(())
        });
    }

    /// Starts the appliance again with another clock.
    fn restart_with(&mut self, wall: Wall) {
        self.edge.stop();
        self.edge.set_wall(wall);
        self.edge.spawn();
        self.edge.wait_ready();
    }

    fn milk(&self, work: &Work<'_>, tag: &str) {
        let door = self.edge.mqtt;
        self.link.near.within(|| work.milk_once(door, tag));
    }
}

#[test]
fn a_clock_that_nobody_vouches_for_is_set_right_by_the_hub_a_week_ahead_or_behind() {
    let began = day(WEEK);
    let mut apart = Apart::joined_with(1, Wall::Doubted(WEEK));
    let log = apart.edge.log();
    assert!(
        log.contains(&began) || log.contains(&day(WEEK)),
        "it saw another week: {log}"
    );
    apart.is_told(0);
    let ledger = Ledger::default();
    let work = Work::new(&ledger);
    let tags = herd(&apart, &ledger);
    apart.milk(&work, &tags[0]);
    apart.come_together(SOON_S);
    let (edge, hub) = (apart.edge.database(), apart.at_the_hub());
    for file in [&edge, &hub] {
        let (ahead_ms, _) = last_milking(file);
        assert!(
            ahead_ms.abs() < TOLERANCE_MS,
            "told, and {ahead_ms} ms ahead"
        );
    }

    // Behind, and alone at first: the farm works on.
    apart.link.part();
    apart.restart_with(Wall::Doubted(-WEEK));
    apart.milk(&work, &tags[1]);
    let (ahead_ms, restored) = last_milking(&edge);
    assert!(
        ahead_ms > -TOLERANCE_MS,
        "time went back: {ahead_ms} ms ahead"
    );
    assert!(
        !checker::differences(&edge, &hub).is_empty(),
        "the hub has not heard of it"
    );
    apart.link.join();
    apart.edge.command(&["hub", "send"], "");
    apart.is_told(1);
    apart.milk(&work, &tags[2]);
    apart.come_together(SOON_S);
    for file in [&edge, &hub] {
        let (ahead_ms, told) = last_milking(file);
        assert!(
            ahead_ms.abs() < TOLERANCE_MS,
            "told, and {ahead_ms} ms ahead"
        );
        assert!(told > restored, "a time that was told is known better");
    }
    sound(&ledger, &[&edge, &hub]);
}

#[test]
fn with_a_clock_that_is_believed_and_a_week_wrong_nothing_is_lost_doubled_or_back() {
    let mut apart = Apart::joined_with(1, Wall::Believed(WEEK));
    let ledger = Ledger::default();
    let tags = herd(&apart, &ledger);
    apart.milk(&Work::new(&ledger), &tags[0]);
    let (ahead_ms, _) = last_milking(&apart.edge.database());
    assert!(
        (ahead_ms - 1000 * WEEK).abs() < TOLERANCE_MS,
        "{ahead_ms} ms ahead"
    );
    apart.come_together(SOON_S);
    work_at_both_ends(&mut apart, &ledger, &tags, 1, |apart| {
        for wall in [Wall::Believed(-WEEK), Wall::Right] {
            thread::sleep(Duration::from_secs(2));
            apart.restart_with(wall);
        }
        thread::sleep(Duration::from_secs(2));
    });
}
