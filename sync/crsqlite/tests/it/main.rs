//! The extension at work in real files: it merges, it lets go, and nothing else can be loaded.

use std::path::Path;

use rusqlite::{Connection, params};

fn open(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("SQLite does it");
    crsqlite::load(&conn).expect("SQLite does it");
    conn
}

fn animal(path: &Path) -> Connection {
    let conn = open(path);
    conn.execute_batch(
        "CREATE TABLE animal (id BLOB PRIMARY KEY NOT NULL, name TEXT, weight_g INTEGER) STRICT",
    )
    .expect("SQLite does it");
    conn.query_row("SELECT crsql_as_crr('animal')", [], |_| Ok(()))
        .expect("SQLite does it");
    conn
}

fn send(from: &Connection, to: &Connection) -> usize {
    let mut read = from
        .prepare(r#"SELECT "table", pk, cid, val, col_version, db_version, site_id, cl, seq, '0' FROM crsql_changes WHERE site_id = crsql_site_id()"#)
        .expect("SQLite does it");
    let mut rows = read.query([]).expect("SQLite does it");
    let mut sent = 0;
    while let Some(row) = rows.next().expect("SQLite does it") {
        let cells: Vec<rusqlite::types::Value> = (0..10)
            .map(|i| row.get(i).expect("SQLite does it"))
            .collect();
        to.execute(
            "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rusqlite::params_from_iter(cells),
        )
        .expect("SQLite does it");
        sent += 1;
    }
    sent
}

fn names(conn: &Connection) -> Vec<(String, i64)> {
    let mut read = conn
        .prepare("SELECT name, weight_g FROM animal ORDER BY id")
        .expect("SQLite does it");
    read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("SQLite does it")
        .collect::<Result<_, _>>()
        .expect("animals are read")
}

#[test]
fn two_sites_that_edit_different_cells_keep_both() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (
        animal(&folder.path().join("a.db")),
        animal(&folder.path().join("b.db")),
    );
    here.execute(
        "INSERT INTO animal VALUES (?, 'লাল', 400000)",
        params![[1u8; 16]],
    )
    .unwrap();
    assert_eq!(send(&here, &there), 2);
    here.execute("UPDATE animal SET name = 'কালো'", []).unwrap();
    there
        .execute("UPDATE animal SET weight_g = 410000", [])
        .unwrap();
    send(&here, &there);
    send(&there, &here);
    let merged = vec![("কালো".to_owned(), 410_000)];
    assert_eq!(names(&here), merged);
    assert_eq!(names(&there), merged);
}

#[test]
fn a_file_is_let_go_when_its_connection_closes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let conn = animal(&path);
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute("INSERT INTO animal VALUES (?, 'x', 1)", params![[1u8; 16]])
        .unwrap();
    crsqlite::finalize(&conn).unwrap();
    conn.close().unwrap();
    assert!(
        !folder.path().join("a.db-wal").exists(),
        "the last connection removes the log"
    );
}

#[test]
fn equal_edits_have_one_author() {
    let conn = animal(&tempfile::tempdir().unwrap().path().join("a.db"));
    let set: i64 = conn
        .query_row("SELECT crsql_config_get('merge-equal-values')", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(set, 1);
}

#[test]
fn sql_cannot_load_another_library() {
    let folder = tempfile::tempdir().unwrap();
    let conn = open(&folder.path().join("a.db"));
    let refused = conn
        .query_row("SELECT load_extension('/tmp/other.so')", [], |_| Ok(()))
        .unwrap_err();
    assert!(refused.to_string().contains("not authorized"), "{refused}");
}

#[test]
fn many_connections_map_the_library_once() {
    let folder = tempfile::tempdir().unwrap();
    let conns: Vec<_> = (0..20)
        .map(|i| open(&folder.path().join(format!("{i}.db"))))
        .collect();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let code = maps
        .lines()
        .filter(|line| line.contains("memfd:crsqlite") && line.contains("r-xp"))
        .count();
    assert_eq!(code, 1, "{} connections", conns.len());
}
