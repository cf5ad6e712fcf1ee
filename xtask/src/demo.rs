//! `cargo xtask demo`: the appliance, a farm that is not there, and the hub that shows it from afar, on this machine, with
//! nothing to set up.

mod hub;
mod line;

use std::{
    fs::{self, TryLockError},
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;

use self::{hub::Hub, line::Switched};
use crate::process::{cargo, run, target_dir};

const OWNER: (&str, &str) = ("রহিমা", "2580");
const WORKER: (&str, &str) = ("করিম", "1470");
/// The demo's vendor of firmware: a key that everybody may know, for no farm trusts it but this one.
const VENDOR: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFeb4x2eR+UT8x6pwu8ssMj7yPwy9mOCDoLmHYgNIBSB\n-----END PRIVATE KEY-----\n";
/// Its public half.
const VENDOR_LINE: &str = "MCowBQYDK2VwAyEA7xvUs5VEBCC0CF2Xq1VI+Y8kSsjJPAz14v4MxWNVQIs=";
/// What the virtual farm's node runs on, and the version that is on the shelf for it.
const FIRMWARE: (&str, &str) = ("khamar-node-c3", "2.0.0");
/// Bytes of that image: at the usual pace, a quarter of a minute.
const IMAGE: usize = 60_000;

/// Options of `demo`.
#[derive(Args)]
pub(crate) struct Demo {
    /// How much faster than real time the farm lives.
    #[arg(long, default_value_t = 4.0)]
    speed: f64,
    /// Days of history to load at the start.
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Cows of the herd.
    #[arg(long, default_value_t = 60)]
    cows: u32,
    /// The virtual farm's seed: the same seed is the same farm.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time of day on the farm at the start: morning milking begins at 05:00; 12:00 is between the sessions.
    #[arg(long, default_value = "05:00", value_parser = minute_of_day)]
    at: i64,
    /// A fault to order, `KIND[:ARGUMENT][@TIME][+DURATION]` in the farm's time; may be given several times.
    ///
    /// reader-noise:STALL, crc-failures:PERCENT, stuck-meter:STALL, dead-slave:UNIT, meter-restart:STALL, flapping-probe,
    /// sick-cow:NUMBER, warm-tank:TANK, missing-tag:NUMBER, swapped-tags:A,B, two-tags:STALL, vanish-port:PORT,
    /// milk-without-cow:STALL. So `warm-tank:1@60+600` warms tank 1 from the first minute on, for ten.
    #[arg(long)]
    fault: Vec<String>,
    /// Port of the web pages; the next free one if it is taken.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Use optimised builds, as they run on a farm.
    #[arg(long)]
    release: bool,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let bin = self.build()?;
        self.check_faults(&bin)?;
        let started = Instant::now();
        let site = self.settle(bin)?;
        let hub = site.hub.clone();
        let hub = thread::spawn(move || hub.start());
        let token = site.enrol()?;
        site.supply_firmware()?;
        let farm = self.start_farm(&site, &token)?;
        let edge = site.start_edge()?;
        self.greet(&site, started);
        let joined = hub
            .join()
            .map_err(|_| anyhow!("the hub's start panicked"))?;
        let (hub, code) = joined.context("the hub did not start")?;
        site.join_hub(&code)?;
        self.greet_hub(&site);
        site.watch(farm, edge, hub)
    }

    /// Builds the programs; the folder that they are in.
    fn build(&self) -> anyhow::Result<PathBuf> {
        let mut build = cargo(&["build", "--bins", "-p", "edge-node", "-p", "virtual-farm"]);
        build.args(["-p", "cloud-hub"]);
        if self.release {
            build.arg("--release");
        }
        run(&mut build)?;
        Ok(target_dir().join(if self.release { "release" } else { "debug" }))
    }

    /// An empty folder, ports that are free, and the configuration that names them.
    fn settle(&self, bin: PathBuf) -> anyhow::Result<Site> {
        let dir = target_dir().join("demo");
        ensure!(
            !is_running(&dir),
            "a demo of this folder runs already: use that one, or stop it with Ctrl-C where it was started"
        );
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        let web = free_port(self.port)?;
        let port = free_port(web.saturating_add(1).max(8090))?;
        let hub_url = hub::url(port);
        let line = line::to(port, [format!("http://localhost:{web}/hub"), hub_url])?;
        let hub = Hub {
            program: bin.join("cloud-hub"),
            dir: dir.join("hub"),
            log: dir.join("cloud-hub.log"),
            port,
            switch: format!("http://{}/", line.page),
            time: (self.origin_ms(), self.speed),
        };
        let site = Site {
            bin,
            dir,
            web,
            mqtt: free_port(1883)?,
            tls: free_port(8883)?,
            line,
            hub,
        };
        fs::write(site.config(), self.config(&site))?;
        Ok(site)
    }

    /// Time of the farm at the start: today, at the time in Bangladesh that was asked for.
    fn origin_ms(&self) -> i64 {
        const DAY: i64 = 86_400_000;
        const DHAKA: i64 = 6 * 3_600_000;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        (now + DHAKA).div_euclid(DAY) * DAY - DHAKA + self.at * 60_000
    }

    /// Ends here if the virtual farm does not understand the faults; it has said what is wrong.
    fn check_faults(&self, bin: &Path) -> anyhow::Result<()> {
        let mut check = Command::new(bin.join("virtual-farm"));
        check.args(["--check", "--dir", "."]);
        for fault in &self.fault {
            check.args(["--fault", fault]);
        }
        let checked = check.status().context("virtual-farm")?;
        if !checked.success() {
            std::process::exit(checked.code().unwrap_or(2));
        }
        Ok(())
    }

    fn config(&self, site: &Site) -> String {
        format!(
            "[data]\ndir = \"{data}\"\n[web]\nlisten = [\"0.0.0.0:{web}\"]\n\
             [mqtt]\nlisten = [\"127.0.0.1:{mqtt}\"]\ntls = [\"127.0.0.1:{tls}\"]\nanonymous_from = [\"127.0.0.1\"]\n\
             [serial]\ndirs = [\"{farm}/tty\"]\n[onewire]\nroot = \"{farm}/w1\"\nevery_s = 2\n\
             [firmware]\ntrusted_keys = [\"{VENDOR_LINE}\"]\n\
             [hub]\ndemo_switch = \"http://{switch}/\"\n\
             [clock]\nsimulated_start_ms = {origin}\nsimulated_rate = {speed:?}\n",
            data = site.dir.join("data").display(),
            web = site.web,
            mqtt = site.mqtt,
            tls = site.tls,
            farm = site.dir.join("farm").display(),
            switch = site.line.page,
            origin = self.origin_ms(),
            speed = self.speed,
        )
    }

    fn start_farm(&self, site: &Site, token: &str) -> anyhow::Result<Stopped> {
        let mut farm = site.program("virtual-farm");
        farm.arg("--dir").arg(site.dir.join("farm"));
        for (option, value) in [
            ("--seed", self.seed.to_string()),
            ("--speed", self.speed.to_string()),
            ("--cows", self.cows.to_string()),
            ("--days", self.days.to_string()),
            ("--start-ms", self.origin_ms().to_string()),
            ("--mqtt", format!("127.0.0.1:{}", site.mqtt)),
            ("--provision", format!("http://127.0.0.1:{}", site.web)),
            ("--tls", format!("127.0.0.1:{}", site.tls)),
            ("--vendor", VENDOR_LINE.to_owned()),
        ] {
            farm.arg(option).arg(value);
        }
        for fault in &self.fault {
            farm.args(["--fault", fault]);
        }
        farm.arg("--until-stdin-closes").env("KHAMAR_TOKEN", token);
        let log = site.log("virtual-farm");
        let mut child = farm
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("virtual-farm")?;
        let lines = child.stdout.take().context("its output is piped")?;
        let farm = Stopped(child);
        // Its first line says that all ports exist.
        let mut ready = String::new();
        let mut lines = BufReader::new(lines);
        lines.read_line(&mut ready)?;
        let mut rest = fs::File::options().append(true).open(&log)?;
        thread::spawn(move || std::io::copy(&mut lines, &mut rest));
        ensure!(
            ready.starts_with('{'),
            "the virtual farm did not start; its log is {}",
            log.display()
        );
        Ok(farm)
    }

    fn greet(&self, site: &Site, started: Instant) {
        let Site { web, mqtt, dir, .. } = site;
        println!(
            "\n  খামার is running (ready {:.1} s after the build)\n",
            started.elapsed().as_secs_f64()
        );
        println!("    open      http://localhost:{web}/");
        if let Some(address) = network_address() {
            println!("              http://{address}:{web}/ on a phone in the same network");
        }
        println!(
            "    log in    {} with PIN {} (owner), or {} with PIN {} (worker)",
            OWNER.0, OWNER.1, WORKER.0, WORKER.1
        );
        println!(
            "    farm      {} cows, 8 stalls, time runs {} times as fast; {} days of history are being loaded",
            self.cows, self.speed, self.days
        );
        println!("    MQTT      127.0.0.1:{mqtt}, for example:");
        println!(
            "              mosquitto_pub -p {mqtt} -q 1 -t farm/tank/1/temp -m '{{\"value\": 3.9}}'"
        );
        println!(
            "    firmware  {} is on the shelf for the pump house's node, which logs in over TLS and seals its frames: offer it",
            FIRMWARE.1
        );
        println!(
            "              at http://localhost:{web}/devices/firmware and watch; none leaves while cows are milked (--at 12:00 begins between)"
        );
        println!("    logs      {}", dir.display());
    }

    fn greet_hub(&self, site: &Site) {
        println!(
            "\n    hub       {}/ shows the same farm from afar; it is being sent there now",
            site.hub.url()
        );
        println!(
            "    log in    {} with password {} (manager)",
            hub::MANAGER.0,
            hub::PASSWORD
        );
        println!(
            "    line      http://{}/ cuts the line between farm and hub, and joins it: change both meanwhile, and see them agree",
            site.line.page
        );
        println!("\n  Ctrl-C stops everything.\n");
    }
}

/// Where a demo runs: its programs, its folder, its ports.
struct Site {
    bin: PathBuf,
    dir: PathBuf,
    web: u16,
    mqtt: u16,
    tls: u16,
    hub: Hub,
    line: Switched,
}

impl Site {
    fn config(&self) -> PathBuf {
        self.dir.join("khamar.toml")
    }

    fn log(&self, program: &str) -> PathBuf {
        self.dir.join(program).with_extension("log")
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    fn edge_node(&self) -> Command {
        let mut edge = self.program("edge-node");
        edge.arg("--config").arg(self.config());
        // As in deploy/raspberry-pi/edge-node.service.
        edge.env("MALLOC_ARENA_MAX", "2");
        edge
    }

    /// Enters the people who may log in; the token with which the virtual farm registers its devices.
    fn enrol(&self) -> anyhow::Result<String> {
        for ((name, pin), role) in [(OWNER, "owner"), (WORKER, "worker")] {
            self.order(&["staff", "add", "--name", name, "--role", role], pin)?;
        }
        let token = [
            "token",
            "add",
            "--name",
            "virtual farm",
            "--scope",
            "manage",
        ];
        Ok(self.order(&token, "")?.trim().to_owned())
    }

    /// Puts an image that the demo's vendor signed on the shelf, as whoever runs a farm would.
    fn supply_firmware(&self) -> anyhow::Result<()> {
        let file = |name: &str| {
            let path = self.dir.join(name);
            let text = path.to_str().map(str::to_owned);
            text.context("the target folder's path is no text")
        };
        let (hardware, version) = FIRMWARE;
        let (key, image) = (file("vendor.pem")?, file("node.bin")?);
        fs::write(&key, VENDOR)?;
        let bytes: Vec<u8> = (0..IMAGE).map(|n| (n / 7) as u8).collect();
        fs::write(&image, bytes)?;
        let sign = ["firmware", "sign", &image, "--key", &key];
        let what = ["--version", version, "--hardware", hardware];
        self.order(&[&sign[..], &what].concat(), "")?;
        let signed = file("node.khfw")?;
        self.order(&["firmware", "add", &signed], "").map(drop)
    }

    /// Joins the farm to the hub, over the line.
    fn join_hub(&self, code: &str) -> anyhow::Result<()> {
        let hub = format!("http://{}", self.line.near);
        self.order(&["enrol", code, "--hub", &hub], "").map(drop)
    }

    /// Runs a subcommand of the appliance, with `secret` on its standard input so that it stands in no process list.
    fn order(&self, args: &[&str], secret: &str) -> anyhow::Result<String> {
        let mut edge = self.edge_node();
        edge.args(args);
        told(edge, secret)
    }

    /// Starts the appliance and waits until its pages can be opened.
    fn start_edge(&self) -> anyhow::Result<Stopped> {
        let mut edge = self.edge_node();
        edge.args(["run", "--until-stdin-closes"]);
        Stopped::start(edge, &self.log("edge-node"), self.web)
    }

    /// Waits for the end of any; the appliance may end well, the others are to outlive it.
    fn watch(&self, farm: Stopped, mut edge: Stopped, hub: Stopped) -> anyhow::Result<()> {
        let mut others = [("virtual-farm", farm), ("cloud-hub", hub)];
        loop {
            if let Some(status) = edge.0.try_wait()? {
                ensure!(
                    status.success(),
                    "edge-node ended ({status}); its log is {}",
                    self.log("edge-node").display()
                );
                return Ok(());
            }
            for (name, child) in &mut others {
                if let Some(status) = child.0.try_wait()? {
                    bail!(
                        "{name} ended ({status}); its log is {}",
                        self.log(name).display()
                    );
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Runs a command to its end, with `secret` on its standard input; what it says.
fn told(mut command: Command, secret: &str) -> anyhow::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let mut input = child.stdin.take().context("its input is piped")?;
    // A command that reads nothing may have ended.
    let _ = writeln!(input, "{secret}");
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// A child that ends with this value: its standard input closes, and that is its sign to stop.
struct Stopped(Child);

impl Stopped {
    /// Starts a program that ends with its standard input, and waits until its pages can be opened.
    fn start(mut program: Command, log: &Path, port: u16) -> anyhow::Result<Self> {
        let child = program
            .stdin(Stdio::piped())
            .stdout(fs::File::create(log)?)
            .spawn()
            .with_context(|| format!("{program:?}"))?;
        let mut child = Self(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(child);
            }
            if let Some(status) = child.0.try_wait()? {
                bail!("{program:?} did not start ({status})");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{program:?} did not open port {port} within 20 s")
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // It did not listen. Nothing more can be done when even this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether an appliance has the demo's data: its lock would be free.
fn is_running(dir: &Path) -> bool {
    fs::File::open(dir.join("data/edge-node.lock"))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The address of this machine that others reach. To connect a datagram socket sends nothing; it only asks for the way.
fn network_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn free_port(wanted: u16) -> anyhow::Result<u16> {
    let free = first_free(Ipv4Addr::UNSPECIFIED, wanted)?;
    Ok(free.local_addr()?.port())
}

/// Takes the first port that is free.
fn first_free(address: Ipv4Addr, wanted: u16) -> anyhow::Result<TcpListener> {
    (wanted..wanted.saturating_add(200))
        .find_map(|port| TcpListener::bind((address, port)).ok())
        .with_context(|| format!("no free port from {wanted} on"))
}

/// Minutes since midnight of a time of day, `HH:MM`.
fn minute_of_day(text: &str) -> Result<i64, String> {
    let part = |part: &str, below: i64| part.parse().ok().filter(|n| (0..below).contains(n));
    let time = text.split_once(':');
    time.and_then(|(hour, minute)| Some(part(hour, 24)? * 60 + part(minute, 60)?))
        .ok_or_else(|| "a time of day is HH:MM, such as 12:00".to_owned())
}
