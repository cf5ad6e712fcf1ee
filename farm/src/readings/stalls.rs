//! What the milking engine knows of each stall, stored with the observations it learnt it from.

use farm_model::Stall;
use rusqlite::{Connection, params};

use crate::store::{StoreError, Tx};

/// Keeps the state of a stall, in the engine's own form.
///
/// # Errors
/// When the database fails.
pub fn save_stall(tx: &mut Tx<'_>, stall: Stall, state: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO stall_state (stall, json, at) VALUES (?1, ?2, ?3)
             ON CONFLICT (stall) DO UPDATE SET json = excluded.json, at = excluded.at",
        )?
        .execute(params![stall.0, state, tx.wall().0])?;
    Ok(())
}

/// The states of all stalls, as they were saved.
///
/// # Errors
/// When the database fails.
pub fn stall_states(conn: &Connection) -> Result<Vec<(Stall, String)>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT stall, json FROM stall_state ORDER BY stall")?;
    let rows = statement.query_map([], |row| Ok((Stall(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
