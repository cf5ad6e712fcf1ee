//! What a page is given for its frame: entries of the menu, who is logged in, the live stream, the farm's time.

use crate::icons::Icon;

/// An entry of the menu.
#[derive(Clone, Debug)]
pub struct NavItem {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: String,
    /// Its picture.
    pub icon: Icon,
    /// How much waits there; nothing is shown for 0.
    pub badge: u32,
}

impl NavItem {
    /// An entry without a badge.
    pub fn new(href: impl Into<String>, label: impl Into<String>, icon: Icon) -> Self {
        Self {
            href: href.into(),
            label: label.into(),
            icon,
            badge: 0,
        }
    }

    /// The entry with a badge.
    #[must_use]
    pub fn badge(mut self, count: u32) -> Self {
        self.badge = count;
        self
    }
}

/// Who is logged in.
#[derive(Clone, Debug)]
pub struct User {
    /// Name.
    pub name: String,
    /// Role, in words.
    pub role: String,
    /// Where the "log out" form is posted.
    pub log_out: String,
}

/// The live stream that a page listens to; see `assets/live.js` for what it expects of the server.
#[derive(Clone, Debug)]
pub struct Live {
    /// Address of the stream: `/live?topics=parlour,tanks`.
    pub url: String,
    /// Sequence number of the newest event that the page already shows; the stream goes on after it.
    pub from: u64,
}

/// The farm's time, when it is not the device's: relative times on the page tick by it.
#[derive(Clone, Debug)]
pub struct PageClock {
    /// Milliseconds since 1970 when the page was made.
    pub now_ms: i64,
    /// How much faster than a wall clock it runs: 1.0 but for demonstrations.
    pub rate: f64,
    /// IANA name of the farm's time zone.
    pub zone: String,
}
