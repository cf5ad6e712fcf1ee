//! Requests that mean harm or make no sense: each gets a clear refusal and changes nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sync::{
    Refused, Site, Value,
    facts::Run,
    held,
    keys::{Purpose, SEALED_BYTES, SecretKey},
    marks::Mark,
    records::{Cell, Row, Span, Version},
    wire::{self, Answer, Have, PROTOCOL, Part, Refusal, Reply, Request},
};

use crate::{dice::Dice, hub::Running};

const PATIENCE: Duration = Duration::from_secs(60);
const SITE: Site = Site([7; 16]);
const TABLES: &str = "SELECT (SELECT count(*) FROM animal), (SELECT count(*) FROM stay), (SELECT count(*) FROM milking)";

/// One who holds a key, and says what it likes.
pub(crate) struct Hand {
    pub(crate) running: Running,
    pub(crate) key: SecretKey,
    pub(crate) at_ms: i64,
}

impl Hand {
    pub(crate) async fn new() -> Self {
        let running = Running::start().await;
        running.hub.file.look(|farm| {
            farm.animal(1, "Lali");
            farm.milk(1, 10);
        });
        let key = SecretKey::generate().expect("the system has random bytes");
        running.hub.admit(key.public(), SITE);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let passed = since.expect("it is after 1970").as_millis();
        let at_ms = i64::try_from(passed).expect("it is before 200000") + 1_000;
        Self {
            running,
            key,
            at_ms,
        }
    }

    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        self.at_ms += 1;
        self.key.seal(Purpose::Exchange, self.at_ms, message)
    }

    async fn say(&self, body: Vec<u8>) -> Reply {
        let answer = self
            .running
            .client
            .exchange(body, PATIENCE)
            .await
            .expect("the hub answers");
        wire::decode::<Reply>(&answer).expect("it is a reply").0
    }

    /// Says it, and the hub must refuse it and stand as before.
    pub(crate) async fn refused(&self, body: Vec<u8>) -> Refusal {
        let before = self.running.hub.file.picture();
        let reply = self.say(body).await;
        assert_eq!(self.running.hub.file.picture(), before, "{reply:?}");
        match reply {
            Reply::Refused(refusal) => refusal,
            Reply::Answer(answer) => panic!("{answer:?}"),
        }
    }

    pub(crate) async fn answered(&mut self, parts: &[Part]) -> Answer {
        let body = self.seal(&wire::encode(&request(), parts).expect("it fits"));
        match self.say(body).await {
            Reply::Answer(answer) => answer,
            Reply::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
}

pub(crate) fn request() -> Request {
    Request {
        protocol: PROTOCOL,
        schema: 1,
        epoch: 0,
        site: SITE,
        heads: Vec::new(),
        have: Vec::new(),
        skip: Vec::new(),
        wait_s: 0,
        room: 1_000,
    }
}

fn message(request: &Request) -> Vec<u8> {
    wire::encode(request, &[]).expect("it fits")
}

fn row() -> Row {
    Row {
        table: "animal".to_owned(),
        key: vec![Value::Blob(vec![2; 16])],
        life: 1,
        turned: false,
        cells: vec![cell("name", Value::Text("Kali".to_owned()), 1)],
    }
}

fn cell(column: &str, value: Value, edits: i64) -> Cell {
    Cell {
        column: column.to_owned(),
        value,
        edits,
    }
}

fn span(from: Mark, row: Row) -> Span {
    let number = from.upto + 1;
    Span {
        site: SITE,
        from,
        to: number,
        versions: vec![Version {
            number,
            rows: vec![row],
        }],
    }
}

#[tokio::test]
async fn stale_and_repeated_requests_are_told_the_time() {
    let mut hand = Hand::new().await;
    let sound = hand.seal(&message(&request()));
    assert!(matches!(hand.say(sound.clone()).await, Reply::Answer(_)));
    let last = hand.at_ms;
    assert!(matches!(hand.refused(sound).await, Refusal::Repeated { now_ms } if now_ms > last));
    for at_ms in [0, i64::MIN, i64::MAX, last - 3_600_000, last + 3_600_000] {
        let stale = hand
            .key
            .seal(Purpose::Exchange, at_ms, &message(&request()));
        let refusal = hand.refused(stale).await;
        assert!(matches!(refusal, Refusal::Stale { now_ms } if now_ms.abs_diff(last) < 60_000));
    }
    let earlier = hand
        .key
        .seal(Purpose::Exchange, last - 1, &message(&request()));
    let Refusal::Repeated { now_ms } = hand.refused(earlier).await else {
        panic!("a later one came before")
    };
    hand.at_ms = now_ms;
    let sound = hand.seal(&message(&request()));
    assert!(
        matches!(hand.say(sound).await, Reply::Answer(_)),
        "signed again, it is let in"
    );
}

#[tokio::test]
async fn forged_and_foreign_requests_are_refused() {
    let mut hand = Hand::new().await;
    let mut forged = hand.seal(&message(&request()));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(hand.refused(forged).await, Refusal::Forged);
    let other_purpose = hand
        .key
        .seal(Purpose::Rotate, hand.at_ms + 1, &message(&request()));
    assert_eq!(hand.refused(other_purpose).await, Refusal::Forged);
    let stranger = SecretKey::generate().unwrap();
    let unknown = stranger.seal(Purpose::Exchange, hand.at_ms + 1, &message(&request()));
    assert_eq!(hand.refused(unknown).await, Refusal::UnknownKey);
    let elsewhere = hand.seal(&message(&Request {
        site: Site([8; 16]),
        ..request()
    }));
    assert_eq!(hand.refused(elsewhere).await, Refusal::NotYourSite);
    let newer = hand.seal(&message(&Request {
        protocol: 99,
        ..request()
    }));
    assert_eq!(
        hand.refused(newer).await,
        Refusal::Protocol {
            least: PROTOCOL,
            most: PROTOCOL
        }
    );
    let other_layout = hand.seal(&wire::encode(&(99_u16, "in other words"), &[]).unwrap());
    assert_eq!(
        hand.refused(other_layout).await,
        Refusal::Protocol {
            least: PROTOCOL,
            most: PROTOCOL
        }
    );
    let anew = hand.seal(&message(&Request {
        epoch: 4,
        ..request()
    }));
    assert_eq!(hand.refused(anew).await, Refusal::Epoch { ours: 0 });
    let key = hand.key.public();
    hand.running
        .hub
        .change(&key, |holder| holder.revoked = true);
    let revoked = hand.seal(&message(&request()));
    assert_eq!(hand.refused(revoked).await, Refusal::Revoked);
}

#[tokio::test]
async fn large_torn_and_random_requests_are_refused() {
    let mut hand = Hand::new().await;
    assert_eq!(
        hand.refused(vec![0; SEALED_BYTES + 1]).await,
        Refusal::TooLarge
    );
    let bomb = [
        b"KHS1".to_vec(),
        zstd::bulk::compress(&vec![0; 1 << 28], 3).unwrap(),
    ]
    .concat();
    let sealed = hand.seal(&bomb);
    assert_eq!(hand.refused(sealed).await, Refusal::Unreadable);
    let stranger = SecretKey::generate().unwrap();
    let unopened = stranger.seal(Purpose::Exchange, hand.at_ms, &bomb);
    assert_eq!(
        hand.refused(unopened).await,
        Refusal::UnknownKey,
        "it is never unpacked"
    );
    let sound = hand.seal(&message(&request()));
    for n in [0, 3, 4, 5, 40, 44, 45, 100, 109, sound.len() - 1] {
        let refusal = hand.refused(sound[..n].to_vec()).await;
        assert!(
            matches!(refusal, Refusal::Unreadable | Refusal::Forged),
            "cut at {n}: {refusal:?}"
        );
    }
    let mut dice = Dice(5);
    for _ in 0..200 {
        let mut random: Vec<u8> = (0..dice.roll(400))
            .map(|_| u8::try_from(dice.roll(256)).unwrap())
            .collect();
        if dice.roll(2) == 0 {
            hand.at_ms += dice.small(50);
            random = hand.seal(&random);
        }
        let refusal = hand.refused(random).await;
        assert!(
            matches!(refusal, Refusal::Unreadable | Refusal::Forged),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn hostile_cells_are_set_aside_and_leave_the_tables_as_they_were() {
    let text = |n: usize| Value::Text("x".repeat(n));
    let cells = |cells: Vec<Cell>| Row { cells, ..row() };
    let keys = |key: Vec<Value>| Row { key, ..row() };
    let named = |edits| cells(vec![cell("name", text(1), edits)]);
    let hostile = [
        keys(vec![]),
        keys(vec![Value::Null]),
        keys(vec![Value::Integer(1)]),
        keys(vec![Value::Blob(vec![1]), Value::Blob(vec![1])]),
        keys(vec![Value::Blob(vec![1; 300])]),
        Row { life: 0, ..row() },
        Row { life: -1, ..row() },
        Row {
            life: i64::MAX,
            ..row()
        },
        Row {
            life: 2,
            turned: true,
            ..row()
        },
        cells(vec![]),
        named(-1),
        named(i64::MIN),
        named(i64::MAX),
        cells(vec![cell("weight_g", text(1), 1)]),
        cells(vec![cell("name", Value::Null, i64::MAX)]),
        cells(vec![cell("at", Value::Real(f64::NAN), 1)]),
        cells(vec![cell("name", text(1 << 20), 1)]),
        cells(vec![cell("", text(1), 1)]),
        Row {
            table: String::new(),
            ..row()
        },
    ];
    let mut hand = Hand::new().await;
    let before = hand.running.hub.file.look(|farm| farm.rows(TABLES));
    let mut from = Mark::default();
    for (n, bad) in (1..).zip(hostile) {
        let part = Part::Records(span(from, bad.clone()));
        let answer = hand.answered(&[part]).await;
        from = answer.have[0].mark;
        assert_eq!(
            from.upto, n,
            "{bad:?}: it is acknowledged, so that it blocks nothing"
        );
        let (rows, aside) = hand
            .running
            .hub
            .file
            .look(|farm| (farm.rows(TABLES), held::aside(&farm.conn).unwrap()));
        assert_eq!(rows, before, "{bad:?}");
        assert_eq!(aside.len() as i64, n, "{bad:?}");
        assert!(!aside.last().unwrap().2.reason.is_empty());
    }
    let answer = hand.answered(&[Part::Records(span(from, row()))]).await;
    assert_eq!(answer.refused, []);
    let names = hand.running.hub.file.look(|farm| farm.names());
    assert_eq!(
        names,
        ["Lali", "Kali"],
        "and what is sound after it comes in"
    );
}

#[tokio::test]
async fn parts_that_contradict_themselves_or_speak_for_others_are_refused_each_for_itself() {
    let mut hand = Hand::new().await;
    let hub = hand.running.hub.file.site();
    let other = Site([9; 16]);
    let run = |site: Site, from: Mark| {
        Part::Facts(Run {
            log: "milking".to_owned(),
            site,
            from,
            columns: vec!["animal".to_owned()],
            rows: vec![vec![Value::Blob(vec![1; 16])]],
        })
    };
    let at = |upto| Mark {
        upto,
        ..Mark::default()
    };
    let backwards = Span {
        to: 0,
        ..span(Mark::default(), row())
    };
    let endless = Span {
        to: i64::MAX,
        ..span(Mark::default(), row())
    };
    let bad = [
        (run(hub, Mark::default()), Refused::OurOwn),
        (run(other, Mark::default()), Refused::NotTheSenders),
        (run(SITE, at(-5)), Refused::Disorder),
        (run(SITE, at(i64::MAX)), Refused::Disorder),
        (
            Part::Records(Span {
                site: other,
                ..span(Mark::default(), row())
            }),
            Refused::NotTheSenders,
        ),
        (Part::Records(backwards), Refused::Disorder),
        (Part::Records(endless), Refused::Disorder),
    ];
    let known = hand.answered(&[]).await;
    assert_eq!(known.refused, []);
    let before = hand.running.hub.file.look(|farm| farm.rows(TABLES));
    for (part, refused) in bad {
        let answer = hand.answered(std::slice::from_ref(&part)).await;
        assert_eq!(answer.refused, [(part.stream().name, refused)], "{part:?}");
        assert!(answer.have.is_empty(), "{part:?}");
        assert_eq!(hand.running.hub.file.look(|farm| farm.rows(TABLES)), before);
    }
    let mixed = [run(other, Mark::default()), run(SITE, Mark::default())];
    let answer = hand.answered(&mixed).await;
    assert_eq!((answer.refused.len(), answer.have[0].mark.upto), (1, 1));
}

impl Hand {
    /// A request that has nothing to fetch, and waits.
    async fn waiting(&mut self) -> Vec<u8> {
        let body = self.seal(&message(&request()));
        let answer = self.running.client.exchange(body, PATIENCE).await;
        let answer = answer.expect("the hub answers");
        let (_, parts) = wire::decode::<Reply>(&answer).expect("it is a reply");
        let end = |part: &Part| match part {
            Part::Records(span) => span.end(),
            Part::Facts(run) => run.end(),
        };
        let have = parts.iter().map(|part| Have {
            stream: part.stream(),
            mark: end(part).expect("it is small"),
        });
        let waits = Request {
            have: have.collect(),
            wait_s: 240,
            ..request()
        };
        self.seal(&message(&waits))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_key_one_request_waits() {
    let mut hand = Hand::new().await;
    let first = hand.waiting().await;
    let second = hand.waiting().await;
    let client = hand.running.client.clone();
    let begun = tokio::spawn(async move { client.exchange(first, PATIENCE).await });
    let client = hand.running.client.clone();
    let newer = tokio::spawn(async move { client.exchange(second, PATIENCE).await });
    // Whichever came first: one of them ends at once, by its own time or by the other's arrival.
    tokio::select! {
        answer = begun => drop(answer.unwrap().unwrap()),
        answer = newer => drop(answer.unwrap().unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_ends_keeps_nobody_waiting() {
    let mut hand = Hand::new().await;
    let waits = hand.waiting().await;
    let client = hand.running.client.clone();
    let waiting = tokio::spawn(async move { client.exchange(waits, PATIENCE).await });
    hand.running.hub.closing.cancel();
    let answer = waiting.await.unwrap().unwrap();
    let (reply, parts) = wire::decode::<Reply>(&answer).unwrap();
    assert!(matches!(reply, Reply::Answer(_)) && parts.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_is_told_nothing_that_comes_after_its_key_was_revoked() {
    let mut hand = Hand::new().await;
    let waits = hand.waiting().await;
    let client = hand.running.client.clone();
    let waiting = tokio::spawn(async move { client.exchange(waits, PATIENCE).await });
    let hub = &hand.running.hub;
    hub.file.until_awaited().await;
    for holder in hub.holders.lock().unwrap().values_mut() {
        holder.revoked = true;
    }
    hub.file.write(|farm| farm.animal(2, "Kali"));
    let answer = waiting.await.unwrap().unwrap();
    let (reply, parts) = wire::decode::<Reply>(&answer).unwrap();
    assert!(matches!(reply, Reply::Answer(_)), "{reply:?}");
    assert_eq!(parts, []);
}
