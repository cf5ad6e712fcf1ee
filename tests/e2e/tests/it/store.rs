//! What the appliance has stored, read beside it; and how that compares with what truly happened.

use std::path::Path;

use e2e::{Edge, Farm};
use farm::{
    devices,
    readings::{self, Resolution},
};
use farm_model::{Quantity, UnixMillis};
use rusqlite::Connection;

/// 2026-05-21T05:00:00 in Dhaka, when the morning session begins.
pub(crate) const MORNING: i64 = 1_779_318_000_000;

/// Millilitres by which a stored yield may differ from the true one.
const TOLERANCE_ML: i64 = 100;

/// A milking, as it was or as it was stored.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Milking {
    /// Number of the cow.
    pub(crate) cow: Option<String>,
    /// Stall.
    pub(crate) stall: i64,
    /// Milliseconds since 1970.
    pub(crate) start: i64,
    /// Milliseconds since 1970.
    pub(crate) end: i64,
    /// Millilitres.
    pub(crate) yield_ml: i64,
}

/// The appliance's database, to look at.
pub(crate) fn open(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("the database can be opened");
    conn.busy_timeout(std::time::Duration::from_secs(10))
        .expect("a time-out can be set");
    conn.execute_batch("PRAGMA query_only = ON")
        .expect("a connection can be made read-only");
    conn
}

/// Every visit that stands.
pub(crate) fn visits(conn: &Connection) -> Vec<Milking> {
    let mut query = conn
        .prepare_cached(
            "SELECT a.number, coalesce(v.stall, 0), v.start, v.ended, v.yield_ml
             FROM visit v LEFT JOIN animal a ON a.id = v.animal WHERE v.voided = 0 ORDER BY v.start",
        )
        .expect("the schema is known");
    let rows = query.query_map([], |row| {
        Ok(Milking {
            cow: row.get(0)?,
            stall: row.get(1)?,
            start: row.get(2)?,
            end: row.get(3)?,
            yield_ml: row.get(4)?,
        })
    });
    rows.expect("it can be read")
        .collect::<Result<_, _>>()
        .expect("every row can be read")
}

/// What truly happened.
pub(crate) fn truth(farm: &Farm) -> Vec<Milking> {
    let milking = |line: &serde_json::Value| Milking {
        cow: line["cow"].as_i64().map(|n| n.to_string()),
        stall: line["stall"].as_i64().expect("a stall"),
        start: line["start"].as_i64().expect("a start"),
        end: line["end"].as_i64().expect("an end"),
        yield_ml: line["yield_ml"].as_i64().expect("a yield"),
    };
    farm.truth().iter().map(milking).collect()
}

/// Every way in which `stored` is not `truth`: milkings missing, doubled, invented, of another cow, or of another yield.
///
/// Each cow is milked once.
pub(crate) fn differences(truth: &[Milking], stored: &[Milking]) -> Vec<String> {
    let mut found = vec![];
    for milking in truth {
        let of_her: Vec<_> = stored.iter().filter(|v| v.cow == milking.cow).collect();
        match of_her.as_slice() {
            [one] if one.stall != milking.stall => {
                found.push(format!("stall: {milking:?} became {one:?}"));
            }
            [one] if (one.yield_ml - milking.yield_ml).abs() > TOLERANCE_ML => {
                found.push(format!("yield: {milking:?} became {one:?}"));
            }
            [_] => {}
            [] => found.push(format!("missing: {milking:?}")),
            many => found.push(format!("doubled: {milking:?} became {many:?}")),
        }
    }
    let invented = stored
        .iter()
        .filter(|v| !truth.iter().any(|milking| milking.cow == v.cow))
        .map(|v| format!("invented: {v:?}"));
    found.extend(invented);
    found
}

/// The raw values of a device's series, in thousandths, oldest first; empty when there is no such device.
pub(crate) fn series(conn: &Connection, device: &str, quantity: Quantity) -> Vec<Option<i64>> {
    let Some(device) = devices::find(conn, device).expect("devices can be read") else {
        return vec![];
    };
    let (from, to) = (UnixMillis(0), UnixMillis(i64::MAX));
    readings::history(conn, device.id, quantity, from, to, Resolution::Raw)
        .expect("readings can be read")
        .into_iter()
        .map(|point| point.value.map(|milli| milli.0))
        .collect()
}

/// Waits until every cow of the farm has been milked and the appliance has had time to say so; what differs then.
pub(crate) fn differences_at_the_end(
    edge: &Edge,
    farm: &Farm,
    cows: usize,
    seconds: u64,
) -> Vec<String> {
    e2e::until("every cow to be milked", seconds, || {
        (farm.truth().len() >= cows).then_some(())
    });
    let truth = truth(farm);
    let over = truth.iter().map(|m| m.end).max().unwrap_or_default() + 180_000;
    e2e::until("the last cow to have left", 60, || {
        (edge.farm_time() > over).then_some(())
    });
    let conn = open(&edge.database());
    let settled = || {
        let differences = differences(&truth, &visits(&conn));
        differences.is_empty().then_some(())
    };
    // What is late by a moment is not wrong; what is wrong stays so.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while settled().is_none() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    differences(&truth, &visits(&conn))
}
