//! Peers in Python, from Debian's packages: small scripts that do the same work and print what they counted.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::Context;

/// A running script; ends with this value.
pub(crate) struct Script {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Script {
    /// Runs `code` with Debian's Python.
    pub(crate) fn start(code: &str, args: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", code])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("/usr/bin/python3 (Debian's python3)")?;
        let output = BufReader::new(child.stdout.take().context("its output is piped")?);
        Ok(Self { child, output })
    }

    /// The next line that it prints, as a number.
    pub(crate) fn number(&mut self) -> anyhow::Result<f64> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim()
            .parse()
            .with_context(|| format!("the script said {line:?}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
