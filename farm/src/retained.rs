//! MQTT's retained messages, on disk: what a subscriber is told first survives a restart.

use rusqlite::{Connection, params};

use crate::{
    spans::Moment,
    store::{StoreError, Tx},
};

/// A retained message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retained {
    /// Topic.
    pub topic: String,
    /// Payload, never empty.
    pub payload: Vec<u8>,
    /// Quality of service, 0 to 2.
    pub qos: u8,
    /// What an MQTT 5 publisher said besides, as the standard writes it.
    pub properties: Vec<u8>,
    /// Seconds for which it is worth delivering.
    pub expiry_s: Option<u32>,
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
    let Moment { ran, wall } = tx.moment();
    let properties = (!message.properties.is_empty()).then_some(&message.properties);
    tx.conn()
        .prepare_cached(
            "INSERT INTO mqtt_retained (topic, payload, qos, at, properties, expiry, ran, wall)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (topic) DO UPDATE
             SET payload = ?2, qos = ?3, at = ?4, properties = ?5, expiry = ?6, ran = ?7, wall = ?8",
        )?
        .execute(params![
            message.topic,
            message.payload,
            message.qos,
            tx.wall().0,
            properties,
            message.expiry_s,
            ran,
            wall
        ])?;
    Ok(())
}

/// Every retained message, by topic, with what is left of its time `now`.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &Connection, now: Moment) -> Result<Vec<Retained>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, payload, qos, properties, expiry, ran, wall FROM mqtt_retained ORDER BY topic",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Retained {
            topic: row.get(0)?,
            payload: row.get(1)?,
            qos: row.get(2)?,
            properties: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
            expiry_s: now.left_in(row, 4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
