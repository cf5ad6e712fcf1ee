//! The checker: looks into the farm's files at both places, beside the programs that have them open, and says what breaks a promise.
//!
//! While they run, [`Watch`] samples the marks: they only grow, nothing is missing below them, and no place holds more of another than that
//! has. At rest, [`differences`] compares every table that is replicated or follows from what is, and [`broken`] holds both
//! against the [`Ledger`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::ledger::Ledger;

/// Tables that are the same at every place, once it holds all; a small number of a site is told as the site's identity.
const TABLES: [&str; 20] = [
    "alert",
    "animal",
    "animal_tag",
    "device",
    "place",
    "session_plan",
    "setting",
    "staff",
    "animal_event",
    "audit",
    "milking",
    "visit",
    "animal_day",
    "herd_day",
    "animal_state",
    "hold",
    "milking_of",
    "milking_who",
    "milking_place",
    "sample",
];
/// The logs among them.
const LOGS: [&str; 4] = ["animal_event", "audit", "milking", "sample"];
/// How often marks are looked at.
const BETWEEN: Duration = Duration::from_millis(100);

/// Opens a farm's file to look, and to change nothing: not even its log is written back when it is closed.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    Ok(conn)
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare(sql)?.query_map([], read)?.collect()
}

/// Every row of each table.
pub(crate) type Content = BTreeMap<&'static str, BTreeSet<String>>;

/// Every row of every table, as one consistent look.
///
/// # Errors
/// When the file cannot be read, or not yet.
pub(crate) fn content(path: &Path) -> rusqlite::Result<Content> {
    let mut conn = open(path)?;
    let look = conn.transaction()?;
    TABLES
        .iter()
        .map(|table| Ok((*table, rows(&look, table)?)))
        .collect()
}

fn rows(conn: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let columns: Vec<String> = all(
        conn,
        &format!("SELECT name FROM pragma_table_info('{table}')"),
        |row| row.get(0),
    )?;
    let columns: Vec<String> = columns
        .iter()
        // The number of a visit is its place in this file.
        .filter(|name| (table, name.as_str()) != ("visit", "n"))
        .map(|name| match name.as_str() {
            "site" => "(SELECT id FROM sync_site WHERE ordinal = site) AS site".to_owned(),
            name => name.to_owned(),
        })
        .collect();
    let row = |row: &rusqlite::Row<'_>| {
        let cells = (0..columns.len()).map(|n| row.get_ref(n).map(shown));
        Ok(cells.collect::<Result<Vec<_>, _>>()?.join(" "))
    };
    let told = all(
        conn,
        &format!("SELECT {} FROM {table}", columns.join(", ")),
        row,
    )?;
    Ok(told.into_iter().collect())
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "-".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => format!("{x:?}"),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Rows that only one of two files has; empty when they hold the same.
pub(crate) fn differences(one: &Path, other: &Path) -> Vec<String> {
    let (Ok(one), Ok(other)) = (content(one), content(other)) else {
        return vec!["a file cannot be read yet".to_owned()];
    };
    let mut found = Vec::new();
    for table in TABLES {
        let (here, there) = (&one[table], &other[table]);
        found.extend(
            here.difference(there)
                .map(|row| format!("{table}, only here: {row}")),
        );
        found.extend(
            there
                .difference(here)
                .map(|row| format!("{table}, only there: {row}")),
        );
    }
    found
}

/// Every promise that a file at rest breaks.
pub(crate) fn broken(ledger: &Ledger, path: &Path) -> Vec<String> {
    let conn = open(path).unwrap();
    let told = ledger.told().clone();
    let milkings = all(&conn, "SELECT yield_ml, voided FROM visit", |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let cows = all(&conn, "SELECT number, name FROM animal", |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let mut found = told.wrong_milkings(&milkings.unwrap());
    found.extend(told.wrong_cows(&cows.unwrap()));
    let aside = all(
        &conn,
        "SELECT stream, number, reason FROM sync_held",
        |row| {
            Ok(format!(
                "set aside: {:?} {} {:?}",
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<String>>(2)?
            ))
        },
    );
    found.extend(aside.unwrap());
    found
}

/// Up to where a file holds each stream: (site, stream) to number.
type Marks = BTreeMap<(String, String), i64>;

/// One consistent look at what a file says of its streams.
#[derive(Debug)]
struct Look {
    marks: Marks,
    /// Facts that it has of each site's log: how many, and the last one's number.
    facts: BTreeMap<(String, String), (i64, i64)>,
    /// Facts that are kept aside.
    held: BTreeMap<(String, String), i64>,
    /// The file's own site.
    own: String,
}

fn look(path: &Path) -> rusqlite::Result<Look> {
    let mut conn = open(path)?;
    let look = conn.transaction()?;
    let counted = |sql: &str| {
        let rows = all(&look, sql, |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
        })?;
        Ok::<_, rusqlite::Error>(rows.into_iter().collect::<BTreeMap<_, _>>())
    };
    let mut facts = BTreeMap::new();
    for log in LOGS {
        let sql = format!(
            "SELECT hex(id), count(*), max(seq) FROM {log} JOIN sync_site ON ordinal = site GROUP BY id"
        );
        for (site, count, last) in all(&look, &sql, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })? {
            facts.insert((site, log.to_owned()), (count, last));
        }
    }
    Ok(Look {
        marks: counted(
            "SELECT hex(id), stream, upto FROM sync_mark JOIN sync_site ON ordinal = site",
        )?,
        held: counted(
            "SELECT hex(id), stream, count(DISTINCT number) FROM sync_held JOIN sync_site ON ordinal = site GROUP BY id, stream",
        )?,
        facts,
        own: look.query_row(
            "SELECT hex(id) FROM sync_site WHERE ordinal = 0",
            [],
            |row| row.get(0),
        )?,
    })
}

/// What is wrong with a look, after the one before it.
fn wrong(place: &str, before: Option<&Look>, now: &Look) -> Vec<String> {
    let mut found = Vec::new();
    for (stream, upto) in before.map(|look| &look.marks).into_iter().flatten() {
        let is = now.marks.get(stream);
        if is.is_none_or(|is| is < upto) {
            found.push(format!(
                "{place}: the mark of {stream:?} went from {upto} to {is:?}"
            ));
        }
    }
    for (stream, (count, last)) in &now.facts {
        let held = now.held.get(stream).copied().unwrap_or_default();
        if count + held < *last {
            found.push(format!(
                "{place}: {stream:?} has {count} facts up to {last}"
            ));
        }
        let upto = now.marks.get(stream).copied().unwrap_or_default();
        if stream.0 != now.own && upto != *last.max(&upto) {
            found.push(format!(
                "{place}: {stream:?} is held up to {last} and counted up to {upto}"
            ));
        }
        if held == 0 && upto > *last {
            found.push(format!(
                "{place}: {stream:?} is counted up to {upto} and held up to {last}"
            ));
        }
    }
    found
}

/// Looks at the marks of both files until it is ended.
#[derive(Debug)]
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, BTreeSet<String>)>,
}

impl Watch {
    /// Begins. Either file may not be there yet.
    pub(crate) fn over(edge: PathBuf, hub: PathBuf) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let enough = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let (mut looks, mut found) = (0, BTreeSet::new());
            let (mut edge_before, mut hub_before) = (None, None);
            while !enough.load(Ordering::Relaxed) {
                // What the hub holds of the edge is looked at first: the edge may only have more by then.
                if let (Ok(at_hub), Ok(at_edge)) = (look(&hub), look(&edge)) {
                    found.extend(wrong("hub", hub_before.as_ref(), &at_hub));
                    found.extend(wrong("edge", edge_before.as_ref(), &at_edge));
                    found.extend(ahead(&at_hub, &at_edge));
                    (edge_before, hub_before) = (Some(at_edge), Some(at_hub));
                    looks += 1;
                }
                thread::sleep(BETWEEN);
            }
            (looks, found)
        });
        Self { over, thread }
    }

    /// Ends: how often it looked, and every promise that it saw broken.
    pub(crate) fn end(self) -> (usize, BTreeSet<String>) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it looks without panic")
    }
}

/// What the hub holds of the edge's own logs that the edge does not have.
fn ahead(hub: &Look, edge: &Look) -> Vec<String> {
    let of_edge = hub
        .marks
        .iter()
        .filter(|((site, stream), _)| *site == edge.own && !stream.is_empty());
    of_edge
        .filter_map(|(stream, upto)| {
            let (_, has) = edge.facts.get(stream).copied().unwrap_or_default();
            (*upto > has)
                .then(|| format!("the hub holds {stream:?} up to {upto}, the edge has {has}"))
        })
        .collect()
}

#[test]
fn the_checker_sees_marks_that_fall_holes_and_what_nobody_sent() {
    let key = |site: &str| (site.to_owned(), "milking".to_owned());
    let look = |marks: &[(&str, i64)], facts: &[(&str, i64, i64)]| Look {
        marks: marks
            .iter()
            .map(|(site, upto)| (key(site), *upto))
            .collect(),
        facts: facts
            .iter()
            .map(|(site, count, last)| (key(site), (*count, *last)))
            .collect(),
        held: BTreeMap::new(),
        own: "own".to_owned(),
    };
    let before = look(&[("other", 5)], &[("own", 9, 9), ("other", 5, 5)]);
    let after = look(&[("other", 7)], &[("own", 9, 9), ("other", 7, 7)]);
    assert_eq!(wrong("", Some(&before), &after), Vec::<String>::new());
    for bad in [
        look(&[("other", 4)], &[("other", 4, 4)]),
        look(&[], &[]),
        look(&[("other", 7)], &[("other", 6, 7)]),
        look(&[("other", 7)], &[("own", 8, 9), ("other", 7, 7)]),
        look(&[("other", 6)], &[("other", 7, 7)]),
        look(&[("other", 8)], &[("other", 7, 7)]),
    ] {
        assert!(!wrong("", Some(&before), &bad).is_empty(), "{bad:?}");
    }
    let hub = look(&[("own", 9)], &[]);
    assert!(ahead(&hub, &before).is_empty());
    assert!(!ahead(&look(&[("own", 10)], &[]), &before).is_empty());
}
