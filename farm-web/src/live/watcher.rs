//! Who watches: what each transport does with it is its own, when there is something to do is said here.
//!
//! A watcher ends when its session does, or when who holds it may see less than before: at once when this program is told, within
//! a few heartbeats otherwise.

use std::time::Duration;

use serde::Deserialize;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Interval, MissedTickBehavior, interval},
};
use ui::Lang;

use super::{Frame, Subscription, Topic};
use crate::{
    app::Web,
    auth::{Me, Who},
    error::{Error, Reason},
};

/// How often a stream says that it lives; `live.js` takes 12 s of silence for a dead connection.
const BEAT: Duration = Duration::from_secs(4);
/// At every how many beats the session is looked up.
const BEATS_PER_CHECK: u32 = 4;

/// What a watcher asks for.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// Topics, separated by commas.
    topics: String,
    /// The newest number that is known already.
    pub(super) after: Option<u64>,
}

/// Something to send.
pub(super) enum Next {
    /// What changed, in the order of numbers; never nothing.
    News(Vec<Frame>),
    /// A sign of life.
    Beat,
}

/// Somebody who watches, over whatever transport.
pub(super) struct Watcher {
    web: Web,
    me: Me,
    subscription: Subscription,
    revoked: broadcast::Receiver<Who>,
    beat: Interval,
    beats: u32,
    /// Whether the session is to be looked up before anything else is given out.
    in_doubt: bool,
}

impl Watcher {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`Reason::Invalid`] when there is no such topic, [`Reason::Forbidden`] for one that `me` may not see.
    pub(super) async fn begin(
        web: Web,
        me: Me,
        lang: Lang,
        wanted: &Wanted,
    ) -> Result<Self, Error> {
        let topics = parse(&wanted.topics)?;
        if topics.iter().any(|topic| me.role < topic.needs()) {
            return Err(Reason::Forbidden.into());
        }
        let revoked = web.revocations();
        let subscription = web.hub().subscribe(topics, lang, wanted.after).await;
        let mut beat = interval(BEAT);
        beat.reset();
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            web,
            me,
            subscription,
            revoked,
            beat,
            beats: 0,
            in_doubt: false,
        })
    }

    /// What to send next, or nothing more. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Option<Next> {
        loop {
            if self.in_doubt {
                if !self.me.is_valid(&self.web).await {
                    return None;
                }
                self.in_doubt = false;
            }
            tokio::select! {
                biased;
                item = self.revoked.recv() => {
                    // A lagged receiver has missed a revocation that may be its own.
                    self.in_doubt = item.map_or_else(|e| e != RecvError::Closed, |who| who == self.me.who());
                }
                _ = self.beat.tick() => {
                    self.beats += 1;
                    self.in_doubt = self.beats.is_multiple_of(BEATS_PER_CHECK);
                    return Some(Next::Beat);
                }
                news = self.subscription.news() => return Some(Next::News(news)),
            }
        }
    }

    /// Number of the newest event that was given out, or that was known before.
    pub(super) fn seen(&self) -> u64 {
        self.subscription.seen()
    }
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
