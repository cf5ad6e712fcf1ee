//! Two edges and a hub with one farm: everybody works at all three, messages are lost, doubled and late. Then the line is sound, and all
//! must hold the same, and what follows from it must be what a rebuild makes.

use std::sync::Arc;

use disk::Disk;
use farm::{
    Actor, Farm, StoreError, Tx,
    alerts::{self, AlertKind, Subject},
    animals::{self, AnimalForm},
    backup,
    events::{self, EventBody, NewEvent},
    milkings::{self, Correction},
    replica, settings, staff,
};
use farm_model::{AnimalId, AnimalStatus, ClockQuality, Destination, DeviceId, Role, Tag, VisitId};
use proptest::prelude::*;
use sync::{
    Sender, Site, Store as _,
    exchange::Speak,
    store::{Delivery, Fault, Turn, Turned, Want},
    wire::Part,
};
use tempfile::TempDir;

use super::samples;
use crate::support::{HandClock, MINUTE, NOW, name, open, session, visit};

/// SplitMix64 (Steele, Lea and Flood 2014): a run is told by its seed alone.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let at = self.roll(of.len().max(1) as u64);
        of.get(at as usize).cloned()
    }
}

pub(crate) struct Place {
    pub(crate) farm: Farm,
    pub(crate) site: Site,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) dir: TempDir,
    /// Where the power may be cut.
    pub(crate) disk: Option<Disk>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::opened(TempDir::new().unwrap(), HandClock::synced())
    }

    /// A place whose file was copied from that of another.
    pub(crate) fn copied(other: &Self) -> Self {
        let dir = TempDir::new().unwrap();
        backup::copy(other.farm.path(), &dir.path().join("farm.db")).unwrap();
        let clock = HandClock::synced();
        Self::opened(dir, clock)
    }

    /// The same place after a restart.
    pub(crate) fn reopen(self) -> Self {
        let Self {
            farm, clock, dir, ..
        } = self;
        drop(farm);
        Self::opened(dir, clock)
    }

    fn opened(dir: TempDir, clock: Arc<HandClock>) -> Self {
        let farm = open(&dir, &clock);
        Self::of(farm, clock, dir, None)
    }

    pub(crate) fn of(farm: Farm, clock: Arc<HandClock>, dir: TempDir, disk: Option<Disk>) -> Self {
        let site = turn(&farm, Turn::default()).me.site;
        Self {
            farm,
            site,
            clock,
            dir,
            disk,
        }
    }

    /// Record changes of a site, as this file tells them of it.
    pub(crate) fn cells(&self, of: &Self) -> i64 {
        let site = of.site.0;
        self.write(move |tx| {
            Ok::<_, StoreError>(tx.conn().query_row(
                "SELECT count(*) FROM crsql_changes WHERE site_id = ?1 AND db_version > 0",
                [site],
                |row| row.get(0),
            )?)
        })
        .unwrap()
    }

    pub(crate) fn is_off(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::is_off)
    }

    /// A command that no rule refuses comes through, unless the power goes.
    pub(crate) fn must<T, E: std::fmt::Debug>(&self, done: Result<T, E>) -> Option<T> {
        if let Err(error) = &done {
            assert!(self.is_off(), "{error:?}");
        }
        done.ok()
    }

    pub(crate) fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.farm.write_blocking(Actor::System, command)
    }

    fn all<T: Send + 'static>(
        &self,
        sql: &'static str,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        self.farm
            .read_blocking(|conn| {
                let mut statement = conn.prepare(sql)?;
                let rows = statement.query_map([], read)?;
                Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
            })
            .unwrap()
    }

    fn animals(&self) -> Vec<AnimalId> {
        self.all("SELECT id FROM animal ORDER BY id", |row| {
            Ok(AnimalId::from_bytes(row.get(0)?))
        })
    }

    pub(crate) fn visits(&self) -> Vec<VisitId> {
        self.all("SELECT id FROM visit ORDER BY id", |row| {
            Ok(VisitId(uuid::Uuid::from_bytes(row.get(0)?)))
        })
    }

    /// Every row of what is replicated and of what follows from it, without the numbers that mean something in this file only.
    pub(crate) fn content(&self) -> Vec<(String, Vec<String>)> {
        let site = "(SELECT hex(id) FROM sync_site WHERE ordinal = site) AS site";
        let tables = [
            ("animal", "*"), ("animal_tag", "*"), ("place", "*"), ("device", "*"), ("staff", "*"),
            ("session_plan", "*"), ("setting", "*"), ("alert", "*"),
            ("animal_event", "*"), ("milking", "*"), ("audit", "*"),
            ("sample", "*"), ("sample_series WHERE spelt > 0", "n, device, quantity, spelt"),
            ("visit", "id, seq, animal, start, ended, day, session, stall, yield_ml, avg_flow, peak_flow, conductivity, fat, snf,
                destination, findings, tag, clock, meter, staff, voided"),
            ("animal_day", "*"), ("herd_day", "*"), ("animal_state", "*"),
            ("hold", "*"), ("milking_of", "*"), ("milking_who", "*"), ("milking_place", "*"),
        ];
        tables
            .iter()
            .map(|(table, columns)| {
                let rows = self
                    .farm
                    .read_blocking(|conn| {
                        let mut columns: Vec<String> = match *columns {
                            "*" => conn
                                .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?
                                .query_map([], |row| row.get(0))?
                                .collect::<Result<_, _>>()?,
                            some => [
                                some.split(',').map(|c| c.trim().to_owned()).collect(),
                                vec!["site".to_owned()],
                            ]
                            .concat(),
                        };
                        for column in &mut columns {
                            *column = if column == "site" {
                                site.to_owned()
                            } else {
                                format!("quote({column})")
                            };
                        }
                        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
                        let mut statement = conn.prepare(&sql)?;
                        let width = statement.column_count();
                        let rows = statement.query_map([], |row| {
                            let cells: Vec<String> =
                                (0..width).map(|i| row.get(i)).collect::<Result<_, _>>()?;
                            Ok(cells.join(" "))
                        })?;
                        let mut rows: Vec<String> = rows.collect::<Result<_, _>>()?;
                        rows.sort_unstable();
                        Ok::<_, StoreError>(rows)
                    })
                    .unwrap();
                ((*table).to_owned(), rows)
            })
            .collect()
    }

    /// Something that somebody does here; what a rule refuses is refused.
    pub(crate) fn work(&self, dice: &mut Dice) {
        self.clock.pass(dice.roll(20) as i64 * MINUTE / 4);
        let (animals, visits) = (self.animals(), self.visits());
        let (cow, other) = (dice.pick(&animals), dice.pick(&animals));
        let milking = dice.pick(&visits);
        let some = dice.roll(1_000) as i64;
        match (dice.roll(15), cow, milking) {
            (14, ..) => self.measure(some),
            (0, ..) | (_, None, _) => {
                let form =
                    AnimalForm::new(name(&(100 + some % 9).to_string()), AnimalStatus::Lactating);
                let tag: Tag = format!("05000000000021{}", some % 8).parse().unwrap();
                let _ = self.write(move |tx| animals::register(tx, &form, Some(&tag), None));
            }
            (1, Some(cow), _) => {
                let mut form =
                    AnimalForm::new(name(&(100 + some % 9).to_string()), AnimalStatus::Dry);
                form.name = Some(name(&format!("name {some}")));
                let _ = self.write(move |tx| animals::edit(tx, cow, &form));
            }
            (2, Some(cow), _) if some % 3 == 0 => {
                let _ = self.write(move |tx| animals::merge(tx, cow, other.expect("there is one")));
            }
            (2..=6, Some(cow), _) => {
                let who = (some % 7 != 0).then_some(cow);
                let at = self.farm.clock().now_stamp();
                let mut told = visit(
                    &format!("{some} {}", at.wall.0),
                    who,
                    session("2026-11-20", (some % 2) as u8 + 1),
                    some * 10,
                    at,
                );
                told.meter = (some % 4 != 0).then(|| DeviceId::from_bytes([(some % 3) as u8; 16]));
                self.must(self.write(move |tx| milkings::record(tx, told)));
            }
            (7, _, Some(id)) => {
                let correction = Correction {
                    yield_ml: some * 11,
                    destination: [Destination::Tank, Destination::Discarded][(some % 2) as usize],
                    reason: None,
                };
                let _ = self.write(move |tx| milkings::correct(tx, id, &correction));
            }
            (8, Some(cow), Some(id)) => {
                let _ = self.write(move |tx| match some % 3 {
                    0 => milkings::assign(tx, id, cow),
                    1 => milkings::void(tx, id, None),
                    _ => milkings::undo(tx, id),
                });
            }
            (9..=10, Some(cow), _) => {
                let Some(body) = self.happening(dice, cow, some) else {
                    return;
                };
                let _ = self.write(move |tx| events::record(tx, &NewEvent::now(cow, body)));
            }
            (11, ..) => self.change_staff(dice),
            (12, Some(cow), _) => {
                let open = self.farm.read_blocking(alerts::open).unwrap();
                match dice.pick(&open) {
                    Some(alert) if some % 2 == 0 => {
                        let _ = self.write(move |tx| alerts::settle(tx, alert.id, None));
                    }
                    _ => {
                        let detail = serde_json::json!({ "n": some });
                        self.must(self.write(move |tx| {
                            alerts::raise(tx, AlertKind::Health, Subject::Animal(cow), &detail)
                        }));
                    }
                }
            }
            _ => {
                self.must(self.write(move |tx| {
                    let mut new = settings::load(tx.conn())?;
                    new.target_ml = Some(some * 1_000);
                    if some % 5 == 0 {
                        new.timezone = ["Asia/Dhaka", "Europe/London"][(some % 2) as usize].into();
                    }
                    settings::save(tx, &new)
                }));
            }
        }
    }

    /// A probe of this place tells what it measured, now or a while ago.
    fn measure(&self, some: i64) {
        let probe = DeviceId::from_bytes([some as u8 % 3 + 50; 16]);
        let at = self
            .farm
            .clock()
            .now_stamp()
            .wall
            .plus(-(some % 4) * 7 * MINUTE);
        samples::take(self, vec![samples::measured(self, probe, at, some)]);
    }

    /// Something that happens to a cow.
    fn happening(&self, dice: &mut Dice, cow: AnimalId, some: i64) -> Option<EventBody> {
        Some(match some % 6 {
            0 => EventBody::calving((some % 4) as u8 + 1),
            1 => EventBody::DryOff,
            2 => EventBody::Insemination {
                sire: "bull".into(),
            },
            3 => EventBody::Heat,
            4 => {
                let known = self
                    .farm
                    .read_blocking(|conn| events::of_animal(conn, cow))
                    .unwrap();
                EventBody::Void {
                    of: dice.pick(&known)?.id,
                }
            }
            _ => EventBody::Treatment {
                medicine: "penicillin".into(),
                dose: String::new(),
                reason: String::new(),
                milk_hold_h: 72,
                meat_hold_h: (some % 2) as u32 * 240,
            },
        })
    }

    fn change_staff(&self, dice: &mut Dice) {
        let known = self.farm.read_blocking(staff::list).unwrap();
        let some = dice.roll(100) as i64;
        match dice.pick(&known) {
            Some(member) if some % 3 == 0 => {
                let _ = self.write(move |tx| staff::deactivate(tx, member.id));
            }
            Some(member) if some % 3 == 1 => {
                let _ = self.write(move |tx| staff::reactivate(tx, member.id));
            }
            _ => {
                let role = [Role::Owner, Role::Worker][(some % 2) as usize];
                let hash = PIN.clone();
                let _ = self.write(move |tx| {
                    staff::add(tx, &name(&format!("member {}", some % 9)), role, &hash)
                });
            }
        }
    }
}

/// One hash for all, because each takes a while.
static PIN: std::sync::LazyLock<staff::PinHash> =
    std::sync::LazyLock::new(|| staff::Pin::new("2580").unwrap().hash());

trait NowStamp {
    fn now_stamp(&self) -> farm_model::Stamp;
}

impl NowStamp for Arc<farm::FarmClock> {
    fn now_stamp(&self) -> farm_model::Stamp {
        farm_model::Clock::now(&**self)
    }
}

pub(crate) fn turn(farm: &Farm, turn: Turn) -> Turned {
    try_turn(farm, turn).unwrap()
}

pub(crate) fn try_turn(farm: &Farm, turn: Turn) -> Result<Turned, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(farm.turn(turn))
}

/// What `from` has for `to`; an edge speaks for itself, the hub for all.
pub(crate) fn gather(from: &Place, to: &Place, speak: Speak, room: usize) -> Vec<Part> {
    try_gather(from, to, speak, room).unwrap()
}

pub(crate) fn try_gather(
    from: &Place,
    to: &Place,
    speak: Speak,
    room: usize,
) -> Result<Vec<Part>, Fault> {
    let have = try_turn(&to.farm, Turn::default())?.holdings;
    let give = Want {
        peer: to.site,
        speak,
        have,
        skip: Vec::new(),
        room,
    };
    let asked = Turn {
        give: Some(give),
        ..Turn::default()
    };
    Ok(try_turn(&from.farm, asked)?.gathered.parts)
}

pub(crate) fn deliver(to: &Place, sender: Sender, parts: Vec<Part>) {
    try_deliver(to, sender, parts).unwrap();
}

pub(crate) fn try_deliver(to: &Place, sender: Sender, parts: Vec<Part>) -> Result<Turned, Fault> {
    let take = Some(Delivery { sender, parts });
    let brought = Turn {
        take,
        ..Turn::default()
    };
    try_turn(&to.farm, brought)
}

/// All that either side lacks of the other, whatever it takes.
pub(crate) fn join(edge: &Place, hub: &Place) {
    for _ in 0..50 {
        let up = gather(edge, hub, Speak::ForItself, 1 << 20);
        let down = gather(hub, edge, Speak::ForAll, 1 << 20);
        if up.is_empty() && down.is_empty() {
            return;
        }
        deliver(hub, Sender::Edge(edge.site), up);
        deliver(edge, Sender::Hub(hub.site), down);
    }
    panic!("an edge and the hub come to no end");
}

fn live_apart_and_join(seed: u64) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    let places = [Place::new(), Place::new(), Place::new()];
    let (hub, edges) = places.split_first().expect("three places");
    for (n, place) in (0..).zip(&places) {
        place.clock.set(NOW.plus(n * 7_777), ClockQuality::Synced);
    }
    let mut line: Vec<(usize, Sender, Vec<Part>)> = Vec::new();
    for _ in 0..120 {
        match dice.roll(10) {
            0..=6 => places[dice.roll(3) as usize].work(&mut dice),
            7 => {
                let n = dice.roll(2) as usize;
                let room = 1 << (4 + dice.roll(14));
                let edge = &edges[n];
                if dice.roll(2) == 0 {
                    let parts = gather(edge, hub, Speak::ForItself, room);
                    line.push((0, Sender::Edge(edge.site), parts));
                } else {
                    let parts = gather(hub, edge, Speak::ForAll, room);
                    line.push((n + 1, Sender::Hub(hub.site), parts));
                }
            }
            _ if !line.is_empty() => {
                let at = dice.roll(line.len() as u64) as usize;
                let (to, sender, parts) = if dice.roll(3) == 0 {
                    line[at].clone()
                } else {
                    line.remove(at)
                };
                if dice.roll(5) != 0 {
                    deliver(&places[to], sender, parts);
                }
            }
            _ => {}
        }
    }
    for _ in 0..2 {
        for edge in edges {
            join(edge, hub);
        }
    }
    let expected = hub.content();
    for edge in edges {
        for (here, there) in edge.content().iter().zip(&expected) {
            prop_assert_eq!(here, there, "an edge and the hub differ");
        }
    }
    for place in &places {
        place.write(replica::rebuild).unwrap();
        for (after, before) in place.content().iter().zip(&expected) {
            prop_assert_eq!(after, before, "built anew it is something else");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn places_that_work_apart_end_the_same(seed in any::<u64>()) {
        live_apart_and_join(seed)?;
    }
}
