//! Retained values of the MQTT door, kept with everything else so that they survive a restart.

use rusqlite::{Connection, params};

use crate::store::{StoreError, Tx};

/// A topic's retained value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetainedValue {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// Quality of service it was published with.
    pub qos: u8,
}

/// Keeps `payload` as the topic's retained value.
///
/// # Errors
/// When the database fails.
pub fn set(tx: &mut Tx<'_>, topic: &str, payload: &[u8], qos: u8) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO mqtt_retained (topic, payload, qos, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, qos = excluded.qos, at = excluded.at",
        )?
        .execute(params![topic, payload, qos, tx.wall().0])?;
    Ok(())
}

/// Forgets the topic's retained value.
///
/// # Errors
/// When the database fails.
pub fn remove(tx: &mut Tx<'_>, topic: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM mqtt_retained WHERE topic = ?1")?
        .execute([topic])?;
    Ok(())
}

/// Every retained value.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &Connection) -> Result<Vec<RetainedValue>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT topic, payload, qos FROM mqtt_retained ORDER BY topic")?;
    let rows = statement.query_map([], |row| {
        Ok(RetainedValue {
            topic: row.get(0)?,
            payload: row.get(1)?,
            qos: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
