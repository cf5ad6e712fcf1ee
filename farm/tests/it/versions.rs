//! Files of other versions: older ones are brought up to date, newer ones are left alone.

use std::path::Path;

use farm::{
    Farm, OpenError, Options, alerts, animals, audit, events, holds, milkings, mqtt, plan,
    retained, staff,
};
use farm_model::{AnimalId, Clock as _};
use rusqlite::Connection;

use crate::support::{Fixture, HandClock, open};

/// A farm as version 1 wrote it. Never edited once version 2 exists.
const VERSION_1: &str = include_str!("version-1.sql");

/// A farm as version 9 wrote it, the last before cr-sqlite. Never edited.
pub(crate) const VERSION_9: &str = include_str!("version-9.sql");

fn written(dir: &tempfile::TempDir, sql: &str) -> std::path::PathBuf {
    let path = dir.path().join("farm.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

fn schema(path: &Path) -> Vec<String> {
    let conn = Connection::open(path).unwrap();
    let mut statement = conn
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_file_of_version_1_opens_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir, VERSION_1);
    let farm = Farm::open(&path, Options::default()).unwrap();
    let (herd, visits) = farm
        .read_blocking(|conn| {
            let all = milkings::VisitFilter::default();
            let page = milkings::list(conn, &all, milkings::VisitSort::Oldest, None, 10)?;
            Ok::<_, farm::StoreError>((animals::list(conn)?, page.records))
        })
        .unwrap();
    assert_eq!(herd.len(), 1);
    assert_eq!(herd[0].name, "লালী");
    assert_eq!(visits.len(), 1);
    assert_eq!(visits[0].visit.yield_ml, 8_250);
    drop(farm);
    let fresh = Fixture::new();
    assert_eq!(schema(&path), schema(fresh.farm.path()));
}

fn count(farm: &Farm, sql: &str) -> i64 {
    farm.read_blocking(|conn| Ok::<_, farm::StoreError>(conn.query_row(sql, [], |row| row.get(0))?))
        .unwrap()
}

/// Each row of the record tables, and each of its cells.
fn cells(farm: &Farm) -> i64 {
    farm.write_blocking(farm::Actor::System, |tx| {
        Ok::<_, farm::StoreError>(tx.conn().query_row(
            "SELECT count(*) FROM crsql_changes WHERE site_id = crsql_site_id() AND db_version > 0",
            [],
            |row| row.get(0),
        )?)
    })
    .unwrap()
}

#[test]
fn a_file_from_before_replication_keeps_its_rows_and_offers_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir, VERSION_9);
    let before = Connection::open(&path).unwrap();
    let all = |table: &str, columns: i64| -> i64 {
        let sql = format!("SELECT count(*) * {columns} FROM {table}");
        before.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let expected = all("animal", 13)
        + all("animal_tag", 4)
        + all("place", 4)
        + all("staff", 5)
        + all("session_plan", 5)
        + all("setting", 2)
        + all("alert", 10);
    drop(before);

    let farm = Farm::open(&path, Options::default()).unwrap();
    assert_eq!(cells(&farm), expected, "each cell is a change of this site");
    let now = farm.clock().now();
    farm.read_blocking(|conn| {
        let herd = animals::list(conn)?;
        assert_eq!(
            herd.iter().map(|a| a.number.as_str()).collect::<Vec<_>>(),
            ["101", "102"]
        );
        assert_eq!(animals::tags(conn, herd[0].id)?.len(), 1);
        assert_eq!(staff::list(conn)?[0].name, "Rahim");
        assert_eq!(plan::load(conn)?.sessions.len(), 2);
        assert_eq!(alerts::open(conn)?.len(), 3);
        assert_eq!(audit::list(conn, None, 100)?.len(), 10);
        assert_eq!(holds::of_animal(conn, herd[0].id, &now)?.len(), 2);
        let of = |id: AnimalId| events::of_animal(conn, id);
        let struck = of(herd[1].id)?.iter().filter(|e| e.voided).count();
        assert_eq!(
            (of(herd[0].id)?.len(), of(herd[1].id)?.len(), struck),
            (1, 3, 1)
        );
        Ok::<_, farm::StoreError>(())
    })
    .unwrap();
    for (log, n) in [("milking", 7), ("animal_event", 4), ("audit", 10)] {
        let sql = format!("SELECT count(*) = {n} AND max(seq) = {n} FROM {log} WHERE site = 0");
        assert_eq!(count(&farm, &sql), 1, "{log} has no hole");
    }
    let visits = "SELECT group_concat(hex(id) || yield_ml || voided || seq, ' ') FROM (SELECT * FROM visit ORDER BY start)";
    let text = |farm: &Farm| -> String {
        farm.read_blocking(|conn| {
            Ok::<_, farm::StoreError>(conn.query_row(visits, [], |row| row.get(0))?)
        })
        .unwrap()
    };
    let before = text(&farm);
    farm.write_blocking(farm::Actor::System, milkings::rebuild)
        .unwrap();
    assert_eq!(
        text(&farm),
        before,
        "built again from the facts, the visits are the same"
    );
    drop(farm);
    let again = Farm::open(&path, Options::default()).unwrap();
    assert_eq!(cells(&again), expected, "nothing is offered twice");
}

#[test]
fn a_file_of_a_newer_version_is_not_touched() {
    let f = Fixture::new();
    let path = f.farm.path().to_owned();
    let Fixture { farm, dir, .. } = f;
    drop(farm);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(conn);
    let before = std::fs::read(&path).unwrap();
    let error = Farm::open(&path, Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 999, .. }));
    assert!(error.to_string().contains("install that version"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .filter(|n| n.to_string_lossy().ends_with("-journal"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE letter (text TEXT)")
        .unwrap();
    let error = Farm::open(&other, Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::NotAFarm { .. }), "{error}");
    let text = dir.path().join("text.db");
    std::fs::write(
        &text,
        "not a database, but long enough to be looked at: ".repeat(40),
    )
    .unwrap();
    let error = Farm::open(&text, Options::default()).unwrap_err();
    assert!(matches!(
        error,
        OpenError::Store(farm::StoreError::File(farm::FileError::Corrupt(_)))
    ));
}

/// What a file of version 9 says about MQTT: a session that was left, a letter for it, a retained value.
const OF_VERSION_9: &str = "
    INSERT INTO local (one, boot, last_wall, created_at) VALUES (1, 3, 1000000, 0);
    INSERT INTO site (ordinal, id) VALUES (0, zeroblob(16));
    INSERT INTO mqtt_session (n, client, user, expiry, left_at, sent_to) VALUES (5, 'ears', 'device 1', 600, 900000, 4);
    INSERT INTO mqtt_letter (n, topic, payload, expires_at) VALUES (6, 'farm/x', x'01', 1060000), (7, 'farm/x', x'02', NULL);
    INSERT INTO mqtt_delivery (session, pid, letter, qos, retain, received) VALUES (5, 1, 6, 1, 0, 0), (5, 2, 7, 1, 0, 0);
    INSERT INTO mqtt_retained (topic, payload, qos, at, expires_at) VALUES ('farm/x', x'01', 1, 0, 900000);
    PRAGMA application_id = 1802005874;
    PRAGMA user_version = 9;";

#[test]
fn sessions_of_version_9_keep_what_was_left_of_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let old = Connection::open(dir.path().join("farm.db")).unwrap();
    for version in 1..=9 {
        let path = format!("{}/src/schema/v{version}.sql", env!("CARGO_MANIFEST_DIR"));
        old.execute_batch(&std::fs::read_to_string(path).unwrap())
            .unwrap();
    }
    old.execute_batch(OF_VERSION_9).unwrap();
    drop(old);

    let farm = open(&dir, &HandClock::synced());
    let now = farm.clock().moment(farm.clock().now());
    let session = &farm.read_blocking(|c| mqtt::sessions(c, now)).unwrap()[0];
    assert_eq!(
        (session.number, session.left_s, session.sent_to),
        (5, 600, 4)
    );
    assert_eq!(
        (&*session.client, session.user.as_deref()),
        ("ears", Some("device 1"))
    );
    let letters = farm.read_blocking(|c| mqtt::letters(c, now)).unwrap();
    let left: Vec<_> = letters.iter().map(|letter| letter.expiry_s).collect();
    assert_eq!(left, [Some(60), None]);
    let values = farm.read_blocking(|c| retained::all(c, now)).unwrap();
    assert_eq!(values[0].expiry_s, Some(0));
}
