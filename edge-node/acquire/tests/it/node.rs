//! A node on a pseudo-terminal: frames up and down, and noise between them.

use edge_acquire::{DriverState, NodeFrame};
use farm_model::{Device, DeviceKind, Link};
use firmware_protocol::{Deframer, MAX_SERIAL, to_serial};
use tokio::time::timeout;

use crate::rig::{PATIENCE, Pty, Rig, device, line, settings};

fn node(pty: &Pty) -> Device {
    let link = Link::Node {
        port: pty.path.to_str().unwrap().into(),
        line: line(),
    };
    device(DeviceKind::Sensor, link)
}

async fn frames(rig: &mut Rig, wanted: usize) -> Vec<NodeFrame> {
    let mut found = Vec::new();
    while found.len() < wanted {
        let batch = timeout(PATIENCE, rig.inbox.recv()).await;
        let batch = batch.expect("frames in time").expect("drivers run");
        rig.rejects.extend(batch.rejects);
        found.extend(batch.frames);
    }
    found
}

#[tokio::test]
async fn frames_come_up_whole_whatever_is_between_them() {
    let pty = Pty::open();
    let node = node(&pty);
    let mut rig = Rig::new(settings(), &[&node]).await;
    rig.status(&node, |s| s.state == DriverState::Waiting).await;
    let mut stream = Vec::new();
    for n in 0..3_u8 {
        let mut buffer = [0; MAX_SERIAL];
        stream.extend([0x41, 9, 0xff, 0]);
        stream.extend(to_serial(&[n, 0, 7], &mut buffer).unwrap());
    }
    for piece in stream.chunks(5) {
        pty.write(piece).await.unwrap();
    }
    let found = frames(&mut rig, 3).await;
    for (n, frame) in found.iter().enumerate() {
        assert_eq!(frame.bytes, [n as u8, 0, 7]);
        assert_eq!(frame.port, pty.path.to_str().unwrap());
    }
    let status = rig.status(&node, |s| s.answers == 3).await;
    assert_eq!(status.state, DriverState::Running);
    assert_eq!(rig.rejects.len(), 3, "the noise is counted and kept");
    assert!(rig.rejects.iter().all(|r| r.reason == "frame_broken"));
}

#[tokio::test]
async fn frames_go_down_to_the_port_that_has_a_node() {
    let pty = Pty::open();
    let node = node(&pty);
    let mut rig = Rig::new(settings(), &[&node]).await;
    rig.status(&node, |s| s.state == DriverState::Waiting).await;
    assert!(!rig.drivers.send_down("/dev/ttyNobody", &[1]));
    let port = pty.path.to_str().unwrap();
    let sent = [vec![1, 0, 2], vec![0; 400]];
    for frame in &sent {
        assert!(rig.drivers.send_down(port, frame));
    }
    assert!(!rig.drivers.send_down(port, &[7; 2_000]), "no such frame");
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut deframer = Deframer::new();
    while found.len() < sent.len() {
        let mut bytes = [0; 64];
        let read = timeout(PATIENCE, pty.read(&mut bytes)).await;
        let length = read.expect("bytes in time").unwrap();
        deframer.feed(&bytes[..length], &mut |frame| {
            found.push(frame.unwrap().to_vec());
        });
    }
    assert_eq!(found, sent);
}
