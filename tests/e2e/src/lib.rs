//! Holds the real programs in temporary folders for end-to-end tests and benchmarks.
//!
//! [`Edge`] is the appliance as a child process, [`Farm`] the virtual farm, [`browser::Browser`] Debian's Chromium. Each
//! ends with its value. Nothing is mocked: what a test sees is what a farm would see.

pub mod browser;
pub mod edge;
pub mod farm;
pub mod hub;
pub mod link;
pub mod namespace;
pub mod trace;
pub mod wait;

pub use browser::Browser;
pub use edge::{Edge, EdgeOptions, Wall};
pub use farm::{Farm, FarmOptions};
pub use hub::{Hub, Line};
pub use link::{Link, Quality};
pub use namespace::Namespace;
pub use wait::{until, until_async};

use std::path::PathBuf;

/// A program of this workspace, built in the same profile as the running test.
///
/// # Panics
/// When it is not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test
        .ancestors()
        .find(|folder| folder.join(name).is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not built; run `cargo xtask test`, or `cargo build --bins` first")
        });
    folder.join(name)
}
