//! `GET /live`: the stream that a browser holds.
//!
//! It ends when the session does, or when who holds it may see less than before: at once when this program is told, within a
//! few heartbeats otherwise.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream, errors::BroadcastStreamRecvError};
use ui::Lang;

use super::{BEAT, BEATS_PER_CHECK, Frame, Subscription, Topic};
use crate::{
    app::Web,
    auth::Me,
    error::{Error, Reason},
    lang::Speak,
};

/// Frames that wait for a slow connection before the stream itself waits.
const IN_FLIGHT: usize = 16;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// Topics, separated by commas.
    topics: String,
    /// The newest number that the page shows, for the first connection; later ones send `Last-Event-ID`.
    from: Option<u64>,
}

/// Starts a stream.
pub(crate) async fn live(
    State(web): State<Web>,
    me: Me,
    Speak(lang): Speak,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let topics = parse(&wanted.topics)?;
    for topic in &topics {
        if me.role < topic.needs() {
            return Err(Reason::Forbidden.into());
        }
    }
    let seen = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .or(wanted.from);
    let subscription = web.hub().subscribe(&topics, lang, seen).await;
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::spawn(feed(web, me, lang, subscription, sender));
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>));
    Ok((
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        body,
    )
        .into_response())
}

fn parse(list: &str) -> Result<Vec<Topic>, Error> {
    let mut topics = Vec::new();
    for key in list.split(',').filter(|k| !k.is_empty()) {
        let topic = Topic::from_key(key)
            .ok_or_else(|| Error::invalid(format!("topics: no topic is called {key:?}")))?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if topics.is_empty() {
        return Err(Error::invalid("topics: at least one is needed"));
    }
    Ok(topics)
}

/// Sends frames until the browser goes away or the session ends.
async fn feed(web: Web, me: Me, lang: Lang, subscription: Subscription, out: mpsc::Sender<Bytes>) {
    let Subscription {
        first,
        receivers,
        until,
    } = subscription;
    let mut revoked = web.revocations();
    let hub = Arc::clone(web.hub());
    let mut later = stream::select_all(receivers.into_iter().map(|(topic, receiver)| {
        BroadcastStream::new(receiver)
            .map(move |item| (topic, item))
            .boxed()
    }));
    if out
        .send(Bytes::from_static(b"retry: 2000\n\n"))
        .await
        .is_err()
    {
        return;
    }
    for frame in first {
        if out.send(frame.bytes).await.is_err() {
            return;
        }
    }
    let mut beat = tokio::time::interval(BEAT);
    beat.reset();
    let mut beats = 0;
    loop {
        let sent = tokio::select! {
            () = out.closed() => return,
            item = revoked.recv() => {
                // A lagged receiver has missed a revocation that may be its own: look the session up.
                let concerned = item.map_or_else(|e| e != broadcast::error::RecvError::Closed, |who| who == me.who());
                if concerned && !me.is_valid(&web).await { return }
                Ok(())
            }
            _ = beat.tick() => {
                beats += 1;
                if beats % BEATS_PER_CHECK == 0 && !me.is_valid(&web).await { return }
                out.send(Bytes::from_static(b"event: beat\ndata: 1\n\n")).await
            }
            item = later.next() => match item {
                Some((_, Ok(frame))) if frame.number > until => out.send(frame.bytes).await,
                Some((_, Ok(_))) => Ok(()),
                Some((topic, Err(BroadcastStreamRecvError::Lagged(_)))) => send_all(hub.all(topic, lang).await, &out).await,
                None => return,
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send_all(
    frames: Vec<Frame>,
    out: &mpsc::Sender<Bytes>,
) -> Result<(), mpsc::error::SendError<Bytes>> {
    for frame in frames {
        out.send(frame.bytes).await?;
    }
    Ok(())
}
