//! The milk records: sorted, filtered, page by page or row by row.

use farm_model::{AnimalId, Destination, SessionKey, UnixMillis};
use jiff::civil::Date;
use rusqlite::{Connection, ToSql};
use serde::{Deserialize, Serialize};

use super::{COLUMNS, VisitRow, WIDTH, read};
use crate::{sql, store::StoreError};

/// Which records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VisitFilter {
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
    /// Session number.
    pub session: Option<u8>,
    /// One animal.
    pub animal: Option<AnimalId>,
    /// Where the milk went.
    pub destination: Option<Destination>,
    /// Only milk without a cow.
    pub unidentified: Option<Unidentified>,
    /// Voided ones too.
    pub voided: Option<Voided>,
}

/// Only milk without a cow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unidentified;

/// Voided records too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Voided;

/// In which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitSort {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
    /// Most milk first.
    Most,
    /// Least milk first.
    Least,
}

impl VisitSort {
    /// The column and whether larger comes first.
    fn by(self) -> (&'static str, bool) {
        match self {
            Self::Newest => ("v.start", true),
            Self::Oldest => ("v.start", false),
            Self::Most => ("v.yield_ml", true),
            Self::Least => ("v.yield_ml", false),
        }
    }
}

/// Where a page ended: the next begins after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VisitCursor {
    /// Value of the sorted column.
    pub key: i64,
    /// Number of the row.
    pub n: i64,
}

impl std::fmt::Display for VisitCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.key, self.n)
    }
}

impl std::str::FromStr for VisitCursor {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (key, n) = s.split_once('.').unwrap_or((s, ""));
        Ok(Self {
            key: key.parse()?,
            n: n.parse()?,
        })
    }
}

/// A record with its animal's name.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// The visit.
    #[serde(flatten)]
    pub visit: VisitRow,
    /// Number of the animal; empty when it is not known.
    pub animal_number: String,
    /// Name of the animal.
    pub animal_name: String,
    /// Its name in English letters.
    pub animal_name_en: String,
}

/// A page of records.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page begins, if there is one.
    pub next: Option<VisitCursor>,
}

/// A page of records. Sorting by yield over a span without days looks at every record; give it days.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &Connection,
    filter: &VisitFilter,
    sort: VisitSort,
    after: Option<VisitCursor>,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut query = Query::new(filter);
    let (column, descending) = sort.by();
    let (order, beyond) = if descending {
        ("DESC", "<")
    } else {
        ("ASC", ">")
    };
    if let Some(after) = after {
        let (key, n) = (query.value(after.key), query.value(after.n));
        query.condition(&format!("({column}, v.n) {beyond} ({key}, {n})"));
    }
    let limit_at = query.value(limit as i64 + 1);
    let sql = format!(
        "{} ORDER BY {column} {order}, v.n {order} LIMIT {limit_at}",
        query.select()
    );
    let mut records = Vec::with_capacity(limit + 1);
    query.run(conn, &sql, |record| {
        records.push(record);
        Ok::<_, StoreError>(())
    })?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| more).map(|r| VisitCursor {
        key: match sort {
            VisitSort::Newest | VisitSort::Oldest => r.visit.start.0,
            VisitSort::Most | VisitSort::Least => r.visit.yield_ml,
        },
        n: r.visit.n,
    });
    Ok(Page { records, next })
}

/// Hands every record to `each`, oldest first, one at a time: for an export of any length.
///
/// # Errors
/// When the database fails, or `each` does.
pub fn each<E: From<StoreError>>(
    conn: &Connection,
    filter: &VisitFilter,
    each: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let query = Query::new(filter);
    let sql = format!("{} ORDER BY v.start, v.n", query.select());
    query.run(conn, &sql, each)
}

/// An animal's newest visits that stand.
///
/// # Errors
/// When the database fails.
pub fn of_animal(
    conn: &Connection,
    animal: AnimalId,
    limit: usize,
) -> Result<Vec<VisitRow>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM visit v WHERE v.animal = ?1 AND v.voided = 0 ORDER BY v.start DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(rusqlite::params![animal.as_bytes(), limit as i64], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A query put together from conditions and their values.
struct Query {
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    fn new(filter: &VisitFilter) -> Self {
        let mut query = Self {
            conditions: Vec::new(),
            values: Vec::new(),
        };
        let day = |date: Option<Date>| date.map(sql::day_number);
        query.compare("v.day >=", day(filter.from));
        query.compare("v.day <=", day(filter.to));
        // A session's milk begins within a day of its local date, wherever on Earth: this lets the order of time serve.
        query.compare("v.start >=", day(filter.from).map(|d| (d - 1) * 86_400_000));
        query.compare("v.start <", day(filter.to).map(|d| (d + 3) * 86_400_000));
        query.compare("v.session =", filter.session);
        query.compare("v.animal =", filter.animal.map(|a| *a.as_bytes()));
        query.compare("v.destination =", filter.destination.map(|d| d as u8));
        if filter.destination.is_some_and(|d| d != Destination::Tank) {
            // Little milk is kept out: said in these words, an index of its own finds it.
            query.condition("v.destination <> 0");
        }
        if filter.unidentified.is_some() {
            query.condition("v.animal IS NULL");
        }
        if filter.voided.is_none() {
            query.condition("v.voided = 0");
        }
        query
    }

    fn compare(&mut self, what: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            let place = self.value(value);
            self.condition(&format!("{what} {place}"));
        }
    }

    fn value(&mut self, value: impl ToSql + 'static) -> String {
        self.values.push(Box::new(value));
        format!("?{}", self.values.len())
    }

    fn condition(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    fn select(&self) -> String {
        let conditions = if self.conditions.is_empty() {
            "1".to_owned()
        } else {
            self.conditions.join(" AND ")
        };
        format!(
            "SELECT {COLUMNS}, a.number, a.name, a.name_en FROM visit v LEFT JOIN animal a ON a.id = v.animal WHERE {conditions}"
        )
    }

    fn run<E: From<StoreError>>(
        &self,
        conn: &Connection,
        sql: &str,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = conn.prepare_cached(sql).map_err(StoreError::from)?;
        let values = rusqlite::params_from_iter(self.values.iter());
        let mut rows = statement.query(values).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let record = Record {
                visit: read(row).map_err(StoreError::from)?,
                animal_number: self::sql::text(row, WIDTH).map_err(StoreError::from)?,
                animal_name: self::sql::text(row, WIDTH + 1).map_err(StoreError::from)?,
                animal_name_en: self::sql::text(row, WIDTH + 2).map_err(StoreError::from)?,
            };
            each(record)?;
        }
        Ok(())
    }
}

/// The sessions that have milk, newest first.
///
/// # Errors
/// When the database fails.
pub fn sessions(
    conn: &Connection,
    before: Option<UnixMillis>,
    limit: usize,
) -> Result<Vec<SessionKey>, StoreError> {
    let day = before.map_or(i64::MAX, |b| b.0.div_euclid(86_400_000));
    let mut statement = conn.prepare_cached(
        "SELECT day, session FROM herd_day WHERE session > 0 AND n > 0 AND day <= ?1 ORDER BY day DESC, session DESC LIMIT ?2",
    )?;
    let rows = statement.query_map([day, limit as i64], |row| {
        Ok(SessionKey {
            date: sql::date_of(row.get(0)?),
            number: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
