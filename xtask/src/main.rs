//! The front door for people and CI: `cargo xtask demo`, `test`, `soak`, `bench`, `fuzz`, `bare`, `arm64`.
//!
//! Each command does all of its own set-up, or says exactly what to do.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to a person"
)]

mod arm64;
mod bare;
mod bench;
mod debian;
mod demo;
mod fuzz;
mod process;
mod soak;
mod test;

#[cfg(test)]
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The front door for people and CI")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the farm appliance, a virtual farm and the hub, and say where to look.
    Demo(demo::Demo),
    /// Install what tests need, then run every test.
    Test(test::Test),
    /// Pull plugs and part lines under the real programs, for longer than the tests do.
    Soak(soak::Soak),
    /// Print figures, each beside a peer on the same work; all of them, or those named.
    Bench(bench::Bench),
    /// Fuzz each decoder for a while.
    Fuzz(fuzz::Fuzz),
    /// Build a node's program without std and without an allocator.
    Bare,
    /// Build the appliance for the Raspberry Pi, and try it under emulation.
    Arm64(arm64::Arm64),
    /// Install what tests need from Debian's packages, or say what to install.
    Setup,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Soak(soak) => soak.run(),
        Command::Bench(bench) => bench.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Bare => bare::build_all(),
        Command::Arm64(arm64) => arm64.run(),
        Command::Setup => debian::ensure(debian::FOR_TESTS),
    }
}
