//! The appliance as a child process.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{Namespace, program, told, until};

/// Name and PIN of the owner that every test farm has.
pub const OWNER: (&str, &str) = ("রহিমা", "2580");
/// Name and PIN of its worker.
pub const WORKER: (&str, &str) = ("করিম", "1470");

/// How to start an [`Edge`].
#[derive(Clone, Debug, Default)]
pub struct EdgeOptions {
    /// Farm time at the start, in milliseconds since 1970, and how fast it runs; the machine's clock when absent.
    pub simulated: Option<(i64, f64)>,
    /// Folder of the virtual farm's ports, if there is one.
    pub farm: Option<PathBuf>,
    /// More lines of configuration, by section: `("data", "max_megabytes = 64")`.
    pub more: Vec<(&'static str, String)>,
    /// The network in which it runs; the machine's own when absent.
    pub within: Option<Namespace>,
    /// What it sees when it looks at the wall clock.
    pub wall: Wall,
}

/// The wall clock of the appliance's machine. One that is wrong asks for root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wall {
    /// This machine's own, which it believes.
    #[default]
    Right,
    /// So many seconds ahead, and nobody vouches for it: a Pi without a battery.
    Doubted(i64),
    /// So many seconds ahead, and it is believed: somebody set it wrongly.
    Believed(i64),
}

/// The appliance, running in a temporary folder; killed when dropped.
pub struct Edge {
    /// Its folder: configuration, data, log.
    pub dir: tempfile::TempDir,
    /// Address of the pages.
    pub web: SocketAddr,
    /// Address of the MQTT door.
    pub mqtt: SocketAddr,
    /// The same over TLS.
    pub mqtt_tls: SocketAddr,
    /// A token of the JSON API that may write.
    pub token: String,
    options: EdgeOptions,
    began: Instant,
    child: Option<Child>,
}

impl Edge {
    /// Sets the appliance up with an owner, a worker and a token, and starts it.
    ///
    /// # Panics
    /// When it does not start; its log is printed.
    pub fn start(options: &EdgeOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut edge = Self {
            dir,
            web: free_address(),
            mqtt: free_address(),
            mqtt_tls: free_address(),
            token: String::new(),
            options: options.clone(),
            began: Instant::now(),
            child: None,
        };
        edge.configure();
        edge.command(
            &["staff", "add", "--name", OWNER.0, "--role", "owner"],
            OWNER.1,
        );
        edge.command(
            &["staff", "add", "--name", WORKER.0, "--role", "worker"],
            WORKER.1,
        );
        edge.token = edge
            .command(&["token", "add", "--name", "test", "--scope", "manage"], "")
            .trim()
            .to_owned();
        edge.spawn();
        edge.wait_ready();
        edge
    }

    /// Another machine with a copy of its data, as of an SD card that was cloned. It is not started.
    ///
    /// # Panics
    /// When it runs, or the data can't be copied.
    pub fn cloned(&self) -> Self {
        assert!(self.child.is_none(), "only data at rest can be copied");
        let dir = tempfile::tempdir().expect("a temporary folder");
        copy(&self.dir.path().join("data"), &dir.path().join("data"));
        Self {
            dir,
            web: free_address(),
            mqtt: free_address(),
            mqtt_tls: free_address(),
            token: self.token.clone(),
            options: self.options.clone(),
            began: self.began,
            child: None,
        }
    }

    /// Puts the data of `other` in the place of its own, as of a card that was written anew from an old image.
    ///
    /// # Panics
    /// When either runs, or the data can't be copied.
    pub fn restore(&mut self, other: &Self) {
        assert!(
            self.child.is_none() && other.child.is_none(),
            "only data at rest can be copied"
        );
        let data = self.dir.path().join("data");
        fs::remove_dir_all(&data).expect("its folder is writable");
        copy(&other.dir.path().join("data"), &data);
    }

    /// Runs one of its subcommands with `input` on standard input; gives its standard output.
    ///
    /// # Panics
    /// When the subcommand fails.
    pub fn command(&self, args: &[&str], input: &str) -> String {
        told(self.program(args), input)
    }

    /// Runs one of its subcommands that must fail; gives what it says on standard error.
    ///
    /// # Panics
    /// When the subcommand succeeds.
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self
            .program(args)
            .stdin(Stdio::null())
            .output()
            .expect("edge-node starts");
        assert!(!output.status.success(), "edge-node {args:?} succeeded");
        String::from_utf8(output.stderr).expect("it prints UTF-8")
    }

    /// Starts the process without waiting for it.
    ///
    /// # Panics
    /// When it can't be started or already runs.
    pub fn spawn(&mut self) {
        let run = self.program(&["run"]);
        self.spawn_as(run);
    }

    /// Starts the process under strace, which writes to `trace` what the process does ([`crate::trace`]).
    ///
    /// # Panics
    /// When it can't be started or already runs, or strace is not installed.
    pub fn spawn_traced(&mut self, trace: &Path) {
        let run = self.program(&["run"]);
        self.spawn_as(crate::trace::under(&run, trace));
    }

    /// Starts the process with a disk that cannot sync, once each thread has synced `after` times; until
    /// [`crate::trace::let_go`].
    ///
    /// # Panics
    /// When it can't be started or already runs, or strace is not installed.
    pub fn spawn_failing(&mut self, after: u32) {
        let run = self.program(&["run"]);
        self.spawn_as(crate::trace::failing(&run, after));
    }

    fn spawn_as(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "it runs already");
        self.configure();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("its folder is writable");
        let again = log.try_clone().expect("a file can be cloned");
        self.child = Some(
            command
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(again)
                .spawn()
                .expect("edge-node starts"),
        );
    }

    /// Waits until its pages answer.
    ///
    /// # Panics
    /// When it ends instead, or after 20 s.
    pub fn wait_ready(&mut self) {
        let (web, log) = (self.web, self.log_path());
        let within = self.options.within.clone();
        let child = self.child.as_mut().expect("it was spawned");
        until("the appliance to be ready", 20, || {
            if let Some(status) = child.try_wait().expect("its state can be asked") {
                panic!(
                    "edge-node ended ({status}):\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            let knock = || TcpStream::connect_timeout(&web, Duration::from_secs(1)).ok();
            within
                .as_ref()
                .map_or_else(knock, |place| place.within(knock))
        });
    }

    /// Waits until it ends by itself; how it ended.
    ///
    /// # Panics
    /// When it does not run, or still runs after 20 s.
    pub fn wait_end(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it was spawned");
        until("the appliance to end", 20, || {
            child.try_wait().expect("its state can be asked")
        })
    }

    /// Pulls the plug: SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    /// When it does not run or does not end.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("it can be signalled");
        let status = until("the appliance to stop", 20, || {
            child.try_wait().expect("its state can be asked")
        });
        assert!(status.success(), "edge-node stopped with {status}");
    }

    /// The farm's time now, in milliseconds since 1970; it goes on while the appliance is down.
    ///
    /// # Panics
    /// When this machine's clock is before 1970.
    pub fn farm_time(&self) -> i64 {
        if let Some((start, rate)) = self.options.simulated {
            return start + (self.began.elapsed().as_secs_f64() * 1000.0 * rate) as i64;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("it is later than 1970").as_millis() as i64
    }

    /// Gives it another wall clock from its next start on.
    pub fn set_wall(&mut self, wall: Wall) {
        self.options.wall = wall;
    }

    /// Writes its configuration, with a simulated clock that starts at the farm's time now.
    fn configure(&self) {
        let now = self.farm_time();
        let simulated = self.options.simulated.map(|(_, rate)| (now, rate));
        let options = EdgeOptions {
            simulated,
            ..self.options.clone()
        };
        let text = configuration(self, &options);
        fs::write(self.dir.path().join("khamar.toml"), text).expect("its folder is writable");
    }

    /// An address of its pages: `url("/herd")`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.web)
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("data/farm.db")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Its process number.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("edge-node.log")
    }

    fn program(&self, args: &[&str]) -> Command {
        let binary = program("edge-node");
        let run = |program: PathBuf| match &self.options.within {
            Some(place) => place.command(program),
            None => Command::new(program),
        };
        let mut command = match self.options.wall {
            Wall::Right => run(binary),
            Wall::Doubted(ahead_s) | Wall::Believed(ahead_s) => {
                let mut command = run("unshare".into());
                command.args(["--mount", "sh", "-c", NOBODY_KNOWS, "sh"]);
                command.arg(binary);
                wrong_clock(&mut command, ahead_s);
                command
            }
        };
        command
            .arg("--config")
            .arg(self.dir.path().join("khamar.toml"))
            .args(args)
            // As in deploy/raspberry-pi/edge-node.service.
            .env("MALLOC_ARENA_MAX", "2");
        command
    }
}

impl Drop for Edge {
    #[expect(
        clippy::print_stdout,
        reason = "a failing test shows what the appliance said"
    )]
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; a test that cares has asked before.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            println!(
                "last lines of edge-node's log:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
    }
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("--archive")
        .args([from, to])
        .status();
    assert!(
        copied.expect("cp runs").success(),
        "{} is copied",
        from.display()
    );
}

/// Runs a program on a machine whose clock nobody vouches for, whoever keeps the clock of this one.
const NOBODY_KNOWS: &str =
    "mount -t tmpfs none /run/systemd/timesync 2>/dev/null; PATH=/nonexistent exec \"$@\"";

/// Lets a program see another wall clock; the clock that never jumps stays as it is.
fn wrong_clock(command: &mut Command, ahead_s: i64) {
    let arch = std::env::consts::ARCH;
    let library = format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1");
    assert!(
        Path::new(&library).is_file(),
        "{library} is missing: install Debian's faketime, or run `cargo xtask setup`"
    );
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", format!("{ahead_s:+}s"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
}

fn configuration(edge: &Edge, options: &EdgeOptions) -> String {
    let (dir, web, mqtt, tls) = (edge.dir.path(), edge.web, edge.mqtt, edge.mqtt_tls);
    let farm = options.farm.clone().unwrap_or_else(|| dir.join("no-farm"));
    let mut sections = vec![
        ("data", format!("dir = {:?}", dir.join("data"))),
        ("web", format!("listen = [\"{web}\"]")),
        (
            "mqtt",
            format!("listen = [\"{mqtt}\"]\ntls = [\"{tls}\"]\nanonymous_from = [\"127.0.0.1\"]"),
        ),
        ("serial", format!("dirs = [{:?}]", farm.join("tty"))),
        (
            "onewire",
            format!("root = {:?}\nevery_s = 1", farm.join("w1")),
        ),
        ("log", "level = \"info\"".to_owned()),
        (
            "clock",
            options.simulated.map_or_else(
                || match options.wall {
                    Wall::Doubted(_) => "trust = \"ntp\"".to_owned(),
                    Wall::Right | Wall::Believed(_) => "trust = \"system\"".to_owned(),
                },
                |(start, rate)| format!("simulated_start_ms = {start}\nsimulated_rate = {rate:?}"),
            ),
        ),
    ];
    for (section, lines) in &options.more {
        match sections.iter_mut().find(|(name, _)| name == section) {
            Some((_, text)) => *text = format!("{text}\n{lines}"),
            None => sections.push((section, lines.clone())),
        }
    }
    sections
        .iter()
        .map(|(name, lines)| format!("[{name}]\n{lines}\n"))
        .collect()
}

/// Ports below those that Linux gives to whoever asks for any.
const PORTS: std::ops::Range<u32> = 20_000..32_000;
/// How far apart processes that start one after the other begin to look.
const APART: u32 = 64;

/// An address on this machine that nobody listens on, and that no other process is given while its owner is restarted.
///
/// # Panics
/// When there is none left.
pub fn free_address() -> SocketAddr {
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(APART);
    let mut ports = PORTS.map(|_| {
        let n = first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + n % (PORTS.end - PORTS.start);
        u16::try_from(port).expect("they are ports")
    });
    let listener = ports.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let bound = listener.expect("a free port").local_addr();
    bound.expect("a bound socket has an address")
}
