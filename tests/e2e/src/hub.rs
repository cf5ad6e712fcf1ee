//! The hub as a child process.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{Namespace, edge::free_address, link, program, told, until};

/// Everybody's password at the hub.
pub const PASSWORD: &str = "cow-milk-bell-9";
/// Who owns the farm there, and who manages it.
pub const PEOPLE: [&str; 2] = ["owner@example.com", "manager@example.com"];
/// What they are called.
pub const NAMES: [&str; 2] = ["Rahima", "Selina"];

/// The hub, running in a temporary folder; killed when dropped.
pub struct Hub {
    /// Its folder: configuration, data, log.
    pub dir: tempfile::TempDir,
    /// Address of its pages.
    pub web: SocketAddr,
    within: Option<Namespace>,
    child: Option<Child>,
}

impl Hub {
    /// Starts it with a farm, its owner and its manager; the farm's short name.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> (Self, String) {
        Self::start_at(free_address(), None)
    }

    /// Starts it at the far end of an emulated line.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_behind(link: &link::Link) -> (Self, String) {
        let web = SocketAddr::from((link::FAR, free_address().port()));
        Self::start_at(web, Some(link.far.clone()))
    }

    fn start_at(web: SocketAddr, within: Option<Namespace>) -> (Self, String) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("its folder is writable");
        let text = format!(
            "[data]\ndir = {data:?}\n[web]\nlisten = [\"{web}\"]\nurl = \"http://{web}\"\n"
        );
        fs::write(dir.path().join("hub.toml"), text).expect("its folder is writable");
        let mut hub = Self {
            dir,
            web,
            within,
            child: None,
        };
        for (email, name) in PEOPLE.into_iter().zip(NAMES) {
            hub.command(
                &["accounts", "add", "--email", email, "--name", name],
                PASSWORD,
            );
        }
        hub.command(&["accounts", "second-factor", "--email", PEOPLE[0]], "");
        let farm = hub.command(
            &["farms", "add", "--owner", PEOPLE[0], "--name", "Farm"],
            "",
        );
        let farm = farm.trim().to_owned();
        let admit = [
            "farms", "admit", &farm, "--email", PEOPLE[1], "--role", "manager",
        ];
        hub.command(&admit, "");
        hub.spawn();
        (hub, farm)
    }

    /// Runs one of its subcommands with `input` on standard input; gives its standard output.
    ///
    /// # Panics
    /// When the subcommand fails.
    pub fn command(&self, args: &[&str], input: &str) -> String {
        told(self.program(args), input)
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("cloud-hub.log"))
            .expect("its folder is writable");
        let child = self
            .program(&["run"])
            .stdin(Stdio::null())
            .stdout(log)
            .spawn();
        self.child = Some(child.expect("cloud-hub starts"));
        until("the hub to be ready", 20, || {
            let knock = || TcpStream::connect(self.web).ok();
            let within = self.within.as_ref();
            within.map_or_else(knock, |place| place.within(knock))
        });
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

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// An address of its pages.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.web)
    }

    /// Where its only farm's file is, once somebody opened it.
    pub fn database(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("data/farms")).ok()?;
        let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
        paths.find(|path| path.extension().is_some_and(|end| end == "db"))
    }

    fn program(&self, args: &[&str]) -> Command {
        let binary = program("cloud-hub");
        let mut command = match &self.within {
            Some(place) => place.command(binary),
            None => Command::new(binary),
        };
        command
            .arg("--config")
            .arg(self.dir.path().join("hub.toml"))
            .args(args);
        command
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
