//! A figure: what was measured, what it should be, and what a peer did with the same work.

use std::{fmt, io::Write, path::PathBuf, time::Duration};

use anyhow::Context;
use serde::Serialize;

/// One measured figure; [`Figure::line`] is its printed form.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    value: f64,
    unit: &'static str,
    /// What it should reach, or stay under; the name says which.
    goal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
}

#[derive(Serialize)]
struct Peer {
    name: &'static str,
    value: f64,
}

impl Figure {
    pub(crate) fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            name,
            value: rounded(value),
            unit,
            goal: None,
            peer: None,
        }
    }

    pub(crate) fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(rounded(goal));
        self
    }

    pub(crate) fn peer(mut self, name: &'static str, value: f64) -> Self {
        let value = rounded(value);
        self.peer = Some(Peer { name, value });
        self
    }

    /// The figure as a line of JSON.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}

/// Four significant digits: more would claim what no run repeats.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// Tells a person what was seen on the way.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    // Nobody may be listening; the figures stand all the same.
    let _ = writeln!(std::io::stderr(), "  {text}");
}

/// Times of the same thing done many times.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `share` of all do not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let time = sorted.get(rank.clamp(1, sorted.len().max(1)) - 1);
        time.map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0)
    }
}

/// The folder beside this program that keeps what is slow to make, from one run to the next.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .parent()
        .and_then(std::path::Path::parent)
        .context("the program lies in no build folder")?;
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A folder for one run, on the disk that the build is on: the usual one may be memory.
pub(crate) fn scratch() -> anyhow::Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(cache()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut times = Times::default();
        for ms in (1..=100).rev() {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!(
            (times.quantile_ms(0.5), times.quantile_ms(0.99)),
            (50.0, 99.0)
        );
        assert!(Times::default().quantile_ms(0.5).is_nan());
    }

    #[test]
    fn a_figure_is_a_line_of_json() {
        let figure = Figure::new("edge.ingest", 23_456.7, "1/s")
            .goal(20_000.0)
            .peer("SQLite", 99_999.9);
        assert_eq!(
            figure.line(),
            r#"{"name":"edge.ingest","value":23460.0,"unit":"1/s","goal":20000.0,"peer":{"name":"SQLite","value":100000.0}}"#
        );
    }
}
