//! What the MQTT door asks of the appliance: who may enter, and what makes a message durable.
//!
//! Who may enter and stay is the `Doorkeeper`'s business, what each may do `permits`'. Devices also ask here whether they may
//! join, and for certificates; the answers leave through `follow`. Invariant: `accept` takes its place in the queue at once and
//! resolves after the commit.

mod asking;
mod doorkeeper;
mod follow;
mod joining;
mod permits;
mod who;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use edge_broker::{
    BoxFuture, Carrier, Change, Denied, Entrant, Gate, Permit, Proof, Publish, Qos, Refused,
    RefusedKind, Retained, Stay, Stored,
};
use farm::{
    Actor, Farm, devices,
    joins::{self, JoinError},
    logins::{self, Login},
};
use farm_model::{Clock as _, DeviceId};
use farm_web::Authority as _;
use tokio::sync::mpsc;

use self::{asking::Askers, who::Who};
pub(crate) use self::{
    doorkeeper::{Doorkeeper, Joining},
    follow::{Word, follow, words},
};
use crate::{
    authority::FarmAuthority,
    ingest::{self, Intake, Told},
    sessions,
};

/// A device is given one certificate in this time: each is written down.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60);

/// The appliance's gate.
pub(crate) struct FarmGate {
    farm: Farm,
    intake: Intake,
    keeper: Arc<Doorkeeper>,
    authority: FarmAuthority,
    words: mpsc::Sender<Word>,
    certified: Mutex<HashMap<DeviceId, Instant>>,
    askers: Mutex<Askers>,
}

impl FarmGate {
    pub(crate) fn new(
        farm: Farm,
        intake: Intake,
        keeper: Arc<Doorkeeper>,
        authority: FarmAuthority,
        words: mpsc::Sender<Word>,
    ) -> Self {
        Self {
            farm,
            intake,
            keeper,
            authority,
            words,
            certified: Mutex::default(),
            askers: Mutex::default(),
        }
    }

    fn store(&self, told: Vec<Told>) -> BoxFuture<'static, Result<(), Refused>> {
        let stored = self.intake.submit(told);
        Box::pin(async move {
            stored.await.map(drop).map_err(|error| Refused {
                kind: RefusedKind::Unavailable,
                reason: format!("not stored: {error}"),
            })
        })
    }

    /// What a publish asks of the gate itself, besides being stored.
    fn errand(
        &self,
        who: Option<&Who>,
        publish: &Publish,
    ) -> Option<BoxFuture<'static, Result<(), Refused>>> {
        match who? {
            Who::Joining { address, serial } => Some(self.ask(*address, serial, publish)),
            Who::Device(device)
                if publish.topic.starts_with("khamar/node/") && publish.topic.ends_with("/csr") =>
            {
                Some(self.certify(*device, publish))
            }
            _ => None,
        }
    }

    /// A device asks to join.
    fn ask(
        &self,
        address: IpAddr,
        serial: &str,
        publish: &Publish,
    ) -> BoxFuture<'static, Result<(), Refused>> {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        if !askers.may_ask(address, Instant::now()) {
            self.keeper.refuse_join(address);
            tracing::info!(%address, serial, "a request to join was refused: too many came");
            let reason = "too many ask to join: wait a minute, then ask again";
            return refused(RefusedKind::Quota, reason);
        }
        drop(askers);
        let ask = match joining::read(serial, &publish.payload) {
            Ok(ask) => ask,
            Err(bad) => {
                // MQTT 3.1.1 cannot be told, and would send it for ever.
                tracing::info!(%address, serial, %bad, "a request to join was not understood");
                return Box::pin(std::future::ready(Ok(())));
            }
        };
        let (farm, keeper) = (self.farm.clone(), Arc::clone(&self.keeper));
        Box::pin(async move {
            let asked = farm.write(Actor::System, move |tx| joins::ask(tx, &ask, address));
            asked.await.map_err(|error| Refused {
                kind: match error {
                    JoinError::TooMany => {
                        keeper.refuse_join(address);
                        RefusedKind::Quota
                    }
                    _ => RefusedKind::Unavailable,
                },
                reason: error.to_string(),
            })
        })
    }

    /// A device asks for a certificate of its own key; the answer, or why there is none, goes to its topic.
    fn certify(
        &self,
        device: DeviceId,
        publish: &Publish,
    ) -> BoxFuture<'static, Result<(), Refused>> {
        {
            let mut certified = self
                .certified
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            certified.retain(|_, at| at.elapsed() < CERTIFICATE_EVERY);
            if certified.contains_key(&device) {
                let reason = "one certificate a minute: the last one counts";
                return refused(RefusedKind::Quota, reason);
            }
            certified.insert(device, Instant::now());
        }
        let request = String::from_utf8_lossy(&publish.payload).into_owned();
        let (farm, authority, words) = (
            self.farm.clone(),
            self.authority.clone(),
            self.words.clone(),
        );
        Box::pin(async move {
            let signed = authority.sign(Actor::Device(device), device, request).await;
            let payload = match signed {
                Ok(bundle) => bundle.certificate,
                Err(error) => error.to_string(),
            };
            let found = farm.read(move |conn| devices::get(conn, device)).await;
            if let Ok(Some(device)) = found {
                let word = Word {
                    topic: farm_model::topics::certificate(&device.slug),
                    payload: payload.into_bytes(),
                };
                // Full, or closing: the device asks again.
                let _ = words.try_send(word);
            }
            Ok(())
        })
    }
}

/// A connection of a device, for as long as it lasts.
struct Inside {
    farm: Farm,
    device: DeviceId,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.farm.live().leaves(self.device);
    }
}

/// Whether a client's publish there can be a retained value. Frames and requests are for once: kept, they would be told again to
/// everybody who comes.
fn may_be_retained(topic: &str) -> bool {
    !topic.starts_with("khamar/")
}

fn refused(kind: RefusedKind, reason: &str) -> BoxFuture<'static, Result<(), Refused>> {
    let reason = reason.to_owned();
    Box::pin(std::future::ready(Err(Refused { kind, reason })))
}

impl Gate for FarmGate {
    fn authenticate(&self, login: edge_broker::Login) -> BoxFuture<'_, Result<Permit, Denied>> {
        Box::pin(self.keeper.admit(login))
    }

    fn entered(&self, entrant: &Entrant<'_>) -> Stay {
        let device = match entrant.user.map(str::parse) {
            Some(Ok(Who::Device(device))) => device,
            Some(Ok(Who::Joining { address, .. })) => {
                return Box::new(self.keeper.joiners.enter(address));
            }
            _ => return Box::new(()),
        };
        let login = Login {
            at: self.farm.clock().now().wall,
            peer: entrant.peer.ip().to_canonical(),
            carrier: match entrant.carrier {
                Carrier::Tcp => logins::Carrier::Tcp,
                Carrier::Tls => logins::Carrier::Tls,
                Carrier::WebSocket => logins::Carrier::WebSocket,
            },
            proof: match entrant.proof {
                Proof::Certificate => logins::Proof::Certificate,
                Proof::Password => logins::Proof::Secret,
            },
        };
        self.farm.live().enters(device, login);
        // Nobody waits for it: when all come back at once, they share the commits that there are anyway.
        self.intake.note(vec![Told::Login(device, login)]);
        Box::new(Inside {
            farm: self.farm.clone(),
            device,
        })
    }

    fn accept(&self, publish: Publish) -> BoxFuture<'static, Result<(), Refused>> {
        let who: Option<Who> = publish.user.as_deref().and_then(|who| who.parse().ok());
        if publish.retain && !may_be_retained(&publish.topic) {
            let reason = "a frame or a request is not retained: publish it without that flag";
            return refused(RefusedKind::NotAuthorized, reason);
        }
        let errand = self.errand(who.as_ref(), &publish);
        let received = self.farm.clock().now();
        let mut told: Vec<Told> = ingest::read_publish(&publish.topic, &publish.payload, received)
            .map(|told| match who {
                Some(Who::Device(device)) => told.by(device),
                _ => told,
            })
            .into_iter()
            .collect();
        if publish.retain {
            told.push(Told::Retained(farm::retained::Retained {
                topic: publish.topic.to_string(),
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
                properties: publish.properties.to_vec(),
                expiry_s: publish.expiry_s,
            }));
        }
        told.extend(publish.changes.into_iter().map(Told::Session));
        if told.is_empty() {
            return errand.unwrap_or_else(|| Box::pin(std::future::ready(Ok(()))));
        }
        let stored = self.store(told);
        Box::pin(async move {
            stored.await?;
            match errand {
                Some(errand) => errand.await,
                None => Ok(()),
            }
        })
    }

    fn record(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), Refused>> {
        self.store(changes.into_iter().map(Told::Session).collect())
    }

    fn note(&self, change: Change) {
        self.intake.note(vec![Told::Session(change)]);
    }

    fn sessions(&self) -> BoxFuture<'_, Stored> {
        Box::pin(async {
            sessions::load(&self.farm).await.unwrap_or_else(|error| {
                tracing::error!(%error, "MQTT sessions cannot be read; the door opens without them");
                // Numbers that no session or letter on disk has.
                let now = self.farm.clock().now().wall.0;
                Stored {
                    used_to: u64::try_from(now).unwrap_or(0),
                    ..Stored::default()
                }
            })
        })
    }

    fn retained(&self) -> BoxFuture<'_, Vec<Retained>> {
        Box::pin(async {
            let clock = self.farm.clock();
            let now = clock.moment(clock.now());
            let stored = self
                .farm
                .read(move |conn| farm::retained::all(conn, now))
                .await;
            let values = stored.unwrap_or_else(|error| {
                tracing::error!(%error, "retained values cannot be read; the door opens without them");
                Vec::new()
            });
            values
                .into_iter()
                .map(|value| Retained {
                    topic: Arc::from(value.topic),
                    payload: Bytes::from(value.payload),
                    qos: Qos::from_number(value.qos),
                    properties: Bytes::from(value.properties),
                    expiry_s: value.expiry_s,
                })
                .collect()
        })
    }
}
