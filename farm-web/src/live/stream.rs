//! `GET /live`: the stream of server-sent events that a browser holds.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, future::ready, stream};

use super::{
    Watcher,
    watcher::{Next, Wanted},
};
use crate::{app::Web, auth::Me, error::Error, lang::Speak};

/// Starts a stream.
pub(crate) async fn live(
    State(web): State<Web>,
    me: Me,
    Speak(lang): Speak,
    Query(mut wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    // What a browser that opens the stream again says, where the page's own number is an older one.
    let last = headers.get("last-event-id");
    let last = last.and_then(|v| v.to_str().ok()?.parse().ok());
    wanted.after = last.or(wanted.after);
    let watcher = Watcher::begin(web, me, lang, &wanted).await?;
    let head = stream::once(ready(Bytes::from_static(b"retry: 2000\n\n")));
    let events = stream::unfold(watcher, async |mut watcher| {
        let next = watcher.next().await?;
        Some((encode(next), watcher))
    });
    let body = Body::from_stream(head.chain(events).map(Ok::<_, Infallible>));
    Ok((
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        body,
    )
        .into_response())
}

fn encode(next: Next) -> Bytes {
    match next {
        Next::Beat => Bytes::from_static(b"event: beat\ndata: 1\n\n"),
        Next::News(frames) => frames
            .iter()
            .flat_map(|frame| frame.bytes.iter().copied())
            .collect(),
    }
}
