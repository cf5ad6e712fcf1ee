//! Who may enter the MQTT door, and who may stay.
//!
//! A client comes with a certificate of the farm's authority, with a device's short name and secret, with an API token as its
//! password, from an address that the configuration names, or to ask whether it may join. Invariants: everything that a right
//! follows from is read again after its bearer is known to be inside, so that a revocation meets everybody; a clock that nobody
//! vouches for refuses nobody.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use edge_broker::{Carrier, Denied, Login, Permit};
use farm::{
    Actor, Change, Farm, StoreError,
    auth::{self, ApiToken},
    credentials::{self, Basis, CredentialError, Fingerprint, Standing},
    devices, joins,
};
use farm_model::{Clock as _, DeviceId};
use sha2::{Digest as _, Sha256};

use super::{asking::Joiners, joining, permits, who::Who};

/// Who may ask to join.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joining {
    /// Any device of the farm's network.
    Open,
    /// Nobody.
    Closed,
}

/// Knows who is inside, and why.
pub(crate) struct Doorkeeper {
    farm: Farm,
    anonymous_from: Vec<IpAddr>,
    joining: Joining,
    inside: Mutex<HashMap<Who, Right>>,
    pub(super) joiners: Arc<Joiners>,
}

/// What somebody's right to be inside follows from.
#[derive(Clone, PartialEq, Debug)]
enum Right {
    Device(Box<Basis>),
    Token,
}

/// What a client shows.
enum Shown {
    Certificate(Fingerprint),
    Secret {
        user: String,
        secret: String,
    },
    /// A password that can be no secret of ours.
    Bytes,
    Nothing,
}

/// What that proves.
enum Proven {
    Device { basis: Box<Basis>, arrival: Arrival },
    Token(ApiToken),
    Not(&'static str),
}

/// What a device's coming changes.
#[derive(Clone, Copy)]
enum Arrival {
    /// Nothing: it was here before.
    Known,
    /// It comes with a new certificate, which ends the older ones.
    First(Fingerprint),
    /// It comes with what it was told when it joined.
    Joined,
}

impl Doorkeeper {
    pub(crate) fn new(farm: Farm, anonymous_from: Vec<IpAddr>, joining: Joining) -> Self {
        Self {
            farm,
            anonymous_from,
            joining,
            inside: Mutex::default(),
            joiners: Arc::default(),
        }
    }

    /// What this client may do, or why it may not enter.
    pub(super) async fn admit(&self, login: Login) -> Result<Permit, Denied> {
        let shown = shown(&login);
        if let Shown::Nothing = shown {
            return self.admit_unknown(&login);
        }
        let answer = self.admit_known(shown, &login.client_id, login.peer).await;
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, client = %login.client_id, "log-in of an MQTT client failed");
            Err(Denied::Unavailable)
        })
    }

    async fn admit_known(
        &self,
        shown: Shown,
        client: &str,
        peer: SocketAddr,
    ) -> Result<Result<Permit, Denied>, StoreError> {
        let refused = match &shown {
            Shown::Certificate(_) => Denied::NotAuthorized,
            _ => Denied::BadCredentials,
        };
        let now = self.farm.clock().now();
        let proof = self.farm.read(move |conn| prove(conn, &shown, &now));
        let (who, right, permit) = match proof.await? {
            Proven::Token(token) => {
                let who = Who::Token(token.id);
                let permit = permits::of_scope(&who, token.scope);
                (who, Right::Token, permit)
            }
            Proven::Device { basis, arrival } => {
                let who = Who::Device(basis.device.id);
                if !basis.device.enabled {
                    tracing::info!(device = basis.device.slug, %peer, "the device is switched off, and may not enter");
                    return Ok(Err(Denied::NotAuthorized));
                }
                self.arrives(basis.device.id, arrival).await?;
                let permit = permits::of_device(&who, &basis);
                (who, Right::Device(basis), permit)
            }
            Proven::Not(why) => {
                tracing::info!(%client, %peer, why, "MQTT client may not enter");
                return Ok(Err(refused));
            }
        };
        // Whoever revokes from now on finds it inside; whoever did before is found by looking once more.
        self.inside().insert(who.clone(), right.clone());
        let stands = self
            .farm
            .read(move |conn| still_stands(conn, &who, &right))
            .await?;
        Ok(if stands { Ok(permit) } else { Err(refused) })
    }

    /// Writes down what an arrival changes.
    async fn arrives(&self, device: DeviceId, arrival: Arrival) -> Result<(), StoreError> {
        let actor = Actor::Device(device);
        match arrival {
            Arrival::Known => Ok(()),
            Arrival::Joined => {
                let written = self.farm.write(actor, move |tx| joins::arrived(tx, device));
                written.await
            }
            Arrival::First(fingerprint) => {
                let written = self.farm.write(actor, move |tx| {
                    credentials::used_certificate(tx, &fingerprint)
                });
                match written.await {
                    Err(CredentialError::Store(error)) => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Counts one who asks to join and is not heard, because too many do.
    pub(super) fn refuse_join(&self, address: IpAddr) {
        metrics::counter!("mqtt_joins_refused_total").increment(1);
        let now = self.farm.clock().now().wall;
        self.farm.live().refuse_join(address, now);
    }

    /// Whoever shows nothing: trusted by address, or asks to join.
    fn admit_unknown(&self, login: &Login) -> Result<Permit, Denied> {
        let address = login.peer.ip().to_canonical();
        if login.user.as_deref() == Some(joining::USER) {
            let serial = login.client_id.to_string();
            if self.joining == Joining::Closed || !joining::is_serial(&serial) {
                return Err(Denied::NotAuthorized);
            }
            if !self.joiners.has_room(address) {
                self.refuse_join(address);
                return Err(Denied::Unavailable);
            }
            let who = Who::Joining {
                address,
                serial: serial.clone(),
            };
            return Ok(permits::of_joining(&who, &serial));
        }
        let mut trusted = self.anonymous_from.iter();
        // A browser at a trusted address opens a WebSocket for any page that it shows.
        if login.carrier != Carrier::WebSocket && trusted.any(|a| a.to_canonical() == address) {
            return Ok(permits::of_scope(
                &Who::Address(address),
                auth::Scope::Observe,
            ));
        }
        Err(Denied::NotAuthorized)
    }

    /// Those inside whose right to be there ended or changed, as far as `change` can have touched it; without one, whoever it
    /// is. They are told once.
    ///
    /// # Errors
    /// When the store fails; then nobody is told yet.
    pub(crate) async fn no_longer_welcome(
        &self,
        change: Option<&Change>,
    ) -> Result<Vec<Who>, StoreError> {
        let touched = |who: &Who| match (change, who) {
            (None | Some(Change::Place { .. }), _) => true,
            (Some(Change::Device { device }), Who::Device(inside)) => device == inside,
            (Some(Change::Token { token }), Who::Token(inside)) => token == inside,
            _ => false,
        };
        let asked: Vec<(Who, Right)> = self
            .inside()
            .iter()
            .filter(|(who, _)| touched(who))
            .map(|(who, right)| (who.clone(), right.clone()))
            .collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let gone = self
            .farm
            .read(move |conn| {
                let mut gone = Vec::new();
                for (who, right) in asked {
                    if !still_stands(conn, &who, &right)? {
                        gone.push((who, right));
                    }
                }
                Ok::<_, StoreError>(gone)
            })
            .await?;
        let mut inside = self.inside();
        Ok(gone
            .into_iter()
            .filter(|(who, right)| {
                // Whoever came again meanwhile came by what is valid now.
                let same = inside.get(who) == Some(right);
                if same {
                    inside.remove(who);
                }
                same
            })
            .map(|(who, _)| who)
            .collect())
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<Who, Right>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(login: &Login) -> Shown {
    if let Some(certificate) = &login.certificate {
        let digest = Sha256::digest(certificate);
        return Shown::Certificate(Fingerprint(digest.into()));
    }
    let Some(password) = &login.password else {
        return Shown::Nothing;
    };
    match std::str::from_utf8(password) {
        Ok(secret) => Shown::Secret {
            user: login.user.as_deref().unwrap_or_default().to_owned(),
            secret: secret.to_owned(),
        },
        Err(_) => Shown::Bytes,
    }
}

/// What `shown` proves. The basis is read before the proof is looked at: whatever ends the proof later changes the basis.
fn prove(
    conn: &rusqlite::Connection,
    shown: &Shown,
    now: &farm_model::Stamp,
) -> Result<Proven, StoreError> {
    match shown {
        Shown::Certificate(fingerprint) => {
            const UNKNOWN: Proven = Proven::Not("its certificate is not entered here");
            let Some((device, _)) = credentials::certificate(conn, fingerprint)? else {
                return Ok(UNKNOWN);
            };
            let basis = credentials::basis(conn, device)?;
            let certificate = credentials::certificate(conn, fingerprint)?;
            let (Some(basis), Some((_, certificate))) = (basis, certificate) else {
                return Ok(UNKNOWN);
            };
            Ok(match certificate.standing(now) {
                Standing::Good => Proven::Device {
                    basis: Box::new(basis),
                    arrival: match certificate.used {
                        Some(_) => Arrival::Known,
                        None => Arrival::First(*fingerprint),
                    },
                },
                Standing::Revoked => Proven::Not("its certificate was revoked or replaced"),
                Standing::Expired => Proven::Not("its certificate has expired"),
            })
        }
        Shown::Secret { user, secret } => {
            let basis = match devices::find(conn, user)? {
                Some(device) => credentials::basis(conn, device.id)?,
                None => None,
            };
            if let (Some(basis), Some(device)) =
                (basis, credentials::device_by_secret(conn, user, secret)?)
            {
                return Ok(Proven::Device {
                    basis: Box::new(basis),
                    arrival: if joins::is_awaited(conn, device.id)? {
                        Arrival::Joined
                    } else {
                        Arrival::Known
                    },
                });
            }
            Ok(match auth::token(conn, secret)? {
                Some(token) => Proven::Token(token),
                None => Proven::Not("its secret is neither its device's nor a token's"),
            })
        }
        Shown::Bytes | Shown::Nothing => Ok(Proven::Not("its password is no text")),
    }
}

fn still_stands(conn: &rusqlite::Connection, who: &Who, right: &Right) -> Result<bool, StoreError> {
    match (who, right) {
        (Who::Device(device), Right::Device(basis)) => {
            Ok(credentials::basis(conn, *device)?.as_ref() == Some(basis))
        }
        (Who::Token(token), Right::Token) => auth::is_valid_token(conn, *token),
        _ => Ok(false),
    }
}
