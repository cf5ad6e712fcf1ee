//! The farm's settings: one record per key, so that two sites may each change another one.

use jiff::tz::TimeZone;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::store::{Change, StoreError, Tx};

/// Namespace of the keys' identities: the same key has the same identity on every site.
const KEYS: Uuid = Uuid::from_u128(0x6b68_616d_6172_5345_5454_494e_4753_0001);

/// What can be set.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Settings {
    /// The farm's name.
    pub name: String,
    /// IANA name of the farm's time zone.
    pub timezone: String,
    /// Language of a phone that has not chosen one: `bn` or `en`.
    pub language: String,
    /// Millilitres the farm means to milk in a day.
    pub target_ml: Option<i64>,
    /// Percent below the animal's own baseline that is told as a drop in yield.
    pub yield_drop_percent: i64,
    /// Megabytes (of a million bytes) that the database may grow to.
    pub budget_mb: i64,
    /// Days that raw readings are kept.
    pub raw_days: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "খামার".into(),
            timezone: "Asia/Dhaka".into(),
            language: "bn".into(),
            target_ml: None,
            yield_drop_percent: 30,
            budget_mb: 8_192,
            raw_days: 400,
        }
    }
}

impl Settings {
    /// The time zone; six hours east of Greenwich when its name is not known to this machine.
    pub fn tz(&self) -> TimeZone {
        TimeZone::get(&self.timezone).unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(6)))
    }
}

/// The settings; what was never set has its default.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &Connection) -> Result<Settings, StoreError> {
    let mut settings = Settings::default();
    let mut statement = conn.prepare_cached("SELECT key, value FROM setting")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (Some(key), Some(value)) = (
            row.get::<_, Option<String>>(0)?,
            row.get::<_, Option<String>>(1)?,
        ) else {
            continue;
        };
        let number = value.parse::<i64>().ok();
        // A figure that cannot be meant, typed or merged, must not throw readings away.
        let within = |bounds: std::ops::RangeInclusive<i64>, usual: i64| {
            number.filter(|n| bounds.contains(n)).unwrap_or(usual)
        };
        match key.as_str() {
            "name" => settings.name = value,
            "timezone" => settings.timezone = value,
            "language" => settings.language = value,
            "target_ml" => settings.target_ml = number.filter(|ml| *ml > 0),
            "yield_drop_percent" => settings.yield_drop_percent = within(1..=99, 30),
            "budget_mb" => settings.budget_mb = within(100..=100_000_000, 8_192),
            "raw_days" => settings.raw_days = within(1..=36_500, 400),
            _ => {}
        }
    }
    Ok(settings)
}

/// Saves what differs from what is stored.
///
/// # Errors
/// When the database fails.
pub fn save(tx: &mut Tx<'_>, new: &Settings) -> Result<(), StoreError> {
    let old = load(tx.conn())?;
    let target = |s: &Settings| s.target_ml.map(|t| t.to_string()).unwrap_or_default();
    let pairs = [
        ("name", old.name.clone(), new.name.clone()),
        ("timezone", old.timezone.clone(), new.timezone.clone()),
        ("language", old.language.clone(), new.language.clone()),
        ("target_ml", target(&old), target(new)),
        (
            "yield_drop_percent",
            old.yield_drop_percent.to_string(),
            new.yield_drop_percent.to_string(),
        ),
        (
            "budget_mb",
            old.budget_mb.to_string(),
            new.budget_mb.to_string(),
        ),
        (
            "raw_days",
            old.raw_days.to_string(),
            new.raw_days.to_string(),
        ),
    ];
    for (key, old, new) in pairs {
        if old != new {
            put(tx, key, &new)?;
        }
    }
    if old.timezone != new.timezone {
        // The days of all events are local ones.
        crate::events::rebuild(tx)?;
    }
    Ok(())
}

fn put(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    tx.conn().execute(
        "INSERT INTO setting (id, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET value = ?3",
        params![Uuid::new_v5(&KEYS, key.as_bytes()).as_bytes(), key, value],
    )?;
    tx.audit("setting", key, Some(&serde_json::json!({ "value": value })))?;
    tx.tell(Change::Setting);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Actor, Farm, Options};

    #[test]
    fn a_figure_that_cannot_be_meant_is_the_usual_one() {
        let dir = tempfile::tempdir().unwrap();
        let farm = Farm::open(&dir.path().join("farm.db"), Options::default()).unwrap();
        let settings = farm
            .write_blocking(Actor::System, |tx| {
                for (key, value) in [
                    ("raw_days", "-1"),
                    ("budget_mb", "0"),
                    ("yield_drop_percent", "x"),
                    ("target_ml", "900000"),
                ] {
                    put(tx, key, value)?;
                }
                load(tx.conn())
            })
            .unwrap();
        let usual = Settings {
            target_ml: Some(900_000),
            ..Settings::default()
        };
        assert_eq!(settings, usual);
    }
}
