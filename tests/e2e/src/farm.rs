//! The virtual farm as a child process.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::{Edge, program};

/// How to start a [`Farm`].
#[derive(Clone, Debug)]
pub struct FarmOptions {
    /// Same seed, same farm.
    pub seed: u64,
    /// Cows of the herd.
    pub cows: u32,
    /// How much faster than real time it lives.
    pub speed: f64,
    /// Farm time at the start, in milliseconds since 1970.
    pub start_ms: i64,
    /// More arguments of the program.
    pub more: Vec<String>,
}

/// The virtual farm in a temporary folder; ends when dropped.
pub struct Farm {
    /// Its folder: `tty/`, `w1/`, `farm.json`, `truth.jsonl`.
    pub dir: tempfile::TempDir,
    child: Child,
    orders: ChildStdin,
    output: mpsc::Receiver<String>,
}

impl Farm {
    /// Starts the farm's hardware without telling any appliance of it, and waits until its ports exist.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(options: &FarmOptions) -> Self {
        Self::spawn(options, &[], "")
    }

    /// Starts the farm's hardware, its MQTT clients, and tells `edge` of its herd and devices.
    ///
    /// `dir` is the folder that `edge` was told to look for ports in.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(options: &FarmOptions, dir: tempfile::TempDir, edge: &Edge) -> Self {
        let edge_args = [
            "--mqtt".to_owned(),
            edge.mqtt.to_string(),
            "--provision".to_owned(),
            format!("http://{}", edge.web),
        ];
        Self::spawn_in(options, dir, &edge_args, &edge.token)
    }

    fn spawn(options: &FarmOptions, args: &[String], token: &str) -> Self {
        Self::spawn_in(
            options,
            tempfile::tempdir().expect("a temporary folder"),
            args,
            token,
        )
    }

    fn spawn_in(
        options: &FarmOptions,
        dir: tempfile::TempDir,
        args: &[String],
        token: &str,
    ) -> Self {
        let mut command = Command::new(program("virtual-farm"));
        command
            .arg("--dir")
            .arg(dir.path())
            .arg("--truth")
            .arg(dir.path().join("truth.jsonl"));
        command.args([
            "--seed",
            &options.seed.to_string(),
            "--cows",
            &options.cows.to_string(),
        ]);
        command.args([
            "--speed",
            &options.speed.to_string(),
            "--start-ms",
            &options.start_ms.to_string(),
            "--until-stdin-closes",
        ]);
        command
            .args(args)
            .args(&options.more)
            .env("KHAMAR_TOKEN", token);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("virtual-farm starts");
        let orders = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (told, output) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody may listen any more; the farm must be able to speak all the same.
                let _ = told.send(line);
            }
        });
        let farm = Self {
            dir,
            child,
            orders,
            output,
        };
        farm.next_line("its addresses");
        farm
    }

    /// Waits until the appliance has been told of the herd and the devices.
    ///
    /// # Panics
    /// When that fails or takes a minute.
    pub fn wait_provisioned(&self) {
        let line = self.next_line("that the appliance was told");
        assert!(line.contains("provisioned"), "virtual-farm said {line:?}");
    }

    fn next_line(&self, what: &str) -> String {
        let line = self.output.recv_timeout(Duration::from_secs(70));
        let line = line.unwrap_or_else(|_| panic!("virtual-farm never said {what}"));
        assert!(line.starts_with('{'), "virtual-farm said {line:?}");
        line
    }

    /// Orders a fault, written as on the command line: `warm-tank:1+600`.
    ///
    /// # Panics
    /// When the farm has ended.
    pub fn order(&mut self, fault: &str) {
        self.orders
            .write_all(format!("{fault}\n").as_bytes())
            .expect("the farm listens");
    }

    /// True milkings so far, one JSON value each.
    ///
    /// # Panics
    /// When the file is not what the farm promises.
    pub fn truth(&self) -> Vec<serde_json::Value> {
        let path: PathBuf = self.dir.path().join("truth.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
