//! The audit: whoever changes, removes or moves an entry, or cuts the end off, is found out.

use hub_accounts::{
    Actor, SCHEMA,
    audit::{self, Head, Tampered},
};
use hub_store::{FileError, Store, StoreError, args, system_clock};

async fn store() -> (tempfile::TempDir, Store, Head) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("hub.db"), &[SCHEMA], system_clock()).unwrap();
    for n in 1..=5 {
        store
            .write(move |tx| {
                audit::record(tx, Actor::System, None, "test", &n.to_string(), "detail")
            })
            .await
            .unwrap();
    }
    let head = store.read(|tx| audit::verify(tx, None)).await.unwrap();
    (folder, store, head)
}

async fn tamper(store: &Store, sql: &'static str) {
    let changed = store.write(move |tx| tx.execute(sql, &[])).await.unwrap();
    assert!(changed > 0);
}

#[tokio::test]
async fn an_untouched_chain_holds_and_grows() {
    let (_folder, store, head) = store().await;
    assert_eq!(head.seq, 5);
    let parsed: Head = head.to_string().parse().unwrap();
    assert_eq!(parsed, head);
    store
        .write(|tx| audit::record(tx, Actor::System, None, "test", "6", ""))
        .await
        .unwrap();
    let next = store.read(move |tx| audit::verify(tx, Some(&head))).await;
    assert_eq!(next.unwrap().seq, 6);
}

#[tokio::test]
async fn every_change_is_found() {
    for (sql, seq) in [
        ("UPDATE audit SET detail = 'other' WHERE seq = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", 1),
        (
            "UPDATE audit SET action = 'testd', subject = '5' WHERE seq = 5",
            5,
        ),
        (
            "UPDATE audit SET farm = '01a1fb00-381a-756c-9228-60dba6b890e2' WHERE seq = 2",
            2,
        ),
        ("DELETE FROM audit WHERE seq = 2", 3),
        ("DELETE FROM audit WHERE seq = 1", 2),
        (
            "UPDATE audit SET seq = CASE seq WHEN 3 THEN 30 ELSE seq END WHERE seq = 3",
            4,
        ),
    ] {
        let (_folder, store, _) = store().await;
        tamper(&store, sql).await;
        let found = store.read(|tx| audit::verify(tx, None)).await;
        let Err(Tampered::Broken { seq: at }) = found else {
            panic!("{sql}: {found:?}");
        };
        assert_eq!(at, seq, "{sql}");
    }
}

#[tokio::test]
async fn an_end_that_is_gone_is_found_by_who_wrote_it_down() {
    let (_folder, store, head) = store().await;
    tamper(&store, "DELETE FROM audit WHERE seq = 5").await;
    let shorter = store.read(|tx| audit::verify(tx, None)).await.unwrap();
    assert_eq!(shorter.seq, 4, "the file alone cannot tell");
    // Written anew, as long as before.
    store
        .write(|tx| audit::record(tx, Actor::System, None, "test", "5", "another detail"))
        .await
        .unwrap();
    let found = store.read(move |tx| audit::verify(tx, Some(&head))).await;
    assert!(matches!(found, Err(Tampered::Cut { .. })), "{found:?}");
}

#[tokio::test]
async fn an_entry_that_is_undone_leaves_no_gap() {
    let (_folder, store, _) = store().await;
    let undone = store
        .write(|tx| {
            audit::record(tx, Actor::System, None, "test", "undone", "")?;
            Err::<(), _>(StoreError::File(FileError::Closed))
        })
        .await;
    assert!(undone.is_err());
    store
        .write(|tx| audit::record(tx, Actor::System, None, "test", "kept", ""))
        .await
        .unwrap();
    let head = store.read(|tx| audit::verify(tx, None)).await.unwrap();
    assert_eq!(head.seq, 6);
    let kept = store
        .read(|tx| {
            let sql = "SELECT subject FROM audit WHERE seq = $1";
            tx.first(sql, args![6], |row| row.get::<String>(0))
        })
        .await
        .unwrap();
    assert_eq!(kept.as_deref(), Some("kept"));
}
