//! Reading columns into the farm's own types; what cannot be read says what it should have been.

use farm_model::{AnimalId, DeviceId, PlaceId, StaffId, Tag, VisitId};
use jiff::civil::Date;
use rusqlite::Row;
use uuid::Uuid;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Days from 1970-01-01, the form in which a local date is stored where it is indexed.
pub(crate) fn day_number(date: Date) -> i64 {
    (date - EPOCH).get_days().into()
}

/// The local date of a day number; out of range values are clamped to what a date can hold.
pub(crate) fn date_of(day: i64) -> Date {
    jiff::Span::new()
        .try_days(day)
        .and_then(|days| EPOCH.checked_add(days))
        .unwrap_or(if day < 0 { Date::MIN } else { Date::MAX })
}

/// An identity column.
pub(crate) fn id<T: From16>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get(column).map(T::from16)
}

/// An identity column that may be empty; bytes that are no identity read as none.
pub(crate) fn id_opt<T: From16>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let bytes = row.get_ref(column)?.as_blob_or_null()?;
    Ok(bytes.and_then(|id| id.try_into().ok()).map(T::from16))
}

/// The rows that this program knows what to make of; the others are of a newer site and are left out.
pub(crate) fn known<T>(
    rows: impl Iterator<Item = rusqlite::Result<Option<T>>>,
) -> rusqlite::Result<Vec<T>> {
    rows.filter_map(Result::transpose).collect()
}

/// A text column, empty when NULL: another site's row may have arrived only in part.
pub(crate) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
}

/// A tag column that may be empty; a text that is no tag reads as none.
pub(crate) fn tag_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Tag>> {
    Ok(row
        .get::<_, Option<String>>(column)?
        .and_then(|t| t.parse().ok()))
}

/// A date column that may be empty.
pub(crate) fn date_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Date>> {
    Ok(row
        .get::<_, Option<String>>(column)?
        .and_then(|t| t.parse().ok()))
}

/// The identity of a fact's site as a column keeps it: none for this very one.
pub(crate) fn foreign_site(
    conn: &rusqlite::Connection,
    ordinal: i64,
) -> rusqlite::Result<Option<[u8; 16]>> {
    if ordinal == 0 {
        return Ok(None);
    }
    conn.prepare_cached("SELECT id FROM sync_site WHERE ordinal = ?1")?
        .query_row([ordinal], |row| row.get(0))
        .map(Some)
}

/// `value` as the JSON text of a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("the farm's types have no keys that JSON refuses")
}

/// Types whose stored form is 16 bytes.
pub(crate) trait From16 {
    fn from16(bytes: [u8; 16]) -> Self;
}

macro_rules! from16 {
    ($($name:ident),*) => {$(
        impl From16 for $name {
            fn from16(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }
    )*};
}

use farm_model::{AlertId, SessionId};
from16!(
    AlertId, AnimalId, DeviceId, PlaceId, SessionId, StaffId, VisitId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for (date, day) in [
            ("1970-01-01", 0),
            ("2026-11-20", 20_777),
            ("1969-12-31", -1),
        ] {
            let date: Date = date.parse().unwrap();
            assert_eq!(day_number(date), day);
            assert_eq!(date_of(day), date);
        }
    }
}
