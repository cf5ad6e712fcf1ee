//! When each device was last heard, and from when on its silence is news.
//!
//! Pure, in memory, of this run alone: what was not heard while the appliance was off is no device's fault. Time is that of
//! the clock that never jumps, so a wall clock that is set cannot make a device silent. Heard is who sent a value that can be
//! believed, or a tag; who sends only what cannot is noisy, and as silent as one that sends nothing. A node whose frame
//! authenticates is there, and that is enough of one that owes no value: nothing is on its own inputs, or what is there tells
//! only what happens. One whose values come by the clock owes them, so that a dead sensor does not hide behind greetings.
//! Invariant: an alarm begins once and ends with the first good value. The more often that was in vain (a bus with bad
//! contacts), the longer the next one waits, until the device has been steady again.

mod rhythm;

use std::collections::HashMap;

use farm_model::{DeviceId, Quantity, Stamp, UnixMillis};

use self::rhythm::Rhythm;

/// A device is silent after this many of its intervals.
const INTERVALS: u64 = 3;
/// The most intervals that an alarm waits for a device that comes and goes.
const MOST_INTERVALS: u64 = 12;
/// A device that has kept its rhythm for this many intervals is steady.
const STEADY: u64 = 20;
/// What was learnt changes only by more than a quarter: jitter is no news.
const WORTH: f64 = 0.25;

/// What a batch brought of a device.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Word {
    /// The latest value that can be believed, or tag.
    pub(crate) good: Option<Stamp>,
    /// The latest that cannot.
    pub(crate) noise: Option<Stamp>,
}

impl Word {
    /// Adds what came at `at`.
    pub(crate) fn add(&mut self, good: bool, at: Stamp) {
        let slot = if good {
            &mut self.good
        } else {
            &mut self.noise
        };
        if slot.is_none_or(|s| s.mono <= at.mono) {
            *slot = Some(at);
        }
    }
}

/// What is expected of a device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Expected {
    /// Seconds within which anything of it is.
    pub(crate) every_s: u32,
    /// Seconds within which each of these quantities is.
    pub(crate) each: Vec<(Quantity, u32)>,
    /// What is measured at it is that of other devices: it owes no value itself.
    pub(crate) is_carrier: bool,
}

/// A silence that is news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Silence {
    /// The wall time of the last good word of all, as far as that is known.
    pub(crate) last: Option<UnixMillis>,
    /// What alone has stopped; all when absent.
    pub(crate) quantity: Option<Quantity>,
    /// Its alarm was raised before, in this run.
    pub(crate) is_known: bool,
    /// Something came, and none of it could be believed.
    pub(crate) is_noisy: bool,
    /// It is a node whose frames come, without the values that are due.
    pub(crate) is_there: bool,
}

/// What is known of a device's silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It has not been silent for long enough, or too little is known.
    Wait,
    /// It is heard.
    Heard,
    /// It is silent.
    Silent(Silence),
}

/// All devices' ears.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    ears: HashMap<DeviceId, Ear>,
}

impl Hearing {
    /// What an earlier run knew of a device: when it was heard last, and how often it is.
    pub(crate) fn recall(
        &mut self,
        device: DeviceId,
        last: Option<UnixMillis>,
        every_s: Option<u32>,
    ) {
        let ear = self.ears.entry(device).or_default();
        ear.last = ear.last.max(last);
        ear.learnt_s = ear.learnt_s.or(every_s);
    }

    /// This quantity of it has been told lately, before this run.
    pub(crate) fn recall_quantity(&mut self, device: DeviceId, quantity: Quantity) {
        let ear = self.ears.entry(device).or_default();
        ear.each.entry(quantity).or_default();
    }

    /// Takes what a batch brought, of one quantity or, without one, of tags and of bytes that made no sense.
    pub(crate) fn hear(&mut self, device: DeviceId, quantity: Option<Quantity>, word: Word) {
        self.ears.entry(device).or_default().hear(quantity, word);
    }

    /// Takes a frame of a node that authenticated, whatever it holds.
    pub(crate) fn attend(&mut self, device: DeviceId, at: Stamp) {
        self.ears.entry(device).or_default().attend(at);
    }

    /// Judges a device's silence at `now`, in milliseconds since the start.
    pub(crate) fn judge(&mut self, device: DeviceId, expected: &Expected, now: u64) -> Verdict {
        self.ears.entry(device).or_default().judge(expected, now)
    }

    /// The alarm of its silence has been raised.
    pub(crate) fn missed(&mut self, device: DeviceId) {
        self.ears.entry(device).or_default().is_alarmed = true;
    }

    /// Nothing is expected of it at present; when something is again, that begins then.
    pub(crate) fn rest(&mut self, device: DeviceId) {
        if let Some(ear) = self.ears.get_mut(&device) {
            ear.since = None;
            ear.is_alarmed = false;
        }
    }

    /// Seconds within which a device is heard, as far as that was learnt.
    pub(crate) fn learnt_s(&self, device: DeviceId) -> Option<u32> {
        self.ears.get(&device)?.learnt_s
    }

    /// Takes up what the device's rhythm has come to be; says so when that is worth keeping.
    pub(crate) fn learn(&mut self, device: DeviceId) -> Option<Option<u32>> {
        let ear = self.ears.get_mut(&device)?;
        let news = ear.news_of_rhythm()?;
        ear.learnt_s = news;
        Some(news)
    }
}

/// Moments in milliseconds since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    good: Option<u64>,
    noise: Option<u64>,
}

impl Latest {
    fn hear(&mut self, word: Word) {
        self.good = self.good.max(word.good.map(|at| at.mono));
        self.noise = self.noise.max(word.noise.map(|at| at.mono));
    }
}

/// One quantity of a device: a node may send each by itself, at its own times.
#[derive(Debug, Default)]
struct Voice {
    latest: Latest,
    rhythm: Rhythm,
}

impl Voice {
    fn hear(&mut self, word: Word) {
        if let (Some(before), Some(good)) = (self.latest.good, word.good) {
            self.rhythm.beat(good.mono.saturating_sub(before));
        }
        self.latest.hear(word);
    }
}

#[derive(Debug)]
struct Ear {
    all: Latest,
    each: HashMap<Quantity, Voice>,
    /// Frames of a node, whatever they hold.
    frames: Voice,
    last: Option<UnixMillis>,
    /// Since when something is expected.
    since: Option<u64>,
    learnt_s: Option<u32>,
    /// Intervals of silence until the alarm.
    patience: u64,
    is_alarmed: bool,
    /// When it was last seen to be silent for longer than it should.
    ragged: u64,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            all: Latest::default(),
            each: HashMap::new(),
            frames: Voice::default(),
            last: None,
            since: None,
            learnt_s: None,
            patience: INTERVALS,
            is_alarmed: false,
            ragged: 0,
        }
    }
}

impl Ear {
    fn hear(&mut self, quantity: Option<Quantity>, word: Word) {
        if let Some(good) = word.good {
            self.last = Some(good.wall);
            self.since.get_or_insert(good.mono);
        }
        self.all.hear(word);
        // Only values have a rhythm: tags come when cows do.
        if let Some(quantity) = quantity {
            self.each.entry(quantity).or_default().hear(word);
        }
    }

    fn attend(&mut self, at: Stamp) {
        self.last = self.last.max(Some(at.wall));
        self.since.get_or_insert(at.mono);
        self.frames.hear(Word {
            good: Some(at),
            noise: None,
        });
    }

    /// When it last said what is enough of it.
    fn word(&self, expected: &Expected) -> Option<u64> {
        if !expected.is_carrier && self.owes_values() {
            self.all.good
        } else {
            self.all.good.max(self.frames.latest.good)
        }
    }

    /// Whether a value is due: all that came by the clock are, and those of which too few came to tell.
    fn owes_values(&self) -> bool {
        let by_clock = |v: &Voice| !v.rhythm.is_ripe() || v.rhythm.every_s().is_some();
        self.each.values().any(by_clock)
    }

    fn judge(&mut self, expected: &Expected, now: u64) -> Verdict {
        let since = *self.since.get_or_insert(now);
        if self.silent(expected, now, INTERVALS).is_some() {
            self.ragged = now;
        } else if now.saturating_sub(self.ragged) >= STEADY * 1_000 * u64::from(expected.every_s) {
            self.patience = INTERVALS;
        }
        if let Some(silence) = self.silent(expected, now, self.patience) {
            return Verdict::Silent(silence);
        }
        if std::mem::take(&mut self.is_alarmed) {
            self.patience = (self.patience * 2).min(MOST_INTERVALS);
        }
        if self.word(expected).is_some_and(|word| word >= since) {
            Verdict::Heard
        } else {
            Verdict::Wait
        }
    }

    /// The silence of more than so many intervals: of all first, then of one quantity that came before.
    fn silent(&self, expected: &Expected, now: u64, intervals: u64) -> Option<Silence> {
        let is_over = |word: Option<u64>, every_s: u32| {
            let quiet = now.saturating_sub(word.max(self.since).unwrap_or(now));
            quiet > intervals * 1_000 * u64::from(every_s)
        };
        let silence = |quantity, heard: Latest| Silence {
            last: self.last,
            quantity,
            is_known: self.is_alarmed,
            is_noisy: heard.noise > heard.good,
            is_there: false,
        };
        if is_over(self.word(expected), expected.every_s) {
            let is_there = !is_over(self.frames.latest.good, expected.every_s);
            return Some(Silence {
                is_there,
                ..silence(None, self.all)
            });
        }
        expected.each.iter().find_map(|(quantity, every_s)| {
            let voice = self.each.get(quantity)?;
            // One that comes more rarely than the rest of its device is not missed before its time.
            let every_s = voice
                .rhythm
                .every_s()
                .map_or(*every_s, |own| own.max(*every_s));
            is_over(voice.latest.good, every_s).then(|| silence(Some(*quantity), voice.latest))
        })
    }

    /// What is known now, if it differs enough from what was learnt.
    fn news_of_rhythm(&self) -> Option<Option<u32>> {
        // Only of a node that never told a value do its frames say how often it is there.
        let frames = self.each.is_empty().then_some(&self.frames);
        let voices = self.each.values().chain(frames);
        let mut ripe = voices.filter(|v| v.rhythm.is_ripe()).peekable();
        ripe.peek()?;
        // The device is there as often as its most frequent quantity.
        let (old, new) = (self.learnt_s, ripe.filter_map(|v| v.rhythm.every_s()).min());
        let is_news = match (old, new) {
            (Some(old), Some(new)) => {
                (f64::from(new) - f64::from(old)).abs() > f64::from(old) * WORTH
            }
            (old, new) => old != new,
        };
        is_news.then_some(new)
    }
}
