//! `GET /live/poll`: for a browser behind something that lets no stream through.
//!
//! One poll is one step of a stream. The boards are kept a while after it, so that the next one gets what came between; after a
//! longer gap it gets the present state of all it asks for.

use std::time::Duration;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Serialize;

use super::{
    Frame, Watcher,
    watcher::{Next, Wanted},
};
use crate::{app::Web, auth::Me, error::Error, lang::Speak};

/// How long a poll waits for the first change; shorter than an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a poll brings.
#[derive(Serialize)]
pub(crate) struct News {
    /// What the next poll gives as its `after`.
    after: u64,
    events: Vec<Frame>,
}

/// Answers with what changed after `after`, as soon as there is something.
pub(crate) async fn poll(
    State(web): State<Web>,
    me: Me,
    Speak(lang): Speak,
    Query(wanted): Query<Wanted>,
) -> Result<Json<News>, Error> {
    let mut watcher = Watcher::begin(web, me, lang, &wanted).await?;
    let first = async {
        loop {
            match watcher.next().await {
                Some(Next::News(events)) => return events,
                Some(Next::Beat) => {}
                // The next poll is told why.
                None => return Vec::new(),
            }
        }
    };
    let events = tokio::time::timeout(PATIENCE, first).await;
    Ok(Json(News {
        events: events.unwrap_or_default(),
        after: watcher.seen(),
    }))
}
