//! Runs a virtual farm: prints one JSON line with its addresses when every port is there, another when the appliance
//! has been told about the farm, and stops on SIGTERM, Ctrl-C or, if asked to, when its standard input closes.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::Context;
use clap::Parser;
use farm_firmware::TrustedKey;
use jiff::Timestamp;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing::warn;
use virtual_farm::{
    Options, Provision, VirtualFarm,
    device::{mqtt::Broker, pump::Secured},
    fault::{Fault, FaultError},
    sim::{Pace, Setup, schedule::Schedule},
};

const FAULTS: &str = "Faults: KIND[:ARGUMENT][@TIME][+DURATION]
  reader-noise[:STALL]     random bytes between and within a reader's frames
  crc-failures[:PERCENT]   this share (50) of readers' and slaves' frames has a flipped bit
  stuck-meter:STALL        the meter's registers stay as they are
  dead-slave:UNIT          the Modbus unit does not answer
  meter-restart:STALL      the meter loses its counters, once
  flapping-probe[:NAME]    85 °C, bad checksums, empty files and all zeros take turns
  sick-cow:NUMBER          her yield drops by 35 %, her milk's conductivity rises
  warm-tank:TANK           the tank's cooling fails
  missing-tag:NUMBER       her tag cannot be read
  swapped-tags:A,B         each of the two wears the other's tag
  two-tags[:STALL]         a second cow's tag is read at the stall too
  vanish-port:PORT         reader-1 to reader-8, or modbus, is unplugged
  milk-without-cow:STALL   once, when the stall is next empty, milk flows with nobody there
TIME is now, a span after the order (90s), a local time (05:30) or RFC 3339; a span is a number with ms, s (or nothing),
m, h or d, in the farm's time. Orders are also read from standard input with --until-stdin-closes, and from lines
appended to the file `control` in the folder; `clear` ends all faults.";

/// A dairy farm that is not there.
#[derive(Parser, Debug)]
#[command(version, after_long_help = FAULTS)]
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
    #[arg(long, conflicts_with = "start_ms")]
    start: Option<Timestamp>,
    /// The same in milliseconds since 1970.
    #[arg(long)]
    start_ms: Option<i64>,
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
    #[arg(long = "fault", value_parser = order)]
    faults: Vec<String>,
    /// Only say whether these arguments are understood.
    #[arg(long)]
    check: bool,
    /// Broker that the MQTT nodes publish to, HOST:PORT; without one there are no nodes.
    #[arg(long)]
    mqtt: Option<String>,
    /// User name of the MQTT nodes.
    #[arg(long, requires = "mqtt_password")]
    mqtt_user: Option<String>,
    /// Password of the MQTT nodes.
    #[arg(long, env = "VIRTUAL_FARM_MQTT_PASSWORD", hide_env_values = true)]
    mqtt_password: Option<String>,
    /// Tell the appliance at this address about the farm.
    #[arg(long, requires = "token")]
    provision: Option<String>,
    /// Token of the appliance's API.
    #[arg(long, env = "KHAMAR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Run the pump house's node too: the appliance's MQTT over TLS, HOST:PORT.
    #[arg(long, requires_all = ["provision", "vendor"])]
    tls: Option<String>,
    /// Public key of the vendor whose firmware the node takes.
    #[arg(long)]
    vendor: Option<TrustedKey>,
    /// Days of history to tell the appliance.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=3660))]
    days: u32,
    /// Obey each line of standard input as a fault to order (or `clear`), and stop when it closes.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// An order that can be understood; when it is due is worked out at the start.
fn order(text: &str) -> Result<String, FaultError> {
    Fault::parse(text, 0).map(|_| text.to_owned())
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
        let start = self
            .start_ms
            .or_else(|| self.start.map(Timestamp::as_millisecond))
            .unwrap_or_else(|| Timestamp::now().as_millisecond());
        let secured = self.tls.zip(self.vendor);
        Ok(Options {
            secured: secured.map(|(tls, vendor)| Secured { tls, vendor }),
            setup: Setup {
                seed: self.seed,
                cows: self.cows,
                start,
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
            mqtt: self
                .mqtt
                .map(|address| broker(&address, self.mqtt_user.zip(self.mqtt_password)))
                .transpose()?,
            provision: self
                .provision
                .zip(self.token)
                .map(|(url, token)| Provision {
                    url,
                    token,
                    days: self.days,
                }),
        })
    }
}

fn broker(address: &str, login: Option<(String, String)>) -> anyhow::Result<Broker> {
    let (host, port) = address
        .rsplit_once(':')
        .context("write the broker as HOST:PORT")?;
    Ok(Broker {
        host: host.to_owned(),
        port: port.parse().context("the broker's port is no number")?,
        login,
    })
}

/// Lines of standard input; the channel closes when it does.
fn orders() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn run(
    mut farm: VirtualFarm,
    mut orders: Option<mpsc::Receiver<String>>,
) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut told = false;
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            report = farm.provisioned(), if !told => {
                told = true;
                writeln!(stdout(), "{}", serde_json::json!({ "provisioned": report? }))?;
            }
            line = next(&mut orders) => match line {
                None => break,
                Some(line) => if let Err(error) = farm.order(&line) {
                    warn!(%error, "an order is not understood");
                },
            },
        }
    }
    farm.stop().await;
    Ok(())
}

async fn next(orders: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    if arguments.check {
        return Ok(());
    }
    let orders = arguments.until_stdin_closes.then(orders);
    let farm = VirtualFarm::start(arguments.options()?).await?;
    writeln!(stdout(), "{}", serde_json::to_string(farm.addresses())?)?;
    run(farm, orders).await
}
