//! `cargo xtask soak`: what the tests do to the real programs for half a minute, for as long as one likes.

use clap::Args;

use crate::{
    debian,
    process::{cargo, run},
    test,
};

/// The tests that are told how much is to happen.
const TESTS: [&str; 2] = ["kill::", "links::over_a_poor_line"];

/// Options of `soak`.
#[derive(Args)]
pub(crate) struct Soak {
    /// How often the plug is pulled in the parlour, and how many misfortunes befall the line to the hub.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// What happens when; a failure names it.
    #[arg(long)]
    seed: Option<u64>,
}

impl Soak {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        debian::ensure(debian::FOR_TESTS)?;
        test::build_programs()?;
        let rounds = self.rounds.to_string();
        let mut soak = cargo(&["test", "--package", "e2e", "--test", "it", "--"]);
        soak.args(TESTS)
            .args(["--nocapture", "--test-threads", "1"])
            .env("KHAMAR_KILL_ROUNDS", &rounds)
            .env("KHAMAR_LINE_ROUNDS", &rounds);
        if let Some(seed) = self.seed {
            soak.env("KHAMAR_SEED", seed.to_string());
        }
        run(&mut soak)
    }
}
