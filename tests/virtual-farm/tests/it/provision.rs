//! The farm tells an appliance about itself; Python's own HTTP server stands in for the appliance.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use virtual_farm::Provision;

use crate::common::farm;

/// Counts items by collection, answers as the API does, refuses a wrong token, and dies with its standard input.
const SERVER: &str = "
import http.server, json, os, sys, threading
counts = {}
class Api(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass
    def reply(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.reply(200, counts)
    def do_POST(self):
        items = json.loads(self.rfile.read(int(self.headers['Content-Length'])))['items']
        if self.headers['Authorization'] != 'Bearer secret':
            return self.reply(401, {'title': 'no'})
        name = self.path.removeprefix('/api/v1/').split('?')[0]
        counts[name] = counts.get(name, 0) + len(items)
        self.reply(200, {'rejected': 0, 'results': []})
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Api)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
";

fn appliance() -> (Child, String) {
    let mut child = Command::new("python3")
        .args(["-c", SERVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed: apt-get install python3");
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    (child, format!("http://127.0.0.1:{}", port.trim()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appliance_is_told_everything() {
    let (mut child, url) = appliance();
    let provision = Provision {
        url: url.clone(),
        token: "secret".into(),
        days: 10,
    };
    let (mut farm, _dir) = farm(1.0, |o| o.provision = Some(provision)).await;
    let report = farm.provisioned().await.unwrap();
    assert!(
        report.milkings > 1_000 && report.observations > 30_000,
        "{report:?}"
    );
    let counts: BTreeMap<String, usize> = reqwest::get(format!("{url}/counts"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let written: BTreeMap<String, Vec<serde_json::Value>> =
        serde_json::from_slice(&std::fs::read(&farm.addresses().farm_json).unwrap()).unwrap();
    for (name, items) in &written {
        assert_eq!(counts[name], items.len(), "{name}");
    }
    assert_eq!(
        (counts["milkings"], counts["observations"]),
        (report.milkings, report.observations)
    );
    assert_eq!(
        (written["places"].len(), written["animals"].len()),
        (15, 89)
    );
    farm.stop().await;
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told() {
    let (mut child, url) = appliance();
    let provision = Provision {
        url,
        token: "guess".into(),
        days: 0,
    };
    let (mut farm, _dir) = farm(1.0, |o| o.provision = Some(provision)).await;
    let error = farm.provisioned().await.unwrap_err().to_string();
    assert!(error.contains("401"), "{error}");
    farm.stop().await;
    drop(child.stdin.take());
    child.wait().unwrap();
}
