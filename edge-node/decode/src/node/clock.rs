//! When a node's readings happened: its ticks beside the moments at which the edge heard them.
//!
//! A node need not know the time. Each frame tells its ticks; the edge knows when that frame came. A reading between two frames
//! is placed between them in proportion, which takes out the drift of the node's clock; one after the last by its distance
//! from it. Invariant: no reading is placed after the moment at which it was heard.

use farm_model::{ClockQuality, Stamp, UnixMillis};
use firmware_protocol::Batch;
use serde::{Deserialize, Serialize};

/// Boots of a node that are remembered: its present one, and those whose readings may still lie in its flash.
const BOOTS: usize = 4;
/// How much faster or slower a node's clock may run than the edge's, in parts of a hundred. The sleep clock of an ESP32 may be 5 off.
const DRIFT: f64 = 10.0;

/// What is known of a node's clock. Small and serialisable.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NodeClock {
    /// Newest first.
    boots: Vec<Boot>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Boot {
    boot: u32,
    last: Anchor,
    /// The one before it.
    before: Option<Anchor>,
}

/// The node's ticks when the edge's clock showed a moment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Anchor {
    ticks: u64,
    at: Stamp,
}

impl NodeClock {
    /// A frame of `boot` that was sealed at `ticks` has come.
    pub fn heard(&mut self, boot: u32, ticks: u64, received: Stamp) {
        let now = Anchor {
            ticks,
            at: received,
        };
        match self.boots.iter_mut().find(|b| b.boot == boot) {
            // A frame that was long on its way says nothing new.
            Some(known) if ticks <= known.last.ticks => {}
            Some(known) => {
                known.before = Some(known.last);
                known.last = now;
            }
            None => {
                self.boots.insert(
                    0,
                    Boot {
                        boot,
                        last: now,
                        before: None,
                    },
                );
                self.boots.truncate(BOOTS);
            }
        }
    }

    /// When a reading was made, `after_ms` after its batch's ticks. `rate` is how much faster farm time runs than real time.
    ///
    /// By what was heard in its boot; else by the wall clock that the node had; else it is put at the beginning of the
    /// node's present boot, which it came before, and its clock is not known.
    pub fn place(&self, batch: &Batch, after_ms: u32, received: Stamp, rate: f64) -> Stamp {
        let ticks = batch.ticks.saturating_add(after_ms.into());
        let heard = self.boots.iter().find(|b| b.boot == batch.boot);
        let (wall, clock) = match heard {
            Some(boot) => (boot.place(ticks, rate), boot.last.at.clock),
            None if batch.unix_ms > 0 => {
                let told = i64::try_from(batch.unix_ms).unwrap_or(i64::MAX);
                let clock = ClockQuality::from_code(batch.clock.code().into());
                (UnixMillis(told).plus(after_ms.into()), clock)
            }
            None => {
                let start = self.boots.first().map(|boot| boot.place(0, rate));
                (start.unwrap_or(received.wall), ClockQuality::Unknown)
            }
        };
        ago(received, wall, clock)
    }
}

/// The moment `wall` before `received`, on both of its clocks; before the edge's own boot only the wall clock is known.
fn ago(received: Stamp, wall: UnixMillis, clock: ClockQuality) -> Stamp {
    let age = u64::try_from(received.wall.since(wall)).unwrap_or(0);
    let (boot, mono) = match received.mono.checked_sub(age) {
        Some(mono) => (received.boot, mono),
        None => (0, 0),
    };
    Stamp {
        wall: wall.min(received.wall),
        clock: clock.min(received.clock),
        boot,
        mono,
    }
}

impl Boot {
    fn place(&self, ticks: u64, rate: f64) -> UnixMillis {
        let (last, tempo) = (self.last, self.tempo(rate));
        if ticks >= last.ticks {
            return last.at.wall.plus(scaled(ticks - last.ticks, tempo));
        }
        last.at.wall.plus(-scaled(last.ticks - ticks, tempo))
    }

    /// Farm milliseconds per tick, as measured between the last two frames, if that is believable.
    fn tempo(&self, rate: f64) -> f64 {
        let Some(before) = self.before else {
            return rate;
        };
        let (from, to) = (before.at, self.last.at);
        // Within one boot of the edge its monotonic clock counts: the wall clock may have been set in between.
        let passed = if from.boot == to.boot {
            to.mono.saturating_sub(from.mono) as f64
        } else {
            to.wall.since(from.wall) as f64
        };
        let tempo = passed / (self.last.ticks - before.ticks) as f64;
        if (tempo / rate - 1.0).abs() * 100.0 <= DRIFT {
            tempo
        } else {
            rate
        }
    }
}

fn scaled(ticks: u64, tempo: f64) -> i64 {
    (ticks as f64 * tempo) as i64
}

#[cfg(test)]
mod tests {
    use firmware_protocol::ClockQuality as Told;

    use super::*;

    const START: i64 = 1_795_219_200_000;

    fn at(ms: i64) -> Stamp {
        Stamp {
            wall: UnixMillis(START + ms),
            clock: ClockQuality::Synced,
            boot: 3,
            mono: 1_000_000 + ms as u64,
        }
    }

    fn batch(boot: u32, ticks: u64) -> Batch {
        Batch {
            queue: 1,
            number: 1,
            boot,
            ticks,
            unix_ms: 0,
            clock: Told::Unknown,
        }
    }

    fn placed(clock: &NodeClock, batch: &Batch, received: i64) -> (i64, ClockQuality) {
        let stamp = clock.place(batch, 0, at(received), 1.0);
        (stamp.wall.0 - START, stamp.clock)
    }

    #[test]
    fn a_reading_is_as_old_as_the_node_says() {
        let mut clock = NodeClock::default();
        clock.heard(7, 600_000, at(0));
        assert_eq!(
            placed(&clock, &batch(7, 590_000), 0),
            (-10_000, ClockQuality::Synced)
        );
        let stamp = clock.place(&batch(7, 590_000), 250, at(0), 1.0);
        assert_eq!((stamp.boot, stamp.mono), (3, 1_000_000 - 9_750));
        let early = Stamp {
            mono: 5_000,
            ..at(0)
        };
        assert_eq!(
            clock.place(&batch(7, 590_000), 0, early, 1.0).boot,
            0,
            "before the edge started"
        );
        // A node cannot read the future.
        assert_eq!(
            placed(&clock, &batch(7, 700_000), 5),
            (5, ClockQuality::Synced)
        );
    }

    #[test]
    fn drift_is_taken_out_between_two_frames() {
        // Five of a hundred slow: an hour is 57 minutes of ticks.
        let mut clock = NodeClock::default();
        clock.heard(7, 0, at(0));
        clock.heard(7, 57 * 60_000, at(3_600_000));
        for minutes in [0, 10, 30, 59] {
            let truth = minutes * 60_000;
            let ticks = (truth as f64 * 0.95) as u64;
            let (wall, _) = placed(&clock, &batch(7, ticks), 3_600_000);
            assert!((wall - truth).abs() <= 1, "{minutes}: {wall}");
        }
    }

    #[test]
    fn a_clock_that_was_set_between_two_frames_is_no_drift() {
        let mut clock = NodeClock::default();
        clock.heard(7, 0, at(0));
        let mut set = at(60_000);
        set.wall = set.wall.plus(86_400_000);
        clock.heard(7, 60_000, set);
        let stamp = clock.place(&batch(7, 50_000), 0, set, 1.0);
        assert_eq!(stamp.wall, set.wall.plus(-10_000));
    }

    #[test]
    fn an_older_boot_is_placed_by_what_was_heard_in_it() {
        let mut clock = NodeClock::default();
        clock.heard(7, 600_000, at(0));
        clock.heard(8, 1_000, at(100_000));
        assert_eq!(
            placed(&clock, &batch(7, 650_000), 100_000),
            (50_000, ClockQuality::Synced)
        );
        // Nothing was heard in boot 6; then the node's own clock counts, or nothing is known.
        let mut old = batch(6, 5_000);
        assert_eq!(
            placed(&clock, &old, 100_000),
            (99_000, ClockQuality::Unknown)
        );
        (old.unix_ms, old.clock) = (START as u64 - 70_000, Told::Told);
        assert_eq!(placed(&clock, &old, 100_000), (-70_000, ClockQuality::Told));
    }

    #[test]
    fn farm_time_that_runs_faster_ages_readings_faster() {
        let mut clock = NodeClock::default();
        clock.heard(7, 10_000, at(0));
        let stamp = clock.place(&batch(7, 9_000), 0, at(0), 60.0);
        assert_eq!(stamp.wall.0 - START, -60_000);
    }

    #[test]
    fn no_number_makes_it_panic() {
        let mut clock = NodeClock::default();
        clock.heard(7, u64::MAX, at(0));
        clock.heard(u32::MAX, 0, at(1));
        clock.heard(u32::MAX, u64::MAX, at(2));
        for boot in [0, 7, u32::MAX] {
            for ticks in [0, 1, u64::MAX] {
                let batch = Batch {
                    unix_ms: u64::MAX,
                    ..batch(boot, ticks)
                };
                let stamp = clock.place(&batch, u32::MAX, at(3), 1.0);
                assert!(stamp.wall <= at(3).wall);
            }
        }
    }
}
