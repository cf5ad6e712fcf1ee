//! Frames over CoAP with libcoap's own client, through the real program.

use std::{fs, net::UdpSocket, process::Command, time::Duration};

use firmware_protocol::{
    self as wire, Direction, FrameWriter, Key, MAX_FRAME, Record, Sequence, TimeRequest, open,
};
use serde_json::json;

use crate::machine::{Machine, text};

/// What `coap-client-notls` says and was answered.
fn post(machine: &Machine, url: &str, payload: &[u8], more: &[&str]) -> (String, Vec<u8>) {
    let (given, got) = (machine.path("given"), machine.path("got"));
    fs::write(&given, payload).unwrap();
    let _ = fs::remove_file(&got);
    let output = Command::new("/usr/bin/coap-client-notls")
        .args(["-m", "post", "-B", "10", "-f"])
        .arg(&given)
        .arg("-o")
        .arg(&got)
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    (said, fs::read(&got).unwrap_or_default())
}

fn frame(sequence: &mut Sequence, key: &Key) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    let mut frame = FrameWriter::new(&mut buffer, sequence).unwrap();
    let request = TimeRequest { ticks: 7 };
    frame.add(&Record::TimeRequest(request)).unwrap();
    frame.seal(key).to_vec()
}

#[test]
fn a_node_is_answered_with_a_frame_and_nobody_else_is() {
    let machine = Machine::new();
    let running = machine.start();
    let token = machine.ok(&["token", "add", "--name", "test", "--scope", "manage"], "");
    let item = json!({ "slug": "far-1", "kind": "sensor", "link": { "transport": "mqtt" } });
    let answer = running.post("/api/v1/devices", token.trim(), &json!({ "items": [item] }));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let printed = machine.ok(&["devices", "frame-key", "far-1"], "");
    let listed = running.get("/api/v1/devices", Some(token.trim()));
    let (_, id) = listed.split_once("\"id\":\"").unwrap();
    let id = id[..36].replace('-', "");
    let hex = |word: &str| {
        let byte = |i| u8::from_str_radix(&word[i..i + 2], 16).unwrap();
        (0..word.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    };
    let mut words = printed.split_whitespace();
    let key = words.find(|word| word.len() == 64).unwrap();
    let key = Key::new(hex(key).try_into().unwrap());
    let ending = wire::DeviceId(hex(&id[16..]).try_into().unwrap());
    let mut sequence = Sequence::start(Direction::Up, ending, 1);
    let url = format!("coap://{}/node", running.coap);

    for more in [&[][..], &["-N"]] {
        let (said, mut down) = post(&machine, &url, &frame(&mut sequence, &key), more);
        assert!(!down.is_empty(), "{said}");
        let opened = open(&mut down, &key).unwrap();
        let is_time = |r: Record<'_>| matches!(r, Record::TimeAnswer(t) if t.ticks == 7);
        assert!(opened.records().any(|r| r.is_ok_and(is_time)));
    }
    let mut forged = frame(&mut sequence, &key);
    *forged.last_mut().unwrap() ^= 1;
    for (payload, code) in [(&forged[..], "4.01"), (b"{\"value\": 4}", "4.00")] {
        let (said, down) = post(&machine, &url, payload, &[]);
        assert!(said.contains(code) && down.is_empty(), "{code}: {said}");
    }

    // The same message again has the same answer.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_secs(20));
    socket.set_read_timeout(patience).unwrap();
    let start = [&[0x41, 2, 0x12, 0x34, 9, 0xb4][..], b"node\xff"].concat();
    let message = [start, frame(&mut sequence, &key)].concat();
    let mut answers = Vec::new();
    for _ in 0..2 {
        socket.send_to(&message, running.coap).unwrap();
        let mut buffer = [0; 1_500];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..5], [0x61, 0x44, 0x12, 0x34, 9]);
        answers.push(buffer[..length].to_vec());
    }
    assert_eq!(answers[0], answers[1]);
    running.end();
}
