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
pub use hub::Hub;
pub use line::Line;
pub use link::{Link, Quality};
pub use namespace::Namespace;
pub use wait::{until, until_async};

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

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

/// Runs a program to its end with `input` on standard input; gives its standard output.
fn told(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let mut stdin = child.stdin.take().expect("piped");
    // A subcommand that asks for nothing may have ended by now.
    let told = stdin.write_all(format!("{input}\n").as_bytes());
    assert!(told.is_ok() || input.is_empty(), "it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}
