//! One reading out of many: readers repeat a tag for as long as it is in their field.

use farm_model::{tag::Tag, time::UnixMillis};

/// Most tags remembered per reader; more than ever stand before one.
const REMEMBERED: usize = 32;

/// Lets a tag through once per window.
///
/// The window counts from the last time the tag was let through, so an animal that stays is told again once per
/// window. A clock that goes back lets it through.
#[derive(Debug)]
pub struct Dedup {
    window_ms: i64,
    seen: Vec<(Tag, UnixMillis)>,
}

impl Dedup {
    /// A memory for one reader; `window_ms` is farm time.
    pub fn new(window_ms: u32) -> Self {
        Self {
            window_ms: window_ms.into(),
            seen: Vec::new(),
        }
    }

    /// Whether `tag`, read at `now`, is news.
    pub fn admit(&mut self, tag: &Tag, now: UnixMillis) -> bool {
        let window = 0..self.window_ms;
        self.seen.retain(|(_, at)| window.contains(&now.since(*at)));
        if self.seen.iter().any(|(seen, _)| seen == tag) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.remove(0);
        }
        self.seen.push((tag.clone(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_news_once_per_window() {
        let (a, b) = (Tag::Em4100(1), Tag::Em4100(2));
        let mut dedup = Dedup::new(1000);
        assert!(dedup.admit(&a, UnixMillis(0)));
        assert!(!dedup.admit(&a, UnixMillis(999)));
        assert!(dedup.admit(&b, UnixMillis(999)), "another animal");
        assert!(dedup.admit(&a, UnixMillis(1000)), "still there");
        assert!(!dedup.admit(&b, UnixMillis(1500)));
        assert!(dedup.admit(&a, UnixMillis(-5)), "the clock went back");
    }

    #[test]
    fn memory_is_bounded() {
        let mut dedup = Dedup::new(1000);
        assert!((0..1000).all(|n| dedup.admit(&Tag::Em4100(n), UnixMillis(0))));
        assert_eq!(dedup.seen.len(), REMEMBERED);
    }
}
