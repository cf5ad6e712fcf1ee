//! When each device last logged in at the MQTT door, from where and with what, and whether it is connected now.
//!
//! The newest log-in of each device is in memory, one entry per device, and on disk so that a restart does not forget it; who is
//! connected is known in memory alone. Like the parlour's picture, what a page sees may be ahead of the store by a commit.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use farm_model::{DeviceId, UnixMillis};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::{
    sql,
    store::{StoreError, Tx},
};

/// A log-in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Login {
    /// When.
    pub at: UnixMillis,
    /// From which address.
    pub peer: IpAddr,
    /// Over what.
    pub carrier: Carrier,
    /// With what.
    pub proof: Proof,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }

            fn from_key(key: &str) -> Option<Self> {
                match key { $($key => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What carries a connection.
    Carrier {
        /// TCP alone.
        Tcp = "tcp",
        /// TLS.
        Tls = "tls",
        /// WebSocket.
        WebSocket = "websocket",
    }
}

words! {
    /// What a device proves itself with.
    Proof {
        /// Its secret.
        Secret = "secret",
        /// A certificate.
        Certificate = "certificate",
    }
}

/// What is known of a device at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Presence {
    /// Its newest log-in.
    pub last: Option<Login>,
    /// Its connections now.
    pub connections: u32,
}

/// Keeps a log-in in place of the device's older one.
///
/// # Errors
/// When the database fails.
pub fn put(tx: &mut Tx<'_>, device: DeviceId, login: &Login) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO device_login (device, at, peer, carrier, proof) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device) DO UPDATE SET at = ?2, peer = ?3, carrier = ?4, proof = ?5",
        )?
        .execute(params![
            device.as_bytes(),
            login.at.0,
            login.peer.to_string(),
            login.carrier.key(),
            login.proof.key()
        ])?;
    Ok(())
}

/// Everybody's presence; a panic while it was held leaves at worst one connection miscounted.
#[derive(Debug)]
pub(crate) struct Presences {
    of: Mutex<HashMap<DeviceId, Presence>>,
    changed: watch::Sender<()>,
}

impl Presences {
    pub(crate) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut statement =
            conn.prepare("SELECT device, at, peer, carrier, proof FROM device_login")?;
        let mut rows = statement.query([])?;
        let mut of = HashMap::new();
        while let Some(row) = rows.next()? {
            let (peer, carrier, proof) =
                (sql::text(row, 2)?, sql::text(row, 3)?, sql::text(row, 4)?);
            // What another version wrote and this one does not know is not shown.
            let (Ok(peer), Some(carrier), Some(proof)) = (
                peer.parse(),
                Carrier::from_key(&carrier),
                Proof::from_key(&proof),
            ) else {
                continue;
            };
            let login = Login {
                at: UnixMillis(row.get(1)?),
                peer,
                carrier,
                proof,
            };
            let presence = Presence {
                last: Some(login),
                connections: 0,
            };
            of.insert(sql::id(row, 0)?, presence);
        }
        Ok(Self {
            of: Mutex::new(of),
            changed: watch::Sender::new(()),
        })
    }

    pub(crate) fn enters(&self, device: DeviceId, login: Login) {
        let mut of = self.of();
        let presence = of.entry(device).or_default();
        presence.last = Some(login);
        presence.connections += 1;
        self.changed.send_replace(());
    }

    pub(crate) fn leaves(&self, device: DeviceId) {
        let mut of = self.of();
        if let Some(presence) = of.get_mut(&device) {
            presence.connections = presence.connections.saturating_sub(1);
        }
        self.changed.send_replace(());
    }

    pub(crate) fn get(&self, device: DeviceId) -> Presence {
        self.of().get(&device).copied().unwrap_or_default()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn of(&self) -> MutexGuard<'_, HashMap<DeviceId, Presence>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
