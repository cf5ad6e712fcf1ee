//! What was seen of one node, as the store keeps it.

use edge_decode::node::NodeClock;
use farm::{
    credentials::FrameKey,
    nodes::{Greeting, Node},
};
use farm_model::{DeviceId, Stamp, UnixMillis};
use firmware_protocol::{
    self as wire, AckWindow, Direction, Header, Held, Hello, ReplayWindow, Sequence,
};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How far the numbers of frames that go down jump at most, when the appliance starts and when a node does.
const JUMP: u64 = 1 << 32;

/// Numbers that are set aside on disk at once, so that not every frame is a commit.
const RANGE: u64 = 1_024;

/// A jump of random size: should an older copy of the database have been put back, this boot of the node may have been
/// answered before, and no number is used twice under one key.
fn jump() -> u64 {
    rand::rng().random_range(1..=JUMP)
}

/// What was seen of a node.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NodeState {
    /// Which key: under another one everything begins again.
    pub(super) print: u32,
    pub(super) replay: ReplayWindow,
    pub(super) acks: AckWindow,
    pub(super) clock: NodeClock,
    /// Number of the next frame that goes down in the node's present boot.
    down: u64,
    /// Numbers below this are set aside for this run: the store says that the next run begins here or above.
    reserved: u64,
    waiting: u32,
    lost: u32,
    heard: UnixMillis,
    greeting: Option<Greeting>,
    news: News,
}

/// What the store does not know yet.
#[derive(Clone, Copy, PartialEq, Debug)]
enum News {
    /// Nothing.
    None,
    /// Which numbers are set aside.
    Reserved,
    /// What a frame brought that came at this time.
    Heard(Stamp),
}

/// What the store is told of a node.
#[derive(Debug)]
pub(crate) struct Sight {
    /// What was seen of it.
    pub(crate) node: Node,
    /// When a frame of it came, if that is what this is of.
    pub(crate) heard: Option<Stamp>,
}

/// As JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    print: u32,
    newest: u64,
    seen: u64,
    queue: u32,
    through: u32,
    also: u64,
    down: u64,
    clock: NodeClock,
}

impl NodeState {
    pub(super) fn new(print: u32) -> Self {
        Self {
            print,
            replay: ReplayWindow::default(),
            acks: AckWindow::default(),
            clock: NodeClock::default(),
            down: jump(),
            reserved: 0,
            waiting: 0,
            lost: 0,
            heard: UnixMillis(0),
            greeting: None,
            news: News::None,
        }
    }

    /// From the store, at the first frame after a start.
    pub(super) fn restore(node: &Node) -> Option<Self> {
        let stored: Stored = match serde_json::from_str(&node.state) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(device = %node.device, %error, "what was seen of a node cannot be read; it begins again");
                return None;
            }
        };
        Some(Self {
            print: stored.print,
            replay: ReplayWindow {
                boot: node.boot,
                newest: stored.newest,
                seen: stored.seen,
            },
            acks: AckWindow {
                queue: stored.queue,
                through: stored.through,
                also: stored.also,
            },
            clock: stored.clock,
            down: stored.down.saturating_add(jump()),
            reserved: 0,
            waiting: node.waiting,
            lost: node.lost,
            heard: node.heard_at,
            greeting: None,
            news: News::None,
        })
    }

    /// What the store is to be told, if there is anything that it does not know.
    pub(super) fn sight(&mut self, device: DeviceId) -> Option<Sight> {
        let heard = match std::mem::replace(&mut self.news, News::None) {
            News::None => return None,
            News::Reserved => None,
            News::Heard(at) => Some(at),
        };
        let node = self.row(device);
        Some(Sight { node, heard })
    }

    /// For the store.
    fn row(&self, device: DeviceId) -> Node {
        let stored = Stored {
            print: self.print,
            newest: self.replay.newest,
            seen: self.replay.seen,
            queue: self.acks.queue,
            through: self.acks.through,
            also: self.acks.also,
            down: self.reserved.max(self.down),
            clock: self.clock.clone(),
        };
        Node {
            device,
            state: serde_json::to_string(&stored).expect("numbers and lists are JSON"),
            heard_at: self.heard,
            boot: self.replay.boot,
            waiting: self.waiting,
            lost: self.lost,
            greeting: self.greeting.clone(),
        }
    }
}

impl NodeState {
    /// Looks at the header of a frame that authenticated. With a new boot of the node, numbers of what goes down begin anew.
    pub(super) fn take(&mut self, header: &Header, received: Stamp) -> wire::Replay {
        let boot = self.replay.boot;
        let replay = self.replay.take(header);
        if self.replay.boot != boot {
            self.down = jump();
            self.reserved = 0;
        }
        if replay == wire::Replay::New {
            self.heard = received.wall;
            self.news = News::Heard(received);
        }
        replay
    }

    pub(super) fn held(&mut self, held: &Held, received: Stamp) {
        self.ticks(held.ticks, received);
        let lost = self.acks.held(held);
        if lost > 0 {
            tracing::warn!(
                lost,
                "a node dropped batches before they could be sent: its queue was full"
            );
            metrics::counter!("node_batches_lost_total").increment(lost.into());
        }
        self.lost = self.lost.saturating_add(lost);
        self.waiting = held.newest.saturating_add(1).saturating_sub(held.oldest);
    }

    pub(super) fn hello(&mut self, hello: &Hello<'_>, received: Stamp) {
        self.ticks(hello.ticks, received);
        // Should the edge remember less than the node, it goes on above what the node heard.
        self.down = self
            .down
            .max(hello.heard.saturating_add(1).min(wire::MAX_SEQ / 2));
        self.greeting = Some(Greeting {
            firmware: hello.firmware.to_owned(),
            hardware: hello.hardware.to_owned(),
            reset: hello.reset.code(),
        });
    }

    /// A frame of the present boot was sealed at `ticks`.
    pub(super) fn ticks(&mut self, ticks: u64, received: Stamp) {
        self.clock.heard(self.replay.boot, ticks, received);
    }

    /// For the next frame that goes down; it may leave once this state's [`NodeState::sight`] is on disk, if it has one.
    pub(super) fn next_down(&mut self, device: wire::DeviceId) -> Sequence {
        if self.down >= self.reserved {
            self.reserved = self.down.saturating_add(RANGE);
            if self.news == News::None {
                self.news = News::Reserved;
            }
        }
        let sequence = Sequence::resume(Direction::Down, device, self.replay.boot, self.down);
        self.down += 1;
        sequence
    }
}

/// Tells one key from another without telling anything of it.
pub(super) fn print_of(key: &FrameKey) -> u32 {
    let hash = Sha256::digest(key.0);
    u32::from_be_bytes(*hash.first_chunk().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the first frame that goes down, for a node of which so much is known.
    fn first_down(mut state: NodeState, boot: u32) -> u64 {
        let header = Header {
            version: wire::VERSION,
            direction: Direction::Up,
            device: wire::DeviceId([7; 8]),
            boot,
            seq: 9,
        };
        assert_eq!(state.take(&header, Stamp::default()), wire::Replay::New);
        state.next_down(header.device).next_seq()
    }

    /// Whatever is heard and told in whatever order, what the store was told last is above every number that left.
    #[test]
    fn what_the_store_knows_is_above_every_number_that_left() {
        let mut rng = rand::rng();
        let mut state = NodeState::new(1);
        let device = DeviceId::new();
        let (mut stored, mut boot, mut told) = (None::<Node>, 1, 0);
        for seq in 1..20_000_u64 {
            if rng.random_ratio(1, 200) {
                boot += u32::from(rng.random_ratio(1, 3));
                let header = Header {
                    version: wire::VERSION,
                    direction: Direction::Up,
                    device: wire::DeviceId([7; 8]),
                    boot,
                    seq,
                };
                state.take(&header, Stamp::default());
            }
            let number = state.next_down(wire::DeviceId([7; 8])).next_seq();
            if let Some(sight) = state.sight(device) {
                stored = Some(sight.node);
                told += 1;
            }
            let stored = stored.as_ref().expect("the first number is set aside");
            let known: Stored = serde_json::from_str(&stored.state).unwrap();
            assert!(number < known.down, "{number} is not below {}", known.down);
            assert_eq!(stored.boot, state.replay.boot);
        }
        assert!(told < 400, "{told} commits for 20,000 frames");
    }

    #[test]
    fn an_older_copy_of_the_database_uses_no_number_again() {
        let mut before = NodeState::new(1);
        assert!(first_down(before.clone(), 5) > 0);
        before.replay.boot = 5;
        let copy = before.row(DeviceId::new());
        let restored = || NodeState::restore(&copy).expect("it was just written");
        for boot in [5, 6] {
            let numbers: Vec<u64> = (0..4).map(|_| first_down(restored(), boot)).collect();
            let mut once = numbers.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), numbers.len(), "boot {boot}: {numbers:?}");
        }
        assert_ne!(
            first_down(NodeState::new(1), 5),
            first_down(NodeState::new(1), 5),
            "nothing is known of the node any more"
        );
    }
}
