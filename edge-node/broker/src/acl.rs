//! Topic filters: which topics they match, and whether one lies inside another. What a client may do is two lists of them.
//!
//! Invariant: deny by default. A filter that begins with a wildcard never reaches a topic that begins with `$`.

use std::{fmt, str::FromStr, sync::Arc};

use mqtt_proto::TopicFilter;

/// A topic filter: levels between slashes, `+` for any one level, `#` at the end for all that follow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(Arc<str>);

/// Not a topic filter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not a topic filter: `+` must fill a level, `#` must be the last one")]
pub struct InvalidFilter(String);

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (invalid, _) = TopicFilter::is_invalid(s);
        if invalid {
            return Err(InvalidFilter(s.to_owned()));
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.0)
    }
}

impl Filter {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` is among the topics it names.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.begins_with_wildcard() {
            return false;
        }
        let mut topic = topic.split('/');
        for level in self.0.split('/') {
            match (level, topic.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (name, Some(part)) if name == part => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }

    /// What every topic that it names begins with.
    pub(crate) fn prefix(&self) -> &str {
        let end = self.0.find(['+', '#']).unwrap_or(self.0.len());
        let (prefix, wild) = self.0.split_at(end);
        if wild == "#" {
            // `a/#` names `a`, too.
            prefix.strip_suffix('/').unwrap_or(prefix)
        } else {
            prefix
        }
    }

    /// Whether every topic that it matches is matched by `outer` too.
    pub fn is_inside(&self, outer: &Self) -> bool {
        if self.0.starts_with('$') && outer.begins_with_wildcard() {
            return false;
        }
        let mut inner = self.0.split('/');
        for level in outer.0.split('/') {
            match (level, inner.next()) {
                ("#", _) => return true,
                (_, Some("#")) | (_, None) => return false,
                ("+", Some(_)) => {}
                (name, Some(part)) if name == part => {}
                _ => return false,
            }
        }
        inner.next().is_none()
    }

    fn begins_with_wildcard(&self) -> bool {
        self.0.starts_with(['+', '#'])
    }
}

/// How much may be retained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetainLimit {
    /// Values.
    pub values: usize,
    /// Bytes.
    pub bytes: usize,
}

/// Who a client is and what it may do. The default is nobody, and nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Permit {
    /// Who it is, whatever user name it gave: the owner of its session and its client identifier, the name under which
    /// [`Door::end`](crate::Door::end) finds it, and the [`Publish::user`](crate::Publish::user) of what it says. Without, the
    /// user name stands for it.
    pub identity: Option<Arc<str>>,
    /// Seconds that its session may outlive its connection, where that is less than
    /// [`DoorConfig::max_session_expiry`](crate::DoorConfig::max_session_expiry). With 0 it is a guest: it leaves nothing behind, and is
    /// known by its identity instead of the client identifier that it gave, so that it neither ends nor blocks a session of
    /// somebody who is known.
    pub max_session_expiry: Option<u32>,
    /// Sessions that it may have, connected or away; none bounds it by the bounds of all. For one more, the one of them that has been
    /// away longest ends.
    pub max_sessions: Option<usize>,
    /// What may stand retained on all topics that it may publish to, before it may retain more.
    pub max_retained: Option<RetainLimit>,
    /// Topics it may publish to.
    pub publish: Vec<Filter>,
    /// Topics it may subscribe to.
    pub subscribe: Vec<Filter>,
    /// Topics it may not hear all the same: a filter that lies in one of these is denied, and a wider one does not reach them.
    pub except: Vec<Filter>,
}

impl Permit {
    /// Whether it is a guest.
    pub(crate) fn is_guest(&self) -> bool {
        self.max_session_expiry == Some(0)
    }

    /// Whether it may publish to `topic`.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|allowed| allowed.matches(topic))
    }

    /// Whether it may hear what is published to `topic`.
    pub fn may_hear(&self, topic: &str) -> bool {
        self.subscribe.iter().any(|allowed| allowed.matches(topic))
            && !self.except.iter().any(|denied| denied.matches(topic))
    }

    /// Whether it may subscribe to `filter`: one allowed filter must hold all of it.
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        self.subscribe
            .iter()
            .any(|allowed| filter.is_inside(allowed))
            && !self.except.iter().any(|denied| filter.is_inside(denied))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(s: &str) -> Filter {
        s.parse().unwrap()
    }

    #[test]
    fn matches_by_level() {
        let yes = [
            ("farm/milk/+/+", "farm/milk/356000000000001/1"),
            ("farm/#", "farm"),
            ("farm/#", "farm/গরু/দুধ"),
            ("#", "গরু"),
            ("+", "গরু"),
            ("+/+", "/a"),
            ("$SYS/#", "$SYS/uptime"),
        ];
        for (f, topic) in yes {
            assert!(filter(f).matches(topic), "{f} {topic}");
        }
        let no = [
            ("farm/milk/+", "farm/milk"),
            ("farm/milk/+", "farm/milk/1/2"),
            ("+", "/a"),
            ("#", "$SYS/uptime"),
            ("+/uptime", "$SYS/uptime"),
            ("farm", "farms"),
        ];
        for (f, topic) in no {
            assert!(!filter(f).matches(topic), "{f} {topic}");
        }
    }

    #[test]
    fn inside_is_by_level_too() {
        for (inner, outer) in [
            ("a/b", "a/+"),
            ("a/+", "a/#"),
            ("a", "a/#"),
            ("a/#", "a/#"),
            ("#", "#"),
        ] {
            assert!(
                filter(inner).is_inside(&filter(outer)),
                "{inner} in {outer}"
            );
        }
        for (inner, outer) in [
            ("a/#", "a/+"),
            ("#", "a/#"),
            ("+/b", "a/b"),
            ("$SYS/#", "#"),
            ("a/#", "a"),
            ("a/+/#", "a/b/#"),
        ] {
            assert!(
                !filter(inner).is_inside(&filter(outer)),
                "{inner} in {outer}"
            );
        }
    }

    #[test]
    fn an_exception_is_denied_and_out_of_reach() {
        let permit = Permit {
            subscribe: vec![filter("farm/#")],
            except: vec![filter("farm/keys/#")],
            ..Permit::default()
        };
        for (text, allowed) in [
            ("farm/#", true),
            ("farm/milk", true),
            ("farm/keys/#", false),
            ("farm/keys/+", false),
        ] {
            assert_eq!(permit.may_subscribe(&filter(text)), allowed, "{text}");
        }
        assert!(permit.may_hear("farm/milk") && !permit.may_hear("farm/keys/1"));
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for text in ["", "a#", "a/#/b", "a+", "+a/b", "a\0"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        (prop::collection::vec("[abগ$]?|\\+", 1..5), any::<bool>()).prop_filter_map(
            "not a filter",
            |(mut levels, all)| {
                if all {
                    levels.push("#".to_owned());
                }
                levels.join("/").parse().ok()
            },
        )
    }

    fn any_topic() -> impl Strategy<Value = String> {
        prop::collection::vec("[abগ$]?", 1..5).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn what_is_inside_matches_no_more(inner in any_filter(), outer in any_filter(), topic in any_topic()) {
            if inner.is_inside(&outer) && inner.matches(&topic) {
                prop_assert!(outer.matches(&topic));
            }
        }

        #[test]
        fn what_it_names_begins_with_its_prefix(filter in any_filter(), topic in any_topic()) {
            if filter.matches(&topic) {
                prop_assert!(topic.starts_with(filter.prefix()));
            }
        }

        #[test]
        fn a_topic_matches_itself(topic in any_topic()) {
            if let Ok(filter) = topic.parse::<Filter>() {
                prop_assert!(filter.matches(&topic));
                prop_assert!(filter.is_inside(&filter));
            }
        }
    }
}
