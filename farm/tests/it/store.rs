//! The writer's promises: durable before answered, one savepoint each, and what happens when something breaks.

use std::{sync::mpsc, time::Duration};

use farm::{Actor, Change, Farm, FileError, Resume, StoreError, settings};
use rusqlite::Connection;

use crate::support::{Fixture, HandClock, NOW, open};

fn put(farm: &Farm, key: &'static str) -> Result<(), StoreError> {
    farm.write_blocking(Actor::System, move |tx| {
        tx.audit("test", key, None).map(drop)
    })
}

fn count(path: &std::path::Path) -> i64 {
    let conn = Connection::open(path).unwrap();
    conn.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_is_answered_can_be_read_by_another_connection() {
    let f = Fixture::new();
    for n in 1..=20 {
        put(&f.farm, "x").unwrap();
        assert_eq!(count(f.farm.path()), n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_share_a_commit_and_keep_their_order() {
    let f = Fixture::new();
    let farm = f.farm.clone();
    let (go, wait) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let farm = farm.clone();
        async move {
            farm.write(Actor::System, move |_| {
                running.send(()).ok();
                wait.recv().ok();
                Ok::<_, StoreError>(())
            })
            .await
        }
    });
    // From here on the writer is busy and takes nothing out of its queue.
    tokio::task::spawn_blocking(move || runs.recv())
        .await
        .unwrap()
        .unwrap();
    let before = farm.commits();
    let mut tasks = Vec::new();
    for n in 0..200usize {
        let queued = farm.clone();
        tasks.push(tokio::spawn(async move {
            queued
                .write(Actor::System, move |tx| {
                    tx.audit("test", &n.to_string(), None).map(|id| id.seq)
                })
                .await
        }));
        // Each is in the queue before the next is sent.
        let arrives = async {
            while farm.waiting() <= n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrives)
            .await
            .unwrap();
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.unwrap().unwrap());
    }
    assert!(
        seqs.is_sorted(),
        "commands run in the order in which they came"
    );
    let commits = farm.commits() - before;
    assert!(commits <= 20, "{commits} commits for 201 commands");
    assert_eq!(count(farm.path()), 200);
}

#[test]
fn a_refused_command_leaves_nothing_and_gives_its_number_back() {
    let f = Fixture::new();
    put(&f.farm, "before").unwrap();
    let refused: Result<(), StoreError> = f.write(|tx| {
        tx.audit("test", "refused", None)?;
        tx.tell(Change::Setting);
        Err(StoreError::File(FileError::Closed))
    });
    assert!(matches!(refused, Err(StoreError::File(FileError::Closed))));
    put(&f.farm, "after").unwrap();
    let rows: Vec<(i64, String)> = f.read(|conn| {
        let mut statement = conn.prepare("SELECT seq, subject FROM audit ORDER BY seq")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    assert_eq!(rows, [(1, "before".into()), (2, "after".into())]);
    assert_eq!(f.farm.events().newest(), 0, "nothing was told");
}

#[test]
fn a_panic_ends_one_command_only() {
    let f = Fixture::new();
    let ended: Result<(), StoreError> = f.write(|tx| {
        tx.audit("test", "lost", None)?;
        panic!("a defect");
    });
    assert!(matches!(ended, Err(StoreError::File(FileError::Panicked))));
    put(&f.farm, "next").unwrap();
    assert_eq!(count(f.farm.path()), 1);
    let ended: Result<(), StoreError> = f.farm.read_blocking(|_| panic!("a defect"));
    assert!(matches!(ended, Err(StoreError::File(FileError::Panicked))));
    assert_eq!(f.read(settings::load), settings::Settings::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_fails_every_member_and_keeps_nothing() {
    let f = Fixture::new();
    let farm = f.farm.clone();
    let (go, wait) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel::<()>();
    let hooked = tokio::spawn({
        let farm = farm.clone();
        async move {
            farm.write(Actor::System, move |tx| {
                tx.conn().commit_hook(Some(|| true))?;
                running.send(()).ok();
                wait.recv().ok();
                tx.audit("test", "one", None).map(drop)
            })
            .await
        }
    });
    tokio::task::spawn_blocking(move || runs.recv())
        .await
        .unwrap()
        .unwrap();
    go.send(()).unwrap();
    assert!(matches!(
        hooked.await.unwrap(),
        Err(StoreError::File(FileError::Sql(_)))
    ));
    assert_eq!(count(farm.path()), 0);
    assert_eq!(farm.events().newest(), 0);
    // The hook still refuses: a command that is told so has not happened.
    let refused: Result<(), StoreError> = farm
        .write(Actor::System, |tx| {
            tx.tell(Change::Setting);
            tx.audit("test", "two", None).map(drop)
        })
        .await;
    assert!(matches!(refused, Err(StoreError::File(FileError::Sql(_)))));
    let healed: Result<(), StoreError> = tokio::task::spawn_blocking({
        let farm = farm.clone();
        move || {
            farm.write_blocking(Actor::System, |tx| {
                tx.conn().commit_hook(None::<fn() -> bool>)?;
                tx.audit("test", "three", None).map(drop)
            })
        }
    })
    .await
    .unwrap();
    healed.unwrap();
    assert_eq!(count(farm.path()), 1);
}

#[test]
fn a_full_disk_refuses_by_name_and_is_overcome() {
    let f = Fixture::new();
    put(&f.farm, "before").unwrap();
    f.write(|tx| {
        let pages: i64 = tx
            .conn()
            .query_row("PRAGMA page_count", [], |row| row.get(0))?;
        tx.conn().query_row(
            &format!("PRAGMA max_page_count = {}", pages + 4),
            [],
            |_| Ok(()),
        )?;
        Ok::<_, StoreError>(())
    })
    .unwrap();
    let large = "x".repeat(1_000_000);
    let full: Result<_, StoreError> = f.write(move |tx| tx.audit("test", &large, None));
    assert!(
        matches!(full, Err(StoreError::File(FileError::Full))),
        "{full:?}"
    );
    assert!(full.unwrap_err().to_string().contains("free some space"));
    assert_eq!(count(f.farm.path()), 1, "what was there is there");
    f.write(|tx| {
        tx.conn()
            .query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))?;
        Ok::<_, StoreError>(())
    })
    .unwrap();
    let large = "x".repeat(1_000_000);
    f.write(move |tx| tx.audit("test", &large, None)).unwrap();
    assert_eq!(count(f.farm.path()), 2);
}

#[test]
fn a_reader_cannot_write() {
    let f = Fixture::new();
    let refused = f
        .farm
        .read_blocking(|conn| Ok::<_, StoreError>(conn.execute("DELETE FROM local", [])?));
    assert!(
        matches!(refused, Err(StoreError::File(FileError::ReadOnly))),
        "{refused:?}"
    );
}

#[test]
fn after_a_restart_numbers_and_boots_go_on() {
    let f = Fixture::new();
    put(&f.farm, "one").unwrap();
    let (boot, epoch) = (f.farm.boot(), f.farm.events().epoch());
    let f = f.reopen(NOW, farm_model::ClockQuality::Synced);
    assert_eq!(f.farm.boot(), boot + 1);
    assert_ne!(f.farm.events().epoch(), epoch);
    let id = f.write(|tx| tx.audit("test", "two", None)).unwrap();
    assert_eq!((id.site, id.seq), (0, 2));
}

#[test]
fn a_clock_that_starts_in_the_past_goes_on_from_what_was_seen() {
    use farm_model::{ClockQuality, UnixMillis};
    let f = Fixture::new();
    put(&f.farm, "seen").unwrap();
    let f = f.reopen(UnixMillis(5_000), ClockQuality::Unknown);
    let now = f.now();
    assert_eq!((now.wall, now.clock), (NOW, ClockQuality::Restored));
    f.clock.pass(7_000);
    assert_eq!(f.now().wall, NOW.plus(7_000));
    f.farm.clock().tell(NOW.plus(1_000_000));
    f.clock.pass(1);
    let told = f.now();
    assert_eq!(
        (told.wall, told.clock),
        (NOW.plus(1_000_001), ClockQuality::Told)
    );
    f.clock.set(NOW.plus(2_000_000), ClockQuality::Synced);
    assert_eq!(f.now().wall, NOW.plus(2_000_000));
}

#[tokio::test]
async fn events_follow_the_commit_and_can_be_resumed() {
    let f = Fixture::new();
    let farm = f.farm.clone();
    let mut follower = farm.events().subscribe();
    for n in 1..=3 {
        farm.write(Actor::System, move |tx| {
            tx.tell(Change::Quarantine {
                source: n.to_string(),
            });
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let Resume::Events(events) = follower.next().await else {
            panic!("a gap")
        };
        seen.extend(events.iter().map(|e| e.id));
    }
    assert_eq!(seen, [1, 2, 3]);
    let Resume::Events(rest) = farm.events().since(1) else {
        panic!("a gap")
    };
    assert_eq!(rest.iter().map(|e| e.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(farm.events().since(9), Resume::Gap(3), "of another life");

    farm.write(Actor::System, |tx| {
        for _ in 0..5_000 {
            tx.tell(Change::Setting);
        }
        Ok::<_, StoreError>(())
    })
    .await
    .unwrap();
    assert_eq!(farm.events().since(3), Resume::Gap(5_003), "too long ago");
    assert!(matches!(follower.next().await, Resume::Gap(5_003)));
    let Resume::Events(last) = farm.events().since(5_002) else {
        panic!("a gap")
    };
    assert_eq!(last.len(), 1);
}

#[test]
fn two_handles_share_one_file_and_the_last_one_closes_it() {
    let f = Fixture::new();
    let other = f.farm.clone();
    put(&f.farm, "x").unwrap();
    drop(other);
    put(&f.farm, "y").unwrap();
    let path = f.farm.path().to_owned();
    let Fixture { farm, dir, .. } = f;
    drop(farm);
    assert!(!path.with_extension("db-wal").exists(), "closed in order");
    let again = open(&dir, &HandClock::synced());
    assert_eq!(count(again.path()), 2);
}

/// Settings of this length, written by one command.
fn settings_of(tx: &mut farm::Tx<'_>, count: usize, bytes: usize) -> Result<(), StoreError> {
    let mut insert = tx
        .conn()
        .prepare("INSERT INTO setting (id, key, value) VALUES (randomblob(16), 'test', ?1)")?;
    for _ in 0..count {
        insert.execute(["x".repeat(bytes)])?;
    }
    Ok(())
}

fn settings_there(farm: &Farm) -> i64 {
    let count = "SELECT count(*) FROM setting WHERE key = 'test'";
    farm.read_blocking(|conn| Ok::<_, StoreError>(conn.query_row(count, [], |row| row.get(0))?))
        .unwrap()
}

#[test]
fn what_is_too_large_to_travel_is_refused_and_changes_nothing() {
    let f = Fixture::new();
    for (count, bytes) in [(6, 200_000), (1, 300_000)] {
        let refused = f
            .write(move |tx| settings_of(tx, count, bytes))
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "this changes too much at once, and nothing was changed: do it in several smaller steps"
        );
        assert_eq!(settings_there(&f.farm), 0);
    }
    f.write(|tx| settings_of(tx, 5, 200_000)).unwrap();
    assert_eq!(settings_there(&f.farm), 5);
}

/// What many write at once is small enough for a slow line, and none of them is refused for what the others wrote.
#[tokio::test]
async fn what_many_write_at_once_travels_in_pieces() {
    let f = Fixture::new();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let farm = f.farm.clone();
        all.spawn(async move {
            farm.write(Actor::System, |tx| settings_of(tx, 1, 40_000))
                .await
        });
    }
    while let Some(written) = all.join_next().await {
        written.unwrap().unwrap();
    }
    assert_eq!(settings_there(&f.farm), 200);
    let most: i64 = f
        .farm
        .write(Actor::System, |tx| {
            let most = "SELECT max(n) FROM (SELECT count(DISTINCT pk) AS n FROM crsql_changes
                WHERE site_id = crsql_site_id() AND db_version > 0 GROUP BY db_version)";
            Ok::<_, StoreError>(tx.conn().query_row(most, [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert!((1..=2).contains(&most), "{most} in one change");
}
