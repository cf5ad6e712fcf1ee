//! The real program in a temporary folder.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread::{self, JoinHandle},
};

/// A machine with a configuration.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
}

/// An appliance that ends when this is dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Takes the log in, so that the appliance never waits for a reader.
    log: Option<JoinHandle<String>>,
    web: SocketAddr,
    pub(crate) mqtt: SocketAddr,
    pub(crate) coap: SocketAddr,
    pub(crate) mqtt_tls: SocketAddr,
    pub(crate) mqtt_websocket: SocketAddr,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let config = format!(
            "[data]\ndir = \"{path}/data\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[mqtt]\nlisten = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\"]\nwebsocket = [\"127.0.0.1:0\"]\n\
             [serial]\ndirs = [\"{path}/serial\"]\n[onewire]\nroot = \"{path}/w1\"\n[coap]\nlisten = [\"127.0.0.1:0\"]\n[clock]\ntrust = \"system\"\n\
             [log]\nlevel = \"trace\"\n"
        );
        fs::write(dir.path().join("khamar.toml"), config).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
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

    pub(crate) fn run(&self, args: &[&str], input: &str) -> Output {
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
    pub(crate) fn ok(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// What it complains of.
    pub(crate) fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        text(&output.stderr)
    }

    pub(crate) fn start(&self) -> Running {
        let mut child = self
            .command(&["run", "--until-stdin-closes"])
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut heard = String::new();
        let line: serde_json::Value = loop {
            let begin = heard.len();
            assert_ne!(log.read_line(&mut heard).unwrap(), 0, "it ended: {heard}");
            if heard[begin..].contains("the appliance runs") {
                break serde_json::from_str(&heard[begin..]).unwrap();
            }
        };
        let address = |name: &str| {
            let list = line[name].as_str().unwrap();
            list.trim_matches(['[', ']']).parse().unwrap()
        };
        Running {
            stdin: child.stdin.take(),
            child,
            log: Some(thread::spawn(move || {
                log.read_to_string(&mut heard).unwrap();
                heard
            })),
            web: address("web"),
            mqtt: address("mqtt"),
            coap: address("coap"),
            mqtt_tls: address("tls"),
            mqtt_websocket: address("websocket"),
        }
    }
}

impl Running {
    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> String {
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

    /// Sends JSON to the API.
    pub(crate) fn post(&self, path: &str, token: &str, body: &serde_json::Value) -> String {
        let mut stream = TcpStream::connect(self.web).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: khamar\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it in order; gives all that it logged.
    pub(crate) fn end(mut self) -> String {
        drop(self.stdin.take());
        let heard = self.log.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "{heard}");
        heard
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that a program printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
