//! `cargo xtask test`: everything.

use clap::Args;

use crate::{
    bare, debian,
    fuzz::Fuzz,
    process::{cargo, run},
};

/// Options of `test`.
#[derive(Args)]
pub(crate) struct Test {
    /// Seconds that each decoder is fuzzed; 0 leaves fuzzing out.
    #[arg(long, default_value_t = 60)]
    fuzz_seconds: u32,
    /// Only tests whose name contains this; leaves fuzzing out.
    filter: Option<String>,
}

/// Builds the real programs, which end-to-end tests start.
pub(crate) fn build_programs() -> anyhow::Result<()> {
    run(&mut cargo(&[
        "build",
        "--package",
        "edge-node",
        "--package",
        "cloud-hub",
        "--package",
        "virtual-farm",
        "--bins",
    ]))
}

impl Test {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        debian::ensure(debian::FOR_TESTS)?;
        build_programs()?;
        let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
        if let Some(filter) = &self.filter {
            return run(test.arg(filter));
        }
        run(&mut test)?;
        bare::build_all()?;
        if self.fuzz_seconds > 0 {
            Fuzz {
                seconds: self.fuzz_seconds,
                targets: Vec::new(),
            }
            .run()?;
        }
        Ok(())
    }
}
