//! What the command lines of our programs have in common.

use std::{
    io::{BufRead as _, Write},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    Until,
    config::{self, Configured},
};

/// What `run` is told.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Run {
    /// End when standard input closes too, so that a demonstration leaves nothing behind.
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Run {
    /// Until when it runs.
    pub fn until(self) -> Until {
        if self.until_stdin_closes {
            Until::StdinCloses
        } else {
            Until::Signal
        }
    }
}

/// What `check-config` is told.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct CheckConfig {
    /// Print a configuration file with every setting explained and at its default, and check nothing.
    #[arg(long)]
    print_default: bool,
}

impl CheckConfig {
    /// Prints `default`, or says that what `load` reads is good.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn run<C>(
        self,
        default: &str,
        load: impl FnOnce() -> anyhow::Result<C>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        if self.print_default {
            write!(out, "{default}")?;
        } else {
            load()?;
            writeln!(out, "the configuration is good")?;
        }
        Ok(())
    }
}

/// The configuration in the file at `path`; without one, every setting has its default.
///
/// # Errors
/// What is wrong with the file.
pub fn load<C>(path: Option<&Path>) -> anyhow::Result<C>
where
    C: Configured + Default,
{
    match path {
        Some(path) => Ok(config::load(path)?),
        None => Ok(C::default()),
    }
}

/// The first line of standard input without its end: secrets do not stand in process lists.
///
/// # Errors
/// When it cannot be read.
pub fn typed_line() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock();
    input.read_line(&mut line).context("standard input")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
