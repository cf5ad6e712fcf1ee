//! Rules over newest values and over time: tanks out of their limits, methane, heat, devices that have gone silent.
//!
//! Whoever ingests calls [`values`] with what is newest, and [`silence`] now and then. Each rule raises one alert and
//! clears it with some hysteresis, so that a value that hovers at its limit does not ring all night. Only good values
//! judge: a broken probe is silence, not cold milk.

mod silence;

use farm_model::{Clock as _, Milli, Place, PlaceKind, Quality, Quantity, Stamp, UnixMillis};
use rusqlite::{OptionalExtension, params};

use crate::{
    Farm,
    alerts::{self, AlertKind, Subject},
    climate::HeatStress,
    live::{LiveValue, Origin},
    places, readings,
    store::{Actor, StoreError, Tx},
};

pub(crate) use self::silence::recall;
pub use self::silence::silence;

/// Above this a tank is warm unless the place says otherwise: 8 °C.
const WARM: Milli = Milli(8_000);
/// Below this its milk freezes: −0.6 °C.
const COLD: Milli = Milli(-600);
/// Minutes out of limits before the alarm unless the place says otherwise.
const AFTER_MIN: u32 = 30;
/// How far inside the limit a temperature must come to clear the alarm: half a degree.
const HYSTERESIS: Milli = Milli(500);
/// A tank filled no further than this holds no milk to worry about: one percent.
pub const EMPTY: Milli = Milli(1_000);
/// How far below its band the heat index must come to clear the alarm: a point.
const HEAT_HYSTERESIS: Milli = Milli(1_000);
/// Methane in the air: a quarter of the lower explosive limit of 4.4 %.
const METHANE: Milli = Milli(1_100);

/// Judges newest values by the limits of their places.
///
/// # Errors
/// When the database fails.
pub fn values(tx: &mut Tx<'_>, newest: &[LiveValue]) -> Result<(), StoreError> {
    for value in newest.iter().filter(|v| v.quality == Quality::Good) {
        let (Some(place), Some(milli)) = (value.place, value.value) else {
            continue;
        };
        if !matches!(
            value.quantity,
            Quantity::Temperature | Quantity::Methane | Quantity::Thi
        ) {
            continue;
        }
        let Some(place) = places::get(tx.conn(), place)? else {
            continue;
        };
        match (value.quantity, place.kind) {
            (Quantity::Temperature, PlaceKind::Tank) if is_empty(newest, &place) => {
                spare(tx, &place, value)?;
            }
            (Quantity::Temperature, PlaceKind::Tank) => tank(tx, &place, value, milli)?,
            (Quantity::Methane, PlaceKind::Room) => methane(tx, &place, milli)?,
            (Quantity::Thi, PlaceKind::Room) => heat(tx, &place, milli)?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether a tank says that it is empty: the air in it may have any temperature.
fn is_empty(newest: &[LiveValue], place: &Place) -> bool {
    newest.iter().any(|v| {
        v.place == Some(place.id)
            && v.quantity == Quantity::Level
            && v.quality == Quality::Good
            && v.value.is_some_and(|level| level <= EMPTY)
    })
}

/// Nothing is wrong with a tank that is empty.
fn spare(tx: &mut Tx<'_>, place: &Place, value: &LiveValue) -> Result<(), StoreError> {
    if let Some(series) = readings::find_series(tx.conn(), value.device, value.quantity)? {
        end_excursion(tx, series)?;
    }
    let subject = Subject::Place(place.id);
    alerts::clear(tx, AlertKind::TankWarm, subject)?;
    alerts::clear(tx, AlertKind::TankCold, subject)?;
    Ok(())
}

fn tank(tx: &mut Tx<'_>, place: &Place, value: &LiveValue, milli: Milli) -> Result<(), StoreError> {
    let max = place.details.max_temperature.unwrap_or(WARM);
    let min = place.details.min_temperature.unwrap_or(COLD);
    let subject = Subject::Place(place.id);
    let Some(series) = readings::find_series(tx.conn(), value.device, value.quantity)? else {
        return Ok(());
    };
    let kind = if milli > max {
        AlertKind::TankWarm
    } else if milli < min {
        AlertKind::TankCold
    } else {
        end_excursion(tx, series)?;
        if milli.0 <= max.0 - HYSTERESIS.0 {
            alerts::clear(tx, AlertKind::TankWarm, subject)?;
        }
        if milli.0 >= min.0 + HYSTERESIS.0 {
            alerts::clear(tx, AlertKind::TankCold, subject)?;
        }
        return Ok(());
    };
    let since = begin_excursion(tx, series, value.at)?;
    let after = i64::from(place.details.alarm_after_min.unwrap_or(AFTER_MIN)) * 60_000;
    let lasted = lasted(&since, &tx.now(), value.at);
    if lasted >= after {
        let detail = serde_json::json!({
            "place": place.name,
            "temperature": milli,
            "limit": if kind == AlertKind::TankWarm { max } else { min },
            "minutes": lasted / 60_000,
        });
        alerts::raise(tx, kind, subject, &detail)?;
    }
    Ok(())
}

fn methane(tx: &mut Tx<'_>, place: &Place, milli: Milli) -> Result<(), StoreError> {
    let max = place.details.max_methane.unwrap_or(METHANE);
    let subject = Subject::Place(place.id);
    if milli > max {
        let detail = serde_json::json!({ "place": place.name, "methane": milli, "limit": max });
        alerts::raise(tx, AlertKind::Methane, subject, &detail)?;
    } else if milli.0 <= max.0 - max.0 / 10 {
        alerts::clear(tx, AlertKind::Methane, subject)?;
    }
    Ok(())
}

/// Cows that pant are a matter of the day, cows that may die one of the minute; never both at once.
fn heat(tx: &mut Tx<'_>, place: &Place, thi: Milli) -> Result<(), StoreError> {
    let subject = Subject::Place(place.id);
    let open = |kind| alerts::find_open(tx.conn(), kind, subject);
    let held = |is_open: bool| Milli(thi.0 + if is_open { HEAT_HYSTERESIS.0 } else { 0 });
    let stress = HeatStress::of(thi);
    let is_danger = held(open(AlertKind::HeatDanger)?.is_some()) >= HeatStress::Danger.from();
    let is_stress = held(open(AlertKind::HeatStress)?.is_some()) >= HeatStress::Moderate.from();
    let detail = serde_json::json!({ "place": place.name, "thi": thi, "stress": stress });
    for (kind, is_so) in [
        (AlertKind::HeatDanger, is_danger),
        (AlertKind::HeatStress, is_stress && !is_danger),
    ] {
        if is_so {
            alerts::raise(tx, kind, subject, &detail)?;
        } else {
            alerts::clear(tx, kind, subject)?;
        }
    }
    Ok(())
}

/// When the values of a series went out of their limits; now, if they were inside.
fn begin_excursion(tx: &Tx<'_>, series: i64, at: UnixMillis) -> Result<Stamp, StoreError> {
    let begun = tx
        .conn()
        .prepare_cached("SELECT since, boot, mono FROM excursion WHERE series = ?1")?
        .query_row([series], |row| {
            Ok(Stamp {
                wall: UnixMillis(row.get(0)?),
                boot: row.get(1)?,
                mono: row.get::<_, i64>(2)? as u64,
                ..Stamp::default()
            })
        })
        .optional()?;
    if let Some(begun) = begun {
        return Ok(begun);
    }
    let now = tx.now();
    tx.conn()
        .prepare_cached(
            "INSERT INTO excursion (series, since, boot, mono) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![series, at.0, now.boot, now.mono as i64])?;
    Ok(Stamp { wall: at, ..now })
}

fn end_excursion(tx: &Tx<'_>, series: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM excursion WHERE series = ?1")?
        .execute([series])?;
    Ok(())
}

/// Milliseconds since `since`: by the clock that never jumps where it can tell, by the values' own times else.
fn lasted(since: &Stamp, now: &Stamp, at: UnixMillis) -> i64 {
    if since.boot == now.boot {
        now.mono.saturating_sub(since.mono) as i64
    } else {
        at.since(since.wall).max(0)
    }
}

/// One round of all rules that time drives: tanks, silence, undated holds, the clock. Call it every few seconds of farm
/// time.
///
/// # Errors
/// When the database fails.
pub async fn round(farm: &Farm) -> Result<(), StoreError> {
    let mut newest = farm.live().values();
    // What was measured elsewhere, its own appliance judges.
    newest.retain(|value| value.origin == Origin::Here);
    let trusted = farm.clock().now().clock.is_trusted();
    farm.write(Actor::System, move |tx| {
        values(tx, &newest)?;
        silence(tx)?;
        crate::holds::date_holds(tx)?;
        if trusted {
            alerts::clear(tx, AlertKind::ClockUnknown, Subject::Farm)?;
        } else {
            let detail = serde_json::json!({ "clock": tx.now().clock });
            alerts::raise(tx, AlertKind::ClockUnknown, Subject::Farm, &detail)?;
        }
        Ok(())
    })
    .await
}
