//! MQTT clients that others wrote, with the roles of `device.py`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// A device in Python; ended when dropped.
pub(crate) struct Client {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Client {
    pub(crate) fn start(role: &str, told: &Value) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", include_str!("device.py"), role, &told.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// The next line that it says; empty when it ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What it says once it has tried.
    pub(crate) fn tries(told: &Value) -> String {
        Self::start("enter", told).line()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The secret in what `devices secret` printed.
pub(crate) fn secret_in(printed: &str) -> String {
    let line = printed.lines().find_map(|l| l.strip_prefix("secret "));
    line.unwrap().trim().to_owned()
}

/// What a client is told, and more.
pub(crate) fn with(told: &Value, more: &Value) -> Value {
    let mut told = told.clone();
    let more = more.as_object().unwrap().clone();
    told.as_object_mut().unwrap().extend(more);
    told
}
