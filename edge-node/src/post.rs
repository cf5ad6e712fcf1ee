//! What goes down to nodes: sealed when it leaves, sent the way their frames come.
//!
//! A letter leaves after the commit that holds what it acknowledges and the number that it is sealed with. One that is lost
//! does no harm: the node sends again and is answered again. So the way out is bounded, and nobody waits for it.

use std::{
    sync::{self, Arc, PoisonError},
    time::Duration,
};

use edge_acquire::Drivers;
use edge_broker::Door;
use farm::Farm;
use farm_model::Clock;
use firmware_protocol::{
    Ack, ClockQuality, FrameWriter, Full, Key, MAX_FRAME, Record, Sequence, TimeAnswer,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Letters that may wait.
pub(crate) const WAITING: usize = 1_024;
/// How long a frame waits for a node that is away: it is answered anew when it sends again, and a command must not be late.
const LASTS: Duration = Duration::from_secs(60);

/// Which way a node is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// The topic that its frames come on.
    Topic(String),
    /// A serial port.
    Port(String),
    /// The answer to a request; there is one, and nothing after it.
    Reply(Reply),
}

/// Takes the one frame that answers a request. Once every clone is gone, whoever waits knows that none comes.
#[derive(Clone, Debug)]
pub struct Reply(Arc<sync::Mutex<Option<oneshot::Sender<Vec<u8>>>>>);

impl Reply {
    /// One, and where its frame comes out.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Vec<u8>>) {
        let (sender, frame) = oneshot::channel();
        (Self(Arc::new(sync::Mutex::new(Some(sender)))), frame)
    }

    /// Whether somebody still waited for it.
    pub(crate) fn send(&self, frame: Vec<u8>) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.is_some_and(|sender| sender.send(frame).is_ok())
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Reply {}

impl Route {
    /// The way of a topic for frames: `khamar/node/NAME/up`.
    pub fn of_topic(topic: &str) -> Option<Self> {
        let name = topic.strip_prefix(NODES)?.strip_suffix(UP)?;
        let is_one_level = !name.is_empty() && !name.contains('/');
        is_one_level.then(|| Self::Topic(topic.to_owned()))
    }

    /// What frames that come this way are counted under.
    pub fn name(&self) -> &str {
        match self {
            Self::Topic(name) | Self::Port(name) => name,
            Self::Reply(_) => "coap",
        }
    }
}

const NODES: &str = "khamar/node/";
const UP: &str = "/up";
const DOWN: &str = "/down";

/// A frame that is to be sealed for a node.
#[derive(Debug)]
pub struct Letter {
    pub(crate) to: Route,
    pub(crate) sequence: Sequence,
    pub(crate) key: Key,
    pub(crate) ack: Option<Ack>,
    /// Ticks of the time request that it answers.
    pub(crate) time: Option<u64>,
    /// Kinds and contents of whatever else it says.
    pub(crate) records: Vec<(u8, Vec<u8>)>,
}

impl Letter {
    /// Where it goes.
    pub fn route(&self) -> &Route {
        &self.to
    }

    /// The frame, with the present time in it if it was asked for.
    ///
    /// # Errors
    /// When its records do not fit one frame.
    pub fn seal(mut self, clock: &dyn Clock) -> Result<Vec<u8>, Full> {
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut self.sequence)?;
        if let Some(ack) = self.ack {
            frame.add(&Record::Ack(ack))?;
        }
        if let Some(ticks) = self.time {
            let now = clock.now();
            frame.add(&Record::TimeAnswer(TimeAnswer {
                ticks,
                unix_ms: u64::try_from(now.wall.0).unwrap_or(0),
                clock: ClockQuality::from_code(now.clock as u8),
            }))?;
        }
        for (kind, contents) in &self.records {
            frame.add_stored(*kind, contents)?;
        }
        Ok(frame.seal(&self.key).to_vec())
    }
}

/// Sends letters until `stop`; one at a time does.
pub(crate) async fn deliver(
    letters: Arc<Mutex<mpsc::Receiver<Letter>>>,
    farm: Farm,
    door: Arc<Door>,
    drivers: Arc<Drivers>,
    stop: CancellationToken,
) {
    let mut letters = letters.lock().await;
    while let Some(Some(letter)) = stop.run_until_cancelled(letters.recv()).await {
        let route = letter.to.clone();
        let Ok(frame) = letter.seal(&**farm.clock()) else {
            tracing::error!(
                to = route.name(),
                "what is to be told to a node does not fit a frame"
            );
            continue;
        };
        match &route {
            Route::Topic(up) => {
                let down = format!("{}{DOWN}", up.strip_suffix(UP).unwrap_or(up));
                if let Err(error) = door.publish_for(LASTS, &down, frame) {
                    tracing::warn!(%error, down, "a node cannot be answered");
                }
            }
            Route::Reply(reply) => {
                if !reply.send(frame) {
                    metrics::counter!("node_letters_dropped_total").increment(1);
                }
            }
            Route::Port(port) => {
                if !drivers.send_down(port, &frame) {
                    metrics::counter!("node_letters_dropped_total").increment(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_s_own_topic_carries_frames() {
        let route = |topic| Route::of_topic(topic).map(|route| route.name().to_owned());
        assert_eq!(
            route("khamar/node/barn-3/up").as_deref(),
            Some("khamar/node/barn-3/up")
        );
        for other in [
            "khamar/node/up",
            "khamar/node//up",
            "khamar/node/a/b/up",
            "khamar/node/a/down",
            "farm/node/a/up",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }
}
