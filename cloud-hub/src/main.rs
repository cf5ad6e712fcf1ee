//! The hub's command line; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cloud_hub::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may not have been started; the person at the terminal must see this in any case.
            #[expect(clippy::print_stderr, reason = "a command line speaks to a person")]
            {
                eprintln!("cloud-hub: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
