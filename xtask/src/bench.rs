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
            "cloud-hub",
            "--package",
            "virtual-farm",
            "--package",
            "bench",
            "--bins",
        ]))?;
        // On the build's own disk: the usual folder for temporary files may be memory, which is durable in no time.
        let scratch = crate::process::target_dir().join("bench");
        std::fs::create_dir_all(&scratch)?;
        let mut bench =
            std::process::Command::new(crate::process::target_dir().join("release/bench"));
        run(bench
            .args(&self.names)
            .env("TMPDIR", scratch)
            .current_dir(crate::process::root()))
    }
}
