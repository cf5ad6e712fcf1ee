//! The farm appliance's command line; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match edge_node::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may not have been started; the person at the terminal must see this in any case.
            #[expect(clippy::print_stderr, reason = "a command line speaks to a person")]
            {
                eprintln!("edge-node: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
