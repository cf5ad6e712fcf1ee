//! What sensors measured, as other places know it: sums of each series over five minutes, told as facts.
//!
//! A probe that is read once a second would fill a slow line by itself, so raw readings stay where they were taken. When they are
//! compacted, `Waiting` adds them up by span; [`tell`] appends the spans that are over to the log `sample`. At another site [`follow`]
//! takes them into sums and newest values, which pages read beside their own. A reading that comes late makes another
//! fact of the same span: facts of a span add up. Retention of raw readings does not touch the log.
//! Invariants: each reading is in one fact; a site's own facts are never counted beside its own readings.

mod body;
mod take;
mod tell;
#[cfg(test)]
mod tests;

use farm_model::DeviceKind;

pub use self::{take::follow, tell::tell};
pub(crate) use self::{
    take::{count_points, forget, heard_elsewhere, newest, points, reckon},
    tell::{Reading, Waiting, disown},
};

/// Length of a slot in milliseconds: five minutes.
const SLOT_MS: i64 = 300_000;
/// Slots of an hour.
const HOUR: i64 = 12;

/// Slots that are told as one. What speaks when an animal comes by is told by the hour: its milkings and alarms go at once.
fn span(kind: DeviceKind) -> i64 {
    match kind {
        DeviceKind::RfidReader | DeviceKind::MilkMeter | DeviceKind::Collar => HOUR,
        DeviceKind::TemperatureProbe
        | DeviceKind::LevelSensor
        | DeviceKind::BiogasMonitor
        | DeviceKind::Sensor => 1,
    }
}

/// Milliseconds after which the word of a device of this kind is old at another place: its span, and ten minutes to come over.
pub fn patience_ms(kind: DeviceKind) -> i64 {
    (span(kind) + 2) * SLOT_MS
}
