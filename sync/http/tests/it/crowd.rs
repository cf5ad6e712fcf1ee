//! Many at once, who hold keys and mean harm: what the hub holds stays bounded, and who is honest gets an answer.

use std::time::Duration;

use sync::{
    Site, Value,
    facts::Run,
    keys::{Purpose, SecretKey},
    marks::Mark,
    wire::{self, Part, Refusal, Reply},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    hostile::{Hand, request},
    hub::MUCH,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A fact that weighs much and packs to nothing: only unpacking it says so.
fn heavy(site: Site) -> Part {
    Part::Facts(Run {
        log: "milking".to_owned(),
        site,
        from: Mark::default(),
        columns: vec!["animal".to_owned()],
        rows: vec![vec![Value::Blob(vec![1; 64 * MUCH / 1024])]; 1024],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_requests_unpack_to_much_at_once_and_others_do_not_wait_for_them() {
    let mut hand = Hand::new().await;
    let file = hand.running.hub.file.clone();
    file.slow.send_replace(true);
    let mut answers = JoinSet::new();
    for n in 1..=8 {
        let (key, site) = (SecretKey::generate().unwrap(), Site([100 + n; 16]));
        hand.running.hub.admit(key.public(), site);
        let said = wire::Request { site, ..request() };
        let message = wire::encode(&said, &[heavy(site)]).unwrap();
        for _ in 0..3 {
            hand.at_ms += 1;
            let body = key.seal(Purpose::Exchange, hand.at_ms, &message);
            let client = hand.running.client.clone();
            answers.spawn(async move { client.exchange(body, DEADLINE).await });
        }
    }
    let mut unpacked = file.heavy.subscribe();
    let some = tokio::time::timeout(DEADLINE, unpacked.wait_for(|(now, _)| *now == 3));
    some.await.expect("they come in time").unwrap();
    // All places for them are taken, and stay so.
    let answer = hand.answered(&[]).await;
    assert_eq!(answer.refused, []);
    assert_eq!(*file.heavy.borrow(), (3, 3));

    file.slow.send_replace(false);
    let (mut answered, mut refused) = (0, 0);
    while let Some(answer) = answers.join_next().await {
        match wire::decode::<Reply>(&answer.unwrap().unwrap()).unwrap().0 {
            Reply::Answer(_) => answered += 1,
            Reply::Refused(Refusal::Busy { .. } | Refusal::Repeated { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered >= 3 && answered + refused == 24, "{answered}");
    assert!(file.heavy.borrow().1 <= 3, "{:?}", file.heavy.borrow());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_long_bodies_of_one_key_that_never_end_the_oldest_gives_way() {
    let mut hand = Hand::new().await;
    let sealed = hand.seal(&vec![7; 1 << 20]);
    let mut reads = JoinSet::new();
    for _ in 0..5 {
        let mut line = TcpStream::connect(hand.running.socket).await.unwrap();
        let head = format!(
            "POST /sync/v1/exchange HTTP/1.1\r\nHost: hub\r\nContent-Length: {}\r\n\r\n",
            sealed.len()
        );
        line.write_all(head.as_bytes()).await.unwrap();
        line.write_all(&sealed[..100_000]).await.unwrap();
        reads.spawn(async move {
            let mut begin = [0; 12];
            line.read_exact(&mut begin).await.unwrap();
            begin
        });
    }
    let first = tokio::time::timeout(DEADLINE, reads.join_next()).await;
    let first = first.expect("one gives way in time").unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 503");
    assert!(reads.try_join_next().is_none(), "the others may go on");
    assert_eq!(hand.answered(&[]).await.refused, []);
}

#[tokio::test]
async fn a_long_body_of_a_stranger_is_read_to_its_end_and_not_held() {
    let mut hand = Hand::new().await;
    let stranger = SecretKey::generate().unwrap();
    let mut body = stranger.seal(Purpose::Exchange, hand.at_ms, &vec![7; 1 << 20]);
    // Had it been held, its seal would have been judged first.
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(hand.refused(body).await, Refusal::UnknownKey);
    let key = hand.key.public();
    hand.running
        .hub
        .change(&key, |holder| holder.revoked = true);
    let body = hand.seal(&vec![7; 1 << 20]);
    assert_eq!(hand.refused(body).await, Refusal::Revoked);
}
