//! `cargo xtask bench`: the figures, one JSON line each.

use clap::Args;

use crate::{
    debian,
    process::{cargo, run},
};

/// Options of `bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// Figures by name, such as `edge.ingest`; all when none is named.
    names: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        debian::ensure(debian::FOR_TESTS)?;
        run(&mut cargo(&[
            "build",
            "--release",
            "--package",
            "edge-node",
            "--package",
            "virtual-farm",
            "--package",
            "bench",
            "--bins",
        ]))?;
        let mut bench =
            std::process::Command::new(crate::process::target_dir().join("release/bench"));
        run(bench.args(&self.names).current_dir(crate::process::root()))
    }
}
