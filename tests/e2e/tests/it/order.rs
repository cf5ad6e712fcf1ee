//! Proof of order: no acknowledgement leaves before the sync that covers its message.
//!
//! The appliance runs under strace while clients publish: readings, retained values and nonsense, at QoS 1 and 2. For each
//! acknowledgement the trace must show, above the line on which its sending began: the write of a frame of the write-ahead
//! log that holds the message, the frame that ends its transaction, and a sync of the log that began after it and ended well.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Write},
    net::SocketAddr,
};

use e2e::{
    Edge, EdgeOptions,
    trace::{self, Call},
    until,
};

use crate::raw;

/// Messages in all; the number of each is its packet identifier.
const MESSAGES: u16 = 480;
const CLIENTS: u16 = 4;
/// Messages that a client has in flight.
const WINDOW: u16 = 12;
/// 2026-11-20T00:00:00Z in seconds; each message says a second of its own.
const DAY: i64 = 1_795_132_800;

/// What a message is to the appliance: each kind is stored in a place of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Reading,
    Exactly,
    Retained,
    Nonsense,
}

fn kind(n: u16) -> Kind {
    [Kind::Reading, Kind::Exactly, Kind::Retained, Kind::Nonsense][usize::from(n % 4)]
}

/// The number as SQLite writes it: big-endian, in the fewest of the lengths that it has.
fn stored(n: i64) -> Vec<u8> {
    let length = [1, 2, 3, 4, 6]
        .into_iter()
        .find(|length| n < 1 << (8 * length - 1));
    n.to_be_bytes()[8 - length.unwrap_or(8)..].to_vec()
}

/// The packet, and the bytes by which its message is known in the store.
fn message(n: u16) -> (Vec<u8>, Vec<u8>) {
    let (first, topic, payload, known) = match kind(n) {
        kind @ (Kind::Reading | Kind::Exactly) => {
            let at = DAY + i64::from(n);
            let payload = format!(r#"{{"value": {n}, "timestamp": {at}, "id": "order-{n}"}}"#);
            let known = [stored(at * 1000), stored(i64::from(n) * 1000)].concat();
            let first = if kind == Kind::Reading { 0x32 } else { 0x34 };
            (first, "farm/device/order/steps".to_owned(), payload, known)
        }
        Kind::Retained => {
            let payload = format!("the value that topic {n} keeps");
            let topic = format!("application/order/{n}");
            (0x33, topic, payload.clone(), payload.into_bytes())
        }
        Kind::Nonsense => {
            let payload = format!("no reading has the number {n}");
            let topic = "farm/device/order/steps".to_owned();
            (0x32, topic, payload.clone(), payload.into_bytes())
        }
    };
    (raw::publish(first, &topic, n, &payload), known)
}

/// Publishes every message whose number is `client` modulo the number of clients, and waits for each acknowledgement.
fn publish(door: SocketAddr, client: u16) {
    let mut stream = raw::connect(door, &format!("order-{client}"));
    let mut answer = [0; 4];
    let mut numbers = (1..=MESSAGES).filter(|n| n % CLIENTS == client);
    let mut waiting = 0;
    loop {
        while waiting < WINDOW
            && let Some(n) = numbers.next()
        {
            stream.write_all(&message(n).0).unwrap();
            waiting += 1;
        }
        if waiting == 0 {
            return;
        }
        stream.read_exact(&mut answer).expect("an acknowledgement");
        match answer {
            [0x40, 2, ..] | [0x70, 2, ..] => waiting -= 1,
            [0x50, 2, high, low] => stream.write_all(&[0x62, 2, high, low]).unwrap(),
            other => panic!("not an acknowledgement: {other:02x?}"),
        }
    }
}

/// A page that was written to the write-ahead log.
struct Frame<'a> {
    page: &'a [u8],
    /// Whether it ends its transaction.
    commits: bool,
    /// The line on which its writing ended.
    written: usize,
}

/// What the trace shows, by the lines on which it happened.
struct Seen<'a> {
    frames: Vec<Frame<'a>>,
    /// Beginning and end of each sync of the log that ended well.
    syncs: Vec<(usize, usize)>,
    /// When the sending of each first acknowledgement (PUBACK or PUBREC) began, by packet identifier.
    acknowledged: BTreeMap<u16, usize>,
}

impl<'a> Seen<'a> {
    fn new(calls: &'a [Call]) -> Self {
        let log: Vec<&Call> = calls
            .iter()
            .filter(|c| c.file.ends_with("/farm.db-wal"))
            .collect();
        let writes: Vec<&Call> = log
            .iter()
            .copied()
            .filter(|c| c.name == "pwrite64")
            .collect();
        for write in &writes {
            let whole = usize::try_from(write.result) == Ok(write.data.len());
            assert!(
                whole,
                "a part of a frame was written on line {}",
                write.ended
            );
        }
        // A frame is a header of 24 bytes and a page; the header's second word is 0 but in the last frame of a transaction.
        let frames = writes.windows(2).filter(|pair| pair[0].data.len() == 24);
        let frames = frames.map(|pair| Frame {
            page: &pair[1].data,
            commits: pair[0].data[4..8] != [0; 4],
            written: pair[1].ended,
        });
        let is_sync = |c: &&&Call| ["fsync", "fdatasync"].contains(&&*c.name) && c.result == 0;
        Self {
            frames: frames.collect(),
            syncs: log
                .iter()
                .filter(is_sync)
                .map(|c| (c.began, c.ended))
                .collect(),
            acknowledged: acknowledged(calls),
        }
    }

    /// Why the acknowledgement of a message came too early, if it did.
    fn too_early(&self, n: u16, known: &[u8]) -> Option<String> {
        let Some(&told) = self.acknowledged.get(&n) else {
            return Some(format!("{n} was never acknowledged"));
        };
        let holds = |frame: &Frame<'_>| frame.page.windows(known.len()).any(|bytes| bytes == known);
        let Some(first) = self.frames.iter().position(holds) else {
            return Some(format!("{n} was never written"));
        };
        let Some(last) = self.frames[first..].iter().find(|frame| frame.commits) else {
            return Some(format!("the transaction of {n} never ended"));
        };
        let covered = self
            .syncs
            .iter()
            .any(|(began, ended)| *began > last.written && *ended < told);
        (!covered).then(|| {
            format!(
                "{n} was written on line {} and acknowledged on line {told} without a sync between",
                last.written
            )
        })
    }
}

/// Where the sending of each first PUBACK or PUBREC began.
fn acknowledged(calls: &[Call]) -> BTreeMap<u16, usize> {
    let mut streams: HashMap<&str, Vec<(u8, usize)>> = HashMap::new();
    for call in calls.iter().filter(|c| c.file.starts_with("socket:")) {
        let sent = usize::try_from(call.result).unwrap_or(0);
        let bytes = call.data.iter().take(sent).map(|byte| (*byte, call.began));
        streams.entry(&call.file).or_default().extend(bytes);
    }
    let mut acknowledged = BTreeMap::new();
    for stream in streams.values() {
        let mut rest = &stream[..];
        // Every packet that the door sends here is shorter than 128 bytes: one byte of length.
        while let [(first, began), (length, _), after @ ..] = rest
            && let Some((body, next)) = after.split_at_checked(usize::from(*length))
        {
            if let (0x40 | 0x50, [(high, _), (low, _)]) = (*first, body) {
                let n = u16::from_be_bytes([*high, *low]);
                acknowledged.entry(n).or_insert(*began);
            }
            rest = next;
        }
    }
    acknowledged
}

#[test]
fn no_acknowledgement_leaves_before_the_sync_that_covers_its_message() {
    let mut edge = Edge::start(&EdgeOptions::default());
    edge.stop();
    let path = edge.dir.path().join("trace");
    edge.spawn_traced(&path);
    edge.wait_ready();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let door = edge.mqtt;
            scope.spawn(move || publish(door, client));
        }
    });
    let pid = edge.pid().to_string();
    // strace fills short process numbers up with spaces.
    let ended = |line: &str| {
        let rest = line.strip_prefix(&pid).map(str::trim_start);
        rest == Some("+++ exited with 0 +++")
    };
    edge.stop();
    let text = until("the trace to be whole", 20, || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.lines().any(ended).then_some(text)
    });

    let calls = trace::read(&text);
    let seen = Seen::new(&calls);
    println!(
        "{} acknowledgements, {} frames, {} syncs of the log",
        seen.acknowledged.len(),
        seen.frames.len(),
        seen.syncs.len()
    );
    let wrong: Vec<String> = (1..=MESSAGES)
        .filter_map(|n| seen.too_early(n, &message(n).1))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Had every message a sync of its own, the order would hold by luck of the pace.
    assert!(
        seen.syncs.len() < usize::from(MESSAGES) / 2,
        "no commit was shared"
    );
}

#[test]
fn an_acknowledgement_that_comes_too_early_is_seen() {
    let call = |name: &str, file: &str, data: &[u8], line| Call {
        name: name.to_owned(),
        file: file.to_owned(),
        data: data.to_vec(),
        result: data.len() as i64,
        began: line,
        ended: line,
    };
    let log = "/data/farm.db-wal";
    let mut header = [0; 24];
    let more = call("pwrite64", log, &header, 0);
    header[7] = 9;
    let last = call("pwrite64", log, &header, 2);
    let right = [
        more,
        call("pwrite64", log, b"page with the message", 1),
        last,
        call("pwrite64", log, b"another page", 3),
        call("fsync", log, &[], 4),
        call("writev", "socket:[1]", &[0x20, 2, 0, 0, 0x40, 2, 0, 7], 5),
    ];
    let judged = |order: &[usize]| {
        let calls: Vec<Call> = order
            .iter()
            .enumerate()
            .map(|(line, i)| Call {
                began: line,
                ended: line,
                ..right[*i].clone()
            })
            .collect();
        Seen::new(&calls).too_early(7, b"the message")
    };
    assert_eq!(judged(&[0, 1, 2, 3, 4, 5]), None);
    for wrong in [
        &[0, 1, 2, 3, 5, 4][..],
        &[0, 1, 4, 2, 3, 5],
        &[5, 0, 1, 2, 3, 4],
        &[0, 1, 2, 3, 5],
        &[4, 5],
    ] {
        assert!(judged(wrong).is_some(), "{wrong:?}");
    }
}
