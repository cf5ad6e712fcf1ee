//! A microcontroller node in software: flash, a queue in it, a clock that drifts, a supply that fails.
//!
//! [`Node`] is what the firmware of an ESP32 would be, without a radio: it is told what time its own clock shows, hands out frames
//! and is handed what came down. Everything that it knows beside its [`Flash`] is gone when it is reset. It is written to
//! `docs/firmware-protocol.md`, and what it measures must reach the farm exactly once.

mod flash;
mod notes;
mod queue;
mod slots;

use firmware_protocol::{
    Ack, Action, Batch, ClockQuality, Command, CommandResult, Config, ConfigReport, ConfigWriter,
    DeviceId, Direction, FrameWriter, Held, Hello, Key, MAX_FRAME, Measure, Outcome, Reading,
    ReadingsWriter, Record, Replay, ReplayWindow, ResetReason, Sequence, Setting, TimeAnswer,
    TimeRequest, UpdateState, WINDOW, kind, open,
};

pub use self::{
    flash::{Flash, PowerLost, SECTOR},
    queue::MAX_BATCH,
    slots::{Health, Slots},
};
use self::{
    notes::{Key as Note, Notes},
    queue::Queue,
};
use crate::rng::Rng;

/// Sectors that hold notes; the rest is the queue's.
const NOTES: usize = 2;
/// Longest wait before a frame is sent again, milliseconds.
const LONGEST_WAIT_MS: u64 = 300_000;
/// A time answer that took longer says too little.
const TIME_TOLERANCE_MS: u64 = 2_000;

/// What a node is made with.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The last eight bytes of its device's identity.
    pub device: DeviceId,
    /// Its key.
    pub key: Key,
    /// Version of its firmware.
    pub firmware: String,
    /// What it runs on.
    pub hardware: String,
}

/// Why a node did not start, or stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Stopped {
    /// The supply failed.
    #[error(transparent)]
    Power(#[from] PowerLost),
    /// It can't read its boot number any more: its key is over, it must join again.
    #[error("the boot number is lost, and the key with it")]
    Forgotten,
}

/// What a node does because it was told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Restart.
    Restart,
    /// Measure now.
    Measure,
    /// Blink for so many seconds.
    Blink(i64),
}

/// A node.
#[derive(Debug)]
pub struct Node {
    profile: Profile,
    /// What survives.
    pub flash: Flash,
    rng: Rng,
    slots: Option<Slots>,
    awake: Option<Awake>,
}

/// What a reset takes away.
#[derive(Debug)]
struct Awake {
    reset: ResetReason,
    notes: Notes,
    queue: Queue,
    sequence: Sequence,
    came: ReplayWindow,
    refused: u32,
    /// Something came down in this boot.
    heard: bool,
    /// Ticks and wall time of the same moment.
    told: Option<(u64, u64, ClockQuality)>,
    asked_time: Option<u64>,
    greeted: Option<u64>,
    /// When the next frame may go, and how many went unanswered.
    send_at: u64,
    unanswered: u32,
    results: Vec<CommandResult>,
    report: Option<ConfigReport>,
    wishes: Vec<Wish>,
}

impl Node {
    /// A node as it leaves the bench: flash formatted, boot number 0. `rng` decides its jitter.
    pub fn new(profile: Profile, sectors: usize, rng: Rng) -> Self {
        let mut flash = Flash::blank(sectors, rng.clone());
        Notes::format(&mut flash, 0).expect("the bench does not lose power");
        Self {
            profile,
            flash,
            rng,
            slots: None,
            awake: None,
        }
    }

    /// The same with slots that firmware can be brought up to date in.
    #[must_use]
    pub fn with_slots(mut self, slots: Slots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Starts: a boot number more, in flash before anything else.
    ///
    /// # Errors
    /// When the supply fails, or the boot number can't be read.
    pub fn start(&mut self, reset: ResetReason) -> Result<(), Stopped> {
        self.awake = None;
        let mut notes = Notes::find(&self.flash, 0).ok_or(Stopped::Forgotten)?;
        let boot = notes.number(Note::Boot) + 1;
        notes.put(&mut self.flash, Note::Boot, &boot.to_be_bytes())?;
        let read_back = Notes::find(&self.flash, 0).map(|notes| notes.number(Note::Boot));
        if read_back != Some(boot) {
            return Err(Stopped::Forgotten);
        }
        if let Some(slots) = &mut self.slots {
            slots.start()?;
            if let Some((version, _)) = slots.runs() {
                self.profile.firmware = version;
            }
        }
        self.awake = Some(Awake {
            reset,
            queue: Queue::find(&self.flash, NOTES, boot),
            notes,
            sequence: Sequence::start(Direction::Up, self.profile.device, boot),
            came: ReplayWindow::default(),
            refused: 0,
            heard: false,
            told: None,
            asked_time: None,
            greeted: None,
            send_at: 0,
            unanswered: 0,
            results: Vec::new(),
            report: None,
            wishes: Vec::new(),
        });
        Ok(())
    }

    /// Takes all memory but flash away.
    pub fn reset(&mut self) {
        self.awake = None;
        self.flash.power_up();
        if let Some(slots) = &mut self.slots {
            slots.reset();
        }
    }

    /// How far an update of its firmware is.
    pub fn update(&self) -> Option<UpdateState> {
        self.slots.as_ref()?.phase()
    }

    /// It has looked at itself: firmware on trial is kept if that is good and the farm has answered.
    ///
    /// # Errors
    /// When the supply fails.
    pub fn judge(&mut self, health: Health) -> Result<(), PowerLost> {
        let answered = self.awake.as_ref().is_some_and(|awake| awake.heard);
        match &mut self.slots {
            Some(slots) if answered => slots.judge(health),
            _ => Ok(()),
        }
    }

    /// Whether it runs.
    pub fn is_awake(&self) -> bool {
        self.awake.is_some()
    }

    /// Batches that wait for the farm's word, and how many were dropped since the start because flash was full.
    pub fn waiting(&self) -> (usize, u64) {
        self.awake
            .as_ref()
            .map_or((0, 0), |a| (a.queue.len(), a.queue.dropped()))
    }

    /// What it was told to do.
    pub fn wishes(&mut self) -> Vec<Wish> {
        self.awake
            .as_mut()
            .map(|awake| std::mem::take(&mut awake.wishes))
            .unwrap_or_default()
    }

    /// The value of a setting, in its unit.
    pub fn setting(&self, setting: Setting) -> i64 {
        let named = self.awake.as_ref().and_then(|awake| {
            let contents = awake.notes.get(Note::Config)?;
            let Ok(Record::Config(config)) = Record::read(kind::CONFIG, contents) else {
                return None;
            };
            config.iter().find(|(key, _)| *key == setting)
        });
        named.map_or_else(|| default(setting), |(_, value)| value)
    }

    /// Writes what was measured at `ticks` to flash, as one batch; its number.
    ///
    /// # Errors
    /// When the supply fails: the batch is then in flash or it is not.
    pub fn measure(&mut self, ticks: u64, values: &[(u8, Measure, i64)]) -> Result<u32, PowerLost> {
        let readings: Vec<_> = values
            .iter()
            .map(|&(channel, measure, value)| Reading::good(0, channel, measure, value))
            .collect();
        self.keep(ticks, &readings)
    }

    /// Writes readings to flash, as one batch whose first moment is `ticks`; its number.
    ///
    /// # Errors
    /// When the supply fails, or the node does not run: the batch is then in flash or it is not.
    pub fn keep(&mut self, ticks: u64, readings: &[Reading<'_>]) -> Result<u32, PowerLost> {
        let awake = self.awake.as_mut().ok_or(PowerLost)?;
        let (unix_ms, clock) = awake.wall(ticks);
        let batch = Batch {
            queue: awake.queue.number,
            number: awake.queue.next(),
            boot: awake.sequence.boot(),
            ticks,
            unix_ms,
            clock,
        };
        let mut buffer = [0; MAX_BATCH];
        let mut writer = ReadingsWriter::new(&mut buffer, &batch).expect("a batch's head is short");
        for reading in readings {
            writer.add(reading).expect("a node measures little at once");
        }
        awake.queue.push(&mut self.flash, writer.finish())
    }

    /// When it wants to send next, by its own ticks; `None` while it has nothing to say.
    pub fn wakes_at(&self) -> Option<u64> {
        let awake = self.awake.as_ref()?;
        let slots = self.slots.as_ref();
        if awake.heard && slots.is_some_and(Slots::has_news) {
            return Some(0);
        }
        if awake.has_news() || slots.is_some_and(Slots::is_fetching) {
            return Some(awake.send_at);
        }
        let due = |last: Option<u64>, setting| {
            let every = self.setting(setting).max(1) as u64 * 1_000;
            last.map_or(0, |last| last + every)
        };
        let hello = due(awake.greeted, Setting::HelloEveryS);
        let time = due(awake.asked_time, Setting::TimeEveryS);
        Some(hello.min(time).max(awake.send_at))
    }

    /// The next frame, if one is due at `ticks`.
    pub fn send(&mut self, ticks: u64) -> Option<Vec<u8>> {
        if self.wakes_at()? > ticks {
            return None;
        }
        let retry = self.setting(Setting::RetryAfterS).max(1) as u64 * 1_000;
        let awake = self.awake.as_mut()?;
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut awake.sequence).ok()?;
        let has_news = !awake.queue.is_empty() || !awake.results.is_empty();
        if !awake.heard || awake.greeted.is_none() || !has_news {
            awake.greet(&mut frame, &self.profile, &self.flash, ticks);
        }
        for (kind, contents) in self.slots.as_mut().map(Slots::say).unwrap_or_default() {
            frame
                .add_stored(kind, &contents)
                .expect("what is said of an update is short");
        }
        awake.fill(&mut frame, &self.flash, ticks);
        let sent = frame.seal(&self.profile.key).to_vec();
        let wait = (retry << awake.unanswered.min(16)).min(LONGEST_WAIT_MS);
        awake.unanswered += 1;
        awake.send_at = ticks + (wait as f64 * self.rng.between(0.8, 1.2)) as u64;
        Some(sent)
    }

    /// Takes what came down, at `ticks`. What is not for this boot, was seen or does not authenticate is counted and changes nothing.
    ///
    /// # Errors
    /// When the supply fails.
    pub fn hear(&mut self, ticks: u64, mut frame: Vec<u8>) -> Result<(), PowerLost> {
        let Some(awake) = self.awake.as_mut() else {
            return Ok(());
        };
        let opened = match open(&mut frame, &self.profile.key) {
            Ok(opened)
                if opened.header.direction == Direction::Down
                    && opened.header.device == self.profile.device
                    && opened.header.boot == awake.sequence.boot()
                    && awake.came.take(&opened.header) == Replay::New =>
            {
                opened
            }
            _ => {
                awake.refused += 1;
                return Ok(());
            }
        };
        awake.heard = true;
        for record in opened.records().flatten() {
            awake.obey(&mut self.flash, ticks, &record)?;
            let Some(slots) = &mut self.slots else {
                continue;
            };
            slots.hear(&record)?;
            if matches!(record, Record::Chunk(_)) {
                // More is on its way: no need to ask again yet.
                awake.unanswered = 0;
                awake.send_at = ticks + default(Setting::RetryAfterS).unsigned_abs() * 1_000;
            }
        }
        Ok(())
    }
}

impl Awake {
    /// Wall time at `ticks`, as far as it was told.
    fn wall(&self, ticks: u64) -> (u64, ClockQuality) {
        match self.told {
            Some((at, unix_ms, clock)) => (
                unix_ms.saturating_add_signed(ticks as i64 - at as i64),
                clock,
            ),
            None => (0, ClockQuality::Unknown),
        }
    }

    /// Whether it has something to say for which an answer is awaited.
    fn has_news(&self) -> bool {
        !self.heard || !self.queue.is_empty() || !self.results.is_empty() || self.report.is_some()
    }

    fn greet(&mut self, frame: &mut FrameWriter<'_>, who: &Profile, flash: &Flash, ticks: u64) {
        let hello = Hello {
            ticks,
            reset: self.reset,
            firmware: &who.firmware,
            hardware: &who.hardware,
            heard: self.came.newest,
            refused: self.refused,
            config: self.config_version(),
            battery_mv: 3_700,
            room: ((flash.sectors() - NOTES) * 8) as u32,
        };
        let said = frame.add(&Record::Hello(hello));
        let asked = frame.add(&Record::TimeRequest(TimeRequest { ticks }));
        said.and(asked).expect("a greeting fits an empty frame");
        self.greeted = Some(ticks);
        self.asked_time = Some(ticks);
    }

    /// Adds what waits: results, then batches, oldest first, as many as fit.
    fn fill(&mut self, frame: &mut FrameWriter<'_>, flash: &Flash, ticks: u64) {
        for result in self.results.drain(..) {
            frame
                .add(&Record::CommandResult(result))
                .expect("results are few");
        }
        if let Some(report) = self.report.take() {
            frame
                .add(&Record::ConfigReport(report))
                .expect("a report is short");
        }
        let oldest = self.queue.oldest();
        let held = Held {
            ticks,
            queue: self.queue.number,
            oldest,
            newest: self.queue.next() - 1,
        };
        frame
            .add(&Record::Held(held))
            .expect("a frame has room for its head");
        for (number, contents) in self.queue.waiting(flash) {
            if number >= oldest + WINDOW || frame.add_stored(kind::READINGS, contents).is_err() {
                break;
            }
        }
    }

    fn obey(
        &mut self,
        flash: &mut Flash,
        ticks: u64,
        record: &Record<'_>,
    ) -> Result<(), PowerLost> {
        match record {
            Record::Ack(ack) => self.acknowledged(flash, ticks, ack)?,
            Record::TimeAnswer(answer) => self.set_clock(ticks, answer),
            Record::Config(config) => self.configure(flash, config)?,
            Record::Command(command) => self.command(flash, command)?,
            _ => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self, flash: &mut Flash, ticks: u64, ack: &Ack) -> Result<(), PowerLost> {
        if ack.queue != self.queue.number {
            return Ok(());
        }
        let before = self.queue.len();
        self.queue
            .acknowledge(flash, |number| ack.covers(ack.queue, number))?;
        if self.queue.len() < before || self.queue.is_empty() {
            self.unanswered = 0;
            self.send_at = ticks;
        }
        Ok(())
    }

    fn set_clock(&mut self, ticks: u64, answer: &TimeAnswer) {
        let took = ticks.saturating_sub(answer.ticks);
        if answer.clock != ClockQuality::Unknown && took <= TIME_TOLERANCE_MS {
            self.told = Some((answer.ticks + took / 2, answer.unix_ms, answer.clock));
        }
    }

    fn config_version(&self) -> u32 {
        let contents = self.notes.get(Note::Config);
        match contents.map(|contents| Record::read(kind::CONFIG, contents)) {
            Some(Ok(Record::Config(config))) => config.version,
            _ => 0,
        }
    }

    fn configure(&mut self, flash: &mut Flash, config: &Config<'_>) -> Result<(), PowerLost> {
        if config.version > self.config_version() {
            let mut buffer = [0; 255];
            let Ok(mut writer) = ConfigWriter::new(&mut buffer, config.version) else {
                return Ok(());
            };
            for (setting, value) in config.iter() {
                if writer.add(setting, value).is_err() {
                    return Ok(());
                }
            }
            self.notes.put(flash, Note::Config, writer.finish())?;
        }
        let unknown = config
            .iter()
            .filter(|(setting, _)| matches!(setting, Setting::Other(_)));
        self.report = Some(ConfigReport {
            version: config.version,
            outcome: Outcome::Done,
            unknown: unknown.count() as u8,
        });
        Ok(())
    }

    fn command(&mut self, flash: &mut Flash, command: &Command) -> Result<(), PowerLost> {
        let mut outcome = Outcome::Done;
        if command.id > self.notes.number(Note::Command) {
            self.notes
                .put(flash, Note::Command, &command.id.to_be_bytes())?;
            match command.action {
                Action::Identify => self.wishes.push(Wish::Blink(command.value)),
                Action::Restart => self.wishes.push(Wish::Restart),
                Action::ReadNow => self.wishes.push(Wish::Measure),
                Action::SendNow => self.send_at = 0,
                Action::Calibrate | Action::SwitchOn | Action::Other(_) => {
                    outcome = Outcome::Unsupported;
                }
            }
        }
        self.results.retain(|result| result.id != command.id);
        self.results.push(CommandResult {
            id: command.id,
            outcome,
        });
        Ok(())
    }
}

/// What a setting is unless the farm names another value.
fn default(setting: Setting) -> i64 {
    match setting {
        Setting::SampleEveryS => 300,
        Setting::HelloEveryS | Setting::TimeEveryS => 3_600,
        Setting::RetryAfterS => 10,
        Setting::SendEveryS | Setting::TellChangeMilli | Setting::Other(_) => 0,
    }
}
