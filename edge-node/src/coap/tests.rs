//! What is remembered of messages, and an answer that takes its time.

use std::net::Ipv4Addr;

use farm::{Actor, Options, credentials, devices};
use farm_model::{DeviceKind, Link};
use firmware_protocol::{Direction, FrameWriter, Key, MAX_FRAME, Record, Sequence, TimeRequest};

use super::*;
use crate::ingest::Ingest;

#[test]
fn memory_is_bounded_and_forgets_with_time() {
    let mut memory = Memory::default();
    let now = Instant::now();
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let whose = |id| whose(from, id, b"a frame");
    assert_eq!(memory.came(whose(0), now), None);
    memory.answered(whose(0), vec![1]);
    assert_eq!(memory.came(whose(0), now), Some(&vec![1]));
    let another = super::whose(from, 0, b"another frame");
    assert_eq!(memory.came(another, now), None, "an id that was used again");
    assert_eq!(memory.came(whose(0), now + LIFETIME), None);
    for id in 0..5_000 {
        memory.came(whose(id), now + LIFETIME);
    }
    assert!(memory.order.len() <= REMEMBERED);
    assert_eq!(memory.answers.len(), memory.order.len());
}

/// A frame of a new device of `farm`.
async fn frame(farm: &Farm) -> Vec<u8> {
    let issued = farm.write(Actor::System, |tx| {
        let form = devices::DeviceForm {
            slug: farm::text::Slug::new("far-1").unwrap(),
            name: farm::text::Name::new("far").unwrap(),
            kind: DeviceKind::Sensor,
            link: Link::Mqtt { client: None },
            place: None,
            expect_every_s: None,
        };
        let device = devices::ensure(tx, &form).unwrap();
        let key = credentials::issue_frame_key(tx, device)?;
        Ok::<_, credentials::CredentialError>((device, key))
    });
    let (device, key) = issued.await.unwrap();
    let ending = firmware_protocol::DeviceId(*device.as_bytes().last_chunk().unwrap());
    let mut sequence = Sequence::start(Direction::Up, ending, 1);
    let mut buffer = [0; MAX_FRAME];
    let mut frame = FrameWriter::new(&mut buffer, &mut sequence).unwrap();
    let request = TimeRequest { ticks: 7 };
    frame.add(&Record::TimeRequest(request)).unwrap();
    frame.seal(&Key::new(key.0)).to_vec()
}

#[tokio::test]
async fn an_answer_that_takes_longer_comes_by_itself_after_an_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let farm = Farm::open(&dir.path().join("farm.db"), Options::default()).unwrap();
    let (_drivers, inbound) = tokio::sync::mpsc::channel(1);
    let (mut ingest, intake) = Ingest::new(farm.clone(), edge_milking::Config::default(), inbound);
    let mut letters = ingest.letters();
    let edge = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    let node = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    node.connect(edge.local_addr().unwrap()).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(edge, farm.clone(), intake, stop.clone()));

    let start = [&[0x41, 2, 0x12, 0x34, 9, 0xb4][..], b"node\xff"].concat();
    let message = [start, frame(&farm).await].concat();
    let mut buffer = [0; 1_500];
    let heard = async |buffer: &mut [u8]| {
        let heard = tokio::time::timeout(Duration::from_secs(20), node.recv(buffer));
        heard.await.unwrap().unwrap()
    };
    // Nothing commits: the pipeline does not run yet.
    node.send(&message).await.unwrap();
    let length = heard(&mut buffer).await;
    assert_eq!(buffer[..length], [0x60, 0, 0x12, 0x34], "it came");
    // Sent again meanwhile, it is not taken again.
    node.send(&message).await.unwrap();
    tokio::spawn(ingest.run(stop.clone()));
    let letter = letters.recv().await.unwrap();
    let Route::Reply(reply) = letter.route().clone() else {
        panic!("it goes back the way it came");
    };
    assert!(reply.send(letter.seal(&**farm.clock()).unwrap()));
    let length = heard(&mut buffer).await;
    assert_eq!(buffer[0], 0x51, "not confirmable, a token of one byte");
    assert_eq!((buffer[1], buffer[4]), (0x44, 9), "2.04, and the token");
    assert!(length > 30, "with the frame that goes down");
    // And once more: the answer that it had.
    let first = buffer[..length].to_vec();
    node.send(&message).await.unwrap();
    let length = heard(&mut buffer).await;
    assert_eq!(buffer[..length], first);
    assert!(letters.try_recv().is_err(), "one frame, one answer");
    stop.cancel();
}
