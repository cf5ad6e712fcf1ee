//! The checker: what replication promises, held against what the replicas hold.

use std::collections::{BTreeMap, BTreeSet};

use sync::{Site, wire::Stream};

use super::Replica;

/// What was ever written and what was ever seen at the hub.
#[derive(Default)]
pub(super) struct Checker {
    /// Each fact that some file wrote; several values where a copy of a file counted on.
    written: BTreeMap<(Site, i64), BTreeSet<i64>>,
    at_hub: BTreeMap<(Site, i64), i64>,
    held_by_hub: BTreeMap<Stream, i64>,
}

impl Checker {
    pub(super) fn wrote(&mut self, site: Site, fact: Option<(i64, i64)>) {
        if let Some((seq, value)) = fact {
            self.written.entry((site, seq)).or_default().insert(value);
        }
    }

    /// What is acknowledged is held.
    pub(super) fn acknowledged(&self, hub: &impl Replica, stream: &Stream, upto: i64) {
        let held = hub.held().get(stream).copied().unwrap_or_default();
        assert!(
            upto <= held,
            "the hub acknowledged {upto} of {stream:?} and holds {held}"
        );
    }

    /// The hub loses nothing, changes nothing, and its marks only grow.
    pub(super) fn check_hub(&mut self, hub: &impl Replica) {
        let (facts, held) = (hub.facts(), hub.held());
        for (key, value) in &self.at_hub {
            assert_eq!(
                facts.get(key),
                Some(value),
                "a fact at the hub was lost or changed"
            );
        }
        for (stream, upto) in &self.held_by_hub {
            assert!(
                held.get(stream) >= Some(upto),
                "a mark of the hub went back"
            );
        }
        (self.at_hub, self.held_by_hub) = (facts, held);
    }

    /// Everything that is held was written by the site whose name it bears, and is held without a hole, once.
    pub(super) fn check_replica(&self, replica: &impl Replica) {
        let facts = replica.facts();
        let mut last: BTreeMap<Site, i64> = BTreeMap::new();
        for ((site, seq), value) in &facts {
            let written = self.written.get(&(*site, *seq));
            assert!(
                written.is_some_and(|written| written.contains(value)),
                "fact {seq} of {site} was invented"
            );
            let before = last.insert(*site, *seq).unwrap_or_default();
            assert_eq!(*seq, before + 1, "facts of {site} have a hole");
        }
    }

    pub(super) fn facts(&self) -> usize {
        self.written.len()
    }
}

/// In the end all are the same.
pub(super) fn check_same<R: Replica>(hub: &R, edge: &R) {
    assert_eq!(edge.content(), hub.content(), "records differ");
    assert_eq!(edge.facts(), hub.facts(), "facts differ");
}
