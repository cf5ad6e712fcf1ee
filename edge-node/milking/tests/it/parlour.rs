//! A small parlour to tell scenarios in: cows with tags, stalls with model meters, a clock.
//!
//! A scenario is lines of what happens; its outcome is lines of what the engine said, so that a test reads like the
//! log of a milking. Cows are letters; cow `a` wears tags `a` and `a2`, and so on; `x` to `z` are nobody's tags.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _};

use edge_milking::{
    AlarmChange, Config, Engine, Herd, Input, MeterReading, Output, Schedule, SessionWindow, Usual,
};
use farm_model::{
    AnimalId, ClockQuality, Destination, DeviceId, Identity, Milli, Rfid, SessionKey, Stall, Stamp,
    Tag, UnixMillis, Visit, VisitId,
};
use jiff::tz::TimeZone;

/// 2026-11-20T06:00:00 in Dhaka, within the morning session.
const SIX_O_CLOCK: i64 = 1_795_132_800_000;

pub(crate) fn tag(name: &str) -> Tag {
    let mut bytes = name.bytes();
    let letter = u64::from(bytes.next().expect("a tag has a letter"));
    let copy = bytes.next().map_or(1, |b| u64::from(b - b'0'));
    Rfid::new(50, letter * 10 + copy).unwrap().into()
}

fn tag_name(tag: &Tag) -> String {
    let Tag::Rfid(rfid) = tag else {
        panic!("the parlour reads ISO tags only");
    };
    let letter = char::from((rfid.national() / 10) as u8);
    match rfid.national() % 10 {
        1 => letter.to_string(),
        copy => format!("{letter}{copy}"),
    }
}

pub(crate) fn cow(letter: char) -> AnimalId {
    let mut bytes = [0; 16];
    bytes[15] = letter as u8;
    AnimalId::from_bytes(bytes)
}

fn cow_name(animal: AnimalId) -> char {
    char::from(animal.as_bytes()[15])
}

pub(crate) fn meter_of(stall: u16) -> DeviceId {
    let [high, low] = stall.to_be_bytes();
    DeviceId::from_bytes([high, low, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// Cows `a` to `w`: who is under a hold, what each usually gives, who was milked when.
#[derive(Default)]
pub(crate) struct Cows {
    pub(crate) withheld: Vec<char>,
    pub(crate) usual: BTreeMap<char, Usual>,
    milked: RefCell<BTreeMap<(AnimalId, SessionKey), VisitId>>,
}

impl Cows {
    fn remember(&self, visit: &Visit) {
        if let Some(animal) = visit.identity.animal()
            && visit.yield_ml > 0
        {
            self.milked
                .borrow_mut()
                .entry((animal, visit.session))
                .or_insert(visit.id);
        }
    }
}

impl Herd for Cows {
    fn animal_of(&self, tag: &Tag) -> Option<AnimalId> {
        let letter = tag_name(tag).chars().next()?;
        (letter < 'x').then(|| cow(letter))
    }

    fn is_withheld(&self, animal: AnimalId, _: Stamp) -> bool {
        self.withheld.contains(&cow_name(animal))
    }

    fn milked_in(&self, animal: AnimalId, session: SessionKey) -> Option<VisitId> {
        self.milked.borrow().get(&(animal, session)).copied()
    }

    fn usual(&self, animal: AnimalId) -> Option<Usual> {
        self.usual.get(&cow_name(animal)).copied()
    }
}

/// Which registers a model meter shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shows {
    Everything,
    FlowAndTotal,
    FlowAndVisit,
    /// Flow, the visit's yield, the counter and the last yield, but no total.
    Visits,
    TotalOnly,
    FlowOnly,
}

/// When a model meter counts a visit and clears its register: both after 25 seconds without milk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counts {
    /// As soon as they have passed.
    End,
    /// When milk flows again.
    Next,
    /// When milk flows again; but what it gave is put away into the last yield as soon as they have passed.
    NextPutAway,
}

/// A meter that counts what flows through it, and knows by itself when a visit is over.
#[derive(Clone, Debug)]
pub(crate) struct ModelMeter {
    pub(crate) shows: Shows,
    pub(crate) counts: Counts,
    pub(crate) given_ul: i64,
    total_ul: i64,
    visit_ul: i64,
    last_ul: i64,
    pub(crate) count: i64,
    pub(crate) conductivity: i64,
    flow: i64,
    dry_ms: i64,
    pub(crate) wraps_ml: Option<i64>,
}

impl ModelMeter {
    pub(crate) fn new(shows: Shows, total_ml: i64) -> Self {
        Self {
            shows,
            counts: Counts::Next,
            given_ul: 0,
            total_ul: total_ml * 1000,
            visit_ul: 0,
            last_ul: 0,
            count: 40,
            conductivity: 5_500,
            flow: 0,
            dry_ms: 60_000,
            wraps_ml: None,
        }
    }

    /// Lets milk flow at `flow` mL/min for `ms`.
    pub(crate) fn run(&mut self, flow: i64, ms: i64) {
        self.flow = flow;
        let was_over = self.dry_ms >= 25_000;
        if flow == 0 {
            self.dry_ms += ms;
            if !was_over && self.dry_ms >= 25_000 {
                match self.counts {
                    Counts::End => self.count_visit(),
                    Counts::NextPutAway => self.put_away(),
                    Counts::Next => {}
                }
            }
            return;
        }
        match self.counts {
            Counts::Next if was_over => self.count_visit(),
            Counts::NextPutAway if was_over => self.count += 1,
            _ => {}
        }
        self.dry_ms = 0;
        let ul = flow * ms / 60;
        self.given_ul += ul;
        self.visit_ul += ul;
        self.total_ul += ul;
        if let Some(wraps) = self.wraps_ml {
            self.total_ul %= wraps * 1000;
        }
    }

    fn count_visit(&mut self) {
        self.put_away();
        self.count += 1;
    }

    fn put_away(&mut self) {
        self.last_ul = self.visit_ul;
        self.visit_ul = 0;
    }

    /// Loses its registers, as when its power fails for a moment.
    pub(crate) fn restart(&mut self) {
        self.total_ul = 0;
        self.visit_ul = 0;
        self.last_ul = 0;
        self.count = 0;
    }

    pub(crate) fn reading(&self) -> MeterReading {
        let total_ml = Some(self.total_ul / 1000);
        let visit_ml = Some(self.visit_ul / 1000);
        let flow_ml_min = Some(self.flow);
        let nothing = MeterReading::default();
        match self.shows {
            Shows::Everything => MeterReading {
                flow_ml_min,
                total_ml,
                total_wraps_ml: self.wraps_ml,
                visit_ml,
                visit_count: Some(self.count),
                last_ml: Some(self.last_ul / 1000),
                conductivity: Some(Milli(self.conductivity)),
                fat: Some(Milli(4_100)),
                snf: Some(Milli(8_700)),
            },
            Shows::FlowAndTotal => MeterReading {
                flow_ml_min,
                total_ml,
                total_wraps_ml: self.wraps_ml,
                ..nothing
            },
            Shows::FlowAndVisit => MeterReading {
                flow_ml_min,
                visit_ml,
                ..nothing
            },
            Shows::Visits => MeterReading {
                flow_ml_min,
                visit_ml,
                visit_count: Some(self.count),
                last_ml: Some(self.last_ul / 1000),
                ..nothing
            },
            Shows::TotalOnly => MeterReading {
                total_ml,
                total_wraps_ml: self.wraps_ml,
                ..nothing
            },
            Shows::FlowOnly => MeterReading {
                flow_ml_min,
                ..nothing
            },
        }
    }
}

/// The parlour: an engine, its herd, model meters, a clock, and a log of what was said.
pub(crate) struct Parlour {
    pub(crate) engine: Engine,
    pub(crate) cows: Cows,
    pub(crate) meters: BTreeMap<u16, ModelMeter>,
    flows: BTreeMap<u16, i64>,
    readers: BTreeMap<u16, String>,
    config: Config,
    pub(crate) now: Stamp,
    passed_ms: i64,
    pub(crate) visits: Vec<Visit>,
    log: String,
}

fn schedule() -> Schedule {
    let window = |number, name: &str, starts_min, ends_min| SessionWindow {
        number,
        name: name.to_owned(),
        starts_min,
        ends_min,
    };
    Schedule::new(
        vec![
            window(1, "morning", 5 * 60, 9 * 60),
            window(2, "evening", 16 * 60, 19 * 60),
        ],
        TimeZone::fixed(jiff::tz::offset(6)),
    )
}

impl Parlour {
    /// The same with meters that count a visit at the given time.
    pub(crate) fn counting(shows: Shows, counts: Counts) -> Self {
        let mut parlour = Self::new(shows);
        parlour.meters.values_mut().for_each(|m| m.counts = counts);
        parlour
    }

    /// Stalls 1 and 2, each with a meter that shows `shows`.
    pub(crate) fn new(shows: Shows) -> Self {
        let config = Config::default();
        let now = Stamp {
            wall: UnixMillis(SIX_O_CLOCK),
            clock: ClockQuality::Synced,
            boot: 1,
            mono: 5_000,
        };
        let mut parlour = Self {
            engine: Engine::new(config.clone(), schedule(), [Stall(1), Stall(2)]),
            cows: Cows::default(),
            meters: [1, 2].map(|s| (s, ModelMeter::new(shows, 123_456))).into(),
            flows: BTreeMap::new(),
            readers: BTreeMap::new(),
            config,
            now,
            passed_ms: 0,
            visits: vec![],
            log: String::new(),
        };
        parlour.poll();
        parlour
    }

    fn elapsed(&self) -> i64 {
        self.passed_ms / 1000
    }

    pub(crate) fn tell(&mut self, input: &Input) {
        let seconds = self.elapsed();
        for output in self.engine.handle(input, &self.cows) {
            match output {
                Output::Visit(visit) => {
                    writeln!(self.log, "{seconds:>4}s {}", describe(&visit)).unwrap();
                    self.cows.remember(&visit);
                    let told_before = self.visits.iter().any(|v| v.id == visit.id);
                    assert!(!told_before, "an identity was used twice: {visit:?}");
                    self.visits.push(visit);
                }
                Output::Alarm(alarm) => {
                    let who = alarm
                        .animal
                        .map_or(String::new(), |a| format!(" {}", cow_name(a)));
                    let change = match alarm.change {
                        AlarmChange::Raised => "raised",
                        AlarmChange::Cleared => "cleared",
                    };
                    writeln!(
                        self.log,
                        "{seconds:>4}s stall {} {:?}{who} {change}",
                        alarm.stall, alarm.kind
                    )
                    .unwrap();
                }
                Output::Stall(_) => {}
            }
        }
    }

    /// All meters answer.
    pub(crate) fn poll(&mut self) {
        let readings: Vec<_> = self.meters.iter().map(|(s, m)| (*s, m.reading())).collect();
        for (stall, reading) in readings {
            self.tell_meter(stall, stall, reading);
        }
    }

    /// Meter number `meter` answers at a stall.
    pub(crate) fn tell_meter(&mut self, stall: u16, meter: u16, reading: MeterReading) {
        self.tell(&Input::Meter {
            stall: Stall(stall),
            meter: meter_of(meter),
            reading,
            at: self.now,
        });
    }

    /// Lets time pass and milk flow without the engine hearing of it.
    pub(crate) fn pass_unheard(&mut self, ms: i64) {
        for (stall, meter) in &mut self.meters {
            meter.run(self.flows.get(stall).copied().unwrap_or(0), ms);
        }
        self.passed_ms += ms;
        self.now.wall = self.now.wall.plus(ms);
        self.now.mono += ms.unsigned_abs();
    }

    pub(crate) fn flow(&mut self, stall: u16, ml_min: i64) {
        self.flows.insert(stall, ml_min);
    }

    pub(crate) fn read(&mut self, stall: u16, name: &str) {
        self.tell(&Input::Tag {
            stall: Stall(stall),
            tag: tag(name),
            at: self.now,
        });
    }

    /// A cow comes to stand before a stall's reader.
    pub(crate) fn stand(&mut self, stall: u16, name: &str) {
        self.readers.insert(stall, name.to_owned());
        self.read(stall, name);
    }

    /// She leaves.
    pub(crate) fn leave(&mut self, stall: u16) {
        self.readers.remove(&stall);
    }

    /// One second: time passes, meters answer, readers read who is in their field every five seconds.
    pub(crate) fn second(&mut self) {
        self.pass_unheard(1000);
        self.poll();
        if self.elapsed() % 5 == 0 {
            for (stall, name) in self.readers.clone() {
                self.read(stall, &name);
            }
        }
        self.tell(&Input::Tick { at: self.now });
    }

    /// Puts the engine's state through its stored form, without the world noticing.
    pub(crate) fn reload(&mut self) {
        let stored: Vec<String> = [1, 2]
            .iter()
            .filter_map(|s| self.engine.stall_state(Stall(*s)))
            .map(|state| serde_json::to_string(state).unwrap())
            .collect();
        self.engine = Engine::new(self.config.clone(), schedule(), [Stall(1), Stall(2)]);
        for state in stored {
            self.engine.restore(serde_json::from_str(&state).unwrap());
        }
    }

    /// Kills the engine and starts it again with what was stored; the clock counts a new boot.
    pub(crate) fn restart_engine(&mut self) {
        self.reload();
        self.now.boot += 1;
        self.now.mono = 1_000;
    }

    /// Does one line of a scenario.
    fn act(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[i].parse::<i64>().unwrap();
        let stall = |i: usize| words[i].parse::<u16>().unwrap();
        match words.as_slice() {
            ["wait", _] => (0..number(1)).for_each(|_| self.second()),
            ["flow", _, _] => self.flow(stall(1), number(2)),
            ["read", _, name] => self.read(stall(1), name),
            ["stand", _, name] => {
                self.stand(stall(1), name);
            }
            ["leave", _] => self.leave(stall(1)),
            ["unheard", _] => self.pass_unheard(number(1) * 1000),
            ["crash", _] => {
                self.pass_unheard(number(1) * 1000);
                self.restart_engine();
            }
            ["restart", _] => self.meters.get_mut(&stall(1)).unwrap().restart(),
            ["silent", _, _] => self.tell(&Input::MeterSilent {
                stall: Stall(stall(1)),
                for_ms: number(2) * 1000,
                at: self.now,
            }),
            ["clock", "unknown"] => self.now.clock = ClockQuality::Unknown,
            ["clock", "synced"] => self.now.clock = ClockQuality::Synced,
            ["jump", _] => self.now.wall = self.now.wall.plus(number(1) * 1000),
            ["view", _] => {
                let views = self.engine.parlour().stalls;
                let v = views.iter().find(|v| v.stall == Stall(stall(1))).unwrap();
                let who = v.animal.map_or('-', cow_name);
                let held = if v.withheld { " withheld" } else { "" };
                let seconds = self.elapsed();
                writeln!(
                    self.log,
                    "{seconds:>4}s view {}: {:?} {who} {} mL{held} {:?}",
                    v.stall, v.phase, v.yield_ml, v.findings
                )
                .unwrap();
            }
            _ => panic!("what is {line:?}?"),
        }
    }

    /// Plays a scenario, one act on each line or after each semicolon; what the engine said.
    pub(crate) fn play(mut self, scenario: &str) -> String {
        scenario
            .split(['\n', ';'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .for_each(|line| self.act(line));
        self.log
    }
}

/// A parlour whose meters show everything.
pub(crate) fn parlour() -> Parlour {
    Parlour::new(Shows::Everything)
}

fn describe(visit: &Visit) -> String {
    let names = |tags: &[Tag]| tags.iter().map(tag_name).collect::<Vec<_>>().join(" or ");
    let who = match &visit.identity {
        Identity::Animal { animal, .. } => cow_name(*animal).to_string(),
        Identity::UnknownTag { tag } => format!("unknown tag {}", tag_name(tag)),
        Identity::Ambiguous { tags } => format!("maybe {}", names(tags)),
        Identity::None => "nobody".to_owned(),
    };
    let destination = match visit.destination {
        Destination::Tank => "",
        Destination::Withheld => " withheld",
        Destination::Discarded => " discarded",
    };
    let stall = visit.stall.map_or(0, |s| s.0);
    let seconds = visit.end.wall.since(visit.start.wall) / 1000;
    format!(
        "stall {stall} visit of {who}: {} mL in {seconds}s{destination} {:?}",
        visit.yield_ml, visit.findings
    )
}
