//! The world of a simulation: time, a line, a hub, edges, and what befalls them.

use std::collections::BTreeMap;

use sync::{
    Outcome,
    farms::Holder,
    keys::{self, PublicKey, Purpose, SecretKey},
    peer::{
        self, Command, Doorkeeper, Edge, Input, Lane, LineFault, Manner, Next, Served, Serving,
        Trouble,
    },
    store::{Fault, Turn, Turned},
    wire::{self, Refusal, Reply},
};

use super::{
    Replica,
    check::{Checker, check_same},
};
use crate::dice::Dice;

/// The hub's time when the world begins.
const HUB_MS: i64 = 1_700_000_000_000;
const MOST_EDGES: usize = 6;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// In so much time, once the line is sound, all must be the same: longer than any rest.
const SETTLES_MS: i64 = HOUR_MS;

/// Which request of which life of which edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    edge: usize,
    life: u64,
    lane: Lane,
    request: u64,
}

enum Event {
    Wake {
        edge: usize,
        life: u64,
    },
    Turned {
        edge: usize,
        life: u64,
        turned: Result<Turned, Fault>,
    },
    Request(Ticket, Vec<u8>),
    Reply(Ticket, Vec<u8>),
    Failed(Ticket, LineFault),
    VisitOver(u64),
    Outside,
}

struct HubSide<R> {
    file: R,
    door: Doorkeeper,
    holders: BTreeMap<PublicKey, Holder<()>>,
    visits: BTreeMap<u64, (Ticket, Serving)>,
}

struct EdgeSide<R> {
    file: R,
    machine: Edge,
    seed: [u8; 32],
    life: u64,
    skew_ms: i64,
    open: BTreeMap<Lane, u64>,
    backup: Option<R>,
    cut_until_ms: i64,
    wakes_ms: Option<i64>,
}

pub(super) struct World<R> {
    dice: Dice,
    now_ms: i64,
    queue: BTreeMap<(i64, u64), Event>,
    serial: u64,
    hub: HubSide<R>,
    edges: Vec<EdgeSide<R>>,
    checker: Checker,
    calm: bool,
    requests: u64,
    refusals: BTreeMap<String, u64>,
    copies: u64,
}

impl<R: Replica> World<R> {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let hub = HubSide {
            file: R::new(&mut dice),
            door: Doorkeeper::new(HUB_MS),
            holders: BTreeMap::new(),
            visits: BTreeMap::new(),
        };
        let mut world = Self {
            dice,
            now_ms: 0,
            queue: BTreeMap::new(),
            serial: 0,
            hub,
            edges: Vec::new(),
            checker: Checker::default(),
            calm: false,
            requests: 0,
            refusals: BTreeMap::new(),
            copies: 0,
        };
        for edge in 0..1 + world.dice.roll(4) {
            let joined = world.join();
            world.edges.push(joined);
            world.restart(edge);
        }
        world.plan(0, Event::Outside);
        world
    }

    /// A new site with a key of its own.
    fn join(&mut self) -> EdgeSide<R> {
        let file = R::new(&mut self.dice);
        let mut seed = [0; 32];
        seed.fill_with(|| u8::try_from(self.dice.roll(256)).expect("a byte"));
        let holder = Holder {
            farm: (),
            site: file.site(),
            revoked: false,
            rotate: false,
        };
        let key = SecretKey::from_seed(seed);
        self.hub.holders.insert(key.public(), holder);
        EdgeSide {
            file,
            machine: Edge::new(key, Manner::default(), self.now_ms, 0),
            seed,
            life: 0,
            skew_ms: 0,
            open: BTreeMap::new(),
            backup: None,
            cut_until_ms: 0,
            wakes_ms: None,
        }
    }

    fn plan(&mut self, in_ms: i64, event: Event) {
        self.serial += 1;
        self.queue.insert((self.now_ms + in_ms, self.serial), event);
    }

    fn hub_ms(&self) -> i64 {
        HUB_MS + self.now_ms
    }

    pub(super) fn live(&mut self, steps: u64) {
        for step in 1..=steps {
            self.step();
            if step % 5_000 == 0 {
                self.check();
            }
        }
        self.check();
    }

    fn check(&mut self) {
        self.checker.check_hub(&self.hub.file);
        for edge in &self.edges {
            self.checker.check_replica(&edge.file);
        }
    }

    fn step(&mut self) {
        let ((at, _), event) = self.queue.pop_first().expect("an edge always wakes again");
        self.now_ms = at;
        match event {
            Event::Wake { edge, life } => {
                // A later plan may have taken its place.
                if self.edges[edge].wakes_ms == Some(at) {
                    self.edges[edge].wakes_ms = None;
                    self.tell(edge, life, Input::Time);
                }
            }
            Event::Turned { edge, life, turned } => self.tell(edge, life, Input::Turned(turned)),
            Event::Request(ticket, body) => self.arrive(ticket, &body),
            Event::Reply(ticket, body) => {
                if self.closes(ticket) {
                    self.hear(ticket, &body);
                    self.tell(ticket.edge, ticket.life, Input::Replied(ticket.lane, body));
                }
            }
            Event::Failed(ticket, fault) => {
                if self.closes(ticket) {
                    self.tell(ticket.edge, ticket.life, Input::Failed(ticket.lane, fault));
                }
            }
            Event::VisitOver(request) => {
                if let Some((ticket, serving)) = self.hub.visits.remove(&request) {
                    let turn = serving.again();
                    self.serve(ticket, serving, &turn);
                }
            }
            Event::Outside => self.befall(),
        }
    }

    /// Whether the edge still waits for this one.
    fn closes(&mut self, ticket: Ticket) -> bool {
        let edge = &mut self.edges[ticket.edge];
        let waits =
            edge.life == ticket.life && edge.open.get(&ticket.lane) == Some(&ticket.request);
        if waits {
            edge.open.remove(&ticket.lane);
        }
        waits
    }

    /// What the hub says that it holds, it holds.
    fn hear(&mut self, ticket: Ticket, body: &[u8]) {
        match wire::decode::<Reply>(body) {
            Ok((Reply::Answer(answer), _)) => {
                for have in answer.have {
                    assert_eq!(have.stream.site, self.edges[ticket.edge].file.site());
                    self.checker
                        .acknowledged(&self.hub.file, &have.stream, have.mark.upto);
                }
            }
            Ok((Reply::Refused(refusal), _)) => {
                let kind = format!("{refusal:?}");
                let kind = kind.split(' ').next().unwrap_or_default().to_owned();
                *self.refusals.entry(kind).or_default() += 1;
            }
            Err(_) => {}
        }
    }

    fn tell(&mut self, n: usize, life: u64, input: Input) {
        let edge = &mut self.edges[n];
        if edge.life != life {
            return;
        }
        let commands = edge.machine.handle(self.now_ms + edge.skew_ms, input);
        for command in commands {
            self.obey(n, command);
        }
        let edge = &self.edges[n];
        if matches!(edge.machine.status().trouble, Some(Trouble::Copied(_))) {
            return self.replace(n);
        }
        let wake_ms = edge.machine.wake_ms();
        let wake_ms = wake_ms.map(|at| (at - edge.skew_ms).max(self.now_ms + 1));
        if let Some(at) = wake_ms.filter(|_| wake_ms != edge.wakes_ms) {
            self.plan(at - self.now_ms, Event::Wake { edge: n, life });
        }
        self.edges[n].wakes_ms = wake_ms;
    }

    fn obey(&mut self, n: usize, command: Command) {
        let edge = &mut self.edges[n];
        let life = edge.life;
        match command {
            Command::Turn(turn) => {
                let turned = edge.file.turn(&turn);
                let in_ms = 1 + self.dice.small(20);
                self.plan(
                    in_ms,
                    Event::Turned {
                        edge: n,
                        life,
                        turned,
                    },
                );
            }
            Command::Send {
                lane,
                body,
                patience,
            } => {
                self.requests += 1;
                let ticket = Ticket {
                    edge: n,
                    life,
                    lane,
                    request: self.requests,
                };
                assert!(
                    edge.open.insert(lane, ticket.request).is_none(),
                    "one request on each lane"
                );
                let patience_ms = i64::try_from(patience.as_millis()).expect("it is short");
                self.plan(patience_ms, Event::Failed(ticket, LineFault::Slow));
                self.carry(ticket, body, Event::Request);
            }
            Command::Clock(hint) => {
                let wrong_ms = hint.now_ms.abs_diff(HUB_MS + self.now_ms);
                assert!(wrong_ms <= hint.within_ms.unsigned_abs(), "{hint:?}");
            }
            Command::RotateKey => self.rotate(n),
        }
    }

    /// The line: what it is given arrives late, never, twice, torn, altered or as somebody else's page.
    fn carry(&mut self, ticket: Ticket, mut body: Vec<u8>, arrive: fn(Ticket, Vec<u8>) -> Event) {
        let mut delay_ms = 20 + self.dice.small(200);
        if self.calm {
            return self.plan(delay_ms, arrive(ticket, body));
        }
        if self.dice.roll(10) == 0 {
            delay_ms += self.dice.small(8_000);
        }
        let cut = self.now_ms < self.edges[ticket.edge].cut_until_ms;
        match self.dice.roll(100) {
            _ if cut => return self.plan(delay_ms, Event::Failed(ticket, LineFault::Down)),
            0..8 => {
                if self.dice.roll(2) == 0 {
                    self.plan(delay_ms, Event::Failed(ticket, LineFault::Down));
                }
                return;
            }
            8..12 => {
                let later = delay_ms + self.dice.small(3_000);
                self.plan(later, arrive(ticket, body.clone()));
            }
            12 => body.truncate(self.dice.roll(body.len() + 1)),
            13 => {
                let at = self.dice.roll(body.len());
                body[at] ^= 1 << self.dice.roll(8);
            }
            14 => body = b"<html>Please log in</html>".to_vec(),
            _ => {}
        }
        self.plan(delay_ms, arrive(ticket, body));
    }

    fn arrive(&mut self, ticket: Ticket, body: &[u8]) {
        match self.admit(body) {
            Ok((serving, turn)) => self.serve(ticket, serving, &turn),
            Err(refusal) => self.reply(ticket, refusal.into()),
        }
    }

    fn admit(&mut self, body: &[u8]) -> Result<(Serving, Turn), Refusal> {
        let now_ms = self.hub_ms();
        let opened = keys::open(Purpose::Exchange, body).map_err(peer::refuse)?;
        self.hub.door.check(now_ms, &opened)?;
        let holder = self
            .hub
            .holders
            .get(&opened.key)
            .ok_or(Refusal::UnknownKey)?;
        if holder.revoked {
            return Err(Refusal::Revoked);
        }
        self.hub.door.admit(now_ms, &opened)?;
        Serving::begin(&opened, holder, now_ms)
    }

    fn serve(&mut self, ticket: Ticket, mut serving: Serving, turn: &Turn) {
        let turned = self.hub.file.turn(turn);
        let wrote = turned.as_ref().is_ok_and(|turned| {
            let taken = |outcome: &_| matches!(outcome, &Ok(Outcome::Taken(_)));
            turned
                .verdicts
                .iter()
                .any(|verdict| taken(&verdict.outcome))
        });
        match serving.turned(turned, self.hub_ms()) {
            Next::Wait { until_ms } => {
                self.plan(until_ms - self.hub_ms(), Event::VisitOver(ticket.request));
                self.hub.visits.insert(ticket.request, (ticket, serving));
            }
            Next::Reply(served) => self.reply(ticket, *served),
        }
        if wrote {
            self.hub_has_news();
        }
    }

    fn reply(&mut self, ticket: Ticket, served: Served) {
        let body = served.pack().expect("a reply fits");
        self.carry(ticket, body, Event::Reply);
    }

    fn hub_has_news(&mut self) {
        for (_, (ticket, serving)) in std::mem::take(&mut self.hub.visits) {
            let turn = serving.again();
            self.serve(ticket, serving, &turn);
        }
    }

    /// What happens without the line.
    fn befall(&mut self) {
        if self.calm {
            return;
        }
        let next_ms = self.dice.small(600);
        self.plan(next_ms, Event::Outside);
        let n = self.dice.roll(self.edges.len());
        match self.dice.roll(1_000) {
            0..25 => self.restart(n),
            25..30 => {
                self.hub.door = Doorkeeper::new(self.hub_ms());
                self.hub.visits.clear();
            }
            30..60 => self.edges[n].backup = Some(self.edges[n].file.copy()),
            60..64 => {
                if let Some(backup) = self.edges[n].backup.take() {
                    self.edges[n].file = backup;
                    self.restart(n);
                }
            }
            64..70 if self.twins(n) == 0 => {
                let key = self.edges[n].machine.key().public();
                if let Some(holder) = self.hub.holders.get_mut(&key) {
                    holder.rotate = true;
                }
            }
            70..72 if self.edges.len() < MOST_EDGES => self.clone_edge(n),
            72..90 => self.edges[n].cut_until_ms = self.now_ms + self.dice.small(600_000),
            90..100 => self.now_ms += self.dice.small(2_000),
            100..300 => {
                let fact = self.hub.file.edit(&mut self.dice);
                self.checker.wrote(self.hub.file.site(), fact);
                self.hub_has_news();
            }
            _ => {
                let edge = &mut self.edges[n];
                let fact = edge.file.edit(&mut self.dice);
                self.checker.wrote(edge.file.site(), fact);
                let life = edge.life;
                self.tell(n, life, Input::News);
            }
        }
    }

    /// The process ends and begins again; its clock is somewhere else.
    fn restart(&mut self, n: usize) {
        let skew_ms = [0, -HUB_MS, HUB_MS, self.dice.small(100_000_000)][self.dice.roll(4)];
        let chance = self.dice.small(1 << 40).unsigned_abs();
        let now_ms = self.now_ms + skew_ms;
        let edge = &mut self.edges[n];
        let key = SecretKey::from_seed(edge.seed);
        edge.life += 1;
        edge.skew_ms = skew_ms;
        edge.open.clear();
        edge.machine = Edge::new(key, Manner::default(), now_ms, chance);
        edge.wakes_ms = None;
        let life = edge.life;
        self.tell(n, life, Input::Time);
    }

    /// Somebody copies the card, and both run.
    fn clone_edge(&mut self, n: usize) {
        let mut twin = self.join();
        twin.file = self.edges[n].file.copy();
        twin.seed = self.edges[n].seed;
        self.edges.push(twin);
        self.restart(self.edges.len() - 1);
    }

    /// How many others run under the same name.
    fn twins(&self, n: usize) -> usize {
        let site = self.edges[n].file.site();
        let same = self.edges.iter().filter(|edge| edge.file.site() == site);
        same.count() - 1
    }

    /// The file turned out to be a copy: a new site takes its place, and the old key opens nothing any more, unless the original runs on.
    fn replace(&mut self, n: usize) {
        self.copies += 1;
        if self.twins(n) == 0 {
            let old = SecretKey::from_seed(self.edges[n].seed);
            if let Some(holder) = self.hub.holders.get_mut(&old.public()) {
                holder.revoked = true;
            }
            let late = old.seal(Purpose::Exchange, self.hub_ms() + 1, b"");
            assert_eq!(self.admit(&late).err(), Some(Refusal::Revoked));
        }
        let life = self.edges[n].life + 1;
        self.edges[n] = self.join();
        self.edges[n].life = life;
        self.restart(n);
    }

    /// The hub took another key, and the old one ends.
    fn rotate(&mut self, n: usize) {
        if self.twins(n) > 0 {
            return;
        }
        let edge = &mut self.edges[n];
        let old = edge.machine.key().public();
        edge.seed[0] = edge.seed[0].wrapping_add(1);
        let next = SecretKey::from_seed(edge.seed);
        assert!(next.follow(old).proves(old));
        if let Some(mut holder) = self.hub.holders.remove(&old) {
            holder.rotate = false;
            self.hub.holders.insert(next.public(), holder);
        }
        edge.machine.use_key(next);
    }

    /// The line is sound and nobody writes: soon all are the same, and then the line is quiet.
    pub(super) fn settle(&mut self) {
        self.calm = true;
        let until_ms = self.now_ms + SETTLES_MS;
        while self.now_ms < until_ms {
            self.step();
        }
        self.check();
        for edge in &self.edges {
            check_same(&self.hub.file, &edge.file);
            let status = edge.machine.status();
            assert!(status.current && status.waiting == 0, "{status:?}");
        }
        let before = self.requests;
        let until_ms = self.now_ms + HOUR_MS;
        while self.now_ms < until_ms {
            self.step();
        }
        let quiet = 70 * u64::try_from(self.edges.len()).expect("it is small");
        assert!(
            self.requests - before <= quiet,
            "{} requests of an idle hour",
            self.requests - before
        );
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{} edges, {} h, {} requests, {} facts, {} copies found, refused {:?}",
            self.edges.len(),
            self.now_ms / HOUR_MS,
            self.requests,
            self.checker.facts(),
            self.copies,
            self.refusals,
        )
    }
}
