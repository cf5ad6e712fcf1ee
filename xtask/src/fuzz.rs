//! `cargo xtask fuzz`: libFuzzer over each decoder, on the stable toolchain.
//!
//! The coverage passes that libFuzzer needs are part of the stable compiler; only the sanitizers are not. So the fuzz crate is
//! built with plain flags, in a target folder of its own, and no other tool is needed.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, bail};
use clap::Args;

use crate::process::{cargo, root, run};

const TRIPLE: &str = env!("KHAMAR_TARGET");

/// Options of `fuzz`.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Seconds that each target runs.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// Targets by name; all when none is named.
    pub(crate) targets: Vec<String>,
}

impl Fuzz {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let folder = root().join("tests/fuzz");
        let targets = if self.targets.is_empty() {
            all_targets(&folder)?
        } else {
            self.targets
        };
        let flags = [
            "-Cpasses=sancov-module",
            "-Cllvm-args=-sanitizer-coverage-level=4",
            "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
            "-Cllvm-args=-sanitizer-coverage-pc-table",
            "-Cdebug-assertions",
            "--cfg=fuzzing",
        ];
        run(cargo(&[
            "build",
            "--release",
            "--bins",
            "--target",
            TRIPLE,
            "--manifest-path",
            "tests/fuzz/Cargo.toml",
        ])
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", folder.join("target")))?;

        let next = AtomicUsize::new(0);
        let failures = Mutex::new(Vec::new());
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(targets.len());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(e) = fuzz(&folder, target, self.seconds) {
                            failures
                                .lock()
                                .expect("no panic under this lock")
                                .push(format!("{target}: {e:#}"));
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().expect("all threads have ended well");
        if !failures.is_empty() {
            bail!("fuzzing found:\n{}", failures.join("\n"));
        }
        Ok(())
    }
}

fn all_targets(folder: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("fuzz_targets"))
        .context("tests/fuzz/fuzz_targets")?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Runs one target; what it finds stays in `tests/fuzz/artifacts`.
fn fuzz(folder: &std::path::Path, target: &str, seconds: u32) -> anyhow::Result<()> {
    let corpus = folder.join("corpus").join(target);
    let artifacts: PathBuf = folder.join("artifacts").join(target);
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&artifacts)?;
    let output = Command::new(
        folder
            .join("target")
            .join(TRIPLE)
            .join("release")
            .join(target),
    )
    .arg(&corpus)
    .arg(format!("-artifact_prefix={}/", artifacts.display()))
    .arg(format!("-max_total_time={seconds}"))
    .args([
        "-rss_limit_mb=1024",
        "-timeout=10",
        "-print_final_stats=1",
        "-verbosity=1",
    ])
    .output()
    .with_context(|| format!("cannot start {target}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let runs = log
        .lines()
        .find_map(|l| l.strip_prefix("stat::number_of_executed_units:"))
        .unwrap_or(" ?")
        .trim();
    let coverage = log
        .lines()
        .rev()
        .find_map(|l| l.split_once(" cov: ")?.1.split(' ').next())
        .unwrap_or("?");
    println!("fuzz {target}: {runs} inputs, {coverage} edges covered, {seconds} s");
    if !output.status.success() {
        let tail: Vec<&str> = log.lines().rev().take(25).collect();
        bail!(
            "{}\n{}",
            output.status,
            tail.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(())
}
