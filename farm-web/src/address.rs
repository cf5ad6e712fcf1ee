//! Where a page of this farm is found, as a browser has to ask for it.
//!
//! The same pages stand at `/` on the farm's own appliance and at `/farms/…/` on a host that shows many farms. A page names
//! another by its path within the farm, `to!("/herd/{id}")`, and the base of whoever serves the farm is put before it.
//! The base belongs to the task that answers the request or draws the live board (why it is no argument:
//! `docs/decisions/2026-11-21-addresses.md`). Invariant: no page writes a rooted path by hand; a test reads the sources.

use std::{fmt, sync::Arc};

tokio::task_local! {
    static BASE: Base;
}

/// The path under which a farm is served: empty, or `/farms/test-farm`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Base(Arc<str>);

/// A base is empty, or begins with `/`, ends without one, and is made of letters, digits, `-`, `_`, `.` and `/`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no path to serve a farm under: write it like /farms/test-farm")]
pub struct BaseError(String);

impl Base {
    /// The base at `path`.
    ///
    /// # Errors
    /// When it would not stand unchanged in an address.
    pub fn new(path: &str) -> Result<Self, BaseError> {
        let plain = |part: &str| {
            let ours = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(ours)
        };
        let good = path.is_empty()
            || path
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(plain));
        if good {
            Ok(Self(path.into()))
        } else {
            Err(BaseError(path.to_owned()))
        }
    }

    /// The base as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path within the farm of what is found at `address`, if that is one of this farm's pages.
    pub(crate) fn inside<'a>(&self, address: &'a str) -> Option<&'a str> {
        let rest = address.strip_prefix(&*self.0)?;
        match rest.as_bytes().first() {
            None => Some("/"),
            Some(b'/') => Some(rest),
            _ => None,
        }
    }

    /// Runs `work`, whose addresses begin with this base.
    pub(crate) async fn serves<F: Future>(self, work: F) -> F::Output {
        BASE.scope(self, work).await
    }

    /// The base of what is being served: that of a farm at `/` where nothing else was said.
    pub(crate) fn here() -> Self {
        BASE.try_with(Self::clone).unwrap_or_default()
    }
}

/// Whether the pages are served at the farm itself, and not under the base of a host.
pub(crate) fn at_the_farm() -> bool {
    Base::here().as_str().is_empty()
}

/// The address of `path` within the farm; see [`to!`].
pub(crate) fn address(path: fmt::Arguments<'_>) -> String {
    format!("{}{path}", Base::here().as_str())
}

/// The address of a page of this farm, with the arguments of [`format!`].
macro_rules! to {
    ($($path:tt)*) => { $crate::address::address(format_args!($($path)*)) };
}
pub(crate) use to;

/// `address` if it is one of this farm's pages, else the start page: a log-in must not lead elsewhere.
pub fn own(address: &str) -> String {
    let here = Base::here();
    let inside = here
        .inside(address)
        .filter(|path| !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t']));
    to!("{}", inside.unwrap_or("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_stands_unchanged_in_an_address() {
        for good in ["", "/farms/test-farm", "/f"] {
            assert_eq!(Base::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "/",
            "farms",
            "/farms/",
            "//x",
            "/a/../b",
            "/a b",
            "/খামার",
            "/a?b",
        ] {
            assert!(Base::new(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn addresses_begin_with_the_base_of_who_serves() {
        assert_eq!(to!("/herd/{}", 7), "/herd/7");
        let base = Base::new("/farms/a").unwrap();
        base.serves(async { assert_eq!(to!("/herd"), "/farms/a/herd") })
            .await;
    }

    #[tokio::test]
    async fn a_log_in_leads_nowhere_else() {
        for (path, leads) in [
            ("/herd?group=a", "/herd?group=a"),
            ("", "/"),
            ("https://evil.test", "/"),
            ("//evil.test", "/"),
            ("/\\evil.test", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
        ] {
            assert_eq!(own(path), leads, "{path:?}");
        }
        let farm = Base::new("/farms/a").unwrap().serves(async {
            [
                "/farms/a/herd",
                "/farms/a",
                "/farms/ab",
                "/herd",
                "/farms/a//b",
            ]
            .map(own)
        });
        assert_eq!(
            farm.await,
            [
                "/farms/a/herd",
                "/farms/a/",
                "/farms/a/",
                "/farms/a/",
                "/farms/a/"
            ]
        );
    }
}
