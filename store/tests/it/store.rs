//! The store over a real file: what the keeper remembers goes as the file goes.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use sqlite_store::{FileError, Keeper, Limits, Store, file};

/// `test` in ASCII.
const APPLICATION: i64 = 0x7465_7374;

/// Numbers its rows, and tells what was committed.
#[derive(Default)]
struct Numbers {
    next: i64,
    told: Arc<Mutex<Vec<i64>>>,
}

/// What a command works with: the connection, the next number, and who ordered it.
struct Tx<'a>(&'a Connection, &'a mut i64, &'static str);

impl Tx<'_> {
    fn add(&mut self) -> Result<i64, FileError> {
        *self.1 += 1;
        self.0
            .execute("INSERT INTO row VALUES (?1, ?2)", (*self.1, self.2))?;
        Ok(*self.1)
    }
}

impl Keeper for Numbers {
    type Order = &'static str;
    type Tx<'a> = Tx<'a>;
    type Error = FileError;
    type Mark = i64;

    fn begin<'a>(&'a mut self, conn: &'a Connection, order: &'static str) -> Tx<'a> {
        Tx(conn, &mut self.next, order)
    }

    fn mark(&self) -> i64 {
        self.next
    }

    fn undo(&mut self, to: i64) {
        self.next = to;
    }

    fn committing(&mut self, conn: &Connection) -> Result<(), FileError> {
        conn.execute("UPDATE newest SET n = ?1", [self.next])?;
        Ok(())
    }

    fn committed(&mut self, _conn: &Connection, began: i64) {
        self.told.lock().unwrap().extend(began + 1..=self.next);
    }
}

fn open(path: &Path) -> (Store<Numbers>, Arc<Mutex<Vec<i64>>>) {
    file::make(path).unwrap();
    let conn = file::connect(path, APPLICATION, "").unwrap();
    conn.execute_batch(
        "CREATE TABLE row (n INTEGER PRIMARY KEY, by TEXT);
         CREATE TABLE newest (n INTEGER);
         INSERT INTO newest VALUES (0);",
    )
    .unwrap();
    let keeper = Numbers::default();
    let told = Arc::clone(&keeper.told);
    let limits = Limits {
        readers: 1,
        queue: 8,
    };
    let store = Store::start("numbers", path, conn, keeper, limits).unwrap();
    (store, told)
}

/// The newest number as the last commit wrote it, and how many rows there are.
fn found(store: &Store<Numbers>) -> (i64, i64) {
    let sql = "SELECT (SELECT n FROM newest), (SELECT count(*) FROM row)";
    let both = store.read_blocking(|conn| -> Result<_, FileError> {
        Ok(conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    });
    both.unwrap()
}

#[test]
fn memory_goes_back_with_a_command_that_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, told) = open(&folder.path().join("new").join("file.db"));
    assert_eq!(store.write_blocking("first", |tx| tx.add()).unwrap(), 1);
    let refused: Result<(), FileError> = store.write_blocking("refused", |tx| {
        tx.add()?;
        Err(FileError::Closed)
    });
    assert!(matches!(refused, Err(FileError::Closed)));
    let ended: Result<(), FileError> = store.write_blocking("panics", |tx| {
        tx.add()?;
        panic!("on purpose")
    });
    assert!(matches!(ended, Err(FileError::Panicked)));
    assert_eq!(store.write_blocking("second", |tx| tx.add()).unwrap(), 2);
    assert_eq!(found(&store), (2, 2));
    assert_eq!(*told.lock().unwrap(), [1, 2]);
}

#[test]
fn a_group_whose_last_word_fails_is_undone_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (store, told) = open(&folder.path().join("file.db"));
    let lost: Result<i64, FileError> = store.write_blocking("loses", |tx| {
        tx.0.execute_batch("ALTER TABLE newest RENAME TO away")?;
        tx.add()
    });
    assert!(matches!(lost, Err(FileError::Sql(_))), "{lost:?}");
    assert_eq!(found(&store), (0, 0));
    assert_eq!(store.write_blocking("first", |tx| tx.add()).unwrap(), 1);
    assert_eq!(*told.lock().unwrap(), [1]);
    assert_eq!(store.commits(), 2);
}

#[test]
fn a_file_is_told_by_its_mark_and_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    assert!(file::look(&path).unwrap().is_none());
    drop(open(&path));
    let conn = file::look(&path).unwrap().unwrap();
    assert!(!file::is_foreign(&conn, APPLICATION).unwrap());
    assert!(file::is_foreign(&conn, APPLICATION + 1).unwrap());
    assert!(
        conn.execute_batch("CREATE TABLE x (y)").is_err(),
        "it only looks"
    );
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
