//! Facts: logs that are only appended, one per site and table, numbered without a gap.
//!
//! They travel as a [`Run`]: consecutive facts with the same columns. Each fact's content enters the hash of its log, however runs
//! are cut; so a file that was restored or copied, and numbered other facts on from there, is found.
//!
//! Invariant: a fact is never changed and never overwritten. A column that a migration adds to a log is nullable: an
//! empty one does not enter the hash, so what was hashed before it still fits.

use std::collections::VecDeque;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Outcome, Refused, Replicated, Sender, Site, Tally, Value,
    held::{self, Shelf},
    marks::{self, LIMIT, Mark, RECORDS, Standing},
    schema::{Column, Log},
    site,
};

/// Logs that one site may have here, those included that this build does not know yet.
const LOGS_PER_SITE: i64 = 64;
const COLUMNS: usize = 64;
const NAME_BYTES: usize = 64;
const VALUE_BYTES: usize = 256 * 1024;

/// Consecutive facts of one site in one log; the first has the number after `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The log.
    pub log: String,
    /// Who recorded them.
    pub site: Site,
    /// Where the receiver stands.
    pub from: Mark,
    /// The columns that each fact gives.
    pub columns: Vec<String>,
    /// The facts.
    pub rows: Vec<Vec<Value>>,
}

/// A fact that is kept aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fact {
    columns: Vec<String>,
    values: Vec<Value>,
}

impl Run {
    /// The number of the last fact.
    pub fn to(&self) -> i64 {
        let count = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        self.from.upto.saturating_add(count)
    }

    /// Where a receiver stands that has taken this run.
    ///
    /// # Errors
    /// When a fact cannot be encoded.
    pub fn end(&self) -> Result<Mark, Error> {
        self.rows.iter().try_fold(self.from, |mark, values| {
            follow(mark, &self.columns, values)
        })
    }

    pub(crate) fn weight(&self) -> usize {
        self.rows.iter().flatten().map(Value::weight).sum()
    }

    fn check_order(&self) -> Result<(), Refused> {
        let named = |name: &String| (1..=NAME_BYTES).contains(&name.len());
        let mut names = self.columns.clone();
        names.sort_unstable();
        names.dedup();
        let sound = self.from.upto >= 0
            && self.to() <= LIMIT
            && named(&self.log)
            && names.len() == self.columns.len()
            && names.len() <= COLUMNS
            && names.iter().all(named)
            && self.rows.iter().all(|row| row.len() == names.len());
        if sound {
            Ok(())
        } else {
            Err(Refused::Disorder)
        }
    }
}

/// The mark after one more fact.
fn follow(mark: Mark, columns: &[String], values: &[Value]) -> Result<Mark, Error> {
    let mut given: Vec<_> = columns
        .iter()
        .zip(values)
        .filter(|(_, value)| **value != Value::Null)
        .collect();
    given.sort_unstable();
    let upto = mark.upto + 1;
    Ok(Mark {
        upto,
        hash: mark.hash.then(&(upto, given))?,
    })
}

/// Up to which fact we can speak for a site.
///
/// # Errors
/// When the file fails, or the log is none of ours.
pub fn head(conn: &Connection, schema: &Replicated, log: &str, ordinal: i64) -> Result<i64, Error> {
    if ordinal != 0 || !schema.logs.contains_key(log) {
        return Ok(marks::have(conn, log, ordinal)?.upto);
    }
    Ok(conn
        .prepare_cached(&format!("SELECT max(seq) FROM \"{log}\" WHERE site = 0"))?
        .query_row([], |row| row.get::<_, Option<i64>>(0))?
        .unwrap_or(0))
}

/// Reads what a receiver at `from` lacks of a site's log, about `room` bytes of it and at least one fact. Inside a transaction.
///
/// # Errors
/// When the file fails, the site is not known, or the log has a hole.
pub fn read(
    conn: &Connection,
    schema: &Replicated,
    log: &str,
    site: Site,
    from: Mark,
    room: usize,
) -> Result<Run, Error> {
    let ordinal = site::ordinal(conn, site)?.ok_or(Refused::UnknownSite)?;
    let head = head(conn, schema, log, ordinal)?;
    let mut run = Run {
        log: log.to_owned(),
        site,
        from,
        columns: Vec::new(),
        rows: Vec::new(),
    };
    let mut weight = 0;
    let mut facts = Reading::begin(conn, schema, log, ordinal, from.upto)?;
    while run.to() < head && weight <= room {
        let fact = facts.next(run.to() + 1)?;
        if run.rows.is_empty() {
            run.columns = fact.columns;
        } else if run.columns != fact.columns {
            break;
        }
        weight += fact.values.iter().map(Value::weight).sum::<usize>();
        run.rows.push(fact.values);
    }
    Ok(run)
}

/// A site's facts in their order, some hundreds at a time: in the log, or kept aside.
struct Reading<'a> {
    conn: &'a Connection,
    log: &'a str,
    ordinal: i64,
    columns: Vec<String>,
    sql: Option<String>,
    ahead: VecDeque<(i64, Vec<Value>)>,
}

impl<'a> Reading<'a> {
    const AHEAD: usize = 256;

    fn begin(
        conn: &'a Connection,
        schema: &Replicated,
        log: &'a str,
        ordinal: i64,
        after: i64,
    ) -> Result<Self, Error> {
        let described = schema.logs.get(log);
        let columns: Vec<String> = described
            .iter()
            .flat_map(|log| &log.columns)
            .map(|(column, _)| column.clone())
            .collect();
        let names = columns.iter().fold(String::from("seq"), |names, column| {
            names + ", \"" + column + "\""
        });
        let sql = described.map(|_| {
            format!(
                "SELECT {names} FROM \"{log}\" WHERE site = ? AND seq > ? ORDER BY seq LIMIT {}",
                Self::AHEAD
            )
        });
        let mut reading = Self {
            conn,
            log,
            ordinal,
            columns,
            sql,
            ahead: VecDeque::new(),
        };
        reading.read_on(after)?;
        Ok(reading)
    }

    fn read_on(&mut self, after: i64) -> Result<(), Error> {
        let Some(sql) = &self.sql else { return Ok(()) };
        let mut read = self.conn.prepare_cached(sql)?;
        let width = self.columns.len();
        let rows = read.query_map((self.ordinal, after), |row| {
            let values = (1..=width).map(|n| row.get(n)).collect::<Result<_, _>>()?;
            Ok((row.get(0)?, values))
        })?;
        self.ahead = rows.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The fact of this number, which must be the one after the last.
    fn next(&mut self, seq: i64) -> Result<Fact, Error> {
        if self.ahead.is_empty() {
            self.read_on(seq - 1)?;
        }
        if self.ahead.front().is_some_and(|(found, _)| *found == seq)
            && let Some((_, values)) = self.ahead.pop_front()
        {
            return Ok(Fact {
                columns: self.columns.clone(),
                values,
            });
        }
        Shelf::open(self.conn, self.log, self.ordinal)?
            .between::<Fact>(seq - 1, seq)?
            .pop()
            .map(|(_, fact)| fact)
            .ok_or(Error::Damaged {
                what: "a log of facts",
            })
    }
}

/// The mark of our own log at a number, computed on from where it was computed last.
///
/// # Errors
/// When the file fails or the log has a hole.
pub fn own_mark(
    conn: &Connection,
    schema: &Replicated,
    log: &str,
    upto: i64,
) -> Result<Mark, Error> {
    let known = marks::have(conn, log, 0)?;
    let mut mark = if known.upto <= upto {
        known
    } else {
        Mark::default()
    };
    if mark.upto < upto {
        let mut facts = Reading::begin(conn, schema, log, 0, mark.upto)?;
        while mark.upto < upto {
            let fact = facts.next(mark.upto + 1)?;
            mark = follow(mark, &fact.columns, &fact.values)?;
        }
    }
    if mark.upto > known.upto {
        marks::advance(conn, log, 0, mark)?;
    }
    Ok(mark)
}

/// Judges what a peer says it holds of our own log. It must come before anything is offered.
///
/// # Errors
/// When the file fails or the log has a hole.
pub fn standing(
    conn: &Connection,
    schema: &Replicated,
    log: &str,
    theirs: Mark,
) -> Result<Standing, Error> {
    if theirs.upto < 0 || theirs.upto > head(conn, schema, log, 0)? {
        return Ok(Standing::Fork);
    }
    let ours = own_mark(conn, schema, log, theirs.upto)?;
    Ok(if ours == theirs {
        Standing::Sound
    } else {
        Standing::Fork
    })
}

/// Takes a run: appends what this build knows, parks what it does not, sets aside what it cannot take, and moves the mark.
///
/// # Errors
/// When the sender may not say this, or the file fails; the transaction must then be rolled back.
pub fn apply(
    conn: &Connection,
    schema: &Replicated,
    sender: Sender,
    run: &Run,
) -> Result<Outcome, Error> {
    let ordinal = site::admit(conn, sender, run.site)?;
    run.check_order()?;
    let have = marks::have(conn, &run.log, ordinal)?;
    if let Some(outcome) = have.out_of_turn(run.from, run.to()) {
        return Ok(outcome);
    }
    have.check_history(run.from)?;
    if have.upto == 0 && marks::streams(conn, ordinal)? >= LOGS_PER_SITE {
        return Err(Refused::HeldFull.into());
    }
    let mut taking = Taking::open(conn, schema, &run.log, ordinal)?;
    for (seq, values) in (have.upto + 1..).zip(&run.rows) {
        taking.take(seq, &run.columns, values)?;
    }
    marks::advance(conn, &run.log, ordinal, run.end()?)?;
    Ok(Outcome::Taken(taking.tally))
}

/// Tries every fact again that was kept aside: to be called after a migration, in its transaction or one of its own.
///
/// # Errors
/// When the file fails; the transaction must then be rolled back.
pub fn replay(conn: &Connection, schema: &Replicated) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for (stream, ordinal) in held::shelves(conn)? {
        if stream == RECORDS {
            continue;
        }
        let mut taking = Taking::open(conn, schema, &stream, ordinal)?;
        for (seq, fact) in taking.shelf.between::<Fact>(0, LIMIT)? {
            taking.shelf.clear(seq)?;
            taking.take(seq, &fact.columns, &fact.values)?;
        }
        tally.add(taking.tally);
    }
    Ok(tally)
}

/// Takes a fact out of its log again and keeps it aside with this reason: what follows from it cannot be derived. It still counts as held
/// and is handed on. In the transaction that found it out.
///
/// # Errors
/// When the fact does not stand in the log, no more can be kept aside, or the file fails.
pub fn set_aside(
    conn: &Connection,
    schema: &Replicated,
    log: &str,
    ordinal: i64,
    seq: i64,
    reason: &str,
) -> Result<(), Error> {
    let mut facts = Reading::begin(conn, schema, log, ordinal, seq - 1)?;
    if facts.ahead.front().is_none_or(|(found, _)| *found != seq) {
        return Err(Error::Damaged {
            what: "a log of facts",
        });
    }
    let fact = facts.next(seq)?;
    Shelf::open(conn, log, ordinal)?.put(seq, Some(reason), &[fact])?;
    conn.prepare_cached(&format!("DELETE FROM \"{log}\" WHERE site = ? AND seq = ?"))?
        .execute((ordinal, seq))?;
    Ok(())
}

/// Facts of one site on their way into a log.
struct Taking<'a> {
    conn: &'a Connection,
    schema: &'a Replicated,
    log: &'a str,
    ordinal: i64,
    shelf: Shelf<'a>,
    plan: Plan,
    tally: Tally,
}

/// How facts with these columns go into their log.
#[derive(Default)]
struct Plan {
    columns: Vec<String>,
    /// What the log has of them.
    known: Vec<Option<Column>>,
    insert: String,
}

impl Plan {
    fn of(name: &str, log: Option<&Log>, columns: &[String]) -> Self {
        let find = |column: &String| {
            let mut all = log?.columns.iter();
            all.find(|(known, _)| known == column)
                .map(|(_, known)| *known)
        };
        let known: Vec<Option<Column>> = columns.iter().map(find).collect();
        let here = columns
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_some());
        let mut names = vec!["site", "seq"];
        names.extend(here.map(|(column, _)| column.as_str()));
        let insert = format!(
            "INSERT INTO \"{name}\" (\"{}\") VALUES ({})",
            names.join("\", \""),
            vec!["?"; names.len()].join(", ")
        );
        Self {
            columns: columns.to_vec(),
            known,
            insert,
        }
    }
}

impl<'a> Taking<'a> {
    fn open(
        conn: &'a Connection,
        schema: &'a Replicated,
        log: &'a str,
        ordinal: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            schema,
            log,
            ordinal,
            shelf: Shelf::open(conn, log, ordinal)?,
            plan: Plan::default(),
            tally: Tally::default(),
        })
    }

    fn take(&mut self, seq: i64, columns: &[String], values: &[Value]) -> Result<(), Error> {
        if self.plan.insert.is_empty() || self.plan.columns != columns {
            self.plan = Plan::of(self.log, self.schema.logs.get(self.log), columns);
        }
        let reason = match self.judge(values) {
            Verdict::Unknown => None,
            Verdict::Wrong(reason) => Some(reason),
            Verdict::Fits => match self.insert(seq, values) {
                Ok(()) => {
                    self.tally.stored += 1;
                    return Ok(());
                }
                Err(error) if held::is_about_data(&error) => {
                    Some(format!("the log does not take it: {error}"))
                }
                Err(error) => return Err(error.into()),
            },
        };
        let fact = Fact {
            columns: columns.to_vec(),
            values: values.to_vec(),
        };
        self.shelf.put(seq, reason.as_deref(), &[fact])?;
        match reason {
            None => self.tally.parked += 1,
            Some(reason) => self.tally.set_aside(seq, reason),
        }
        Ok(())
    }

    fn judge(&self, values: &[Value]) -> Verdict {
        if values.iter().any(|value| value.weight() > VALUE_BYTES) {
            return Verdict::Wrong("a value is too large".to_owned());
        }
        if !self.schema.logs.contains_key(self.log) {
            return Verdict::Unknown;
        }
        let mut verdict = Verdict::Fits;
        let columns = self.plan.columns.iter().zip(&self.plan.known);
        for ((name, known), value) in columns.zip(values) {
            match known {
                None if *value != Value::Null => verdict = Verdict::Unknown,
                Some(column) if !column.takes(value) => {
                    return Verdict::Wrong(format!("a value does not fit the column {name}"));
                }
                Some(column) if !column.holds(value) => {
                    return Verdict::Wrong(format!("a value of {name} is out of bounds"));
                }
                _ => {}
            }
        }
        verdict
    }

    fn insert(&self, seq: i64, values: &[Value]) -> rusqlite::Result<()> {
        let mut insert = self.conn.prepare_cached(&self.plan.insert)?;
        insert.raw_bind_parameter(1, self.ordinal)?;
        insert.raw_bind_parameter(2, seq)?;
        // A column that is not here is empty, as `judge` has found.
        let here = self.plan.known.iter().zip(values);
        for ((_, value), n) in here.filter(|(known, _)| known.is_some()).zip(3..) {
            insert.raw_bind_parameter(n, value)?;
        }
        insert.raw_execute()?;
        Ok(())
    }
}

enum Verdict {
    Fits,
    Unknown,
    Wrong(String),
}
