//! MQTT sessions that outlive their connection, on disk: subscriptions, messages that wait, identifiers of QoS 2 publishes.
//!
//! Whoever keeps the door says what changes, in order; nothing is decided here. A message is one row however many sessions it
//! waits for, and goes with the last of them. Invariant: no change fails for what is there already, so that it can be done again.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    spans::Moment,
    store::{StoreError, Tx},
};

/// A subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// The filter as it was asked for.
    pub filter: String,
    /// Quality of service at most, 0 to 2.
    pub qos: u8,
    /// Not the client's own messages.
    pub no_local: bool,
    /// Marked as retained when published so.
    pub retain_as_published: bool,
    /// Which retained values it is sent at once: 0 all, 1 if it is new, 2 none.
    pub retained: u8,
    /// The identifier that comes with each message.
    pub id: Option<u32>,
}

/// A message that waits for sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Its number; a later one has a higher.
    pub number: i64,
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// What an MQTT 5 publisher said besides, as the standard writes it.
    pub properties: Vec<u8>,
    /// Seconds for which it is worth delivering.
    pub expiry_s: Option<u32>,
    /// For whom.
    pub deliveries: Vec<Delivery>,
}

/// A session that a letter is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The session's number.
    pub session: i64,
    /// The packet identifier.
    pub pid: u16,
    /// Quality of service, 1 or 2.
    pub qos: u8,
    /// Marked as retained.
    pub retain: bool,
    /// Identifiers of the subscriptions that it answers.
    pub ids: Vec<u32>,
    /// The client has it, but not the last word on it.
    pub received: bool,
}

/// A session as it was left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its number.
    pub number: i64,
    /// The client's identifier.
    pub client: String,
    /// The user it logged in as.
    pub user: Option<String>,
    /// Seconds that it still lasts.
    pub left_s: u32,
    /// No letter above this one has been sent to it.
    pub sent_to: i64,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Identifiers of QoS 2 publishes that it may still send again.
    pub accepted: Vec<u16>,
}

/// Keeps a session whose client has come; another one of the same user and client identifier goes.
///
/// # Errors
/// When the database fails.
pub fn begin(
    tx: &mut Tx<'_>,
    session: i64,
    client: &str,
    user: Option<&str>,
    expiry_s: u32,
) -> Result<(), StoreError> {
    let other: Option<i64> = tx
        .conn()
        .prepare_cached("SELECT n FROM mqtt_session WHERE client = ?1 AND user IS ?2 AND n <> ?3")?
        .query_row(params![client, user, session], |row| row.get(0))
        .optional()?;
    if let Some(other) = other {
        end(tx, other)?;
    }
    tx.conn()
        .prepare_cached(
            "INSERT INTO mqtt_session (n, client, user, expiry) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (n) DO UPDATE SET client = ?2, user = ?3, expiry = ?4, left_ran = NULL, left_wall = NULL",
        )?
        .execute(params![session, client, user, expiry_s])?;
    Ok(())
}

/// Notes that a session's connection has ended; it lasts for `expiry_s` seconds from now.
///
/// # Errors
/// When the database fails.
pub fn leave(tx: &mut Tx<'_>, session: i64, expiry_s: u32, sent_to: i64) -> Result<(), StoreError> {
    let Moment { ran, wall } = tx.moment();
    tx.conn()
        .prepare_cached(
            "UPDATE mqtt_session
             SET expiry = ?2, sent_to = max(sent_to, ?3), left_ran = ?4, left_wall = ?5 WHERE n = ?1",
        )?
        .execute(params![session, expiry_s, sent_to, ran, wall])?;
    Ok(())
}

/// Removes a session and all that waits for it alone.
///
/// # Errors
/// When the database fails.
pub fn end(tx: &mut Tx<'_>, session: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM mqtt_letter WHERE n IN (SELECT letter FROM mqtt_delivery WHERE session = ?1)
         AND NOT EXISTS (SELECT 1 FROM mqtt_delivery WHERE letter = mqtt_letter.n AND session <> ?1)",
        "DELETE FROM mqtt_delivery WHERE session = ?1",
        "DELETE FROM mqtt_subscription WHERE session = ?1",
        "DELETE FROM mqtt_accepted WHERE session = ?1",
        "DELETE FROM mqtt_session WHERE n = ?1",
    ] {
        tx.conn().prepare_cached(sql)?.execute([session])?;
    }
    Ok(())
}

/// Keeps a subscription, in place of an older one to the same filter.
///
/// # Errors
/// When the database fails.
pub fn subscribe(
    tx: &mut Tx<'_>,
    session: i64,
    subscription: &Subscription,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT OR REPLACE INTO mqtt_subscription
             (session, filter, qos, no_local, retain_as_published, retained, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            session,
            subscription.filter,
            subscription.qos,
            subscription.no_local,
            subscription.retain_as_published,
            subscription.retained,
            subscription.id,
        ])?;
    Ok(())
}

/// Removes a subscription.
///
/// # Errors
/// When the database fails.
pub fn unsubscribe(tx: &mut Tx<'_>, session: i64, filter: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM mqtt_subscription WHERE session = ?1 AND filter = ?2")?
        .execute(params![session, filter])?;
    Ok(())
}

/// Keeps a message for the sessions that it is for.
///
/// # Errors
/// When the database fails.
pub fn post(tx: &mut Tx<'_>, letter: &Letter) -> Result<(), StoreError> {
    let Moment { ran, wall } = tx.moment();
    let properties = (!letter.properties.is_empty()).then_some(&letter.properties);
    tx.conn()
        .prepare_cached(
            "INSERT OR REPLACE INTO mqtt_letter (n, topic, payload, properties, expiry, ran, wall)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            letter.number,
            letter.topic,
            letter.payload,
            properties,
            letter.expiry_s,
            ran,
            wall
        ])?;
    let mut insert = tx.conn().prepare_cached(
        "INSERT OR REPLACE INTO mqtt_delivery (session, pid, letter, qos, retain, ids, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for delivery in &letter.deliveries {
        let ids: Vec<u8> = delivery
            .ids
            .iter()
            .flat_map(|id| id.to_le_bytes())
            .collect();
        insert.execute(params![
            delivery.session,
            delivery.pid,
            letter.number,
            delivery.qos,
            delivery.retain,
            (!ids.is_empty()).then_some(ids),
            delivery.received,
        ])?;
    }
    Ok(())
}

/// Notes that a client has a QoS 2 message.
///
/// # Errors
/// When the database fails.
pub fn received(tx: &mut Tx<'_>, session: i64, letter: i64, pid: u16) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "UPDATE mqtt_delivery SET received = 1 WHERE session = ?1 AND pid = ?2 AND letter = ?3",
        )?
        .execute(params![session, pid, letter])?;
    Ok(())
}

/// Removes a delivery, and its letter if it was the last.
///
/// # Errors
/// When the database fails.
pub fn done(tx: &mut Tx<'_>, session: i64, letter: i64, pid: u16) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "DELETE FROM mqtt_delivery WHERE session = ?1 AND pid = ?2 AND letter = ?3",
        )?
        .execute(params![session, pid, letter])?;
    tx.conn()
        .prepare_cached(
            "DELETE FROM mqtt_letter WHERE n = ?1
             AND NOT EXISTS (SELECT 1 FROM mqtt_delivery WHERE letter = ?1)",
        )?
        .execute([letter])?;
    Ok(())
}

/// Notes a QoS 2 publish of a client, so that it counts once if it comes again.
///
/// # Errors
/// When the database fails.
pub fn accepted(tx: &mut Tx<'_>, session: i64, pid: u16) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("INSERT OR IGNORE INTO mqtt_accepted (session, pid) VALUES (?1, ?2)")?
        .execute(params![session, pid])?;
    Ok(())
}

/// Notes that a QoS 2 publish does not come again: its identifier means another one from now.
///
/// # Errors
/// When the database fails.
pub fn released(tx: &mut Tx<'_>, session: i64, pid: u16) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM mqtt_accepted WHERE session = ?1 AND pid = ?2")?
        .execute(params![session, pid])?;
    Ok(())
}

/// After a start, before the door opens: every session is away. One that was connected when the appliance ended without a
/// word may have been sent anything that is there, and is away from now. What comes later has been sent to nobody, though its
/// number may be one that was used before.
///
/// # Errors
/// When the database fails.
pub fn recover(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let over: Vec<i64> = tx
        .conn()
        .prepare_cached("SELECT n FROM mqtt_session WHERE expiry = 0")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for session in over {
        end(tx, session)?;
    }
    let Moment { ran, wall } = tx.moment();
    tx.conn().execute(
        "UPDATE mqtt_session
         SET sent_to = CASE WHEN left_ran IS NULL THEN newest ELSE min(sent_to, newest) END,
             left_wall = CASE WHEN left_ran IS NULL THEN ?2 ELSE left_wall END,
             left_ran = coalesce(left_ran, ?1)
         FROM (SELECT coalesce(max(n), 0) AS newest FROM mqtt_letter)",
        params![ran, wall],
    )?;
    Ok(())
}

/// Every session, with what is left of its time `now`.
///
/// # Errors
/// When the database fails.
pub fn sessions(conn: &Connection, now: Moment) -> Result<Vec<Session>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT n, client, user, sent_to, expiry, left_ran, left_wall FROM mqtt_session ORDER BY n",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Session {
            number: row.get(0)?,
            client: row.get(1)?,
            user: row.get(2)?,
            left_s: now.left_in(row, 4)?.unwrap_or(0),
            sent_to: row.get(3)?,
            subscriptions: Vec::new(),
            accepted: Vec::new(),
        })
    })?;
    let mut sessions: Vec<Session> = rows.collect::<Result<_, _>>()?;
    for session in &mut sessions {
        session.subscriptions = subscriptions(conn, session.number)?;
        session.accepted = conn
            .prepare_cached("SELECT pid FROM mqtt_accepted WHERE session = ?1")?
            .query_map([session.number], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
    }
    Ok(sessions)
}

fn subscriptions(conn: &Connection, session: i64) -> Result<Vec<Subscription>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT filter, qos, no_local, retain_as_published, retained, id FROM mqtt_subscription
         WHERE session = ?1 ORDER BY filter",
    )?;
    let rows = statement.query_map([session], |row| {
        Ok(Subscription {
            filter: row.get(0)?,
            qos: row.get(1)?,
            no_local: row.get(2)?,
            retain_as_published: row.get(3)?,
            retained: row.get(4)?,
            id: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every letter that still waits, in order.
///
/// # Errors
/// When the database fails.
pub fn letters(conn: &Connection, now: Moment) -> Result<Vec<Letter>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT l.n, l.topic, l.payload, l.properties, l.expiry, l.ran, l.wall,
                d.session, d.pid, d.qos, d.retain, d.ids, d.received
         FROM mqtt_letter l JOIN mqtt_delivery d ON d.letter = l.n ORDER BY l.n, d.session",
    )?;
    let mut rows = statement.query([])?;
    let mut letters: Vec<Letter> = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if letters.last().is_none_or(|letter| letter.number != number) {
            letters.push(Letter {
                number,
                topic: row.get(1)?,
                payload: row.get(2)?,
                properties: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
                expiry_s: now.left_in(row, 4)?,
                deliveries: Vec::new(),
            });
        }
        if let Some(letter) = letters.last_mut() {
            letter.deliveries.push(delivery(row)?);
        }
    }
    Ok(letters)
}

fn delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let ids: Option<Vec<u8>> = row.get(11)?;
    let ids = ids.unwrap_or_default();
    Ok(Delivery {
        session: row.get(7)?,
        pid: row.get(8)?,
        qos: row.get(9)?,
        retain: row.get(10)?,
        ids: ids
            .chunks_exact(4)
            .map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]]))
            .collect(),
        received: row.get(12)?,
    })
}
