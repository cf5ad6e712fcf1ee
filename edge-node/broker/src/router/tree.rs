//! Subscriptions by topic level, so that a publish touches only the branches that can match.
//!
//! Invariant: a branch without subscribers does not exist.

use std::collections::HashMap;

use crate::{codec::Options, message::SessionId};

/// One level of filters, and those below it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Below this level's names.
    names: HashMap<Box<str>, Tree>,
    /// Below `+`.
    any: Option<Box<Tree>>,
    /// Those whose filter ends here.
    here: HashMap<SessionId, Options>,
    /// Those whose filter goes on with `#`.
    rest: HashMap<SessionId, Options>,
}

impl Tree {
    /// Adds a subscription, or replaces the session's one to the same filter.
    pub(super) fn insert(&mut self, filter: &str, id: SessionId, options: Options) {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => {
                    node.rest.insert(id, options);
                    return;
                }
                "+" => node.any.get_or_insert_default(),
                name => node.names.entry(name.into()).or_default(),
            };
        }
        node.here.insert(id, options);
    }

    /// Removes a subscription.
    pub(super) fn remove(&mut self, filter: &str, id: SessionId) {
        let (level, below) = match filter.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (filter, None),
        };
        match level {
            "#" => {
                self.rest.remove(&id);
            }
            "+" => {
                if let Some(any) = &mut self.any {
                    any.remove_below(below, id);
                    if any.is_empty() {
                        self.any = None;
                    }
                }
            }
            name => {
                if let Some(node) = self.names.get_mut(name) {
                    node.remove_below(below, id);
                    if node.is_empty() {
                        self.names.remove(name);
                    }
                }
            }
        }
    }

    fn remove_below(&mut self, below: Option<&str>, id: SessionId) {
        match below {
            Some(below) => self.remove(below, id),
            None => {
                self.here.remove(&id);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    /// Everyone who wants `topic`, each once, with the best of the overlapping subscriptions.
    pub(super) fn find(&self, topic: &str) -> HashMap<SessionId, Options> {
        let mut found = HashMap::new();
        let (level, below) = match topic.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (topic, None),
        };
        if topic.starts_with('$') {
            if let Some(node) = self.names.get(level) {
                node.collect(below, &mut found);
            }
        } else {
            self.collect(Some(topic), &mut found);
        }
        found
    }

    fn collect(&self, topic: Option<&str>, found: &mut HashMap<SessionId, Options>) {
        merge(found, &self.rest);
        let Some(topic) = topic else {
            merge(found, &self.here);
            return;
        };
        let (level, below) = match topic.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (topic, None),
        };
        if let Some(node) = self.names.get(level) {
            node.collect(below, found);
        }
        if let Some(node) = &self.any {
            node.collect(below, found);
        }
    }
}

fn merge(found: &mut HashMap<SessionId, Options>, more: &HashMap<SessionId, Options>) {
    for (&id, &options) in more {
        found
            .entry(id)
            .and_modify(|known| {
                known.qos = known.qos.max(options.qos);
                known.no_local &= options.no_local;
                known.retain_as_published |= options.retain_as_published;
            })
            .or_insert(options);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mqtt_proto::v5::RetainHandling;
    use proptest::prelude::*;

    use super::*;
    use crate::{acl::Filter, message::Qos};

    const PLAIN: Options = Options {
        qos: Qos::AtMostOnce,
        no_local: false,
        retain_as_published: false,
        retained: RetainHandling::SendAtSubscribe,
    };

    fn any_filter() -> impl Strategy<Value = Filter> {
        (prop::collection::vec("[abগ$]?|\\+", 1..4), any::<bool>()).prop_filter_map(
            "not a filter",
            |(mut levels, all)| {
                if all {
                    levels.push("#".to_owned());
                }
                levels.join("/").parse().ok()
            },
        )
    }

    proptest! {
        #[test]
        fn finds_exactly_those_whose_filter_matches(
            filters in prop::collection::vec(any_filter(), 0..20),
            gone in prop::collection::vec(any::<bool>(), 20),
            topic in prop::collection::vec("[abগ$]?", 1..5).prop_map(|levels| levels.join("/")),
        ) {
            let mut tree = Tree::default();
            for (i, filter) in filters.iter().enumerate() {
                tree.insert(filter.as_str(), SessionId(i as u64), PLAIN);
            }
            let mut expected = HashSet::new();
            for (i, filter) in filters.iter().enumerate() {
                let id = SessionId(i as u64);
                if gone[i] {
                    tree.remove(filter.as_str(), id);
                } else if filter.matches(&topic) {
                    expected.insert(id);
                }
            }
            let found: HashSet<_> = tree.find(&topic).into_keys().collect();
            prop_assert_eq!(found, expected);
            for (i, filter) in filters.iter().enumerate() {
                tree.remove(filter.as_str(), SessionId(i as u64));
            }
            prop_assert!(tree.is_empty());
        }
    }

    #[test]
    fn overlapping_subscriptions_give_one_copy_at_the_best_qos() {
        let mut tree = Tree::default();
        let id = SessionId(1);
        tree.insert("farm/#", id, PLAIN);
        tree.insert(
            "farm/+",
            id,
            Options {
                qos: Qos::AtLeastOnce,
                ..PLAIN
            },
        );
        let found = tree.find("farm/x");
        assert_eq!(found.len(), 1);
        assert_eq!(found[&id].qos, Qos::AtLeastOnce);
    }
}
