//! The command line, as an operator uses it: the real program in a temporary folder.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
};

struct Machine {
    dir: tempfile::TempDir,
}

/// An appliance that ends when this is dropped.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    log: BufReader<std::process::ChildStdout>,
    web: SocketAddr,
    heard: String,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let config = format!(
            "[data]\ndir = \"{path}/data\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[mqtt]\nlisten = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]\n\
             [serial]\ndirs = [\"{path}/serial\"]\n[onewire]\nroot = \"{path}/w1\"\n[clock]\ntrust = \"system\"\n\
             [log]\nlevel = \"trace\"\n"
        );
        fs::write(dir.path().join("khamar.toml"), config).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-node"));
        command
            .arg("--config")
            .arg(self.path("khamar.toml"))
            .args(args)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// What it prints when all is well.
    fn ok(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// What it complains of.
    fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        text(&output.stderr)
    }

    fn start(&self) -> Running {
        let mut child = self
            .command(&["run", "--until-stdin-closes"])
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut heard = String::new();
        let web = loop {
            let begin = heard.len();
            assert_ne!(log.read_line(&mut heard).unwrap(), 0, "it ended: {heard}");
            if heard[begin..].contains("the appliance runs") {
                let line: serde_json::Value = serde_json::from_str(&heard[begin..]).unwrap();
                let web = line["web"].as_str().unwrap().trim_matches(['[', ']']);
                break web.parse().unwrap();
            }
        };
        Running {
            stdin: child.stdin.take(),
            child,
            log,
            web,
            heard,
        }
    }
}

impl Running {
    fn get(&self, path: &str, token: Option<&str>) -> String {
        let mut stream = TcpStream::connect(self.web).unwrap();
        let authorization =
            token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: khamar\r\n{authorization}Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it in order; gives all that it logged.
    fn end(mut self) -> String {
        drop(self.stdin.take());
        self.log.read_to_string(&mut self.heard).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.heard);
        std::mem::take(&mut self.heard)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn check_config_names_the_line_and_the_nearest_key() {
    let machine = Machine::new();
    assert_eq!(
        machine.ok(&["check-config"], ""),
        "the configuration is good\n"
    );
    fs::write(machine.path("khamar.toml"), "[web]\nlissten = []\n").unwrap();
    let complaint = machine.fails(&["check-config"], "");
    assert!(
        complaint.contains("line 2: unknown key `web.lissten`; did you mean `web.listen`?"),
        "{complaint}"
    );
    let default = machine.ok(&["check-config", "--print-default"], "");
    fs::write(machine.path("khamar.toml"), default).unwrap();
    machine.ok(&["check-config"], "");
}

#[test]
fn staff_come_with_a_pin_from_standard_input() {
    let machine = Machine::new();
    machine.ok(
        &["staff", "add", "--name", "রহিমা", "--role", "owner"],
        "2580\n",
    );
    assert_eq!(machine.ok(&["staff", "list"], ""), "owner    রহিমা\n");
    let complaint = machine.fails(
        &["staff", "add", "--name", "করিম", "--role", "worker"],
        "12\n",
    );
    assert!(complaint.contains("PIN"), "{complaint}");
    assert!(
        !complaint.contains("12\n"),
        "what was typed is not repeated: {complaint}"
    );
}

#[test]
fn a_token_is_shown_once_and_can_be_revoked() {
    let machine = Machine::new();
    let secret = machine.ok(
        &["token", "add", "--name", "gateway", "--scope", "observe"],
        "",
    );
    let list = machine.ok(&["token", "list"], "");
    assert!(
        list.contains("gateway") && !list.contains(secret.trim()),
        "{list}"
    );
    let id = list.split_whitespace().next().unwrap();
    machine.ok(&["token", "revoke", id], "");
    assert!(!machine.ok(&["token", "list"], "").contains("gateway"));
}

#[test]
fn devices_move_from_one_farm_to_another() {
    let (from, to) = (Machine::new(), Machine::new());
    let devices = r#"[{"id": "0193e3a0-0000-7000-8000-000000000001", "slug": "tank-1-probe", "name": "Tank 1", "kind": "temperature_probe",
        "link": {"transport": "one_wire", "rom": "28-0316a2795caf"}, "place": null, "expect_every_s": 60, "enabled": true}]"#;
    fs::write(from.path("devices.json"), devices).unwrap();
    let file = from.path("devices.json");
    from.ok(&["devices", "import", file.to_str().unwrap()], "");
    let exported = from.ok(&["devices", "export"], "");
    let file = to.path("devices.json");
    fs::write(&file, &exported).unwrap();
    for _ in 0..2 {
        // Again is an edit, not a second device.
        to.ok(&["devices", "import", file.to_str().unwrap()], "");
    }
    assert_eq!(
        to.ok(&["devices", "list"], ""),
        from.ok(&["devices", "list"], "")
    );
    assert!(
        to.ok(&["devices", "list"], "")
            .contains("1-wire 28-0316a2795caf")
    );
    fs::write(&file, "[{}]").unwrap();
    let complaint = to.fails(&["devices", "import", file.to_str().unwrap()], "");
    assert!(complaint.contains("no list of devices"), "{complaint}");
}

#[test]
fn beside_a_running_appliance_only_reading_is_allowed() {
    let machine = Machine::new();
    machine.ok(
        &["staff", "add", "--name", "Rahima", "--role", "owner"],
        "739251\n",
    );
    let secret = machine.ok(&["token", "add", "--name", "test", "--scope", "manage"], "");
    let running = machine.start();
    for args in [
        &["run"][..],
        &["staff", "add", "--name", "Karim", "--role", "worker"],
        &["token", "add", "--name", "second", "--scope", "read"],
    ] {
        let complaint = machine.fails(args, "1470\n");
        assert!(
            complaint.contains("in use by a running edge-node"),
            "{complaint}"
        );
    }
    let copy = machine.path("copy.db");
    machine.ok(&["backup", "--to", copy.to_str().unwrap()], "");
    assert!(farm::backup::check(&copy).is_ok());
    assert_eq!(machine.ok(&["staff", "list"], ""), "owner    Rahima\n");

    assert!(running.get("/readyz", None).starts_with("HTTP/1.1 200"));
    let animals = running.get("/api/v1/animals", Some(secret.trim()));
    assert!(animals.starts_with("HTTP/1.1 200"), "{animals}");
    let metrics = running.get("/metrics", Some(secret.trim()));
    assert!(metrics.contains("ingest_waiting"), "{metrics}");
    let log = running.end();
    assert!(!log.contains(secret.trim()), "no token in the log");
    assert!(!log.contains("739251"), "no PIN in the log");
}

#[test]
fn doctor_says_it_by_its_exit_code_and_as_json() {
    let machine = Machine::new();
    let seen = machine.ok(&["doctor", "--json"], "");
    for line in seen.lines() {
        let check: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            check["name"].is_string() && check["verdict"].is_string(),
            "{line}"
        );
    }
    fs::write(machine.path("data"), "").ok();
    fs::remove_dir_all(machine.path("data")).ok();
    fs::write(machine.path("data"), "a file where the folder should be").unwrap();
    let output = machine.run(&["doctor"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("BAD   disk"),
        "{}",
        text(&output.stdout)
    );
}
