//! What is sent twice is taken once: keys that senders choose, remembered in the transaction that stores what they name.
//!
//! The newest [`KEYS_KEPT`] keys of this file are remembered. They are this file's own and do not travel.

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::store::{StoreError, Tx};

/// So many keys are remembered before the oldest are forgotten.
const KEYS_KEPT: i64 = 200_000;

/// A key as it is remembered: a hash over who chose it and what they chose.
pub(crate) fn key(sender: &[u8; 16], chosen: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(sender);
    hash.update(chosen.as_bytes());
    *hash.finalize().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Whether `key` is seen for the first time; remembers it if so.
pub(crate) fn first(tx: &Tx<'_>, key: [u8; 16]) -> Result<bool, StoreError> {
    let inserted = tx
        .conn()
        .prepare_cached("INSERT INTO dedupe (key) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([key])?;
    if inserted == 0 {
        return Ok(false);
    }
    let newest = tx.conn().last_insert_rowid();
    if newest % 1024 == 0 {
        tx.conn()
            .prepare_cached("DELETE FROM dedupe WHERE n <= ?1")?
            .execute([newest - KEYS_KEPT])?;
    }
    Ok(true)
}

/// Whether `key` is remembered.
pub(crate) fn is_known(conn: &Connection, key: [u8; 16]) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM dedupe WHERE key = ?1")?
        .exists([key])?)
}
