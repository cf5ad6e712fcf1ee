//! The store over a real file: what is kept, what is undone, how tables grow.

use std::{path::PathBuf, sync::Arc};

use hub_store::{FileError, Micros, OpenError, Schema, Store, StoreError, args, system_clock};

const V1: &str = "CREATE TABLE thing (id TEXT PRIMARY KEY, n BIGINT NOT NULL)";
const V2: &str = "ALTER TABLE thing ADD COLUMN note TEXT";
const OLD: Schema = Schema {
    name: "things",
    versions: &[V1],
};
const NEW: Schema = Schema {
    name: "things",
    versions: &[V1, V2],
};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("hub.db");
    (folder, path)
}

async fn add(store: &Store, id: &'static str, n: i64) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            tx.execute("INSERT INTO thing (n, id) VALUES ($2, $1)", args![id, n])?;
            Ok(())
        })
        .await
}

async fn sum(store: &Store) -> i64 {
    store
        .read(|tx| {
            let sum = tx.first("SELECT coalesce(sum(n), 0) FROM thing", &[], |row| {
                row.get(0)
            })?;
            Ok::<_, StoreError>(sum.unwrap_or(-1))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn parameters_go_by_their_number_and_each_must_have_its_value() {
    let (_folder, path) = folder();
    let store = Store::open(&path, &[OLD], system_clock()).unwrap();
    add(&store, "a", 7).await.unwrap();
    let read = store
        .read(|tx| {
            tx.first(
                "SELECT id FROM thing WHERE n = $2 AND id = $1 AND id = $1",
                args!["a", 7],
                |row| row.get::<String>(0),
            )
        })
        .await
        .unwrap();
    assert_eq!(read.as_deref(), Some("a"));
    for args in [&[][..], args![1, 2]] {
        let args = args.to_vec();
        let refused = store
            .read(move |tx| tx.exists("SELECT 1 FROM thing WHERE n = $1", &args))
            .await;
        assert!(matches!(refused, Err(StoreError::Parameters { .. })));
    }
    let wrong = store
        .read(|tx| tx.first("SELECT id FROM thing", &[], |row| row.get::<i64>(0)))
        .await;
    assert!(matches!(
        wrong,
        Err(StoreError::Unreadable { column: 0, .. })
    ));
}

#[tokio::test]
async fn a_command_that_fails_or_panics_is_undone_alone() {
    let (_folder, path) = folder();
    let store = Store::open(&path, &[OLD], system_clock()).unwrap();
    let failing = store.write(|tx| {
        tx.execute("INSERT INTO thing VALUES ($1, $2)", args!["x", 100])?;
        Err::<(), _>(StoreError::File(FileError::Closed))
    });
    let panicking = store.write(|tx| {
        tx.execute("INSERT INTO thing VALUES ($1, $2)", args!["y", 1_000])?;
        panic!("on purpose") as Result<(), StoreError>
    });
    let doubled = async {
        add(&store, "b", 2).await.unwrap();
        add(&store, "b", 3).await
    };
    let (failed, panicked, doubled, good) =
        tokio::join!(failing, panicking, doubled, add(&store, "a", 1));
    assert!(matches!(failed, Err(StoreError::File(FileError::Closed))));
    assert!(matches!(
        panicked,
        Err(StoreError::File(FileError::Panicked))
    ));
    assert!(matches!(doubled, Err(StoreError::File(FileError::Sql(_)))));
    good.unwrap();
    assert_eq!(sum(&store).await, 3);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_commands_share_commits() {
    let (_folder, path) = folder();
    let store = Store::open(&path, &[OLD], system_clock()).unwrap();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..400_i64 {
        let store = store.clone();
        all.spawn(async move {
            store
                .write(move |tx| {
                    tx.execute("INSERT INTO thing VALUES ($1, $2)", args![n.to_string(), n])
                })
                .await
        });
    }
    while let Some(one) = all.join_next().await {
        assert_eq!(one.unwrap().unwrap(), 1);
    }
    assert!(store.commits() < 400, "{} commits", store.commits());
    drop(store);
    let store = Store::open(&path, &[OLD], system_clock()).unwrap();
    assert_eq!(sum(&store).await, 399 * 400 / 2);
}

#[tokio::test]
async fn readers_cannot_write_and_the_moment_is_the_clocks() {
    let (_folder, path) = folder();
    let store = Store::open(&path, &[OLD], Arc::new(|| Micros(42))).unwrap();
    let refused = store.read(|tx| tx.execute("DELETE FROM thing", &[])).await;
    assert!(
        matches!(refused, Err(StoreError::File(FileError::ReadOnly))),
        "{refused:?}"
    );
    let now = store
        .read(|tx| Ok::<_, StoreError>(tx.now()))
        .await
        .unwrap();
    assert_eq!(now, Micros(42));
}

#[tokio::test]
async fn tables_grow_and_a_newer_file_is_left_alone() {
    let (_folder, path) = folder();
    let store = Store::open(&path, &[OLD], system_clock()).unwrap();
    add(&store, "a", 5).await.unwrap();
    drop(store);
    let store = Store::open(&path, &[NEW], system_clock()).unwrap();
    assert_eq!(sum(&store).await, 5);
    drop(store);
    for schemas in [&[OLD][..], &[]] {
        let refused = Store::open(&path, schemas, system_clock());
        assert!(matches!(refused, Err(OpenError::Newer { found: 2, .. })));
    }
}

#[test]
fn a_file_of_something_else_is_left_alone_and_ours_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path) = folder();
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let refused = Store::open(&other, &[OLD], system_clock());
    assert!(matches!(refused, Err(OpenError::NotAHub { .. })));
    drop(Store::open(&path, &[OLD], system_clock()).unwrap());
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
