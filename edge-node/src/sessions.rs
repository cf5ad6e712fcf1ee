//! MQTT sessions between the door and the store: each change that the door tells is done in the transaction that it belongs to.

use std::sync::Arc;

use bytes::Bytes;
use edge_broker::{
    Addressee, Change, Letter, Options, Qos, RetainedAtSubscribe, Stored, StoredSession,
};
use farm::{Actor, Farm, StoreError, Tx, mqtt};
use farm_model::Clock;

/// Does one change.
///
/// # Errors
/// When the database fails.
pub fn apply(tx: &mut Tx<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Began {
            session,
            client_id,
            user,
            expiry_s,
        } => mqtt::begin(tx, key(*session), client_id, user.as_deref(), *expiry_s),
        Change::Left {
            session,
            expiry_s,
            sent_to,
        } => mqtt::leave(tx, key(*session), *expiry_s, key(*sent_to)),
        Change::Ended { session } => mqtt::end(tx, key(*session)),
        Change::Subscribed {
            session,
            filter,
            options,
        } => mqtt::subscribe(tx, key(*session), &to_row(filter, *options)),
        Change::Unsubscribed { session, filter } => mqtt::unsubscribe(tx, key(*session), filter),
        Change::Posted(letter) => mqtt::post(tx, &to_letter(letter)),
        Change::Received {
            session,
            letter,
            pid,
        } => mqtt::received(tx, key(*session), key(*letter), *pid),
        Change::Done {
            session,
            letter,
            pid,
        } => mqtt::done(tx, key(*session), key(*letter), *pid),
        Change::Accepted { session, pid } => mqtt::accepted(tx, key(*session), *pid),
        Change::Released { session, pid } => mqtt::released(tx, key(*session), *pid),
    }
}

/// All that an earlier run has left.
///
/// # Errors
/// When the database fails.
pub async fn load(farm: &Farm) -> Result<Stored, StoreError> {
    farm.write(Actor::System, mqtt::recover).await?;
    let now = farm.clock().moment(farm.clock().now());
    let (sessions, letters) = farm
        .read(move |conn| {
            let sessions = mqtt::sessions(conn, now)?;
            Ok::<_, StoreError>((sessions, mqtt::letters(conn, now)?))
        })
        .await?;
    Ok(Stored {
        sessions: sessions.into_iter().map(from_session).collect(),
        letters: letters.into_iter().map(from_letter).collect(),
        used_to: 0,
    })
}

/// The numbers of the door are counted up from 1: they fit.
fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(key: i64) -> u64 {
    u64::try_from(key).unwrap_or(0)
}

fn to_row(filter: &Arc<str>, options: Options) -> mqtt::Subscription {
    mqtt::Subscription {
        filter: filter.to_string(),
        qos: options.qos as u8,
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        retained: match options.retained {
            RetainedAtSubscribe::Send => 0,
            RetainedAtSubscribe::SendIfNew => 1,
            RetainedAtSubscribe::Not => 2,
        },
        id: options.id,
    }
}

fn from_row(row: mqtt::Subscription) -> (Arc<str>, Options) {
    let options = Options {
        qos: Qos::from_number(row.qos),
        no_local: row.no_local,
        retain_as_published: row.retain_as_published,
        retained: match row.retained {
            0 => RetainedAtSubscribe::Send,
            1 => RetainedAtSubscribe::SendIfNew,
            _ => RetainedAtSubscribe::Not,
        },
        id: row.id,
    };
    (row.filter.into(), options)
}

fn from_session(session: mqtt::Session) -> StoredSession {
    StoredSession {
        session: number(session.number),
        client_id: session.client.into(),
        user: session.user.map(Arc::from),
        left_s: session.left_s,
        sent_to: number(session.sent_to),
        subscriptions: session.subscriptions.into_iter().map(from_row).collect(),
        accepted: session.accepted,
    }
}

fn to_letter(letter: &Letter) -> mqtt::Letter {
    let delivery = |addressee: &Addressee| mqtt::Delivery {
        session: key(addressee.session),
        pid: addressee.pid,
        qos: addressee.qos as u8,
        retain: addressee.retain,
        ids: addressee.ids.clone(),
        received: addressee.received,
    };
    mqtt::Letter {
        number: key(letter.number),
        topic: letter.topic.to_string(),
        payload: letter.payload.to_vec(),
        properties: letter.properties.to_vec(),
        expiry_s: letter.expiry_s,
        deliveries: letter.addressees.iter().map(delivery).collect(),
    }
}

fn from_letter(letter: mqtt::Letter) -> Letter {
    let addressee = |delivery: mqtt::Delivery| Addressee {
        session: number(delivery.session),
        pid: delivery.pid,
        qos: Qos::from_number(delivery.qos),
        retain: delivery.retain,
        ids: delivery.ids,
        received: delivery.received,
    };
    Letter {
        number: number(letter.number),
        topic: letter.topic.into(),
        payload: Bytes::from(letter.payload),
        properties: Bytes::from(letter.properties),
        expiry_s: letter.expiry_s,
        addressees: letter.deliveries.into_iter().map(addressee).collect(),
    }
}
