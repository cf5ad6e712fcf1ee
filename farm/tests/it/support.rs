//! A farm in a temporary folder with a clock that a test sets by hand.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use farm::{
    Actor, Farm, OpenError, Options, Tx,
    animals::{self, AnimalForm},
    text::Name,
};
use farm_model::{
    AnimalId, AnimalStatus, Clock, ClockQuality, Destination, Identity, SessionKey, Stamp, Tag,
    UnixMillis, Visit, VisitId,
};
use jiff::civil::Date;
use tempfile::TempDir;

/// 2026-11-20, 08:00 in Dhaka.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_140_000_000);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 86_400_000;

/// A clock that moves only when told.
pub(crate) struct HandClock(Mutex<Stamp>);

impl HandClock {
    pub(crate) fn new(wall: UnixMillis, clock: ClockQuality) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Stamp {
            wall,
            clock,
            boot: 0,
            mono: 10_000,
        })))
    }

    pub(crate) fn synced() -> Arc<Self> {
        Self::new(NOW, ClockQuality::Synced)
    }

    /// Time passes.
    pub(crate) fn pass(&self, ms: i64) {
        let mut stamp = self.0.lock().unwrap();
        stamp.wall = stamp.wall.plus(ms);
        stamp.mono += ms as u64;
    }

    /// The wall clock is set, as by NTP; the monotonic one goes on.
    pub(crate) fn set(&self, wall: UnixMillis, clock: ClockQuality) {
        let mut stamp = self.0.lock().unwrap();
        stamp.wall = wall;
        stamp.clock = clock;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Stamp {
        *self.0.lock().unwrap()
    }
}

/// A farm, its folder and its clock.
pub(crate) struct Fixture {
    pub(crate) farm: Farm,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(HandClock::synced())
    }

    pub(crate) fn with(clock: Arc<HandClock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let farm = open(&dir, &clock);
        Self { farm, clock, dir }
    }

    /// Closes the file and opens it again, as after a restart of the machine.
    pub(crate) fn reopen(self, wall: UnixMillis, clock: ClockQuality) -> Self {
        let Self { farm, dir, .. } = self;
        drop(farm);
        let clock = HandClock::new(wall, clock);
        let farm = open(&dir, &clock);
        Self { farm, clock, dir }
    }

    pub(crate) fn write<T, E>(
        &self,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<farm::StoreError> + Send + 'static,
    {
        self.farm.write_blocking(Actor::System, command)
    }

    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> Result<T, farm::StoreError>,
    ) -> T {
        self.farm.read_blocking(query).unwrap()
    }

    pub(crate) fn now(&self) -> Stamp {
        self.farm.clock().now()
    }

    /// A cow in milk of this number.
    pub(crate) fn cow(&self, number: &str) -> AnimalId {
        let form = AnimalForm::new(name(number), AnimalStatus::Lactating);
        self.write(move |tx| animals::register(tx, &form, None, None))
            .unwrap()
    }
}

pub(crate) fn open(dir: &TempDir, clock: &Arc<HandClock>) -> Farm {
    try_open(dir.path(), clock).unwrap()
}

pub(crate) fn try_open(folder: &Path, clock: &Arc<HandClock>) -> Result<Farm, OpenError> {
    let options = Options {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        ..Options::default()
    };
    Farm::open(&folder.join("farm.db"), options)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn session(day: &str, number: u8) -> SessionKey {
    SessionKey {
        date: date(day),
        number,
    }
}

/// A visit of a known cow that a meter saw.
pub(crate) fn visit(
    key: &str,
    animal: Option<AnimalId>,
    session: SessionKey,
    yield_ml: i64,
    at: Stamp,
) -> Visit {
    Visit {
        id: VisitId::derive("test", key),
        start: at,
        end: at,
        session,
        stall: Some(farm_model::Stall(1)),
        identity: animal.map_or(Identity::None, |animal| Identity::Animal {
            animal,
            tag: None,
        }),
        yield_ml,
        avg_flow_ml_min: Some(2000),
        peak_flow_ml_min: Some(3000),
        conductivity: None,
        fat: None,
        snf: None,
        destination: Destination::Tank,
        findings: Vec::new(),
        meter: None,
        recorded_by: None,
    }
}
