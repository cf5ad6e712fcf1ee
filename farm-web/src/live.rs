//! Live pages: what changes on the farm is drawn once and sent to everyone who looks.
//!
//! A page is made of fragments, elements with an `id`; what changes is sent as server-sent events (`GET /live?topics=parlour,tanks`),
//! as answers to long polls (`/live/poll`) or over a WebSocket (`/live/ws`): three coats of one [`Watcher`]. Each (topic, language)
//! has one board that keeps its newest fragments; all watchers share them. A fragment is state, not a step, so resuming is simple:
//! a watcher names the last number it has seen, and gets whatever is newer, or everything when the number is of another run.
//! Invariant: numbers are given and read under one lock, so no watcher sees a later number before an earlier one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use futures_util::{FutureExt as _, future, future::BoxFuture};
use maud::Markup;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use tokio::{sync::watch, time::Instant};
use ui::Lang;

mod artist;
mod follow;
pub(crate) mod poll;
pub(crate) mod stream;
mod topics;
mod watcher;
pub(crate) mod ws;

use self::watcher::Watcher;
pub(crate) use self::{artist::Artist, follow::follow, topics::Topic};

/// How long a board is kept up to date after the last look: longer than a poll waits and its follower needs to come.
const KEPT: Duration = Duration::from_secs(45);

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

/// One event on its way to a browser.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    /// The element, its lines ended by `\n`.
    pub(crate) html: Arc<str>,
    /// The same as a server-sent event.
    pub(crate) bytes: Bytes,
}

impl Frame {
    /// What each event is called.
    pub(crate) const EVENT: &str = "fragment";

    fn new(number: u64, html: &str) -> Self {
        Self {
            number,
            html: html.into(),
            bytes: encode(number, html),
        }
    }
}

/// As JSON: what a server-sent event says in its fields `id`, `event` and `data`.
impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut event = to.serialize_struct("Frame", 3)?;
        event.serialize_field("id", &self.number)?;
        event.serialize_field("event", Self::EVENT)?;
        event.serialize_field("data", &*self.html)?;
        event.end()
    }
}

/// All boards.
pub(crate) struct Hub {
    draw: Arc<dyn Draw>,
    /// Who draws holds it, so that what is drawn later is numbered later.
    pen: tokio::sync::Mutex<()>,
    boards: Mutex<Boards>,
}

struct Boards {
    last_number: u64,
    by_key: HashMap<(Topic, Lang), Board>,
}

struct Board {
    /// The newest fragments by their `id`.
    frames: HashMap<String, Frame>,
    /// Whether they are what the farm is like; not before the first drawing, nor after one that failed.
    is_true: bool,
    looked: Instant,
    changed: watch::Sender<()>,
}

impl Board {
    fn new() -> Self {
        Self {
            frames: HashMap::new(),
            is_true: false,
            looked: Instant::now(),
            changed: watch::Sender::new(()),
        }
    }

    fn is_watched(&self) -> bool {
        self.changed.receiver_count() > 0
    }
}

/// A place before some boards; as long as it is held they are kept up to date.
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    topics: Vec<Topic>,
    lang: Lang,
    /// Number of the newest frame that was taken.
    seen: u64,
    changes: Vec<watch::Receiver<()>>,
}

impl Subscription {
    /// Waits for what is newer than all that was taken before; in the order of numbers. May be dropped and asked again.
    pub(crate) async fn news(&mut self) -> Vec<Frame> {
        loop {
            let news = self.take();
            if !news.is_empty() {
                return news;
            }
            let changes = self.changes.iter_mut().map(|c| c.changed().boxed());
            // Fails only when the board is gone, which is not as long as it is watched.
            let _ = future::select_all(changes).await;
        }
    }

    fn take(&mut self) -> Vec<Frame> {
        let boards = self.hub.boards();
        let mut news: Vec<Frame> = self
            .topics
            .iter()
            .filter_map(|topic| boards.by_key.get(&(*topic, self.lang)))
            .flat_map(|board| board.frames.values())
            .filter(|frame| frame.number > self.seen)
            .cloned()
            .collect();
        news.sort_by_key(|frame| frame.number);
        self.seen = news.last().map_or(self.seen, |frame| frame.number);
        news
    }

    /// Number of the newest frame that was taken, or what was seen before.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

impl Hub {
    /// Boards whose numbers begin after `run`, which must be above every number of earlier runs.
    pub(crate) fn new(run: u64, draw: Arc<dyn Draw>) -> Self {
        Self {
            draw,
            pen: tokio::sync::Mutex::new(()),
            boards: Mutex::new(Boards {
                last_number: run,
                by_key: HashMap::new(),
            }),
        }
    }

    fn boards(&self) -> MutexGuard<'_, Boards> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest number. A page that asks before it reads its data shows everything up to it.
    pub(crate) fn newest(&self) -> u64 {
        self.boards().last_number
    }

    /// Draws `topic` anew in each language that someone looks at, and forgets what was drawn of it in the others.
    pub(crate) async fn refresh(&self, topic: Topic) {
        for lang in Lang::ALL.iter().copied() {
            let _pen = self.pen.lock().await;
            if self.boards().wants(topic, lang) {
                let drawn = self.draw.draw(topic, lang).await;
                self.boards().put_up(topic, lang, drawn);
            }
        }
    }

    /// Subscribes to `topics`; `seen` is the newest number that the watcher has.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        topics: Vec<Topic>,
        lang: Lang,
        seen: Option<u64>,
    ) -> Subscription {
        let _pen = self.pen.lock().await;
        let mut changes = Vec::new();
        for &topic in &topics {
            let (change, is_true) = self.boards().look(topic, lang);
            changes.push(change);
            if !is_true {
                let drawn = self.draw.draw(topic, lang).await;
                self.boards().put_up(topic, lang, drawn);
            }
        }
        let newest = self.newest();
        Subscription {
            hub: Arc::clone(self),
            topics,
            lang,
            seen: seen.filter(|n| *n <= newest).unwrap_or(0),
            changes,
        }
    }

    /// The topics of single devices that have boards.
    pub(crate) fn devices(&self) -> Vec<Topic> {
        let boards = self.boards();
        let topics = boards.by_key.keys().map(|(topic, _)| *topic);
        topics.filter(|t| matches!(t, Topic::Device(_))).collect()
    }

    /// How many watchers there are, each topic of each counted.
    pub(crate) fn watchers(&self) -> usize {
        let boards = self.boards();
        let counts = boards.by_key.values().map(|b| b.changed.receiver_count());
        counts.sum()
    }
}

impl Boards {
    /// Whether the board is to be drawn anew after a change; one that nobody looks at is gone.
    fn wants(&mut self, topic: Topic, lang: Lang) -> bool {
        let Some(board) = self.by_key.get_mut(&(topic, lang)) else {
            return false;
        };
        if board.is_watched() {
            board.looked = Instant::now();
        } else if board.looked.elapsed() > KEPT {
            self.by_key.remove(&(topic, lang));
            return false;
        }
        true
    }

    /// A place before the board, and whether what hangs there is true.
    fn look(&mut self, topic: Topic, lang: Lang) -> (watch::Receiver<()>, bool) {
        let board = self.by_key.entry((topic, lang)).or_insert_with(Board::new);
        board.is_true &= board.is_watched() || board.looked.elapsed() <= KEPT;
        board.looked = Instant::now();
        (board.changed.subscribe(), board.is_true)
    }

    /// Replaces what hangs there, and numbers what differs.
    fn put_up(&mut self, topic: Topic, lang: Lang, drawn: Option<Vec<Fragment>>) {
        let Some(board) = self.by_key.get_mut(&(topic, lang)) else {
            return;
        };
        let was_true = std::mem::replace(&mut board.is_true, drawn.is_some());
        let Some(fragments) = drawn else {
            return;
        };
        let before = self.last_number;
        let mut old = std::mem::take(&mut board.frames);
        if !was_true {
            // A page drawn meanwhile may show what neither the old nor the new fragments say.
            old.clear();
        }
        for Fragment { id, html } in fragments {
            let html = lines(html.into_string());
            let kept = old.remove(&id).filter(|frame| *frame.html == *html);
            let frame = kept.unwrap_or_else(|| {
                self.last_number += 1;
                Frame::new(self.last_number, &html)
            });
            board.frames.insert(id, frame);
        }
        if self.last_number > before {
            board.changed.send_replace(());
        }
    }
}

/// `html` with lines as a server-sent event can carry them.
fn lines(html: String) -> String {
    if html.contains('\r') {
        html.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        html
    }
}

/// One server-sent event; each line of the HTML is a `data` line of its own.
fn encode(number: u64, html: &str) -> Bytes {
    let mut text = format!("id: {number}\nevent: {}\n", Frame::EVENT);
    for line in html.split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use maud::PreEscaped;

    use super::*;

    /// Draws three fragments, each time others; every fourth drawing fails.
    #[derive(Default)]
    struct Scribble(AtomicU32);

    impl Draw for Scribble {
        fn draw(&self, topic: Topic, _: Lang) -> BoxFuture<'_, Option<Vec<Fragment>>> {
            let time = self.0.fetch_add(1, Ordering::Relaxed);
            let fragment = |i| {
                let id = format!("{}-{i}", topic.key());
                let html = PreEscaped(format!("<p id={id}>a\rb\r\nc {time}</p>"));
                Fragment::new(id, html)
            };
            let drawn = (time % 4 != 3).then(|| (0..3).map(fragment).collect());
            Box::pin(async { drawn })
        }
    }

    fn numbers(frames: &[Frame]) -> Vec<u64> {
        frames.iter().map(|frame| frame.number).collect()
    }

    #[tokio::test]
    async fn no_later_number_comes_before_an_earlier_one() {
        let hub = Arc::new(Hub::new(100, Arc::new(Scribble::default())));
        let topics = vec![Topic::Alerts, Topic::Parlour];
        let mut seat = hub.subscribe(topics.clone(), Lang::En, None).await;
        assert_eq!(numbers(&seat.news().await), [101, 102, 103, 104, 105, 106]);
        hub.refresh(Topic::Parlour).await;
        assert_eq!(numbers(&seat.news().await), [107, 108, 109]);
        // One that fails changes nothing; after it no fragment that hangs there is trusted.
        hub.refresh(Topic::Parlour).await;
        let late = hub.subscribe(topics, Lang::En, Some(108)).await.take();
        assert_eq!(numbers(&late), [110, 111, 112]);
        hub.refresh(Topic::Alerts).await;
        // Who was slow gets the newest of each, in one order for all boards.
        assert_eq!(numbers(&seat.news().await), [110, 111, 112, 113, 114, 115]);
        assert_eq!(seat.take().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_board_is_kept_for_a_while_and_then_forgotten() {
        let hub = Arc::new(Hub::new(0, Arc::new(Scribble::default())));
        let look = async |seen| {
            hub.subscribe(vec![Topic::Alerts], Lang::En, seen)
                .await
                .take()
        };
        assert_eq!(numbers(&look(None).await), [1, 2, 3]);
        assert_eq!(numbers(&look(Some(3)).await), [0; 0]);
        tokio::time::advance(KEPT).await;
        hub.refresh(Topic::Alerts).await;
        assert_eq!(numbers(&look(Some(3)).await), [4, 5, 6]);
        tokio::time::advance(KEPT * 2).await;
        hub.refresh(Topic::Alerts).await;
        assert!(hub.boards().by_key.is_empty());
        assert_eq!(numbers(&look(Some(6)).await), [7, 8, 9]);
        // Not kept up to date for long, though nothing said that it changed: drawn anew, which fails once.
        tokio::time::advance(KEPT * 2).await;
        assert_eq!(look(Some(9)).await.len(), 0);
        assert_eq!(numbers(&look(Some(9)).await), [10, 11, 12]);
    }

    #[test]
    fn no_line_of_a_fragment_ends_its_event() {
        let frame = Frame::new(7, &lines("a\rb\r\nc\n".into()));
        assert_eq!(&*frame.html, "a\nb\nc\n");
        let text = "id: 7\nevent: fragment\ndata: a\ndata: b\ndata: c\ndata: \n\n";
        assert_eq!(frame.bytes, text);
    }
}
