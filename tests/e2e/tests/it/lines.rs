//! The door's ways in: without the internet, over TCP and WebSocket, over TLS of the versions that are allowed; and what is retained
//! through a pulled plug.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use e2e::{Edge, EdgeOptions, edge::free_address};
use farm_model::Quantity;

use crate::store;

/// Runs one of Debian's programs with nothing on its input.
fn run(program: &str, args: &[&str]) -> Output {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    child.unwrap_or_else(|error| panic!("{program}: {error} (run `cargo xtask setup`)"))
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The retained value of a topic, as a new client is told it.
fn retained(port: u16, topic: &str) -> String {
    let port = port.to_string();
    let told = run(
        "/usr/bin/mosquitto_sub",
        &[
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-q",
            "1",
            "-t",
            topic,
            "-C",
            "1",
            "-W",
            "20",
        ],
    );
    String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
}

/// The same over WebSocket, with paho.
fn retained_over_websocket(port: u16, token: &str, topic: &str) -> String {
    const PAHO: &str = "
import sys, paho.mqtt.client as mqtt
client = mqtt.Client(transport='websockets')
client.username_pw_set('page', sys.argv[3])
client.on_connect = lambda c, u, f, code: c.subscribe(sys.argv[2], 1)
def heard(c, u, message):
    print(message.payload.decode())
    c.disconnect()
client.on_message = heard
client.connect('127.0.0.1', int(sys.argv[1]))
client.loop_forever()
";
    let told = run(
        "/usr/bin/timeout",
        &[
            "20",
            "/usr/bin/python3",
            "-c",
            PAHO,
            &port.to_string(),
            topic,
            token,
        ],
    );
    String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
}

#[test]
fn both_listeners_tell_what_was_retained_before_the_plug_was_pulled() {
    let websocket = free_address();
    let mut edge = Edge::start(&EdgeOptions {
        more: vec![("mqtt", format!("websocket = [\"{websocket}\"]"))],
        ..EdgeOptions::default()
    });
    let (tcp, topic) = (edge.mqtt.port(), "farm/notice/gate");
    let published = run(
        "/usr/bin/mosquitto_pub",
        &[
            "-h",
            "127.0.0.1",
            "-p",
            &tcp.to_string(),
            "-q",
            "1",
            "-r",
            "-t",
            topic,
            "-m",
            "closed",
        ],
    );
    assert!(published.status.success(), "{}", says(&published));
    edge.kill();
    edge.spawn();
    edge.wait_ready();
    assert_eq!(retained(tcp, topic), "closed");
    assert_eq!(
        retained_over_websocket(websocket.port(), &edge.token, topic),
        "closed"
    );
}

/// What OpenSSL makes of a handshake that allows one version alone.
fn handshake(edge: &Edge, version: &str) -> String {
    let authority = edge.dir.path().join("data/ca/authority.pem");
    let authority = authority.to_str().expect("UTF-8");
    let door = edge.mqtt_tls.to_string();
    let args = ["s_client", "-connect", &door, "-CAfile", authority];
    let more = [version, "-verify_return_error", "-brief"];
    // Old versions are refused by us, not by OpenSSL's own caution.
    let old = ["-cipher", "ALL:@SECLEVEL=0"];
    says(&run("/usr/bin/openssl", &[&args[..], &more, &old].concat()))
}

#[test]
fn tls_begins_at_the_version_that_is_configured() {
    let usual = Edge::start(&EdgeOptions::default());
    let said = handshake(&usual, "-tls1_3");
    assert!(said.contains("Protocol version: TLSv1.3"), "{said}");
    let said = handshake(&usual, "-tls1_2");
    assert!(said.contains("Protocol version: TLSv1.2"), "{said}");
    assert!(said.contains("ECDHE"), "forward-secret: {said}");
    let said = handshake(&usual, "-tls1_1");
    assert!(!said.contains("Protocol version"), "{said}");

    let strict = Edge::start(&EdgeOptions {
        more: vec![("mqtt", "tls_min = \"1.3\"".to_owned())],
        ..EdgeOptions::default()
    });
    let said = handshake(&strict, "-tls1_2");
    assert!(!said.contains("Protocol version"), "{said}");
    let said = handshake(&strict, "-tls1_3");
    assert!(said.contains("Protocol version: TLSv1.3"), "{said}");
}

#[test]
fn without_any_line_to_the_world_clients_are_served() {
    let mut edge = Edge::start(&EdgeOptions::default());
    // In a network of its own, which has no line but the one to itself, it starts, and its clients are served.
    edge.kill();
    let script = r#"
ip link set lo up
if ip route get 192.0.2.1 >/dev/null 2>&1; then echo "there is a way out"; exit 1; fi
"$1" --config "$2" run >/dev/null 2>&1 &
edge=$!
said=nothing
for _ in $(seq 200); do
  if mosquitto_pub -h 127.0.0.1 -p "$3" -q 1 -t farm/tank/1/temp -m '{"value": 3.9}' 2>/dev/null; then said=served; break; fi
  sleep 0.1
done
echo $said
kill $edge
wait $edge
"#;
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let program = path(&e2e::program("edge-node"));
    let config = path(&edge.dir.path().join("khamar.toml"));
    let port = edge.mqtt.port().to_string();
    let args = [
        "-rn", "/bin/sh", "-c", script, "sh", &program, &config, &port,
    ];
    let said = run("/usr/bin/unshare", &args);
    assert_eq!(says(&said).trim(), "served");
    let conn = store::open(&edge.database());
    let stored = store::series(&conn, "tank-1-mqtt", Quantity::Temperature);
    assert_eq!(stored, [Some(3_900)]);
}
