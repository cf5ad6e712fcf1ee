//! An emulated line between two networks: packets are taken from one end's TUN device, held up, lost, and put into the other's.
//!
//! Linux' own emulator is a module (`sch_netem`) that many kernels lack. What happens to which packet follows from a seed; when, from
//! the two programs. Each direction has its own rate, and a queue of four seconds before it, as a modem has; what does not fit is lost.

use std::{
    collections::VecDeque,
    fs,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};
use virtual_farm::rng::Rng;

use crate::Namespace;

/// The near end's address. It is a loopback address because an appliance takes a hub in the clear on its own machine alone; in these
/// namespaces it leads over the line.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);
/// The far end's address.
pub const FAR: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 2);

/// How long a packet may wait for those before it.
const QUEUE: Duration = Duration::from_secs(4);
/// The largest packet.
const MTU: u16 = 1_400;
/// How often a direction looks whether the line is given up.
const TICK: Duration = Duration::from_millis(50);
/// What the device at each end is called.
const DEVICE: &str = "line";

/// How good a line is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// How long a packet is on its way, once it has left.
    pub delay: Duration,
    /// Bits a second, each way.
    pub rate: u64,
    /// How likely a packet is lost, 0 to 1.
    pub loss: f64,
}

impl Quality {
    /// A mobile network at the edge of its reach.
    pub const POOR: Self = Self {
        delay: Duration::from_millis(300),
        rate: 40_000,
        loss: 0.03,
    };
    /// A line that nobody notices.
    pub const GOOD: Self = Self {
        delay: Duration::from_millis(5),
        rate: 20_000_000,
        loss: 0.0,
    };
}

/// What became of packets, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets that arrived.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were lost by chance, did not fit into the queue, or met a line that was parted.
    pub lost: u64,
}

/// A line between two namespaces; it ends with its value.
#[derive(Debug)]
pub struct Link {
    /// Where the line begins.
    pub near: Namespace,
    /// Where it ends.
    pub far: Namespace,
    state: Arc<State>,
    directions: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    quality: Mutex<Quality>,
    parted: AtomicBool,
    over: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
}

impl Link {
    /// A line of this quality between two new namespaces.
    ///
    /// # Panics
    /// When this machine does not allow it; the message says what it needs.
    pub fn new(quality: Quality, seed: u64) -> Self {
        let (near, far) = (Namespace::new(), Namespace::new());
        let here = Arc::new(end(&near, NEAR, FAR));
        let there = Arc::new(end(&far, FAR, NEAR));
        let state = Arc::new(State {
            quality: Mutex::new(quality),
            parted: AtomicBool::new(false),
            over: AtomicBool::new(false),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let directions = [("up", &here, &there), ("down", &there, &here)];
        let directions = directions.map(|(name, from, to)| {
            let (from, to, state) = (Arc::clone(from), Arc::clone(to), Arc::clone(&state));
            let rng = Rng::stream(seed, name);
            thread::spawn(move || carry(&from, &to, &state, rng))
        });
        Self {
            near,
            far,
            state,
            directions: directions.into(),
        }
    }

    /// Makes the line better or worse from now on.
    pub fn set(&self, quality: Quality) {
        *self
            .state
            .quality
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = quality;
    }

    /// Parts it: whatever is on its way is lost, and nobody is told.
    pub fn part(&self) {
        self.state.parted.store(true, Ordering::Relaxed);
    }

    /// Joins it again.
    pub fn join(&self) {
        self.state.parted.store(false, Ordering::Relaxed);
    }

    /// What it has carried so far.
    pub fn carried(&self) -> Carried {
        Carried {
            packets: self.state.packets.load(Ordering::Relaxed),
            bytes: self.state.bytes.load(Ordering::Relaxed),
            lost: self.state.lost.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        for direction in self.directions.drain(..) {
            // One that panicked has said so.
            let _ = direction.join();
        }
    }
}

/// One end: a device in the namespace, with its address and the way to the other's.
fn end(namespace: &Namespace, own: Ipv4Addr, other: Ipv4Addr) -> SyncDevice {
    let device = namespace.within(|| {
        // Loopback addresses are not let out of a machine otherwise.
        fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("it can be set");
        DeviceBuilder::new()
            .name(DEVICE)
            .mtu(MTU)
            .build_sync()
            .unwrap_or_else(|error| panic!("/dev/net/tun: {error}"))
    });
    let (own, other) = (own.to_string(), other.to_string());
    for args in [
        &["addr", "add", &own, "dev", DEVICE][..],
        &["link", "set", DEVICE, "up"],
        &[
            "route", "add", &other, "dev", DEVICE, "table", "local", "src", &own,
        ],
    ] {
        namespace.run("ip", args);
    }
    device
}

/// Carries packets one way, until the line is given up.
fn carry(from: &SyncDevice, to: &SyncDevice, state: &State, mut rng: Rng) {
    let mut on_the_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut free = Instant::now();
    let mut buffer = [0; 2048];
    while !state.over.load(Ordering::Relaxed) {
        let now = Instant::now();
        while let Some((_, packet)) = on_the_way.pop_front_if(|(at, _)| *at <= now) {
            state.arrive(to, &packet);
        }
        let next = on_the_way.front().map(|(at, _)| *at - now);
        if !is_readable(from, next.map_or(TICK, |next| next.min(TICK))) {
            continue;
        }
        let length = from.recv(&mut buffer).expect("the device can be read");
        let quality = *state.quality.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        free = free.max(now);
        if free - now > QUEUE || rng.chance(quality.loss) {
            state.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let bits = 8 * length as u64;
        free += Duration::from_nanos(bits * 1_000_000_000 / quality.rate);
        on_the_way.push_back((free + quality.delay, buffer[..length].to_vec()));
    }
}

impl State {
    fn arrive(&self, to: &SyncDevice, packet: &[u8]) {
        // The kernel refuses a packet when nobody may have it any more.
        if self.parted.load(Ordering::Relaxed) || to.send(packet).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(packet.len() as u64, Ordering::Relaxed);
    }
}

fn is_readable(device: &SyncDevice, wait: Duration) -> bool {
    let wait = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(wait.subsec_nanos()),
    };
    let mut asked = [PollFd::new(device, PollFlags::IN)];
    poll(&mut asked, Some(&wait)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Sends bytes over the line and says how long it took until all were there.
    fn sent(link: &Link, bytes: usize) -> Duration {
        let door = link.far.within(|| TcpListener::bind((FAR, 0)).unwrap());
        let at = door.local_addr().unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            door.accept().unwrap().0.read_to_end(&mut all).unwrap();
            all.len()
        });
        let began = Instant::now();
        let mut stream = link.near.within(|| TcpStream::connect(at).unwrap());
        stream.write_all(&vec![7; bytes]).unwrap();
        drop(stream);
        assert_eq!(reader.join().unwrap(), bytes);
        began.elapsed()
    }

    #[test]
    fn a_line_is_as_slow_as_it_is_said_to_be_and_loses_as_much() {
        let quality = Quality {
            delay: Duration::from_millis(100),
            rate: 400_000,
            loss: 0.0,
        };
        let link = Link::new(quality, 1);
        // A round trip to open it, and 25,000 bytes at 50,000 a second.
        let took = sent(&link, 25_000);
        assert!(took > Duration::from_millis(700), "{took:?}");
        assert_eq!(link.carried().lost, 0);

        link.set(Quality {
            loss: 0.2,
            ..Quality::GOOD
        });
        sent(&link, 100_000);
        let carried = link.carried();
        let share = carried.lost as f64 / (carried.lost + carried.packets) as f64;
        assert!((0.02..0.4).contains(&share), "{carried:?}");
    }

    #[test]
    fn nothing_passes_a_parted_line_and_what_waits_passes_when_it_is_joined() {
        let link = Link::new(Quality::GOOD, 1);
        link.part();
        let began = Instant::now();
        thread::scope(|scope| {
            let sending = scope.spawn(|| sent(&link, 1_000));
            crate::until("a packet to be lost", 10, || {
                (link.carried().lost > 0).then_some(())
            });
            assert_eq!(link.carried().packets, 0);
            link.join();
            sending.join().unwrap();
        });
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
