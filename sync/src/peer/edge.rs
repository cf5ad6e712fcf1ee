//! The edge's side: goes to the hub, again and again, for as long as the appliance runs.
//!
//! It has two lanes. On *talk* it pushes, and pulls until it has caught up. Then it leaves a request waiting at the hub on *listen*, which
//! brings the hub's news, while its own news go out on *talk* beside it. On a line where waiting costs money it only visits.
//!
//! It trusts no memory of the hub: what it pushes begins where the hub has just said that it stands. Whatever fails is tried again after a
//! rest that grows; nothing ends it, because a hub is mended, a key is enrolled again, and a line comes back.
//!
//! Invariant: at most one turn of the store and one request on each lane are under way.

mod terms;

use std::{collections::BTreeMap, time::Duration};

pub use terms::{ClockHint, Command, Input, Lane, LineFault, Manner, Status, Trouble};

use crate::{
    Outcome, Refused, Sender, Site,
    exchange::Speak,
    keys::{Purpose, SecretKey},
    peer::{PROTOCOLS, Pace, hub},
    store::{Delivery, Fault, Turn, Turned, Want},
    wire::{self, Answer, Directive, Have, PROTOCOL, Part, Refusal, Reply, Request, Stream},
};

/// Our own news go out after so long, so that a burst of commits is one request.
const LINGER_MS: i64 = 150;
/// A stream that one side cannot take is left alone for so long; a change of key is asked for no more often.
const CLOSED_MS: i64 = 60 * 60 * 1000;
/// The shortest wait at the hub: some lines are cut sooner than others.
const LEAST_WAIT_S: u16 = 20;
/// How long an exchange may take beside the bytes it carries.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slowest line that is worth waiting for, in bytes a second.
const SLOWEST: usize = 1_000;
/// How often in a row something may change nothing, before it is a failure.
const PATIENT_TIMES: u32 = 3;

/// A request under way.
#[derive(Debug)]
struct Sent {
    at_ms: i64,
    weight: usize,
    /// Where each pushed stream began.
    from: Vec<(String, i64)>,
}

/// The edge.
#[derive(Debug)]
pub struct Edge {
    key: SecretKey,
    manner: Manner,
    chance: u64,
    now_ms: i64,
    /// The hub's time for signatures less ours.
    offset_ms: i64,
    signed_ms: i64,
    hub: Option<Site>,
    epoch: Option<u32>,
    /// What the hub holds of us, as it last said.
    marks: Vec<Have>,
    /// What the store last said.
    known: Option<Turned>,
    turning: bool,
    talk: Option<Sent>,
    listen: Option<Sent>,
    came: Vec<Delivery>,
    /// Since when there may be something to push.
    news_ms: Option<i64>,
    /// Whether the hub may have more.
    behind: bool,
    pace: Pace,
    wait_s: u16,
    rest_until_ms: i64,
    signed_again: u32,
    fruitless: u32,
    rotate_ms: Option<i64>,
    again_s: u32,
    closed: BTreeMap<Stream, (Refused, i64)>,
    heard_ms: Option<i64>,
    trouble: Option<Trouble>,
}

impl Edge {
    /// Begins. `now_ms` is this machine's idea of the time; every later one must come from a clock that began there and never jumps. `seed` is
    /// random: edges with the same one would rest in step.
    pub fn new(key: SecretKey, manner: Manner, now_ms: i64, seed: u64) -> Self {
        Self {
            key,
            manner,
            chance: seed,
            now_ms,
            offset_ms: 0,
            signed_ms: 0,
            hub: None,
            epoch: None,
            marks: Vec::new(),
            known: None,
            turning: false,
            talk: None,
            listen: None,
            came: Vec::new(),
            news_ms: None,
            behind: true,
            pace: Pace::default(),
            wait_s: match manner {
                Manner::Stay { wait_s } => wait_s.max(1),
                Manner::Visit { .. } => 0,
            },
            rest_until_ms: now_ms,
            signed_again: 0,
            fruitless: 0,
            rotate_ms: None,
            again_s: 0,
            closed: BTreeMap::new(),
            heard_ms: None,
            trouble: None,
        }
    }

    /// Signs with another key from now on, and tries again at once: after an enrolment or a rotation.
    pub fn use_key(&mut self, key: SecretKey) {
        self.key = key;
        self.rest_until_ms = self.now_ms;
    }

    /// Seals the wish to sign with `next` from now on, to be sent to the hub.
    pub fn seal_rotation(&mut self, now_ms: i64, next: &SecretKey) -> Vec<u8> {
        self.now_ms = self.now_ms.max(now_ms);
        let rotation = next.follow(self.key.public());
        let message = wire::encode(&rotation, &[]).expect("a key and a signature are small");
        self.seal(Purpose::Rotate, &message)
    }

    /// No two requests of a key have the same time.
    fn seal(&mut self, purpose: Purpose, message: &[u8]) -> Vec<u8> {
        let hub_ms = self.now_ms.saturating_add(self.offset_ms);
        self.signed_ms = hub_ms.max(self.signed_ms.saturating_add(1));
        self.key.seal(purpose, self.signed_ms, message)
    }

    /// The key that signs.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Tries again at once, whatever rest was due: a person asked for it, or the network came up.
    pub fn hurry(&mut self) {
        self.rest_until_ms = self.now_ms;
        self.behind = true;
    }

    /// When [`Input::Time`] is due, if nothing else happens before; `None` when only something else can happen.
    pub fn wake_ms(&self) -> Option<i64> {
        if self.turning || self.talk.is_some() {
            return None;
        }
        let news = self
            .news_ms
            .filter(|_| self.listen.is_some())
            .map(|at| at + LINGER_MS);
        match (news, self.listen.is_some()) {
            (None, true) => None,
            (Some(at), true) => Some(at.max(self.rest_until_ms)),
            (_, false) => Some(self.rest_until_ms),
        }
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let heads = self.known.as_ref().map_or(&[][..], |known| &known.heads);
        Status {
            heard_ms: self.heard_ms,
            waiting: hub::waiting(heads, &self.marks),
            current: !self.behind && self.trouble.is_none(),
            trouble: self.trouble,
            again_ms: self.rest_until_ms,
            closed: self
                .closed
                .iter()
                .map(|(stream, (refused, _))| (stream.clone(), *refused))
                .collect(),
        }
    }

    /// Takes in what happened and says what to do. A clock that went back is taken to stand.
    pub fn handle(&mut self, now_ms: i64, input: Input) -> Vec<Command> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut commands = Vec::new();
        match input {
            Input::Time => {}
            Input::News => {
                self.news_ms.get_or_insert(self.now_ms);
            }
            Input::Turned(turned) => self.turned(turned, &mut commands),
            Input::Replied(lane, body) => self.replied(lane, &body, &mut commands),
            Input::Failed(lane, fault) => {
                self.lane(lane).take();
                self.rest(Trouble::Line(fault));
                if lane == Lane::Listen {
                    self.wait_s = (self.wait_s / 2).max(LEAST_WAIT_S);
                }
            }
        }
        self.go_on(&mut commands);
        commands
    }

    fn lane(&mut self, lane: Lane) -> &mut Option<Sent> {
        match lane {
            Lane::Talk => &mut self.talk,
            Lane::Listen => &mut self.listen,
        }
    }

    fn go_on(&mut self, commands: &mut Vec<Command>) {
        if self.turning {
            return;
        }
        if !self.came.is_empty() {
            let delivery = self.came.remove(0);
            return self.ask_store(Some(delivery), commands);
        }
        if self.now_ms < self.rest_until_ms || self.talk.is_some() {
            return;
        }
        if let Manner::Visit { .. } = self.manner {
            self.behind = true;
        }
        let news_are_due = self.news_ms.is_some_and(|at| self.now_ms >= at + LINGER_MS);
        if self.listen.is_none() && self.behind || news_are_due {
            self.ask_store(None, commands);
        } else if self.listen.is_none() {
            self.send(Lane::Listen, &[], 0, commands);
        }
    }

    fn ask_store(&mut self, take: Option<Delivery>, commands: &mut Vec<Command>) {
        self.closed.retain(|_, (_, until)| *until > self.now_ms);
        let give = self.hub.filter(|_| self.talk.is_none()).map(|hub| Want {
            peer: hub,
            speak: Speak::ForItself,
            have: self.marks.clone(),
            skip: self.closed.keys().cloned().collect(),
            room: self.pace.room(),
        });
        if give.is_some() {
            self.news_ms = None;
        }
        self.turning = true;
        commands.push(Command::Turn(Turn {
            epoch: take.as_ref().and(self.epoch),
            take,
            give,
        }));
    }

    fn turned(&mut self, turned: Result<Turned, Fault>, commands: &mut Vec<Command>) {
        self.turning = false;
        let mut turned = match turned {
            Ok(turned) => turned,
            Err(fault) => {
                return self.rest(match fault {
                    Fault::Copied(copied) => Trouble::Copied(copied),
                    Fault::Epoch { .. } => Trouble::Epoch,
                    Fault::Refused(_) | Fault::Failed(_) => Trouble::Store,
                });
            }
        };
        let mut fruit = turned.verdicts.is_empty();
        for verdict in &turned.verdicts {
            fruit |= match verdict.outcome {
                Ok(Outcome::Taken(_)) => true,
                Ok(Outcome::Known | Outcome::OutOfStep { .. }) => false,
                Err(refused) => self.close(verdict.stream.clone(), refused),
            };
        }
        let gathered = std::mem::take(&mut turned.gathered);
        if !turned.verdicts.is_empty() {
            self.judge_progress(fruit);
        }
        self.known = Some(turned);
        let nothing_to_push = gathered.parts.is_empty();
        if self.now_ms < self.rest_until_ms || self.talk.is_some() {
            if !nothing_to_push {
                self.news_ms = Some(self.now_ms);
            }
        } else if !nothing_to_push || self.behind && self.listen.is_none() {
            self.send(Lane::Talk, &gathered.parts, gathered.weight, commands);
        } else if let Manner::Visit { every_s } = self.manner {
            let every = i64::from(every_s.max(self.again_s)) * 1000;
            let early = i64::from(self.roll() % 1_000) * every / 10_000;
            self.rest_until_ms = self.now_ms + every - early;
        }
    }

    fn send(&mut self, lane: Lane, parts: &[Part], weight: usize, commands: &mut Vec<Command>) {
        let Some(known) = &self.known else { return };
        // What the hub has is brought by the listening request, if there is one.
        let room = if lane == Lane::Talk && self.listen.is_some() {
            0
        } else {
            u32::try_from(self.pace.room()).unwrap_or(u32::MAX)
        };
        let request = Request {
            protocol: PROTOCOL,
            schema: known.me.schema,
            epoch: known.me.epoch,
            site: known.me.site,
            heads: known.heads.clone(),
            have: known.holdings.clone(),
            skip: self.closed.keys().cloned().collect(),
            wait_s: if lane == Lane::Listen { self.wait_s } else { 0 },
            room,
        };
        let (message, sent) = match wire::encode_some(&request, parts) {
            Ok(packed) => packed,
            Err(error) => return self.rest(Trouble::Answer(error)),
        };
        let mut from = Vec::new();
        for part in &parts[..sent] {
            from.push((part.stream().name, part.from().upto));
        }
        if sent < parts.len() {
            self.news_ms = Some(self.now_ms);
            if sent == 0 {
                let stream = parts[0].stream();
                self.trouble = Some(Trouble::TooLarge { site: stream.site });
                self.close(stream, Refused::TooLarge);
            }
        }
        let body = self.seal(Purpose::Exchange, &message);
        let bytes = body.len() + usize::try_from(room).unwrap_or(0) / 2;
        let slowest = Duration::from_secs((bytes / SLOWEST) as u64);
        let wait = Duration::from_secs(u64::from(request.wait_s));
        *self.lane(lane) = Some(Sent {
            at_ms: self.now_ms,
            weight,
            from,
        });
        commands.push(Command::Send {
            lane,
            body,
            patience: PATIENCE + wait + slowest,
        });
    }

    fn replied(&mut self, lane: Lane, body: &[u8], commands: &mut Vec<Command>) {
        let Some(sent) = self.lane(lane).take() else {
            return;
        };
        match wire::decode::<Reply>(body) {
            Err(error) => self.rest(Trouble::Answer(error)),
            Ok((Reply::Refused(refusal), _)) => self.refused(refusal),
            Ok((Reply::Answer(answer), parts)) => {
                if !PROTOCOLS.contains(&answer.protocol) {
                    return self.rest(Trouble::Protocol {
                        protocol: answer.protocol,
                    });
                }
                self.answered(lane, &sent, answer, parts, commands);
            }
        }
    }

    fn answered(
        &mut self,
        lane: Lane,
        sent: &Sent,
        answer: Answer,
        parts: Vec<Part>,
        commands: &mut Vec<Command>,
    ) {
        self.heard_ms = Some(self.now_ms);
        self.trouble = None;
        self.signed_again = 0;
        self.hub = Some(answer.site);
        self.epoch = Some(answer.epoch);
        match lane {
            Lane::Talk => self.talked(sent, &answer, &parts, commands),
            Lane::Listen => self.listened(sent, &answer, &parts),
        }
        // A listening request may have been answered before a talk that came in first.
        if lane == Lane::Talk || self.talk.is_none() {
            self.marks = answer.have;
        }
        let asked = self
            .rotate_ms
            .is_some_and(|at| self.now_ms < at + CLOSED_MS);
        if answer.directives.contains(&Directive::RotateKey) && !asked {
            self.rotate_ms = Some(self.now_ms);
            commands.push(Command::RotateKey);
        }
        self.came.push(Delivery {
            sender: Sender::Hub(answer.site),
            parts,
        });
        self.again_s = answer.again_s;
    }

    /// What only a talk tells: how fast the line is, what time it is, and whether what was pushed got anywhere.
    fn talked(
        &mut self,
        sent: &Sent,
        answer: &Answer,
        parts: &[Part],
        commands: &mut Vec<Command>,
    ) {
        let took_ms = (self.now_ms - sent.at_ms).max(0);
        let carried = sent.weight + parts.iter().map(Part::weight).sum::<usize>();
        self.pace
            .came_through(carried, Duration::from_millis(took_ms.unsigned_abs()));
        commands.push(Command::Clock(ClockHint {
            now_ms: answer.now_ms.saturating_add(took_ms / 2),
            within_ms: took_ms / 2 + 1,
        }));
        if self.listen.is_none() {
            self.behind = answer.more;
        }
        let mut fruit = false;
        for (name, refused) in &answer.refused {
            let site = self.known.as_ref().map(|known| known.me.site);
            fruit |= site.is_some_and(|site| {
                let name = name.clone();
                self.close(Stream { site, name }, *refused)
            });
        }
        let moved = |(name, from): &(String, i64)| {
            let held = answer.have.iter().find(|have| have.stream.name == *name);
            held.is_some_and(|have| have.mark.upto > *from)
        };
        if !sent.from.is_empty() {
            self.judge_progress(fruit || sent.from.iter().any(moved));
        } else if self.behind && parts.is_empty() {
            self.judge_progress(false);
        }
    }

    /// What only a listening request tells: whether the line bears so long a wait.
    fn listened(&mut self, sent: &Sent, answer: &Answer, parts: &[Part]) {
        self.behind = answer.more;
        let waited_ms = self.now_ms - sent.at_ms;
        if parts.is_empty() && waited_ms < i64::from(self.wait_s) * 500 {
            self.judge_progress(false);
        } else if let Manner::Stay { wait_s } = self.manner {
            self.wait_s = (self.wait_s + 5).min(wait_s.max(1));
        }
    }

    fn judge_progress(&mut self, fruit: bool) {
        if fruit {
            self.fruitless = 0;
            return;
        }
        self.fruitless += 1;
        if self.fruitless >= PATIENT_TIMES {
            self.rest(Trouble::Stuck);
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Stale { now_ms } | Refusal::Repeated { now_ms }
                if self.signed_again < PATIENT_TIMES =>
            {
                self.signed_again += 1;
                self.offset_ms = now_ms.saturating_sub(self.now_ms);
                // The hub's time counts, even when it is before what was signed by a clock that ran ahead.
                self.signed_ms = now_ms.saturating_sub(1);
                self.behind = true;
                self.news_ms.get_or_insert(self.now_ms);
            }
            refusal => self.rest(Trouble::Refused(refusal)),
        }
    }

    /// Something failed: rests for a while that grows. What only a person can mend is tried rarely from the start.
    fn rest(&mut self, trouble: Trouble) {
        let chance = self.roll();
        let wait = match trouble {
            Trouble::Refused(Refusal::Busy { again_s }) => {
                let again = Duration::from_secs(u64::from(again_s)).min(Pace::LONGEST_WAIT);
                again + self.pace.failed(chance)
            }
            Trouble::Line(_)
            | Trouble::Answer(_)
            | Trouble::Store
            | Trouble::Stuck
            | Trouble::TooLarge { .. }
            | Trouble::Refused(
                Refusal::Unreadable
                | Refusal::TooLarge
                | Refusal::Forged
                | Refusal::Stale { .. }
                | Refusal::Repeated { .. },
            ) => self.pace.failed(chance),
            Trouble::Refused(_)
            | Trouble::Protocol { .. }
            | Trouble::Epoch
            | Trouble::Copied(_) => {
                Pace::LONGEST_WAIT.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX) / 2.0)
            }
        };
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.rest_until_ms = self.rest_until_ms.max(self.now_ms.saturating_add(wait_ms));
        self.behind = true;
        self.news_ms.get_or_insert(self.now_ms);
        self.fruitless = 0;
        self.signed_again = 0;
        self.trouble = Some(trouble);
    }

    /// Leaves a stream alone for a while; whether it was open.
    fn close(&mut self, stream: Stream, refused: Refused) -> bool {
        self.closed
            .insert(stream, (refused, self.now_ms + CLOSED_MS))
            .is_none()
    }

    /// SplitMix64 (Steele, Lea and Flood 2014): enough to spread rests.
    fn roll(&mut self) -> u32 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX)
    }
}
