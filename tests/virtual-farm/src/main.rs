//! Runs a virtual farm: prints one JSON line with its addresses when it is ready, and stops on SIGTERM or Ctrl-C.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::Context;
use clap::Parser;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use virtual_farm::{
    Options, VirtualFarm,
    sim::{Pace, Setup, schedule::Schedule},
};

/// A dairy farm that is not there.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// Folder for ports, the 1-wire tree and the control file.
    #[arg(long)]
    dir: PathBuf,
    /// Same seed, same farm.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cows in milk.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1200))]
    cows: u32,
    /// First moment of the farm's clock, RFC 3339; the present when not given.
    #[arg(long)]
    start: Option<Timestamp>,
    /// Farm seconds in a real second.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Local times at which milking begins.
    #[arg(long, value_delimiter = ',', default_value = "05:00,16:00")]
    sessions: Vec<jiff::civil::Time>,
    /// Begin the next round of milking as soon as the parlour is empty.
    #[arg(long)]
    always_milking: bool,
    /// TCP port of the Modbus server; 0 for any.
    #[arg(long, default_value_t = 0)]
    modbus_tcp: u16,
    /// Append each true milking to this file, one JSON line each.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Order a fault: KIND[:ARGUMENT]@TIME[+DURATION], for example stuck-meter:3@+2m+10m.
    #[arg(long = "fault")]
    faults: Vec<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.001..=10_000.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.001 to 10000".to_owned()),
    }
}

impl Arguments {
    fn options(self) -> anyhow::Result<Options> {
        let minutes = self
            .sessions
            .iter()
            .map(|t| i64::from(t.hour()) * 60 + i64::from(t.minute()))
            .collect();
        let schedule = Schedule::new(minutes).context("name at least one session")?;
        Ok(Options {
            setup: Setup {
                seed: self.seed,
                cows: self.cows,
                start: self.start.unwrap_or_else(Timestamp::now).as_millisecond(),
                schedule,
                pace: if self.always_milking {
                    Pace::Always
                } else {
                    Pace::Scheduled
                },
            },
            speed: self.speed,
            dir: self.dir,
            modbus_tcp: self.modbus_tcp,
            truth: self.truth,
            faults: self.faults,
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let farm = VirtualFarm::start(Arguments::parse().options()?).await?;
    writeln!(stdout(), "{}", serde_json::to_string(farm.addresses())?)?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    farm.stop().await;
    Ok(())
}
