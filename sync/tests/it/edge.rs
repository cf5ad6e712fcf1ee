//! The edge's machine against a hub that a test plays by hand.

use sync::{
    Refused, Site, exchange,
    keys::{self, Purpose, SecretKey},
    marks::RECORDS,
    peer::{Command, Edge, Input, Lane, LineFault, Manner, Pace, Trouble},
    store::Fault,
    wire::{self, Answer, Directive, PROTOCOL, Part, Refusal, Reply, Request, WireError},
};

use crate::farm::Farm;

const HUB: Site = Site([9; 16]);

/// An edge, its file, and the requests that are under way.
struct Played {
    file: Farm,
    edge: Edge,
    now_ms: i64,
    sent: Vec<(Lane, Vec<u8>)>,
    rotations: usize,
}

impl Played {
    fn new(manner: Manner) -> Self {
        let mut played = Self {
            file: Farm::new(),
            edge: Edge::new(SecretKey::from_seed([1; 32]), manner, 0, 5),
            now_ms: 0,
            sent: Vec::new(),
            rotations: 0,
        };
        played.hear(Input::Time);
        played
    }

    /// Hands something in; turns are done at once.
    fn hear(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for command in self.edge.handle(self.now_ms, input) {
                match command {
                    Command::Turn(turn) => {
                        let schema = &self.file.schema;
                        let turned = self
                            .file
                            .attempt(|conn| exchange::turn(conn, schema, &turn));
                        inputs.push(Input::Turned(turned.map_err(Fault::from)));
                    }
                    Command::Send { lane, body, .. } => self.sent.push((lane, body)),
                    Command::Clock(_) => {}
                    Command::RotateKey => self.rotations += 1,
                }
            }
        }
    }

    /// The one request that is under way, as the hub reads it.
    fn request(&self) -> (Lane, Request, Vec<Part>) {
        assert_eq!(self.sent.len(), 1, "one is under way");
        let (lane, body) = &self.sent[0];
        let opened = keys::open(Purpose::Exchange, body).expect("it is sealed");
        let (request, parts) = wire::decode(opened.message).expect("it is whole");
        (*lane, request, parts)
    }

    /// Answers it after so long.
    fn answer(&mut self, after_ms: i64, reply: &Reply) {
        self.answer_with(after_ms, wire::encode(reply, &[]).expect("it is small"));
    }

    fn answer_with(&mut self, after_ms: i64, body: Vec<u8>) {
        let (lane, _) = self.sent.remove(0);
        self.now_ms += after_ms;
        self.hear(Input::Replied(lane, body));
    }

    /// Lets time pass until the edge acts by itself.
    fn wait(&mut self) -> i64 {
        let began_ms = self.now_ms;
        self.now_ms = self.now_ms.max(self.edge.wake_ms().expect("it wakes"));
        self.hear(Input::Time);
        self.now_ms - began_ms
    }

    fn trouble(&self) -> Option<Trouble> {
        self.edge.status().trouble
    }
}

fn answer() -> Answer {
    Answer {
        protocol: PROTOCOL,
        schema: 0,
        epoch: 0,
        site: HUB,
        have: Vec::new(),
        refused: Vec::new(),
        now_ms: 0,
        more: false,
        again_s: 1,
        directives: Vec::new(),
    }
}

fn sound() -> Reply {
    Reply::Answer(answer())
}

#[test]
fn it_greets_catches_up_and_then_listens() {
    let mut played = Played::new(Manner::Stay { wait_s: 55 });
    let (lane, hello, parts) = played.request();
    assert_eq!((lane, hello.wait_s, parts.len()), (Lane::Talk, 0, 0));
    assert_eq!((hello.site, hello.protocol), (played.file.site, PROTOCOL));
    played.answer(100, &sound());
    let (lane, request, _) = played.request();
    assert_eq!((lane, request.wait_s), (Lane::Listen, 55));
    assert!(played.edge.status().current);
    played.file.animal(1, "Lali");
    played.hear(Input::News);
    played.wait();
    assert_eq!(played.sent.len(), 2, "it speaks while it listens");
    played.sent.remove(0);
    let (lane, request, parts) = played.request();
    assert_eq!((lane, request.room, parts.len()), (Lane::Talk, 0, 1));
}

#[test]
fn on_a_metered_line_it_only_visits() {
    let mut played = Played::new(Manner::Visit { every_s: 600 });
    played.answer(100, &sound());
    assert!(played.sent.is_empty(), "nothing waits at the hub");
    played.file.animal(1, "Lali");
    played.hear(Input::News);
    assert!(played.sent.is_empty(), "news wait for the next visit");
    let rested_ms = played.wait();
    assert!((540_000..=600_000).contains(&rested_ms), "{rested_ms} ms");
    assert_eq!(played.request().2.len(), 1);
}

#[test]
fn each_refusal_is_told_and_tried_again() {
    let rare = [
        Refusal::UnknownKey,
        Refusal::Revoked,
        Refusal::NotYourSite,
        Refusal::Epoch { ours: 3 },
        Refusal::TooManySites,
        Refusal::HubRestored,
        Refusal::Gone,
        Refusal::Protocol { least: 7, most: 9 },
    ];
    let longest_ms = i64::try_from(Pace::LONGEST_WAIT.as_millis()).expect("it is short");
    for refusal in rare {
        let mut played = Played::new(Manner::default());
        played.answer(100, &Reply::Refused(refusal));
        assert_eq!(played.trouble(), Some(Trouble::Refused(refusal)));
        let rested_ms = played.wait();
        assert!(
            (longest_ms / 2..=longest_ms).contains(&rested_ms),
            "{refusal:?}: {rested_ms} ms"
        );
        played.answer(100, &sound());
        assert_eq!(played.trouble(), None);
    }
    let soon = [
        Refusal::Unreadable,
        Refusal::TooLarge,
        Refusal::Forged,
        Refusal::Busy { again_s: 30 },
    ];
    for refusal in soon {
        let mut played = Played::new(Manner::default());
        played.answer(100, &Reply::Refused(refusal));
        assert_eq!(played.trouble(), Some(Trouble::Refused(refusal)));
        assert!(played.wait() <= 32_000);
        assert!(!played.sent.is_empty());
    }
}

#[test]
fn it_signs_again_with_the_hubs_time() {
    let mut played = Played::new(Manner::default());
    let hub_ms = 1_800_000_000_000;
    played.answer(100, &Reply::Refused(Refusal::Stale { now_ms: hub_ms }));
    let opened_at = |played: &Played| {
        keys::open(Purpose::Exchange, &played.sent[0].1)
            .expect("it is sealed")
            .at_ms
    };
    assert_eq!(opened_at(&played), hub_ms, "at once, by the hub's clock");
    played.answer(
        100,
        &Reply::Refused(Refusal::Repeated {
            now_ms: hub_ms + 500,
        }),
    );
    assert_eq!(opened_at(&played), hub_ms + 500);
    played.answer(50, &Reply::Refused(Refusal::Stale { now_ms: 7 }));
    played.answer(50, &Reply::Refused(Refusal::Stale { now_ms: 9 }));
    assert!(
        played.sent.is_empty(),
        "a hub that never agrees is left alone for a while"
    );
    assert_eq!(
        played.trouble(),
        Some(Trouble::Refused(Refusal::Stale { now_ms: 9 }))
    );
}

#[test]
fn a_hub_that_gets_nowhere_is_not_asked_without_end() {
    let mut played = Played::new(Manner::default());
    let more = Reply::Answer(Answer {
        more: true,
        ..answer()
    });
    let asked = (0..20).take_while(|_| {
        if !played.sent.is_empty() {
            played.answer(100, &more);
        }
        played.trouble().is_none()
    });
    assert!(asked.count() < 5, "it has more and never gives it");
    assert_eq!(played.trouble(), Some(Trouble::Stuck));

    let mut played = Played::new(Manner::default());
    played.file.animal(1, "Lali");
    played.answer(100, &sound());
    let asked = (0..20).take_while(|_| {
        if !played.sent.is_empty() {
            played.answer(100, &sound());
        }
        played.trouble().is_none()
    });
    assert!(
        asked.count() < 5,
        "it says that all is well and keeps nothing"
    );
    assert_eq!(played.trouble(), Some(Trouble::Stuck));
}

#[test]
fn a_stream_that_the_hub_cannot_take_holds_up_no_other() {
    let mut played = Played::new(Manner::default());
    played.file.animal(1, "Lali");
    played.file.milk(1, 10);
    played.answer(100, &sound());
    assert_eq!(played.request().2.len(), 2);
    let full = vec![(RECORDS.to_owned(), Refused::HeldFull)];
    played.answer(
        100,
        &Reply::Answer(Answer {
            refused: full,
            ..answer()
        }),
    );
    let (_, request, parts) = played.request();
    assert!(matches!(&parts[..], [Part::Facts(run)] if run.log == "milking"));
    assert_eq!(request.skip.len(), 1);
    assert_eq!(played.edge.status().closed[0].1, Refused::HeldFull);
}

#[test]
fn strangers_and_silence_are_no_answer() {
    let mut played = Played::new(Manner::default());
    played.answer_with(100, b"<html>Please log in</html>".to_vec());
    assert_eq!(played.trouble(), Some(Trouble::Answer(WireError::Foreign)));
    played.wait();
    let (lane, _) = played.sent.remove(0);
    played.hear(Input::Failed(lane, LineFault::Down));
    assert_eq!(played.trouble(), Some(Trouble::Line(LineFault::Down)));
    played.wait();
    let newer = Answer {
        protocol: PROTOCOL + 1,
        ..answer()
    };
    played.answer(100, &Reply::Answer(newer));
    assert_eq!(
        played.trouble(),
        Some(Trouble::Protocol {
            protocol: PROTOCOL + 1
        })
    );
}

#[test]
fn another_key_is_asked_for_once_an_hour() {
    let mut played = Played::new(Manner::Visit { every_s: 60 });
    let asks = Reply::Answer(Answer {
        directives: vec![Directive::RotateKey],
        ..answer()
    });
    for _ in 0..30 {
        played.answer(100, &asks);
        played.wait();
    }
    assert_eq!(played.rotations, 1, "half an hour");
    for _ in 0..40 {
        played.answer(100, &asks);
        played.wait();
    }
    assert_eq!(played.rotations, 2);
}
