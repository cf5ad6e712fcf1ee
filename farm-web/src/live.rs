//! Live pages: what changes on the farm is drawn once and sent to everyone who looks.
//!
//! A page is made of fragments, elements with an `id`. `GET /live?topics=parlour,tanks` sends those that change, as server-sent
//! events. Each (topic, language) has one board that keeps the newest bytes of its fragments; all subscribers share them.
//! A fragment is state, not a step, so resuming is simple: `Last-Event-ID` names the last event seen, and whatever changed
//! after it is sent again, or everything when the number is of another run. Invariant: numbers are given and published under
//! one lock, so no subscriber sees a later number before an earlier one.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use maud::Markup;
use tokio::sync::{Mutex, broadcast};
use ui::Lang;

mod artist;
mod follow;
pub(crate) mod stream;
mod topics;

pub(crate) use self::{artist::Artist, follow::follow, topics::Topic};

/// How many events a slow subscriber may fall behind before it is sent everything anew.
const BACKLOG: usize = 256;

/// An element of a page that is replaced when it changes.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// The element's `id`, which `html` carries too.
    pub(crate) id: String,
    /// The whole element.
    pub(crate) html: Markup,
}

impl Fragment {
    pub(crate) fn new(id: impl Into<String>, html: Markup) -> Self {
        Self {
            id: id.into(),
            html,
        }
    }
}

/// Draws the fragments of a topic; a border that a test replaces.
pub(crate) trait Draw: Send + Sync + 'static {
    /// All fragments of `topic`, now. An error is logged by the implementor and draws nothing.
    fn draw(&self, topic: Topic, lang: Lang) -> BoxFuture<'_, Option<Vec<Fragment>>>;
}

/// One event on its way to a browser: its number and its bytes as they go over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
}

/// All boards.
pub(crate) struct Hub {
    draw: Arc<dyn Draw>,
    boards: Mutex<Boards>,
    /// The newest number, to be read without the lock.
    newest: AtomicU64,
}

struct Boards {
    last_number: u64,
    by_key: HashMap<(Topic, Lang), Board>,
}

struct Board {
    order: Vec<String>,
    newest: HashMap<String, (String, Frame)>,
    sender: broadcast::Sender<Frame>,
}

impl Board {
    fn new() -> Self {
        Self {
            order: Vec::new(),
            newest: HashMap::new(),
            sender: broadcast::channel(BACKLOG).0,
        }
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.order
            .iter()
            .filter_map(|id| self.newest.get(id))
            .map(|(_, frame)| frame)
    }
}

/// What a new subscriber gets first, and where the rest comes from.
pub(crate) struct Subscription {
    /// Frames to send at once, in the order of their numbers.
    pub(crate) first: Vec<Frame>,
    /// Later frames, per topic.
    pub(crate) receivers: Vec<(Topic, broadcast::Receiver<Frame>)>,
    /// Number of the newest frame there was at subscription.
    pub(crate) until: u64,
}

impl Hub {
    /// Boards whose numbers begin after `run`, which must be above every number of earlier runs.
    pub(crate) fn new(run: u64, draw: Arc<dyn Draw>) -> Self {
        Self {
            draw,
            boards: Mutex::new(Boards {
                last_number: run,
                by_key: HashMap::new(),
            }),
            newest: AtomicU64::new(run),
        }
    }

    /// The newest number. A page that asks before it reads its data shows everything up to it.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Draws `topic` anew in each language that someone looks at, and sends what differs.
    pub(crate) async fn refresh(&self, topic: Topic) {
        for lang in Lang::ALL.iter().copied() {
            let mut boards = self.boards.lock().await;
            let watched = boards
                .by_key
                .get(&(topic, lang))
                .is_some_and(|b| b.sender.receiver_count() > 0);
            if watched {
                self.redraw(&mut boards, topic, lang).await;
            }
        }
    }

    async fn redraw(&self, boards: &mut Boards, topic: Topic, lang: Lang) {
        let Some(fragments) = self.draw.draw(topic, lang).await else {
            return;
        };
        let board = boards
            .by_key
            .entry((topic, lang))
            .or_insert_with(Board::new);
        board.order = fragments.iter().map(|f| f.id.clone()).collect();
        for Fragment { id, html } in fragments {
            let html = html.into_string();
            if board.newest.get(&id).is_some_and(|(old, _)| *old == html) {
                continue;
            }
            boards.last_number += 1;
            let frame = Frame {
                number: boards.last_number,
                bytes: encode(boards.last_number, &html),
            };
            board.newest.insert(id, (html, frame.clone()));
            // Fails only when nobody listens.
            let _ = board.sender.send(frame);
        }
        self.newest.store(boards.last_number, Ordering::Release);
    }

    /// Subscribes to `topics`; `seen` is the browser's `Last-Event-ID`.
    pub(crate) async fn subscribe(
        &self,
        topics: &[Topic],
        lang: Lang,
        seen: Option<u64>,
    ) -> Subscription {
        let mut boards = self.boards.lock().await;
        let mut receivers = Vec::new();
        // There are as many boards of single devices as are looked at.
        boards.by_key.retain(|(topic, _), board| {
            !matches!(topic, Topic::Device(_)) || board.sender.receiver_count() > 0
        });
        for &topic in topics {
            let board = boards
                .by_key
                .entry((topic, lang))
                .or_insert_with(Board::new);
            let idle = board.sender.receiver_count() == 0;
            receivers.push((topic, board.sender.subscribe()));
            if idle {
                // Nobody kept it up to date; a page drawn meanwhile may show what neither the old nor the new bytes say.
                board.newest.clear();
                self.redraw(&mut boards, topic, lang).await;
            }
        }
        let until = boards.last_number;
        let seen = seen.filter(|n| *n <= until).unwrap_or(0);
        let mut first: Vec<Frame> = topics
            .iter()
            .filter_map(|topic| boards.by_key.get(&(*topic, lang)))
            .flat_map(Board::frames)
            .filter(|frame| frame.number > seen)
            .cloned()
            .collect();
        first.sort_by_key(|frame| frame.number);
        Subscription {
            first,
            receivers,
            until,
        }
    }

    /// The topics of single devices that somebody looks at.
    pub(crate) async fn watched_devices(&self) -> Vec<Topic> {
        let boards = self.boards.lock().await;
        let watched = boards.by_key.iter().filter(|((topic, _), board)| {
            matches!(topic, Topic::Device(_)) && board.sender.receiver_count() > 0
        });
        watched.map(|((topic, _), _)| *topic).collect()
    }

    /// How many streams are open, each topic of each counted.
    pub(crate) async fn subscribers(&self) -> usize {
        let boards = self.boards.lock().await;
        boards
            .by_key
            .values()
            .map(|board| board.sender.receiver_count())
            .sum()
    }

    /// Everything on one board, for a subscriber that fell behind.
    pub(crate) async fn all(&self, topic: Topic, lang: Lang) -> Vec<Frame> {
        let boards = self.boards.lock().await;
        boards
            .by_key
            .get(&(topic, lang))
            .map(|board| board.frames().cloned().collect())
            .unwrap_or_default()
    }
}

/// One server-sent event; each line of the HTML is a `data` line of its own.
fn encode(number: u64, html: &str) -> Bytes {
    let mut text = format!("id: {number}\nevent: fragment\n");
    for line in html.lines() {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    Bytes::from(text)
}

/// How often a stream says that it lives; `live.js` takes 12 s of silence for a dead connection.
pub(crate) const BEAT: Duration = Duration::from_secs(4);
/// At every how many beats the session is looked up.
pub(crate) const BEATS_PER_CHECK: u32 = 4;
