//! `cargo xtask arm64`: the appliance for the Raspberry Pi, built on a PC and tried under emulation.
//!
//! The trial runs the very program that was built: its version, its configuration, a start with a fetched page, a stop as
//! systemd does it, and the doctor over the database that it left. Invariant: what is built here shares no folder with
//! the machine's own builds.

mod toolchain;

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{cargo, run, said, target_dir};
use toolchain::Toolchain;

/// 64-bit Raspberry Pi OS and Debian on ARM.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Emulation is slow, and CI machines are busy.
const START_WITHIN: Duration = Duration::from_secs(60);

/// As the systemd unit's `TimeoutStopSec`.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Options of `arm64`.
#[derive(Args)]
pub(crate) struct Arm64 {
    /// Optimise, as for a farm; without it the build is quick and only good for the trial.
    #[arg(long)]
    release: bool,
}

impl Arm64 {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let toolchain = Toolchain::obtain()?;
        println!("{} for {TARGET}", toolchain.name()?);
        let started = Instant::now();
        let target = target_dir().join("arm64");
        let mut build = cargo(&[
            "build",
            "--locked",
            "--package",
            "edge-node",
            "--target",
            TARGET,
        ]);
        if self.release {
            build.arg("--release");
        }
        run(toolchain.lend(&mut build).env("CARGO_TARGET_DIR", &target))?;
        let profile = if self.release { "release" } else { "debug" };
        let program = target.join(TARGET).join(profile).join("edge-node");
        ensure_arm64(&program)?;
        println!(
            "built     {} ({:.1} MB) in {} s",
            program.display(),
            fs::metadata(&program)?.len() as f64 / 1e6,
            started.elapsed().as_secs()
        );
        Trial::prepare(program, &target.join("trial"))?.run()
    }
}

/// The file's own word for its processor: `e_machine` of a 64-bit little-endian ELF header, 183 for AArch64.
fn ensure_arm64(program: &Path) -> anyhow::Result<()> {
    let mut header = [0; 20];
    fs::File::open(program)
        .and_then(|mut file| file.read_exact(&mut header))
        .with_context(|| format!("cannot read {}", program.display()))?;
    ensure!(
        header.starts_with(b"\x7fELF\x02\x01") && header[18..] == [183, 0],
        "{} is no ARM64 program",
        program.display()
    );
    Ok(())
}

/// The program under emulation, with a data folder and a port of its own.
struct Trial {
    program: PathBuf,
    dir: PathBuf,
    web: SocketAddr,
}

impl Trial {
    fn prepare(program: PathBuf, dir: &Path) -> anyhow::Result<Self> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        fs::write(
            dir.join("khamar.toml"),
            format!(
                "[data]\ndir = \"{}\"\n[web]\nlisten = [\"{web}\"]\n[mqtt]\nlisten = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]\n",
                dir.join("data").display()
            ),
        )?;
        Ok(Self {
            program,
            dir: dir.to_owned(),
            web,
        })
    }

    fn run(&self) -> anyhow::Result<()> {
        println!("runs      {}", said(self.edge_node().arg("--version"))?);
        println!("          {}", said(self.edge_node().arg("check-config"))?);
        self.serve_a_page()?;
        self.examine()
    }

    fn edge_node(&self) -> Command {
        let mut command = Command::new("qemu-aarch64");
        command
            .args(["-L", "/usr/aarch64-linux-gnu"])
            .arg(&self.program)
            .arg("--config")
            .arg(self.dir.join("khamar.toml"));
        command
    }

    /// Starts the appliance, fetches what a first phone would fetch, and stops it.
    fn serve_a_page(&self) -> anyhow::Result<()> {
        let log = self.dir.join("edge-node.log");
        let output = fs::File::create(&log)?;
        let started = Instant::now();
        let child = self
            .edge_node()
            .arg("run")
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .context("qemu-aarch64")?;
        let mut edge = Running(child);
        self.use_it(&mut edge, started)
            .with_context(|| format!("the appliance's log is {}", log.display()))
    }

    fn use_it(&self, edge: &mut Running, started: Instant) -> anyhow::Result<()> {
        while TcpStream::connect(self.web).is_err() {
            if let Some(status) = edge.0.try_wait()? {
                bail!("it ended at its start ({status})");
            }
            ensure!(
                started.elapsed() < START_WITHIN,
                "it did not open {} within {START_WITHIN:?}",
                self.web
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let health = get(self.web, "/healthz")?;
        ensure!(
            health.contains(r#""status":"ok""#),
            "/healthz says: {health}"
        );
        let page = get(self.web, "/setup")?;
        ensure!(page.contains("</html>"), "/setup is no page: {page}");
        println!(
            "          first page after {:.1} s, {} bytes",
            started.elapsed().as_secs_f64(),
            page.len()
        );
        let asked = Instant::now();
        edge.stop()?;
        println!(
            "          stopped by SIGTERM after {:.1} s",
            asked.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// The doctor over what the run left: each check must be there, and none of them bad.
    fn examine(&self) -> anyhow::Result<()> {
        let report = said(self.edge_node().args(["doctor", "--json"]))?;
        let checks = report
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<serde_json::Value>, _>>()
            .context("the doctor does not speak JSON")?;
        let database = checks.iter().find(|check| check["name"] == "database");
        let seen = database.and_then(|check| check["seen"].as_str());
        ensure!(
            seen.is_some_and(|seen| seen.starts_with("sound")),
            "the run left no sound database: {report}"
        );
        println!("          doctor: {} checks, none bad", checks.len());
        Ok(())
    }
}

/// The emulated appliance; it does not outlive this value.
struct Running(Child);

impl Running {
    /// Asks it to end, as systemd does, and waits until it has.
    fn stop(&mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.0.id()).context("a process id")?;
        kill_process(Pid::from_raw(id).context("a process id")?, Signal::TERM)?;
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "it did not stop in good order: {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("it did not stop within {STOP_WITHIN:?} of SIGTERM");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in the good case; in the other nothing more can be done when this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of a page that must be there.
fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_WITHIN))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(
        head.starts_with("HTTP/1.1 200 "),
        "{path}: {}",
        head.lines().next().unwrap_or_default()
    );
    Ok(body.to_owned())
}
