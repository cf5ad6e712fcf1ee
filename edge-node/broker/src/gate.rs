//! The border of the door: who may enter, and what makes a publish and a session durable. The appliance implements it.

use std::{fmt, future::ready, net::SocketAddr, sync::Arc};

use bytes::Bytes;

use crate::{
    acl::Permit,
    lasting::{Change, Stored},
    message::Qos,
};

/// A future in a box.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// Decides who may enter and makes publishes durable.
pub trait Gate: Send + Sync + 'static {
    /// What this client may do, or why it may not enter. Hashing of passwords belongs on its own thread.
    fn authenticate(&self, login: Login) -> BoxFuture<'_, Result<Permit, Denied>>;

    /// Somebody who was let in has its place now. What comes back is dropped when the connection ends, however it does.
    ///
    /// As with [`Gate::accept`], it must neither wait nor call the door.
    fn entered(&self, _entrant: &Entrant<'_>) -> Stay {
        Box::new(())
    }

    /// Takes one publish; resolves when it is on disk, or refused.
    ///
    /// Calls come in the order in which a connection's packets arrived, many before the first has resolved: take the place in
    /// the queue in the call itself, not in the future. A publish with [`Publish::retain`] is the topic's new retained value
    /// (none if the payload is empty): store it in the same commit if [`Gate::retained`] is to return it. The same holds for
    /// [`Publish::changes`] and [`Gate::sessions`].
    ///
    /// The door may hold a lock during the call: it must neither wait nor call the door.
    ///
    /// A payload that makes no sense is not a reason to refuse: keep it in quarantine and resolve `Ok`, or an MQTT 3.1.1
    /// client, which cannot be told, sends it for ever.
    fn accept(&self, publish: Publish) -> BoxFuture<'static, Result<(), Refused>>;

    /// Stores changes of sessions, in the order of calls and after every publish accepted before; resolves when they are on disk.
    /// As with [`Gate::accept`], the place in the queue is taken in the call.
    ///
    /// A gate without a store lets sessions last for as long as the door runs.
    fn record(&self, _changes: Vec<Change>) -> BoxFuture<'static, Result<(), Refused>> {
        Box::pin(ready(Ok(())))
    }

    /// [`Gate::record`] for what nobody waits for: it may reach the disk a little later, with whatever comes next.
    fn note(&self, _change: Change) {}

    /// The retained values to start with.
    fn retained(&self) -> BoxFuture<'_, Vec<Retained>> {
        Box::pin(ready(Vec::new()))
    }

    /// The sessions to start with.
    fn sessions(&self) -> BoxFuture<'_, Stored> {
        Box::pin(ready(Stored::default()))
    }
}

/// What lives for as long as a connection.
pub type Stay = Box<dyn Send + Sync>;

/// A client that has its place inside.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entrant<'a> {
    /// [`Permit::identity`], or else the user name it gave.
    pub user: Option<&'a str>,
    /// Address it comes from.
    pub peer: SocketAddr,
    /// What carries its connection.
    pub carrier: Carrier,
    /// What it came with.
    pub proof: Proof,
}

/// What carries a connection to the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// TCP alone.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket.
    WebSocket,
}

/// With what a client came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A certificate.
    Certificate,
    /// A password, or nothing.
    Password,
}

/// A client that asks to enter.
#[derive(Clone)]
#[non_exhaustive]
pub struct Login {
    /// Its identifier, given or assigned.
    pub client_id: Arc<str>,
    /// User name.
    pub user: Option<Arc<str>>,
    /// Password.
    pub password: Option<Bytes>,
    /// Address it comes from.
    pub peer: SocketAddr,
    /// What carries its connection. Over WebSocket it may be a page of any origin in a browser at that address.
    pub carrier: Carrier,
    /// The client certificate it came with over TLS, as DER: signed by an authority that the door's
    /// [`DoorConfig::tls_config`](crate::DoorConfig::tls_config) accepts, and its key proven.
    pub certificate: Option<Bytes>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("peer", &self.peer)
            .field("carrier", &self.carrier)
            .field("certificate", &self.certificate.as_ref().map(|_| "…"))
            .finish()
    }
}

/// Why a client may not enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The user name or the password is wrong.
    #[error("wrong user name or password")]
    BadCredentials,
    /// It is known, and not allowed.
    #[error("not allowed to connect")]
    NotAuthorized,
    /// The gate cannot tell at the moment.
    #[error("log-in is unavailable at the moment")]
    Unavailable,
}

/// One message from a client, already within what the client may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publish {
    /// Who sent it.
    pub client_id: Arc<str>,
    /// Who sent it: [`Permit::identity`], or else the user name it gave.
    pub user: Option<Arc<str>>,
    /// Topic: no wildcard, not empty.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
    /// Quality of service it was sent with.
    pub qos: Qos,
    /// It is the topic's retained value.
    pub retain: bool,
    /// The client says that it sent this before.
    pub dup: bool,
    /// It is the client's will, published because its connection broke.
    pub will: bool,
    /// What an MQTT 5 publisher said besides, as the properties of a PUBLISH are written; empty if nothing.
    pub properties: Bytes,
    /// Seconds for which it is worth delivering.
    pub expiry_s: Option<u32>,
    /// What it changes in sessions that outlive their connection.
    pub changes: Vec<Change>,
}

/// Why a publish was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// What an MQTT 5 client is told as a code.
    pub kind: RefusedKind,
    /// What a person reads: what is wrong and what to do about it.
    pub reason: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusedKind {
    /// The client may not publish this.
    NotAuthorized,
    /// The topic means nothing here.
    TopicInvalid,
    /// The payload cannot be what the topic asks for.
    PayloadInvalid,
    /// Too much, too often.
    Quota,
    /// It cannot be stored at the moment.
    Unavailable,
}

/// A topic's retained value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retained {
    /// Topic.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
    /// Quality of service it was published with.
    pub qos: Qos,
    /// As [`Publish::properties`].
    pub properties: Bytes,
    /// Seconds for which it is still worth delivering.
    pub expiry_s: Option<u32>,
}
