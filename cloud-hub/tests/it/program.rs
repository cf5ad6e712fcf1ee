//! The program itself, in a temporary folder.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Output, Stdio},
};

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let config = format!(
            "[data]\ndir = {data:?}\n[web]\nlisten = [\"127.0.0.1:0\"]\nurl = \"http://127.0.0.1\"\n"
        );
        fs::write(dir.path().join("hub.toml"), config).unwrap();
        Self { dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-hub"));
        command
            .arg("--config")
            .arg(self.dir.path().join("hub.toml"))
            .args(args)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn said(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn it_runs_answers_and_ends_in_order() {
    let machine = Machine::new();
    let mut child = machine.command(&["run"]).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = log
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("the hub runs"))
        .expect("it says that it runs");
    let started: serde_json::Value = serde_json::from_str(&started).unwrap();
    let web = started["web"].as_str().unwrap();
    let address = web.trim_matches(['[', ']']);
    assert!(get(address, "/healthz").contains("200 OK"));
    assert!(get(address, "/readyz").contains("\"status\":\"ok\""));
    assert!(get(address, "/metrics").contains("http_requests_total"));
    assert!(get(address, "/login").contains("<form"));
    assert!(get(address, "/").contains("location: /login?next=/"));

    let second = machine.refused(&["run"], "");
    assert!(second.contains("in use by a running cloud-hub"), "{second}");
    let id = machine.said(
        &[
            "accounts",
            "add",
            "--email",
            "A@example.com",
            "--name",
            "Rahima",
        ],
        "cow-milk-bell-9\n",
    );
    let list = machine.said(&["accounts", "list"], "");
    assert!(list.contains(id.trim()) && list.contains("1 factor  a@example.com  Rahima"));

    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = log.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
}

#[test]
fn no_secret_is_written_to_the_log() {
    let machine = Machine::new();
    machine.said(
        &[
            "accounts",
            "add",
            "--email",
            "a@example.com",
            "--name",
            "Rahima",
        ],
        "cow-milk-bell-9\n",
    );
    let mut command = machine.command(&["run"]);
    let mut child = command.env("RUST_LOG", "trace").spawn().unwrap();
    let log = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sent, lines) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        for line in log.map(Result::unwrap) {
            // Nobody waits for it any more once it runs.
            let _ = sent.send(line.clone());
            all.push_str(&line);
            all.push('\n');
        }
        all
    });
    let started = lines
        .iter()
        .find(|line| line.contains("the hub runs"))
        .unwrap();
    let started: serde_json::Value = serde_json::from_str(&started).unwrap();
    let address = started["web"]
        .as_str()
        .unwrap()
        .trim_matches(['[', ']'])
        .to_owned();
    let form = "email=a%40example.com&password=cow-milk-bell-9";
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (_, cookie) = said.split_once("set-cookie: session=").expect("it logs in");
    let (cookie, _) = cookie.split_once(';').unwrap();
    assert_eq!(cookie.len(), 64);
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let log = reading.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(log.contains("the hub runs"));
    for secret in ["cow-milk-bell-9", cookie] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

#[test]
fn accounts_are_made_and_mended_at_the_command_line() {
    let machine = Machine::new();
    let add = [
        "accounts",
        "add",
        "--email",
        "a@example.com",
        "--name",
        "Rahima",
    ];
    for (input, why) in [
        ("\n", "no password came"),
        ("short\n", "at least 10 characters"),
        ("password123\n", "easily guessed"),
    ] {
        let said = machine.refused(&add, input);
        assert!(said.contains(why), "{said}");
    }
    machine.said(&add, "cow-milk-bell-9\n");
    assert!(
        machine
            .refused(&add, "cow-milk-bell-9\n")
            .contains("has an account already")
    );
    machine.said(
        &["accounts", "password", "--email", "a@example.com"],
        "bell-milk-cow-7\n",
    );
    machine.said(
        &[
            "accounts",
            "remove-second-factor",
            "--email",
            "a@example.com",
        ],
        "",
    );
    let unknown = machine.refused(&["accounts", "password", "--email", "b@example.com"], "x\n");
    assert!(unknown.contains("has no account"), "{unknown}");

    let good = machine.said(&["audit", "verify"], "");
    let end = good.trim().rsplit(' ').next().unwrap();
    assert!(end.starts_with("3:"), "{good}");
    machine.said(&["audit", "verify", "--since", end], "");
    let db = rusqlite::Connection::open(machine.dir.path().join("data/hub.db")).unwrap();
    db.execute("DELETE FROM audit WHERE seq = 3", []).unwrap();
    machine.said(&["audit", "verify"], "");
    let cut = machine.refused(&["audit", "verify", "--since", end], "");
    assert!(cut.contains("cut off"), "{cut}");
    db.execute("UPDATE audit SET subject = 'x' WHERE seq = 1", [])
        .unwrap();
    let broken = machine.refused(&["audit", "verify"], "");
    assert!(
        broken.contains("entry 1 is not as it was written"),
        "{broken}"
    );
}

#[test]
fn the_hub_does_not_start_without_the_key_of_its_secrets() {
    let machine = Machine::new();
    let email = ["--email", "a@example.com"];
    let add = [&["accounts", "add", "--name", "Rahima"], &email[..]].concat();
    machine.said(&add, "cow-milk-bell-9\n");
    machine.said(&[&["accounts", "second-factor"], &email[..]].concat(), "");
    let fits = machine.refused(&["accounts", "new-key"], "");
    assert!(fits.contains("hub.key is there and fits"), "{fits}");
    fs::remove_file(machine.dir.path().join("data/hub.key")).unwrap();
    let refused = machine.refused(&["run"], "");
    assert!(refused.contains("hub.key is missing"), "{refused}");
    assert!(refused.contains("accounts new-key"), "{refused}");
    machine.said(&["accounts", "new-key"], "");
    let list = machine.said(&["accounts", "list"], "");
    assert!(list.contains("1 factor  a@example.com"), "{list}");
    machine.said(&[&["accounts", "second-factor"], &email[..]].concat(), "");
}

#[test]
fn the_configuration_is_checked() {
    let machine = Machine::new();
    assert_eq!(
        machine.said(&["check-config"], ""),
        "the configuration is good\n"
    );
    let default = machine.said(&["check-config", "--print-default"], "");
    assert!(default.contains("idle_minutes = 30"));
    fs::write(machine.dir.path().join("hub.toml"), "[web]\nlissten = []\n").unwrap();
    let said = machine.refused(&["check-config"], "");
    assert!(
        said.contains("line 2: unknown key `web.lissten`; did you mean `web.listen`?"),
        "{said}"
    );
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let machine = Machine::new();
    let data = machine.dir.path().join("data");
    let said = machine.said(&["doctor"], "");
    assert!(said.contains("none yet"), "{said}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "it makes nothing");

    machine.said(
        &["accounts", "add", "--email", "r@example.com", "--name", "R"],
        "cow-milk-bell-9\n",
    );
    machine.said(
        &["accounts", "second-factor", "--email", "r@example.com"],
        "",
    );
    machine.said(
        &["farms", "add", "--owner", "r@example.com", "--name", "Farm"],
        "",
    );
    let said = machine.said(&["doctor"], "");
    for good in [
        "database     sound",
        "fits the database",
        "as it was written",
        "1 known",
    ] {
        assert!(said.contains(good), "{good}: {said}");
    }

    let farms = data.join("farms");
    fs::create_dir_all(&farms).unwrap();
    let stray = farms.join("01a1fb00-381a-756c-9228-60dba6b890e2.db");
    fs::write(stray, b"").unwrap();
    let key = data.join("hub.key");
    fs::rename(&key, data.join("elsewhere")).unwrap();
    let output = machine.run(&["doctor"], "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("BAD   key"), "{said}");
    assert!(said.contains("belongs to no farm"), "{said}");
    assert!(!key.exists(), "no other key is made in silence");

    let database = data.join("hub.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    fs::write(&database, bytes).unwrap();
    let output = machine.run(&["doctor", "--json"], "");
    let said = String::from_utf8(output.stdout).unwrap();
    let check = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|check| check["name"] == "database")
        .unwrap();
    assert_eq!(check["verdict"], "bad");
    assert!(check["advice"].as_str().unwrap().contains("newest copy"));
}

#[test]
fn a_farms_file_that_was_put_back_takes_another_identity() {
    let machine = Machine::new();
    let email = ["--email", "a@example.com"];
    machine.said(
        &["accounts", "add", email[0], email[1], "--name", "Rahima"],
        "cow-milk-bell-9\n",
    );
    machine.said(&["accounts", "second-factor", email[0], email[1]], "");
    let add = ["farms", "add", "--owner", email[1], "--name", "Green Field"];
    assert_eq!(machine.said(&add, "").trim(), "green-field");
    let put_back = ["farms", "put-back", "green-field"];
    let refused = machine.refused(&put_back, "");
    assert!(refused.contains("put the copy back as"), "{refused}");

    let data = machine.dir.path().join("data");
    let hub = rusqlite::Connection::open(data.join("hub.db")).unwrap();
    let id: String = hub
        .query_row("SELECT id FROM farm", [], |row| row.get(0))
        .unwrap();
    let path = data.join(format!("farms/{id}.db"));
    fs::create_dir_all(data.join("farms")).unwrap();
    let site = || -> Vec<u8> {
        drop(farm::Farm::open(&path, farm::Options::default()).unwrap());
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT id FROM sync_site WHERE ordinal = 0";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = site();
    assert_eq!(site(), before);
    machine.said(&put_back, "");
    assert_ne!(site(), before);
}
