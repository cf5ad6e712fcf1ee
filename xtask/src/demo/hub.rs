//! The demo's hub: on this machine, with a farm that the appliance joins by the product's own commands.

use std::{fs, path::PathBuf, process::Command};

use super::{Stopped, told};

/// Who owns the farm at the hub. Owners need a second factor, which a demo has no telephone for.
const OWNER: (&str, &str) = ("owner@example.com", "রহিমা");
/// Who looks at it from afar, with the password alone.
pub(super) const MANAGER: (&str, &str) = ("manager@example.com", "সালমা");
/// Everybody's password there.
pub(super) const PASSWORD: &str = "cow-milk-bell-9";

/// Where the hub runs.
#[derive(Clone)]
pub(super) struct Hub {
    /// Its program.
    pub(super) program: PathBuf,
    /// Its folder: configuration and data.
    pub(super) dir: PathBuf,
    /// Where its log goes.
    pub(super) log: PathBuf,
    /// Port of its pages.
    pub(super) port: u16,
    /// The page on which the line to it is cut.
    pub(super) switch: String,
    /// The farm's time at the start, in milliseconds since 1970, and how much faster than real time it goes.
    pub(super) time: (i64, f64),
}

impl Hub {
    /// Where a browser finds it.
    pub(super) fn url(&self) -> String {
        url(self.port)
    }

    /// Starts it with a farm and its people; the code with which the appliance joins that farm.
    pub(super) fn start(&self) -> anyhow::Result<(Stopped, String)> {
        let data = self.dir.join("data");
        fs::create_dir_all(&data)?;
        let config = format!(
            "[data]\ndir = \"{}\"\n[web]\nlisten = [\"127.0.0.1:{}\"]\nurl = \"{}\"\ndemo_switch = \"{}\"\n\
             [farms]\nsimulated_start_ms = {}\nsimulated_rate = {:?}\n",
            data.display(),
            self.port,
            self.url(),
            self.switch,
            self.time.0,
            self.time.1
        );
        fs::write(self.config(), config)?;
        for (email, name) in [OWNER, MANAGER] {
            let add = ["accounts", "add", "--email", email, "--name", name];
            told(self.command(&add), PASSWORD)?;
        }
        let factor = ["accounts", "second-factor", "--email", OWNER.0];
        told(self.command(&factor), "")?;
        let add = ["farms", "add", "--owner", OWNER.0, "--name", "খামার"];
        let farm = told(self.command(&add), "")?;
        let farm = farm.trim();
        let let_on = ["--email", MANAGER.0, "--role", "manager"];
        let admit = [&["farms", "admit", farm][..], &let_on].concat();
        told(self.command(&admit), "")?;
        let code = told(self.command(&["farms", "claim", farm]), "")?;
        let run = self.command(&["run", "--until-stdin-closes"]);
        let hub = Stopped::start(run, &self.log, self.port)?;
        Ok((hub, code.trim().to_owned()))
    }

    fn config(&self) -> PathBuf {
        self.dir.join("hub.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.config()).args(args);
        command
    }
}

/// Where a browser finds a hub on this port. Cookies know no ports: by number, for the appliance is opened by name.
pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
