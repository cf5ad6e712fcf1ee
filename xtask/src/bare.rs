//! `cargo xtask bare`: what a microcontroller runs, built without `std` and without an allocator.
//!
//! The crate in `tests/bare` has its own panic handler and no allocator. So it builds for this machine only as long as nothing
//! below it asks for either: that needs no other target. Where the toolchain has a microcontroller's target, it is built
//! for that too, and where not, it is said how to get it.

use std::{path::PathBuf, process::Command};

use crate::process::{cargo, run, said, target_dir};

/// What nodes run on: ARM Cortex-M4F (nRF52, STM32), ESP32-C3 and its kin.
const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "riscv32imc-unknown-none-elf"];

/// Builds it for this machine, and for each target that is installed.
pub(crate) fn build_all() -> anyhow::Result<()> {
    build(None)?;
    println!("bare: a node's program builds without std and without an allocator");
    for target in TARGETS {
        if is_installed(target)? {
            build(Some(target))?;
            println!("bare: it builds for {target}");
        } else {
            println!("bare: not tried for {target}; to do so: rustup target add {target}");
        }
    }
    Ok(())
}

fn build(target: Option<&str>) -> anyhow::Result<()> {
    let mut build = cargo(&[
        "build",
        "--locked",
        "--manifest-path",
        "tests/bare/Cargo.toml",
    ]);
    if let Some(target) = target {
        build.args(["--target", target]);
    }
    run(build.env("CARGO_TARGET_DIR", target_dir().join("bare")))
}

fn is_installed(target: &str) -> anyhow::Result<bool> {
    let folder =
        said(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    Ok(PathBuf::from(folder.trim()).exists())
}
