//! The log-in: the first packet in time, in a version that is spoken, from someone the gate lets in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::BytesMut;
use mqtt_proto::v5::{ConnackProperties, DisconnectReasonCode as Code};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{Peer, Place, Session, Shared, read_some};
use crate::{
    acl::{Filter, Permit},
    codec::{Connect, Encoder, Refusal, Version, decode_connect},
    frame::{self, Frame},
    gate::{Denied, Entrant, Login, Proof},
    router::{Asked, Attachment, Ends, Owner, Unattached},
    rules::{Fault, check_topic},
    stats::Reason,
};

/// Longest client identifier, in bytes: it is kept for as long as the client stays.
const MAX_CLIENT_ID: usize = 256;

/// Reads the CONNECT, asks the gate, answers; `None` if the client stays outside.
pub(super) async fn welcome<S>(
    shared: &Arc<Shared>,
    io: &mut S,
    input: &mut BytesMut,
    peer: &Peer,
) -> Option<Box<Place>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut output = BytesMut::new();
    let entered = enter(shared, io, input, peer).await;
    let entered = match entered {
        Ok((mut session, attachment, properties)) => {
            let stay = shared.gate.entered(&Entrant {
                user: attachment.publisher.owner.user.as_deref(),
                peer: peer.address,
                carrier: peer.carrier,
                proof: match peer.certificate {
                    Some(_) => Proof::Certificate,
                    None => Proof::Password,
                },
            });
            session
                .encoder
                .welcome(&mut session.output, attachment.present, properties);
            return Some(Box::new(Place {
                session,
                attachment,
                _stay: stay,
            }));
        }
        Err(refused) => refused,
    };
    shared.counters.refuse(entered.fault.reason);
    tracing::info!(peer = %peer.address, reason = entered.fault.reason.key(), "MQTT client not let in: {}", entered.fault);
    if let Some(encoder) = entered.encoder {
        encoder.refuse(&mut output, entered.refusal, &entered.fault.text);
        let _ = timeout(super::FAREWELL, io.write_all(&output)).await;
    }
    None
}

/// Why a client stays outside, and how it is told.
struct Refused {
    encoder: Option<Encoder>,
    refusal: Refusal,
    fault: Fault,
}

fn plain(version: Version) -> Encoder {
    Encoder {
        version,
        problem_info: true,
        max_packet: usize::MAX,
    }
}

async fn enter<S>(
    shared: &Arc<Shared>,
    io: &mut S,
    input: &mut BytesMut,
    peer: &Peer,
) -> Result<(Session, Attachment, ConnackProperties), Refused>
where
    S: AsyncRead + Unpin,
{
    let frame = first_packet(shared, io, input).await.map_err(silent)?;
    let mut connect = decode_connect(&frame).map_err(|bad| Refused {
        encoder: bad.version.map(plain),
        refusal: bad.refusal,
        fault: bad.fault,
    })?;
    let encoder = Encoder {
        version: connect.version,
        problem_info: connect.problem_info,
        max_packet: connect.max_packet,
    };
    let refuse = |(refusal, fault)| Refused {
        encoder: Some(encoder),
        refusal,
        fault,
    };
    let mut properties = what_is_available(shared);
    name_client(&mut connect, &mut properties).map_err(refuse)?;
    let since = shared.router.ends();
    let permit = ask_gate(shared, &connect, peer).await.map_err(refuse)?;
    if let Some(identity) = &permit.identity {
        connect.user = Some(Arc::clone(identity));
        if permit.is_guest() {
            connect.client_id = Arc::clone(identity);
        }
    }
    check_will(shared, &connect, &permit).map_err(refuse)?;
    settle_terms(shared, &mut connect, &permit, &mut properties);
    let attachment = attach(shared, &connect, &permit, since)
        .await
        .map_err(refuse)?;
    shared.counters.logins.fetch_add(1, Ordering::Relaxed);
    let session = Session::new(Arc::clone(shared), &attachment, encoder, connect, permit);
    Ok((session, attachment, properties))
}

/// A refusal without an answer: nobody knows how to tell it.
fn silent(fault: Fault) -> Refused {
    Refused {
        encoder: None,
        refusal: Refusal::Fault(Code::ProtocolError),
        fault,
    }
}

async fn first_packet<S: AsyncRead + Unpin>(
    shared: &Shared,
    io: &mut S,
    input: &mut BytesMut,
) -> Result<Frame, Fault> {
    let config = &shared.config;
    let first = timeout(
        config.connect_timeout,
        first_frame(io, input, config.max_packet),
    );
    first.await.unwrap_or_else(|_| {
        let text = "no CONNECT in time";
        Err(Fault::new(
            Reason::ConnectTimeout,
            Code::ProtocolError,
            text,
        ))
    })
}

async fn first_frame<S: AsyncRead + Unpin>(
    io: &mut S,
    input: &mut BytesMut,
    max: usize,
) -> Result<Frame, Fault> {
    loop {
        // Nothing but a CONNECT is worth waiting for.
        if input.first().is_some_and(|first| first >> 4 != 1) {
            return Err(Fault::protocol("the first packet must be a CONNECT"));
        }
        match frame::next(input, max) {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
        if !matches!(read_some(io, input).await, Ok(1..)) {
            return Err(Fault::malformed(
                "the connection closed before its CONNECT was whole",
            ));
        }
    }
}

fn what_is_available(shared: &Shared) -> ConnackProperties {
    let config = &shared.config;
    ConnackProperties {
        receive_max: Some(config.window),
        max_packet_size: u32::try_from(config.max_packet).ok(),
        topic_alias_max: Some(config.topic_aliases),
        ..ConnackProperties::default()
    }
}

/// Brings what a client asks for within what is allowed, and notes where it is told otherwise.
fn settle_terms(
    shared: &Shared,
    connect: &mut Connect,
    permit: &Permit,
    properties: &mut ConnackProperties,
) {
    let config = &shared.config;
    let own = permit.max_session_expiry.unwrap_or(u32::MAX);
    let longest = config.max_session_expiry.min(own);
    if connect.session_expiry > longest {
        connect.session_expiry = longest;
        properties.session_expiry_interval = Some(longest);
    }
    if let Some(max) = config.max_keep_alive
        && connect.version == Version::V5
        && connect.keep_alive > max
    {
        connect.keep_alive = max;
        properties.server_keep_alive = Some(max);
    }
    if let Some(prefix) = &config.response_topic
        && connect.wants_response_info
    {
        let topic = format!("{prefix}/{}", connect.client_id);
        let below = format!("{topic}/#").parse::<Filter>();
        if below.is_ok_and(|filter| permit.may_subscribe(&filter)) {
            properties.response_info = Some(topic.into());
        }
    }
}

/// Gives a client its place; if its session lasts, once that is on disk.
async fn attach(
    shared: &Shared,
    connect: &Connect,
    permit: &Permit,
    since: Ends,
) -> Result<Attachment, (Refusal, Fault)> {
    let owner = Owner {
        user: connect.user.clone(),
        client_id: Arc::clone(&connect.client_id),
    };
    let asked = Asked {
        owner: &owner,
        clean: connect.clean,
        expiry: connect.session_expiry,
        permit,
        since,
    };
    let attached = shared
        .router
        .attach(asked, shared.config.connect_timeout)
        .await;
    let (attachment, recorded) = attached.map_err(|unattached| {
        let (refusal, reason) = match unattached {
            Unattached::TooMany => (Refusal::Quota, Reason::Quota),
            Unattached::Ended => (Refusal::NotAuthorized, Reason::Login),
        };
        let text = unattached.to_string();
        (refusal, Fault::new(reason, Code::NotAuthorized, text))
    })?;
    let unavailable = |text: String| {
        (
            Refusal::Unavailable,
            Fault::new(Reason::Refused, Code::ServerBusy, text),
        )
    };
    if let Some(recorded) = recorded {
        match timeout(shared.config.drain_timeout, recorded).await {
            Ok(Ok(())) => {}
            Ok(Err(refused)) => return Err(unavailable(refused.to_string())),
            Err(_) => {
                let text = "the session cannot be stored at the moment: try again later";
                return Err(unavailable(text.to_owned()));
            }
        }
    }
    Ok(attachment)
}

/// Gives a client without a name one, where its version allows that.
fn name_client(
    connect: &mut Connect,
    properties: &mut ConnackProperties,
) -> Result<(), (Refusal, Fault)> {
    if connect.wants_auth {
        let text = "enhanced authentication is not spoken here: use a user name and password";
        return Err((
            Refusal::AuthMethod,
            Fault::new(Reason::Login, Code::NotAuthorized, text),
        ));
    }
    if connect.client_id.len() > MAX_CLIENT_ID {
        let text = "the client identifier is longer than 256 bytes: choose a shorter one";
        return Err((
            Refusal::ClientId,
            Fault::new(Reason::Login, Code::ProtocolError, text),
        ));
    }
    if !connect.client_id.is_empty() {
        return Ok(());
    }
    if connect.version == Version::V3 && !connect.clean {
        let text = "a client without an identifier cannot ask for a lasting session";
        return Err((
            Refusal::ClientId,
            Fault::new(Reason::Login, Code::ProtocolError, text),
        ));
    }
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    connect.client_id = format!("auto-{:x}-{number}", now.as_micros()).into();
    properties.assigned_client_id = Some(Arc::clone(&connect.client_id));
    Ok(())
}

async fn ask_gate(
    shared: &Shared,
    connect: &Connect,
    peer: &Peer,
) -> Result<Permit, (Refusal, Fault)> {
    let login = Login {
        client_id: Arc::clone(&connect.client_id),
        user: connect.user.clone(),
        password: connect.password.clone(),
        peer: peer.address,
        carrier: peer.carrier,
        certificate: peer.certificate.clone(),
    };
    let answer = timeout(shared.config.login_timeout, shared.gate.authenticate(login)).await;
    let denied = match answer {
        Ok(Ok(permit)) => return Ok(permit),
        Ok(Err(denied)) => denied,
        Err(_) => Denied::Unavailable,
    };
    let refusal = match denied {
        Denied::BadCredentials => Refusal::Credentials,
        Denied::NotAuthorized => Refusal::NotAuthorized,
        Denied::Unavailable => Refusal::Unavailable,
    };
    Err((
        refusal,
        Fault::new(Reason::Login, Code::NotAuthorized, denied.to_string()),
    ))
}

fn check_will(shared: &Shared, connect: &Connect, permit: &Permit) -> Result<(), (Refusal, Fault)> {
    let Some(will) = &connect.will else {
        return Ok(());
    };
    let denied = |reason, text: String| {
        (
            Refusal::NotAuthorized,
            Fault::new(reason, Code::NotAuthorized, text),
        )
    };
    let will = &will.message;
    check_topic(&will.topic)
        .map_err(|error| denied(Reason::TopicInvalid, format!("will: {error}")))?;
    if !permit.may_publish(&will.topic) {
        let text = format!("this client may not publish its will to `{}`", will.topic);
        return Err(denied(Reason::NotAuthorized, text));
    }
    match shared.router.shelf_for(will, Some(permit)) {
        Ok(_) => Ok(()),
        Err(full) => Err(denied(Reason::Quota, full.to_string())),
    }
}
