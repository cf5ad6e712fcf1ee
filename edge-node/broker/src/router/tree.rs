//! Subscriptions by topic level, so that a publish touches only the branches that can match.
//!
//! Invariant: a branch without subscribers does not exist.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{lasting::Options, message::SessionId};

/// One level of filters, and those below it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Below this level's names.
    names: HashMap<Box<str>, Tree>,
    /// Below `+`.
    any: Option<Box<Tree>>,
    /// Those whose filter ends here.
    here: Subscribers,
    /// Those whose filter goes on with `#`.
    rest: Subscribers,
}

/// Those who subscribe to one filter.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    own: HashMap<SessionId, Options>,
    groups: Vec<Group>,
}

/// Those who share a subscription: each message goes to one of them.
#[derive(Debug)]
pub(super) struct Group {
    name: Box<str>,
    members: Vec<(SessionId, Options)>,
    turn: AtomicUsize,
}

/// How fit a member of a group is to be served; the fittest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fitness {
    /// It is not connected.
    Away,
    /// It does not keep up.
    Behind,
    /// It is connected and keeps up.
    Ready,
}

impl Group {
    /// Whose turn it is: the first in turn of those who are fittest.
    pub(super) fn choose(
        &self,
        fitness: impl Fn(SessionId) -> Fitness,
    ) -> Option<(SessionId, Options)> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len();
        let (after, before) = self.members.split_at(first);
        let in_turn = before.iter().chain(after).copied();
        in_turn.min_by_key(|(id, _)| Reverse(fitness(*id)))
    }
}

impl Subscribers {
    /// Those who subscribe for themselves.
    pub(super) fn own(&self) -> impl Iterator<Item = (SessionId, Options)> {
        self.own.iter().map(|(&id, &options)| (id, options))
    }

    /// Those who share.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn insert(&mut self, share: Option<&str>, id: SessionId, options: Options) {
        let Some(name) = share else {
            self.own.insert(id, options);
            return;
        };
        let group = match self
            .groups
            .iter_mut()
            .position(|group| &*group.name == name)
        {
            Some(known) => &mut self.groups[known],
            None => self.groups.push_mut(Group {
                name: name.into(),
                members: Vec::new(),
                turn: AtomicUsize::new(0),
            }),
        };
        match group.members.iter_mut().find(|(member, _)| *member == id) {
            Some(member) => member.1 = options,
            None => group.members.push((id, options)),
        }
    }

    fn remove(&mut self, share: Option<&str>, id: SessionId) {
        let Some(name) = share else {
            self.own.remove(&id);
            return;
        };
        if let Some(group) = self.groups.iter_mut().find(|group| &*group.name == name) {
            group.members.retain(|(member, _)| *member != id);
        }
        self.groups.retain(|group| !group.members.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.groups.is_empty()
    }
}

/// The group and the filter of a shared subscription: `$share/group/filter`.
pub(crate) fn split_share(text: &str) -> (Option<&str>, &str) {
    match text
        .strip_prefix("$share/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((group, filter)) => (Some(group), filter),
        None => (None, text),
    }
}

impl Tree {
    /// Adds a subscription, or replaces the session's one to the same filter.
    pub(super) fn insert(&mut self, text: &str, id: SessionId, options: Options) {
        let (share, filter) = split_share(text);
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return node.rest.insert(share, id, options),
                "+" => node.any.get_or_insert_default(),
                name => node.names.entry(name.into()).or_default(),
            };
        }
        node.here.insert(share, id, options);
    }

    /// Removes a subscription.
    pub(super) fn remove(&mut self, text: &str, id: SessionId) {
        let (share, filter) = split_share(text);
        self.remove_level(share, filter, id);
    }

    fn remove_level(&mut self, share: Option<&str>, filter: &str, id: SessionId) {
        let (level, below) = split(filter);
        match level {
            "#" => self.rest.remove(share, id),
            "+" => {
                if let Some(any) = &mut self.any {
                    any.remove_below(share, below, id);
                    if any.is_empty() {
                        self.any = None;
                    }
                }
            }
            name => {
                if let Some(node) = self.names.get_mut(name) {
                    node.remove_below(share, below, id);
                    if node.is_empty() {
                        self.names.remove(name);
                    }
                }
            }
        }
    }

    fn remove_below(&mut self, share: Option<&str>, below: Option<&str>, id: SessionId) {
        match below {
            Some(below) => self.remove_level(share, below, id),
            None => self.here.remove(share, id),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    /// The subscribers of every filter that matches `topic`.
    pub(super) fn matching(&self, topic: &str) -> Vec<&Subscribers> {
        let mut found = Vec::new();
        let (level, below) = split(topic);
        if topic.starts_with('$') {
            if let Some(node) = self.names.get(level) {
                node.collect(below, &mut found);
            }
        } else {
            self.collect(Some(topic), &mut found);
        }
        found
    }

    fn collect<'a>(&'a self, topic: Option<&str>, found: &mut Vec<&'a Subscribers>) {
        if !self.rest.is_empty() {
            found.push(&self.rest);
        }
        let Some(topic) = topic else {
            if !self.here.is_empty() {
                found.push(&self.here);
            }
            return;
        };
        let (level, below) = split(topic);
        if let Some(node) = self.names.get(level) {
            node.collect(below, found);
        }
        if let Some(node) = &self.any {
            node.collect(below, found);
        }
    }
}

/// The first level, and what is below it.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((level, below)) => (level, Some(below)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{acl::Filter, lasting::RetainedAtSubscribe, message::Qos};

    const PLAIN: Options = Options {
        qos: Qos::AtMostOnce,
        no_local: false,
        retain_as_published: false,
        retained: RetainedAtSubscribe::Send,
        id: None,
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
            filters in prop::collection::vec((any_filter(), any::<bool>()), 0..20),
            gone in prop::collection::vec(any::<bool>(), 20),
            topic in prop::collection::vec("[abগ$]?", 1..5).prop_map(|levels| levels.join("/")),
        ) {
            let texts: Vec<String> = filters.iter().map(|(filter, shared)| {
                if *shared { format!("$share/g/{filter}") } else { filter.to_string() }
            }).collect();
            let mut tree = Tree::default();
            for (i, text) in texts.iter().enumerate() {
                tree.insert(text, SessionId(i as u64), PLAIN);
            }
            let mut expected = HashSet::new();
            for (i, (filter, _)) in filters.iter().enumerate() {
                let id = SessionId(i as u64);
                if gone[i] {
                    tree.remove(&texts[i], id);
                } else if filter.matches(&topic) {
                    expected.insert(id);
                }
            }
            let found: HashSet<_> = tree.matching(&topic).into_iter().flat_map(|subscribers| {
                let shared = subscribers.groups().iter().flat_map(|group| &group.members).copied();
                subscribers.own().chain(shared).map(|(id, _)| id).collect::<Vec<_>>()
            }).collect();
            prop_assert_eq!(found, expected);
            for (i, text) in texts.iter().enumerate() {
                tree.remove(text, SessionId(i as u64));
            }
            prop_assert!(tree.is_empty());
        }
    }

    #[test]
    fn each_member_of_a_group_has_its_turn() {
        let mut tree = Tree::default();
        for i in 0..3 {
            tree.insert("$share/g/farm/#", SessionId(i), PLAIN);
        }
        use Fitness::{Away, Behind, Ready};
        let turn = |fitness: [Fitness; 3]| {
            let found = tree.matching("farm/x");
            let chosen = found[0].groups()[0].choose(|id| fitness[id.0 as usize]);
            chosen.unwrap().0.0
        };
        for (fitness, expected) in [
            ([Ready, Ready, Ready], [0, 1, 2]),
            ([Away, Ready, Behind], [1, 1, 1]),
            ([Away, Away, Behind], [2, 2, 2]),
            ([Behind, Ready, Ready], [1, 1, 2]),
            ([Away, Away, Away], [0, 1, 2]),
        ] {
            assert_eq!([0; 3].map(|_| turn(fitness)), expected, "{fitness:?}");
        }
    }
}
