//! When something happened, and how far that can be believed.
//!
//! A Pi has no clock battery: it may boot months in the past. So each moment carries the boot it belongs to, the
//! time since that boot, and how well the wall clock was known; later knowledge can correct it.
//! Invariant: what must fail closed (a withdrawal hold) asks [`ClockQuality::is_trusted`] before it believes a date.

use std::{
    ops::RangeInclusive,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// This moment as a jiff timestamp; out-of-range values are clamped to what jiff can hold.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// Milliseconds from `earlier` to `self`, negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `millis` later.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Whether it is of this century: what else a device tells is a clock that was never set.
    pub fn is_of_this_century(self) -> bool {
        (946_684_800_000..4_102_444_800_000).contains(&self.0)
    }
}

/// How far a sender's clock may run ahead of ours.
const AHEAD_MS: i64 = 120_000;

/// How far the wall clock can be believed, from worst to best.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ClockQuality {
    /// Nobody has told the time since boot.
    #[default]
    Unknown = 0,
    /// Taken up from the last time written to disk: not earlier than the truth by more than the outage.
    Restored = 1,
    /// Told by a person or a phone on the farm's network.
    Told = 2,
    /// Synchronised by NTP, a GPS or a clock chip.
    Synced = 3,
}

impl ClockQuality {
    /// Whether a date may be believed where believing wrongly does harm.
    pub fn is_trusted(self) -> bool {
        self == Self::Synced
    }

    /// The quality stored as `code`; anything unknown is [`ClockQuality::Unknown`].
    pub fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Restored,
            2 => Self::Told,
            3 => Self::Synced,
            _ => Self::Unknown,
        }
    }
}

/// A moment: best estimate of wall time, its quality, and the monotonic truth beneath it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Best estimate of the wall time.
    pub wall: UnixMillis,
    /// How well that was known.
    pub clock: ClockQuality,
    /// Number of the boot (or process start) that `mono` counts from; 0 where not known.
    pub boot: u32,
    /// Milliseconds since that boot, never going back.
    pub mono: u64,
}

impl Stamp {
    /// When it happened, for something that was heard at this moment and whose sender tells `wall`. Nothing is heard before
    /// it happens: a sender's clock that is ahead of a trusted one by more than two minutes is wrong, and what it tells
    /// happened when it was heard.
    #[must_use]
    pub fn told(self, wall: UnixMillis) -> Self {
        if self.clock.is_trusted() && wall.since(self.wall) > AHEAD_MS {
            self
        } else {
            Self { wall, ..self }
        }
    }
}

/// Where time comes from; a border that tests and the demo replace.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Stamp;

    /// How much faster than a wall clock this one runs: 1.0 but for demonstrations.
    fn rate(&self) -> f64 {
        1.0
    }
}

/// The machine's clock, with a quality that whoever watches NTP supplies.
#[derive(Debug)]
pub struct SystemClock {
    boot: u32,
    quality: std::sync::atomic::AtomicU8,
}

impl SystemClock {
    /// A clock for boot number `boot` of quality `quality`.
    pub fn new(boot: u32, quality: ClockQuality) -> Self {
        Self {
            boot,
            quality: std::sync::atomic::AtomicU8::new(quality as u8),
        }
    }

    /// Says that the clock is now known this well.
    pub fn set_quality(&self, quality: ClockQuality) {
        self.quality
            .store(quality as u8, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        Stamp {
            wall: system_millis(),
            clock: ClockQuality::from_code(
                self.quality
                    .load(std::sync::atomic::Ordering::Relaxed)
                    .into(),
            ),
            boot: self.boot,
            mono: since_start().as_millis() as u64,
        }
    }
}

/// A clock that began at `origin` and runs `rate` times as fast as real time: for demonstrations and tests.
#[derive(Debug)]
pub struct ScaledClock {
    origin: UnixMillis,
    started: Instant,
    rate: f64,
    boot: u32,
}

impl ScaledClock {
    /// How many times faster than real time it may run.
    pub const RATES: RangeInclusive<f64> = 0.001..=10_000.0;

    /// A clock that shows `origin` now and then runs at `rate`.
    pub fn new(origin: UnixMillis, rate: f64, boot: u32) -> Self {
        Self {
            origin,
            started: Instant::now(),
            rate,
            boot,
        }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Stamp {
        let mono = self.started.elapsed().as_secs_f64() * 1000.0 * self.rate;
        Stamp {
            wall: self.origin.plus(mono as i64),
            clock: ClockQuality::Synced,
            boot: self.boot,
            mono: mono as u64,
        }
    }

    fn rate(&self) -> f64 {
        self.rate
    }
}

fn system_millis() -> UnixMillis {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(d) => UnixMillis(d.as_millis() as i64),
        Err(e) => UnixMillis(-(e.duration().as_millis() as i64)),
    }
}

fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_ahead_of_a_trusted_clock_is_not_believed() {
        let heard = |clock| Stamp {
            wall: UnixMillis(1_800_000_000_000),
            clock,
            ..Stamp::default()
        };
        let told = |clock, ahead| {
            let heard: Stamp = heard(clock);
            heard.told(heard.wall.plus(ahead)).wall.since(heard.wall)
        };
        for (clock, ahead, kept) in [
            (ClockQuality::Synced, -86_400_000, -86_400_000),
            (ClockQuality::Synced, 60_000, 60_000),
            (ClockQuality::Synced, 600_000, 0),
            (ClockQuality::Synced, i64::MAX, 0),
            // We may be the one who is wrong.
            (ClockQuality::Restored, 600_000, 600_000),
        ] {
            assert_eq!(told(clock, ahead), kept, "{clock:?} {ahead}");
        }
    }
}
