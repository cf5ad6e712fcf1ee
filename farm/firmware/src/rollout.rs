//! Which node may be offered an image next, and when to stop.
//!
//! One node goes first. When it has confirmed and, a while later, has greeted once more with the new firmware, the others follow,
//! a few at a time. One that rolls back, refuses, fails or falls silent stops the rollout until a person lets it go on.
//! Nothing is offered while cows are milked: a node that restarts is a meter that does not count.

use farm_model::DeviceId;
use sha2::{Digest as _, Sha256};

use crate::update::{Ended, Update};

/// The rules of a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long the first node must have run the image before the others follow, milliseconds.
    pub prove_ms: i64,
    /// How many nodes may be at it at once.
    pub at_once: usize,
    /// After how long a trial without a healthy report counts as failed, milliseconds.
    pub trial_ms: i64,
    /// After how long an offer that was not answered is made again, milliseconds.
    pub again_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            prove_ms: 30 * 60_000,
            at_once: 4,
            trial_ms: 60 * 60_000,
            again_ms: 60_000,
        }
    }
}

/// A node of a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Which.
    pub device: DeviceId,
    /// How far it is; none before it is offered anything.
    pub update: Option<Update>,
    /// Milliseconds since that changed, or since it was offered again.
    pub age_ms: i64,
    /// How long after it had confirmed it last greeted with the same firmware, milliseconds; 0 if it did not.
    pub ran_ms: i64,
    /// Its end was bad, and a person has seen it and let it pass.
    pub settled: bool,
}

/// Why nothing (more) is offered now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Cows are being milked.
    Milking,
    /// The first node is at it.
    FirstNode(DeviceId),
    /// The first node has confirmed and must run a while.
    Proving(DeviceId),
    /// As many as may are at it.
    Busy,
    /// Every node has come to an end.
    Nobody,
}

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Decision {
    /// Offer the image to these, for the first time or again.
    pub offer: Vec<DeviceId>,
    /// The trials of these have lasted too long.
    pub trial_over: Vec<DeviceId>,
    /// Stop, because of this one's end.
    pub pause: Option<(DeviceId, Ended)>,
    /// Why no other node is offered it now.
    pub wait: Option<Wait>,
}

/// What to do for a rollout that runs. `members` stand in the order in which they are to be offered the image, the first node
/// first.
pub fn decide(members: &[Member], rules: &Rules, milking: Milking) -> Decision {
    let mut decision = Decision::default();
    for member in members {
        if let Some(ended) = member.update.and_then(Update::ended)
            && ended.is_bad()
            && !member.settled
        {
            decision.pause = Some((member.device, ended));
            return decision;
        }
        if member.update == Some(Update::Trying) && member.age_ms >= rules.trial_ms {
            decision.trial_over.push(member.device);
        }
    }
    if milking == Milking::Yes {
        decision.wait = Some(Wait::Milking);
        return decision;
    }
    // An offer may have been lost, or slept through.
    let unanswered = members
        .iter()
        .filter(|m| m.update == Some(Update::Offered) && m.age_ms >= rules.again_ms);
    decision.offer.extend(unanswered.map(|m| m.device));
    let (room, wait) = room(members, rules);
    let fresh = members.iter().filter(|m| m.update.is_none());
    let fresh: Vec<_> = fresh.take(room).map(|m| m.device).collect();
    decision.wait = fresh.is_empty().then_some(wait);
    decision.offer.extend(fresh);
    decision
}

/// Whether cows are being milked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Milking {
    /// They are, or nobody can tell.
    Yes,
    /// They are not.
    No,
}

/// How many more may begin, and why no more than that.
fn room(members: &[Member], rules: &Rules) -> (usize, Wait) {
    let busy = members.iter().filter(|m| is_at_it(m)).count();
    let is_proven = members.iter().any(|m| is_proven(m, rules));
    if members.iter().all(|m| m.update.is_some()) && busy == 0 {
        return (0, Wait::Nobody);
    }
    if is_proven {
        return (rules.at_once.saturating_sub(busy), Wait::Busy);
    }
    if let Some(first) = members.iter().find(|m| is_at_it(m)) {
        return (0, Wait::FirstNode(first.device));
    }
    if let Some(first) = members.iter().find(|m| has_confirmed(m)) {
        return (0, Wait::Proving(first.device));
    }
    (1, Wait::Busy)
}

fn is_at_it(member: &Member) -> bool {
    matches!(member.update, Some(update) if update.ended().is_none())
}

fn has_confirmed(member: &Member) -> bool {
    member.update == Some(Update::Ended(Ended::Confirmed))
}

fn is_proven(member: &Member, rules: &Rules) -> bool {
    has_confirmed(member) && member.ran_ms >= rules.prove_ms
}

/// Whether `device` is among the first `percent` of all, in an order that belongs to `rollout`: a larger share holds the smaller.
pub fn is_in_share(rollout: i64, device: DeviceId, percent: u8) -> bool {
    let digest = Sha256::new()
        .chain_update(rollout.to_le_bytes())
        .chain_update(device.as_bytes())
        .finalize();
    let [a, b, ..] = <[u8; 32]>::from(digest);
    u32::from(u16::from_le_bytes([a, b])) * 100 < u32::from(percent) * 65_536
}
