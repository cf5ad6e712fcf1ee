//! A device's life as a manager sees it: added and given its secret, let in by its sticker's code, revoked.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use e2e::{
    Edge, EdgeOptions,
    browser::{DESK, PHONE},
    edge::OWNER,
};
use farm::joins::{Grant, HalfKey, JoinCode, JoinKeys, Side};
use farm_model::hex;
use serde_json::json;

use super::Visit;
use crate::web;

/// Publishes a temperature as the device `user`, over TLS; whether it was acknowledged.
fn tells(edge: &Edge, user: &str, secret: &str, authority: &str) -> bool {
    let file = edge.dir.path().join("farm-ca.pem");
    std::fs::write(&file, authority).unwrap();
    let publisher = Command::new("/usr/bin/mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &edge.mqtt_tls.port().to_string()])
        .arg("--cafile")
        .arg(&file)
        .args(["-u", user, "-P", secret, "-q", "1"])
        .args(["-t", &format!("farm/device/{user}/temperature")])
        .args(["-m", r#"{"value": 20.5}"#])
        .output();
    publisher
        .expect(
            "mosquitto_pub starts (install Debian's mosquitto-clients, or run `cargo xtask setup`)",
        )
        .status
        .success()
}

/// The farm's own certificate, as a program downloads it.
async fn authority(edge: &Edge) -> String {
    let request = reqwest::Client::new()
        .get(edge.url("/api/v1/authority"))
        .bearer_auth(&edge.token);
    request.send().await.unwrap().text().await.unwrap()
}

async fn type_into(visit: &Visit<'_>, css: &str, text: &str) {
    let field = visit.see(css).await;
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Taps what may stand under the menu at the lower edge.
pub(super) async fn tap(visit: &Visit<'_>, css: &str) {
    visit.see(css).await;
    let scroll = format!(
        "document.querySelector({}).scrollIntoView({{ block: 'center' }})",
        json!(css)
    );
    visit.run(&scroll).await;
    visit.tap(css).await;
}

/// Waits until an expression of the page is true.
pub(super) async fn until(visit: &Visit<'_>, what: &str, expression: &str) {
    let script = format!("return {expression}");
    e2e::until_async(what, 20, async || {
        (visit.run(&script).await == json!(true)).then_some(())
    })
    .await;
}

pub(super) async fn choose_english(visit: &Visit<'_>) {
    visit.run("document.cookie = 'lang=en; path=/'").await;
}

#[tokio::test]
async fn a_device_is_added_given_its_secret_and_revoked() {
    let edge = Edge::start(&EdgeOptions::default());
    let authority = authority(&edge).await;
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(OWNER).await;
    choose_english(&visit).await;
    visit.go("/devices").await;
    tap(&visit, "a[href='/devices/new']").await;
    tap(&visit, "a[href$='transport=mqtt']").await;
    // What is missing is said on the form, by us.
    tap(&visit, "form.form button.primary").await;
    visit.see("#f-name-error").await;
    assert_eq!(visit.text("#f-name-error").await, "Fill this in.");
    type_into(&visit, "#f-name", "Yard node").await;
    tap(&visit, "form.form button.primary").await;
    tap(&visit, "form[action$='/secret'] button").await;
    visit.see("svg.qr").await;
    visit.picture("device-secret").await;
    let secret = visit.text("#secret").await;
    tap(&visit, "[data-copy=secret]").await;
    let done = "[...document.querySelectorAll('[data-copy=secret]')].some((b) => b.innerText.trim() === 'Copied')";
    until(&visit, "the button to say that it copied", done).await;
    assert!(!tells(&edge, "yard-node", "not-its-secret", &authority));
    assert!(tells(&edge, "yard-node", &secret, &authority));

    tap(&visit, "main > .actions a.primary").await;
    let value = "document.querySelector('.readings')?.innerText.includes('20.5')";
    until(&visit, "its value to stand on its page", value).await;
    tap(&visit, "[data-opens=revoke]").await;
    visit.see("dialog:modal").await;
    let question = visit.text("dialog:modal").await;
    assert!(question.contains("Its connection is cut now"), "{question}");
    visit.picture("device-revoke").await;
    tap(&visit, "dialog:modal button.danger").await;
    visit.see("form[action$='/secret'] button.primary").await;
    assert!(visit.text("#credentials").await.contains("Access revoked"));
    assert!(!tells(&edge, "yard-node", &secret, &authority));

    tap(&visit, "form[action$='/secret'] button.primary").await;
    visit.see("#secret").await;
    let again = visit.text("#secret").await;
    assert!(!tells(&edge, "yard-node", &secret, &authority));
    assert!(tells(&edge, "yard-node", &again, &authority));
}

const CODE: &str = "7K3M-9QXT-2FHB";
const SERIAL: &str = "KM-0042";

/// Speaks MQTT for a node: prints the appliance's key, asks with the line it is given, prints the answer.
const NODE: &str = r#"
import sys, paho.mqtt.client as mqtt
serial = sys.argv[2]
client = mqtt.Client(serial)
client.username_pw_set("join")
def hears(client, _, message):
    print(message.topic, message.payload.hex(), flush=True)
client.on_message = hears
client.on_connect = lambda c, *_: c.subscribe([("khamar/join/key", 1), ("khamar/join/answer/" + serial, 1)])
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
for line in sys.stdin:
    client.publish("khamar/join/ask/" + serial, line.strip(), qos=1).wait_for_publish(10)
client.disconnect()
"#;

/// A node with a sticker.
struct Node {
    child: Child,
    says: ChildStdin,
    hears: Lines<BufReader<ChildStdout>>,
    key: HalfKey,
}

impl Node {
    fn start(edge: &Edge) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", NODE, &edge.mqtt.port().to_string(), SERIAL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(
                "python3 starts (install Debian's python3-paho-mqtt, or run `cargo xtask setup`)",
            );
        Self {
            says: child.stdin.take().unwrap(),
            hears: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            key: HalfKey::fresh(),
        }
    }

    /// The next message on a topic that begins so.
    fn next(&mut self, topic: &str) -> Vec<u8> {
        let line = self.hears.next().expect("it goes on").expect("a line");
        let (heard, payload) = line.split_once(' ').unwrap();
        assert!(heard.starts_with(topic), "{line}");
        bytes(payload)
    }

    /// Asks to join; the keys that the code gives.
    fn asks(&mut self) -> JoinKeys {
        let edge = String::from_utf8(self.next("khamar/join/key")).unwrap();
        let edge = bytes(&edge).try_into().unwrap();
        let code = JoinCode::new(CODE).unwrap();
        let keys = JoinKeys::agree(Side::Device, &self.key, &edge, SERIAL, &code).unwrap();
        let ask = json!({
            "kind": "milk_meter", "model": "KM 1", "firmware": "1.0.2",
            "key": hex::encode(&self.key.public()), "proof": hex::encode(&keys.prove("milk_meter\nKM 1\n1.0.2")),
        });
        writeln!(self.says, "{ask}").unwrap();
        keys
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn a_device_that_asks_to_join_is_let_in_by_its_code() {
    let edge = Edge::start(&EdgeOptions::default());
    let stall = json!([{ "kind": "stall", "slug": "6", "name": "Stall six" }]);
    web::tell(&edge, "/api/v1/places", stall).await;
    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(OWNER).await;
    choose_english(&visit).await;
    visit.go("/devices").await;
    assert_eq!(visit.text("#join-requests").await.trim(), "");
    let mut node = Node::start(&edge);
    let keys = node.asks();
    // The open page hears of it.
    let waits = format!("document.querySelector('#join-requests').innerText.includes('{SERIAL}')");
    until(&visit, "the request to stand on the page", &waits).await;
    visit.picture("device-asks").await;
    tap(&visit, "#join-requests a.primary").await;
    type_into(&visit, "#f-code", "7k3m 9qxt 2fhc").await;
    tap(&visit, "form.form button.primary").await;
    visit.see("#f-code-error").await;
    let said = visit.text("#f-code-error").await;
    assert!(said.contains("No waiting device has this code."), "{said}");
    // A keyboard scanner types the whole sticker and presses Enter.
    type_into(&visit, "#f-code", &format!("khamar:join:{SERIAL}:{CODE}\n")).await;
    type_into(&visit, "#f-name", "Meter six").await;
    tap(&visit, "#f-place option:nth-child(2)").await;
    visit.picture("device-joins").await;
    tap(&visit, "form.form button.primary").await;
    visit.see("#credentials").await;
    let page = visit.text("main").await;
    for part in ["Meter six", "Milk meter", "Stall six", SERIAL] {
        assert!(page.contains(part), "{part}: {page}");
    }

    let sealed = node.next(&format!("khamar/join/answer/{SERIAL}"));
    let plain = keys.open(SERIAL, &sealed).expect("it was sealed for us");
    let grant: Grant = serde_json::from_slice(&plain).unwrap();
    assert_eq!(grant.user, "meter-six");
    let authority = grant.welcome.ca.expect("the farm has an authority");
    assert!(tells(&edge, &grant.user, &grant.secret, &authority));
}
