//! What the MQTT door asks of the appliance: who may enter, and what makes a message durable.
//!
//! A client logs in with an API token as its password (the user name is for people to recognise it), or comes without one from an
//! address that the configuration names. Deny by default: a client may publish the farm's readings and listen to them,
//! nothing else. Invariant: `accept` takes its place in the queue at once and resolves after the commit.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use edge_broker::{
    BoxFuture, Denied, Filter, Gate, Login, Permit, Publish, Qos, Refused, RefusedKind, Retained,
};
use farm::{Farm, auth, auth::Scope};
use farm_model::Clock;

use crate::ingest::{self, Intake, Told};

/// Topics that devices tell their readings on.
const TELL: [&str; 2] = ["farm/#", "application/#"];
/// Topics that clients may listen to.
const LISTEN: [&str; 3] = ["farm/#", "khamar/#", "homeassistant/#"];

/// The appliance's gate.
pub(crate) struct FarmGate {
    farm: Farm,
    intake: Intake,
    anonymous_from: Vec<IpAddr>,
}

impl FarmGate {
    pub(crate) fn new(farm: Farm, intake: Intake, anonymous_from: Vec<IpAddr>) -> Self {
        Self {
            farm,
            intake,
            anonymous_from,
        }
    }
}

impl Gate for FarmGate {
    fn authenticate(&self, login: Login) -> BoxFuture<'_, Result<Permit, Denied>> {
        Box::pin(async move {
            let Some(password) = login.password else {
                let known = self
                    .anonymous_from
                    .contains(&login.peer.ip().to_canonical());
                return if known {
                    Ok(permit(Scope::Observe))
                } else {
                    Err(Denied::NotAuthorized)
                };
            };
            let Ok(secret) = String::from_utf8(password.to_vec()) else {
                return Err(Denied::BadCredentials);
            };
            let token = self.farm.read(move |conn| auth::token(conn, &secret)).await;
            match token {
                Ok(Some(token)) => Ok(permit(token.scope)),
                Ok(None) => Err(Denied::BadCredentials),
                Err(error) => {
                    tracing::error!(%error, client = %login.client_id, "log-in of an MQTT client failed");
                    Err(Denied::Unavailable)
                }
            }
        })
    }

    fn accept(&self, publish: Publish) -> BoxFuture<'static, Result<(), Refused>> {
        let received = self.farm.clock().now();
        let mut told: Vec<Told> = ingest::read_publish(&publish.topic, &publish.payload, received)
            .into_iter()
            .collect();
        if publish.retain {
            told.push(Told::Retained(farm::retained::Retained {
                topic: publish.topic.to_string(),
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
            }));
        }
        if told.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let stored = self.intake.submit(told);
        Box::pin(async move {
            stored.await.map(drop).map_err(|error| Refused {
                kind: RefusedKind::Unavailable,
                reason: format!("not stored: {error}"),
            })
        })
    }

    fn retained(&self) -> BoxFuture<'_, Vec<Retained>> {
        Box::pin(async {
            let stored = self.farm.read(farm::retained::all).await;
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
                    properties: Bytes::new(),
                    expiry_s: None,
                })
                .collect()
        })
    }
}

fn permit(scope: Scope) -> Permit {
    let filters = |topics: &[&str]| {
        topics
            .iter()
            .map(|t| t.parse::<Filter>().expect("these filters are valid"))
            .collect()
    };
    Permit {
        identity: None,
        publish: if scope == Scope::Read {
            Vec::new()
        } else {
            filters(&TELL)
        },
        subscribe: filters(&LISTEN),
    }
}
