//! MQTT's retained messages, on disk: what a subscriber is told first survives a restart.

use farm_model::Stamp;
use rusqlite::{Connection, params};

use crate::{
    mqtt::seconds_until,
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
    let now = tx.wall().0;
    let expires_at = message
        .expiry_s
        .map(|seconds| now.saturating_add(i64::from(seconds) * 1_000));
    let properties = (!message.properties.is_empty()).then_some(&message.properties);
    tx.conn()
        .prepare_cached(
            "INSERT INTO mqtt_retained (topic, payload, qos, at, properties, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (topic) DO UPDATE
             SET payload = ?2, qos = ?3, at = ?4, properties = ?5, expires_at = ?6",
        )?
        .execute(params![
            message.topic,
            message.payload,
            message.qos,
            now,
            properties,
            expires_at
        ])?;
    Ok(())
}

/// Every retained message, by topic.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &Connection, now: Stamp) -> Result<Vec<Retained>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT topic, payload, qos, properties, expires_at FROM mqtt_retained ORDER BY topic",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Retained {
            topic: row.get(0)?,
            payload: row.get(1)?,
            qos: row.get(2)?,
            properties: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
            expiry_s: row
                .get::<_, Option<i64>>(4)?
                .map(|at| seconds_until(at, now)),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
