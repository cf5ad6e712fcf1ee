//! Files that come from elsewhere: a farm's goes on under its own identity, and nothing else is taken.

use std::{fs, path::PathBuf};

use farm::{Farm, OpenError, Options, adopt::adopt, backup};
use rusqlite::Connection;

use crate::support::{Fixture, session, visit};

/// A copy of a farm with a cow and a milking.
fn copy(f: &Fixture) -> PathBuf {
    let cow = f.cow("101");
    let told = visit("1", Some(cow), session("2026-11-20", 1), 8_000, f.now());
    f.write(move |tx| farm::milkings::record(tx, told)).unwrap();
    let copy = f.dir.path().join("copy.db");
    backup::copy(f.farm.path(), &copy).unwrap();
    copy
}

/// What stands in a row of one column.
fn ask<T: rusqlite::types::FromSql>(path: &std::path::Path, sql: &str) -> T {
    let conn = Connection::open(path).unwrap();
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

const SITE: &str = "SELECT id FROM sync_site WHERE ordinal = 0";

#[test]
fn a_copy_is_a_farm_of_its_own_without_the_other_ones_secrets() {
    let f = Fixture::new();
    let path = copy(&f);
    let original: Vec<u8> = ask(f.farm.path(), SITE);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "UPDATE local SET is_copy = 0;
             INSERT INTO login_session VALUES (x'01', x'02', 0, 0, 0, NULL);
             INSERT INTO join_key VALUES (1, x'03', NULL);",
        )
        .unwrap();
    let sound = adopt(&path, Options::default()).unwrap();
    assert!(sound.bytes > 0);
    for end in ["-wal", "-shm", ".shape"] {
        assert!(!PathBuf::from(format!("{}{end}", path.display())).exists());
    }
    assert_ne!(
        ask::<Vec<u8>>(&path, SITE),
        original,
        "whatever the file said of itself"
    );
    let secrets = "SELECT (SELECT count(*) FROM login_session) + (SELECT count(*) FROM join_key)";
    assert_eq!(ask::<i64>(&path, secrets), 0);
    let farm = Farm::open(&path, Options::default()).unwrap();
    let said = farm
        .read_blocking(|conn| {
            let sql = "SELECT (SELECT count(*) FROM animal), (SELECT sum(yield_ml) FROM visit)";
            let row = conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
            Ok::<(i64, i64), farm::StoreError>(row?)
        })
        .unwrap();
    assert_eq!(said, (1, 8_000));
}

#[test]
fn files_of_older_programs_are_taken() {
    for sql in [include_str!("version-1.sql"), include_str!("version-9.sql")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        adopt(&path, Options::default()).unwrap();
        assert!(ask::<i64>(&path, "SELECT count(*) FROM visit") > 0);
    }
}

#[test]
fn what_is_no_farm_is_refused() {
    let f = Fixture::new();
    let good = fs::read(copy(&f)).unwrap();
    let path = f.dir.path().join("bad.db");
    let refused = |bytes: &[u8], sql: &str| {
        fs::write(&path, bytes).unwrap();
        if !sql.is_empty() {
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        }
        adopt(&path, Options::default()).unwrap_err()
    };
    for (bytes, sql) in [
        (&b"PK\x03\x04 a picture of a cow"[..], ""),
        (b"", ""),
        (b"", "CREATE TABLE cows (name TEXT)"),
        (
            b"",
            "PRAGMA application_id = 1802005874; PRAGMA user_version = 0; CREATE TABLE x (y)",
        ),
    ] {
        let error = refused(bytes, sql);
        assert!(
            matches!(error, OpenError::NotAFarm { .. }),
            "{sql}: {error}"
        );
    }
    let newer = refused(&good, "PRAGMA user_version = 900");
    assert!(
        matches!(newer, OpenError::Newer { found: 900, .. }),
        "{newer}"
    );
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM milking; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX i ON animal (hex(number))",
        "CREATE TABLE more (x)",
        "DROP TABLE excursion",
        "ALTER TABLE rollup ADD COLUMN more TEXT",
    ] {
        let error = refused(&good, sql);
        assert!(matches!(error, OpenError::Strange { .. }), "{sql}: {error}");
    }
    let half = refused(&good[..good.len() / 2], "");
    assert!(matches!(half, OpenError::Store(_)), "{half}");
    let mut holed = good;
    let middle = holed.len() / 2;
    holed[middle..middle + 8192].fill(0xA5);
    let holed = refused(&holed, "");
    assert!(matches!(holed, OpenError::Store(_)), "{holed}");
}

/// What SQLite itself would not write: it takes such names for its own when it reads a file, and runs what stands there.
#[test]
fn what_hides_behind_a_name_of_sqlites_own_is_refused() {
    let f = Fixture::new();
    let good = fs::read(copy(&f)).unwrap();
    let path = f.dir.path().join("hostile.db");
    for row in [
        "'trigger', 'sqlite_t', 'local', 0, 'CREATE TRIGGER sqlite_t AFTER UPDATE ON local BEGIN DELETE FROM milking; END'",
        "'view', 'sqlite_stat1', 'sqlite_stat1', 0, 'CREATE VIEW sqlite_stat1 AS SELECT 1'",
    ] {
        fs::write(&path, &good).unwrap();
        let sql = format!("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ({row})");
        Connection::open(&path)
            .unwrap()
            .execute_batch(&sql)
            .unwrap();
        let refused = adopt(&path, Options::default());
        assert!(
            matches!(refused, Err(OpenError::Strange { .. })),
            "{row}: {refused:?}"
        );
    }
}
