//! MQTT's retained messages, on disk: what a subscriber is told first survives a restart.

use rusqlite::{Connection, params};

use crate::store::{StoreError, Tx};

/// A retained message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retained {
    /// Topic.
    pub topic: String,
    /// Payload, never empty.
    pub payload: Vec<u8>,
    /// Quality of service, 0 to 2.
    pub qos: u8,
}

/// Keeps a message, in place of the topic's older one; an empty payload removes it, as MQTT says.
///
/// # Errors
/// When the database fails.
pub fn put(tx: &mut Tx<'_>, message: &Retained) -> Result<(), StoreError> {
    if message.payload.is_empty() {
        tx.conn()
            .prepare_cached("DELETE FROM mqtt_retained WHERE topic = ?1")?
            .execute([&message.topic])?;
        return Ok(());
    }
    tx.conn()
        .prepare_cached(
            "INSERT INTO mqtt_retained (topic, payload, qos, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (topic) DO UPDATE SET payload = ?2, qos = ?3, at = ?4",
        )?
        .execute(params![
            message.topic,
            message.payload,
            message.qos,
            tx.wall().0
        ])?;
    Ok(())
}

/// Every retained message, by topic.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &Connection) -> Result<Vec<Retained>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT topic, payload, qos FROM mqtt_retained ORDER BY topic")?;
    let rows = statement.query_map([], |row| {
        Ok(Retained {
            topic: row.get(0)?,
            payload: row.get(1)?,
            qos: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
