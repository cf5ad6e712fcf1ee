//! How often may be asked to join, and how many may be inside to ask: of one address, and of all together. Nobody who asks has shown
//! anything, each request costs a commit and may send an older one away, and each connection takes a device's place.
//!
//! Each has a store of requests that fills up by one at a time. What is kept of it is the moment at which it will be full.
//! Invariant: only who was heard is remembered, and only until then, so that the number of addresses is bounded by the rate.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What may come at once, and how long one more takes.
#[derive(Clone, Copy, Debug)]
struct Rate {
    at_once: u32,
    every: Duration,
}

const OF_ONE: Rate = Rate {
    at_once: 8,
    every: Duration::from_secs(10),
};
const OF_ALL: Rate = Rate {
    at_once: 64,
    every: Duration::from_secs(1),
};

impl Rate {
    /// When a store that will be full at `full` will be, if one more is taken from it now; none if there is none left.
    fn take(self, full: Option<Instant>, now: Instant) -> Option<Instant> {
        let full = full.map_or(now, |full| full.max(now)) + self.every;
        (full - now <= self.every * self.at_once).then_some(full)
    }
}

/// Who has asked lately.
#[derive(Debug, Default)]
pub(super) struct Askers {
    all: Option<Instant>,
    each: HashMap<IpAddr, Instant>,
}

impl Askers {
    /// Whether `address` may ask now; if so, it has.
    pub(super) fn may_ask(&mut self, address: IpAddr, now: Instant) -> bool {
        self.each.retain(|_, full| *full > now);
        let address = network(address);
        let one = OF_ONE.take(self.each.get(&address).copied(), now);
        let all = OF_ALL.take(self.all, now);
        let (Some(one), Some(all)) = (one, all) else {
            return false;
        };
        self.each.insert(address, one);
        self.all = Some(all);
        true
    }
}

/// Connections of those who ask, of one address and in all.
const INSIDE_OF_ONE: usize = 16;
const INSIDE: usize = 64;

/// How many are inside to ask, by address.
#[derive(Debug, Default)]
pub(super) struct Joiners(Mutex<HashMap<IpAddr, usize>>);

/// One of them; it is inside until this is dropped.
pub(super) struct Joiner {
    all: Arc<Joiners>,
    address: IpAddr,
}

impl Joiners {
    /// Whether one more from `address` may come in.
    pub(super) fn has_room(&self, address: IpAddr) -> bool {
        let inside = self.lock();
        let own = inside.get(&network(address)).copied().unwrap_or(0);
        own < INSIDE_OF_ONE && inside.values().sum::<usize>() < INSIDE
    }

    /// Counts one who came in.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Joiner {
        let address = network(address);
        *self.lock().entry(address).or_default() += 1;
        let all = Arc::clone(self);
        Joiner { all, address }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        let mut inside = self.all.lock();
        if let Some(count) = inside.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.address);
            }
        }
    }
}

/// Whoever has one address of IPv6 has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, n])
    }

    fn heard(askers: &mut Askers, from: IpAddr, now: Instant) -> usize {
        (0..100).filter(|_| askers.may_ask(from, now)).count()
    }

    #[test]
    fn one_address_is_heard_a_few_times_at_once_and_then_in_its_turn() {
        let (mut askers, start) = (Askers::default(), Instant::now());
        assert_eq!(heard(&mut askers, address(1), start), 8);
        assert_eq!(heard(&mut askers, address(2), start), 8, "another is heard");
        let later = |s| start + Duration::from_secs(s);
        assert_eq!(heard(&mut askers, address(1), later(9)), 0);
        assert_eq!(heard(&mut askers, address(1), later(25)), 2);
        assert_eq!(heard(&mut askers, address(1), later(3_600)), 8);
        assert_eq!(askers.each.len(), 1, "who has been silent is forgotten");
    }

    #[test]
    fn all_together_are_bounded_and_so_is_what_is_remembered() {
        let (mut askers, start) = (Askers::default(), Instant::now());
        let all: usize = (0..=255)
            .map(|n| heard(&mut askers, address(n), start))
            .sum();
        assert_eq!(all, 64);
        assert_eq!(askers.each.len(), 8);
        let later = start + Duration::from_secs(5);
        assert_eq!(heard(&mut askers, address(200), later), 5);
    }

    #[test]
    fn those_inside_are_bounded_by_address_and_in_all_and_make_room_when_they_go() {
        let joiners = Arc::new(Joiners::default());
        let come = |n: u8| {
            let room = joiners.has_room(address(n));
            room.then(|| joiners.enter(address(n)))
        };
        let ones: Vec<_> = (0..100).filter_map(|_| come(1)).collect();
        assert_eq!(ones.len(), 16);
        let others: Vec<_> = (2..200).filter_map(come).collect();
        assert_eq!(others.len(), 48, "64 in all");
        drop(ones);
        assert!(come(1).is_some());
        drop(others);
        assert!(joiners.lock().is_empty(), "who has gone is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_asker() {
        let (mut askers, now) = (Askers::default(), Instant::now());
        let host = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(heard(&mut askers, host("fe80::1"), now), 8);
        assert_eq!(heard(&mut askers, host("fe80::2"), now), 0);
        assert_eq!(heard(&mut askers, host("fe80:1::1"), now), 8);
        assert_eq!(heard(&mut askers, host("::ffff:192.168.1.1"), now), 8);
        assert_eq!(heard(&mut askers, address(1), now), 0, "the same as before");
    }
}
