//! Records beside readings: what is held and what is on disk, greetings, the time, settings, commands.

use serde::{Deserialize, Serialize};

use crate::{
    codes::{Action, ClockQuality, Outcome, ResetReason, Setting},
    record::plain,
    seal::Full,
};

/// Most bytes of a text (UTF-8) in a record.
pub const MAX_TEXT: usize = 32;
/// Most settings in one configuration.
pub const MAX_SETTINGS: usize = 32;

/// Up, before the batches of a frame: what the node's queue holds, and its clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Milliseconds since this boot, when the frame was sealed. Deep sleep counts.
    pub ticks: u64,
    /// Which queue: the boot in which its numbers began at 1. It only grows; a queue that was formatted is a new one.
    pub queue: u32,
    /// Number of the oldest batch that may still be sent. What is older and did not arrive is lost.
    pub oldest: u32,
    /// Number of the newest batch; `oldest - 1` when there is none.
    pub newest: u32,
}

/// Down, after the commit: which batches are on disk, and may be erased from the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ack {
    /// Which queue.
    pub queue: u32,
    /// This number and all below it.
    pub through: u32,
    /// Bit `i` (the lowest is 0): number `through + 1 + i` as well.
    pub also: u64,
}

impl Ack {
    /// Whether it says of batch `number` that it is on disk.
    pub fn covers(&self, queue: u32, number: u32) -> bool {
        queue == self.queue
            && match number.checked_sub(self.through) {
                None | Some(0) => true,
                Some(over) => over <= 64 && self.also >> (over - 1) & 1 == 1,
            }
    }
}

/// Up, after each start until something comes down, and every now and then: who speaks, and how it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// Milliseconds since this boot.
    pub ticks: u64,
    /// Why it started.
    pub reset: ResetReason,
    /// Version of the firmware that runs, at most [`MAX_TEXT`] bytes.
    pub firmware: &'a str,
    /// What it runs on, at most [`MAX_TEXT`] bytes. Updates are offered by it.
    pub hardware: &'a str,
    /// Highest `seq` that came down in this boot; 0 when none did. The edge goes on above it.
    pub heard: u64,
    /// Frames that came down in this boot and did not authenticate or were seen before.
    pub refused: u32,
    /// Version of the configuration in force; 0 for the one it was made with.
    pub config: u32,
    /// Supply or battery, millivolts; 0 when it can't tell.
    pub battery_mv: u32,
    /// Batches that its queue has room for.
    pub room: u32,
}

/// Up: what time is it?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimeRequest {
    /// Milliseconds since this boot, when the frame was sealed.
    pub ticks: u64,
}

/// Down: the time when the frame was sealed. A node takes the middle between asking and hearing for that moment, and asks
/// again when they are more than two seconds apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimeAnswer {
    /// Those of the request.
    pub ticks: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// How well the edge knows that.
    pub clock: ClockQuality,
}

/// Down: all settings that shall be in force. Those that are not named keep their defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config<'a> {
    /// Grows with each change.
    pub version: u32,
    count: u8,
    settings: &'a [u8],
}

impl<'a> Config<'a> {
    /// The settings and their values.
    pub fn iter(&self) -> impl Iterator<Item = (Setting, i64)> + 'a {
        let mut rest = self.settings;
        (0..self.count).map_while(move |_| {
            let (setting, after) = postcard::take_from_bytes(rest).ok()?;
            rest = after;
            Some(setting)
        })
    }

    pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
        let ((version, count), settings) = postcard::take_from_bytes::<(u32, u8)>(contents).ok()?;
        let config = Self {
            version,
            count,
            settings,
        };
        let whole = usize::from(count) <= MAX_SETTINGS && config.iter().count() == count.into();
        whole.then_some(config)
    }

    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        let mut writer = ConfigWriter::new(to, self.version)?;
        for (setting, value) in self.iter() {
            writer.add(setting, value)?;
        }
        Ok(writer.used)
    }
}

/// Writes a [`Config`] into a buffer.
#[derive(Debug)]
pub struct ConfigWriter<'b> {
    buffer: &'b mut [u8],
    count_at: usize,
    used: usize,
}

impl<'b> ConfigWriter<'b> {
    /// A configuration without settings.
    ///
    /// # Errors
    /// When `buffer` is too short.
    pub fn new(buffer: &'b mut [u8], version: u32) -> Result<Self, Full> {
        let used = crate::record::write(&(version, 0_u8), buffer)?;
        Ok(Self {
            buffer,
            count_at: used - 1,
            used,
        })
    }

    /// Adds a setting.
    ///
    /// # Errors
    /// When there is no room, or there are [`MAX_SETTINGS`].
    pub fn add(&mut self, setting: Setting, value: i64) -> Result<(), Full> {
        if usize::from(self.buffer[self.count_at]) == MAX_SETTINGS {
            return Err(Full);
        }
        self.used += crate::record::write(&(setting, value), &mut self.buffer[self.used..])?;
        self.buffer[self.count_at] += 1;
        Ok(())
    }

    /// The contents of the record.
    pub fn finish(self) -> &'b [u8] {
        &self.buffer[..self.used]
    }
}

/// Up: the node has looked at a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Its version.
    pub version: u32,
    /// [`Outcome::Done`] when it is in force, on flash; otherwise the one before it still is.
    pub outcome: Outcome,
    /// Settings that this node does not know; they were passed over.
    pub unknown: u8,
}

/// Down: do this. It comes again until a result arrives, so a node remembers the newest `id` that it has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Grows with each command to this node.
    pub id: u32,
    /// What to do.
    pub action: Action,
    /// See [`Action`].
    pub channel: u8,
    /// See [`Action`].
    pub value: i64,
}

/// Up: what became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommandResult {
    /// Which command.
    pub id: u32,
    /// What became of it.
    pub outcome: Outcome,
}

plain! { Held, Ack, TimeRequest, TimeAnswer, ConfigReport, Command, CommandResult }

impl<'a> Hello<'a> {
    pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
        crate::record::read(contents).filter(Self::is_bounded)
    }

    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        if !self.is_bounded() {
            return Err(Full);
        }
        crate::record::write(self, to)
    }

    fn is_bounded(&self) -> bool {
        self.firmware.len() <= MAX_TEXT && self.hardware.len() <= MAX_TEXT
    }
}
