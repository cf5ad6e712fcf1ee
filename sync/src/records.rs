//! Record changes: read from `crsql_changes`, checked, merged.
//!
//! What a site says travels as a [`Span`]: all that is left of its versions in `(from, to]`, whole versions only. Numbers
//! without a change are normal: a later edit takes the place of an earlier one. Merging is idempotent and any order gives the
//! same end, so a version that is set aside holds up nothing.
//!
//! Invariant: the extension gets only what the check here has passed, and keys that were packed here: it ends the process on a
//! malformed one, and takes counts and identities that poison a row for ever.

mod check;
mod size;

pub use size::{AT_MOST, Size, under_way};

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Outcome, Refused, Replicated, Sender, Site, Tally, Value,
    held::{self, Shelf},
    marks::{self, Hash, LIMIT, Mark, RECORDS},
    site,
    value::unpack_key,
};

/// The column name under which cr-sqlite reports the row itself: made, deleted or made again.
const ROW: &str = "-1";

/// What one version changed in one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// The table.
    pub table: String,
    /// The primary key.
    pub key: Vec<Value>,
    /// How often the row was made and deleted: odd while it lives.
    pub life: i64,
    /// Whether this version made or deleted the row.
    pub turned: bool,
    /// The columns.
    pub cells: Vec<Cell>,
}

/// What one version made of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// What stands in it.
    pub value: Value,
    /// How often it was edited in this life of the row; the greater number wins.
    pub edits: i64,
}

/// One version: what one transaction of a site changed, as far as nothing newer has taken its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// Its rows, by table and key.
    pub rows: Vec<Row>,
}

/// All changes of a site's versions after `from`, up to and with `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Who made the changes.
    pub site: Site,
    /// Where the receiver stands.
    pub from: Mark,
    /// Where it will stand.
    pub to: i64,
    /// Versions with changes, ascending.
    pub versions: Vec<Version>,
}

impl Row {
    fn weight(&self) -> usize {
        let key: usize = self.key.iter().map(Value::weight).sum();
        let cells: usize = self.cells.iter().map(|cell| 4 + cell.value.weight()).sum();
        8 + key + cells
    }
}

impl Version {
    /// Puts rows and cells into the one order that everyone hashes.
    pub(crate) fn settle(&mut self) {
        for row in &mut self.rows {
            row.cells.sort_unstable();
        }
        self.rows.sort_unstable();
    }
}

impl Span {
    /// Where a receiver stands that has taken this span.
    ///
    /// # Errors
    /// When a change cannot be encoded.
    pub fn end(&self) -> Result<Mark, Error> {
        Ok(Mark {
            upto: self.to,
            hash: self.from.hash.then(&(self.to, &self.versions))?,
        })
    }

    pub(crate) fn weight(&self) -> usize {
        let rows = self.versions.iter().flat_map(|version| &version.rows);
        rows.map(Row::weight).sum()
    }

    /// Leaves the last version for the next time if it overfills the room; a single one goes whatever it weighs, because it goes whole.
    fn fit(&mut self, room: usize) {
        if self.versions.len() > 1
            && self.weight() > room
            && let Some(last) = self.versions.pop()
        {
            self.to = last.number - 1;
        }
    }

    fn check_order(&self) -> Result<(), Refused> {
        let mut last = self.from.upto;
        let ascending = self.versions.iter().all(|version| {
            let ascends = version.number > last;
            last = version.number;
            ascends
        });
        if self.from.upto < 0 || self.to > LIMIT || !ascending || last > self.to {
            return Err(Refused::Disorder);
        }
        Ok(())
    }
}

/// Up to which version we can speak for a site.
///
/// # Errors
/// When the file fails.
pub fn head(conn: &Connection, ordinal: i64) -> rusqlite::Result<i64> {
    if ordinal == 0 {
        conn.query_row("SELECT crsql_db_version()", [], |row| row.get(0))
    } else {
        Ok(marks::have(conn, RECORDS, ordinal)?.upto)
    }
}

/// Makes sure that no version of ours up to this one is given to another change, whatever becomes of the connection.
///
/// The extension keeps the last version in the file, but counts in memory: a number that it gave to a command which was undone in a
/// transaction that was kept is known to the connection alone, and so is that number's next use in this transaction.
///
/// # Errors
/// When the file fails.
pub(crate) fn keep_head(conn: &Connection, upto: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO crsql_db_versions (site_id, db_version) VALUES (crsql_site_id(), ?)
         ON CONFLICT (site_id) DO UPDATE SET db_version = excluded.db_version WHERE db_version < excluded.db_version",
    )?
    .execute([upto])?;
    Ok(())
}

/// The same for every version of ours that stands in a file: before the extension is first asked for a number.
pub(crate) fn keep_heads<'a>(
    conn: &Connection,
    tables: impl IntoIterator<Item = &'a String>,
) -> rusqlite::Result<()> {
    let mut clock = conn.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? || '__crsql_clock'",
    )?;
    for table in tables {
        let mut found = clock.query([table])?;
        if let Some(name) = found.next()? {
            let name: String = name.get(0)?;
            let newest: Option<i64> = conn.query_row(
                &format!("SELECT max(db_version) FROM \"{name}\" WHERE site_id = 0"),
                [],
                |row| row.get(0),
            )?;
            if let Some(newest) = newest {
                keep_head(conn, newest)?;
            }
        }
    }
    Ok(())
}

/// Reads what a receiver at `from` lacks of a site, at most `room` bytes of it, but at least one version. Inside a transaction.
///
/// # Errors
/// When the file fails, or the site is not known.
pub fn read(
    conn: &Connection,
    schema: &Replicated,
    site: Site,
    from: Mark,
    room: usize,
) -> Result<Span, Error> {
    let ordinal = site::ordinal(conn, site)?.ok_or(Refused::UnknownSite)?;
    let mut found = Found {
        to: head(conn, ordinal)?.max(from.upto),
        room,
        weight: 0,
        rows: BTreeMap::new(),
    };
    let shelf = Shelf::open(conn, RECORDS, ordinal)?;
    for (number, row) in shelf.between::<Row>(from.upto, found.to)? {
        if !found.has_room_for(number, number - 1) {
            break;
        }
        found.weight += row.weight();
        found.rows.entry(number).or_default().push(row);
    }
    found.weight = 0;
    found.read_merged(conn, schema, site, from.upto)?;
    let to = found.to;
    let mut versions: Vec<_> = found
        .rows
        .into_iter()
        .filter(|(number, _)| *number <= to)
        .map(|(number, rows)| Version { number, rows })
        .collect();
    versions.iter_mut().for_each(Version::settle);
    let mut span = Span {
        site,
        from,
        to,
        versions,
    };
    span.fit(room);
    Ok(span)
}

/// Rows by version, up to and with `to`, which comes down when they fill the room.
struct Found {
    to: i64,
    room: usize,
    weight: usize,
    rows: BTreeMap<i64, Vec<Row>>,
}

impl Found {
    /// Whether a version may begin; if not, the last one before it is the end.
    fn has_room_for(&mut self, number: i64, before: i64) -> bool {
        if self.weight > self.room && !self.rows.contains_key(&number) {
            self.to = before;
        }
        number <= self.to
    }

    /// Adds what the extension tells.
    fn read_merged(
        &mut self,
        conn: &Connection,
        schema: &Replicated,
        site: Site,
        from: i64,
    ) -> Result<(), Error> {
        // Both conditions: by version alone this is a scan of everything. The extension answers in the order of versions.
        let mut read = conn.prepare_cached(
            r#"SELECT "table", pk, cid, val, col_version, db_version, cl FROM crsql_changes
               WHERE site_id = ? AND db_version > ?"#,
        )?;
        let mut cells = read.query((site.0, from))?;
        let (mut at, mut key_at) = (from, Vec::new());
        while let Some(cell) = cells.next()? {
            let (number, life): (i64, i64) = (cell.get(5)?, cell.get(6)?);
            if number != at {
                if !self.has_room_for(number, at) {
                    break;
                }
                at = number;
                key_at.clear();
            }
            let table = cell.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            if !schema.tables.contains_key(table) {
                continue;
            }
            let packed = cell.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let rows = self.rows.entry(number).or_default();
            let same = |row: &Row| row.table == table && row.life == life;
            if key_at != packed || !rows.last().is_some_and(same) {
                packed.clone_into(&mut key_at);
                rows.push(Row {
                    table: table.to_owned(),
                    key: unpack_key(packed).ok_or(Error::Damaged { what: "a key" })?,
                    life,
                    turned: false,
                    cells: Vec::new(),
                });
                self.weight += 8 + packed.len();
            }
            let Some(row) = rows.last_mut() else { continue };
            let column = cell.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            if column == ROW {
                row.turned = true;
                continue;
            }
            let value: Value = cell.get(3)?;
            self.weight += 4 + value.weight();
            row.cells.push(Cell {
                column: column.to_owned(),
                value,
                edits: cell.get(4)?,
            });
        }
        Ok(())
    }
}

/// Takes a span: merges what this build knows, parks what it does not, sets aside what it cannot take, and moves the mark.
///
/// # Errors
/// When the sender may not say this, or the file fails; the transaction must then be rolled back.
pub fn apply(
    conn: &Connection,
    schema: &Replicated,
    sender: Sender,
    span: &Span,
) -> Result<Outcome, Error> {
    let ordinal = site::admit(conn, sender, span.site)?;
    span.check_order()?;
    let have = marks::have(conn, RECORDS, ordinal)?;
    if let Some(outcome) = have.out_of_turn(span.from, span.to) {
        return Ok(outcome);
    }
    // Only a site's own word is chained: who passes it on cuts it into other spans.
    let end = if sender.site() == span.site {
        have.check_history(span.from)?;
        span.end()?
    } else {
        Mark {
            upto: span.to,
            hash: Hash::default(),
        }
    };
    let mut taking = Taking::open(conn, schema, span.site, ordinal)?;
    for version in &span.versions {
        taking.take(version)?;
    }
    marks::advance(conn, RECORDS, ordinal, end)?;
    Ok(Outcome::Taken(taking.tally))
}

/// Tries everything again that was kept aside: to be called after a migration, in its transaction or one of its own.
///
/// # Errors
/// When the file fails; the transaction must then be rolled back.
pub fn replay(conn: &Connection, schema: &Replicated) -> Result<Tally, Error> {
    let sites = site::all(conn)?;
    let mut tally = Tally::default();
    for (stream, ordinal) in held::shelves(conn)? {
        let site = usize::try_from(ordinal).ok().and_then(|n| sites.get(n));
        let (RECORDS, Some(&site)) = (stream.as_str(), site) else {
            continue;
        };
        let mut taking = Taking::open(conn, schema, site, ordinal)?;
        let mut versions: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        for (number, row) in taking.shelf.between(0, LIMIT)? {
            versions.entry(number).or_default().push(row);
        }
        for (number, rows) in versions {
            taking.shelf.clear(number)?;
            taking.take(&Version { number, rows })?;
        }
        tally.add(taking.tally);
    }
    Ok(tally)
}

/// Versions of one site on their way into the tables.
struct Taking<'a> {
    conn: &'a Connection,
    schema: &'a Replicated,
    site: Site,
    shelf: Shelf<'a>,
    tally: Tally,
}

impl<'a> Taking<'a> {
    fn open(
        conn: &'a Connection,
        schema: &'a Replicated,
        site: Site,
        ordinal: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            schema,
            site,
            shelf: Shelf::open(conn, RECORDS, ordinal)?,
            tally: Tally::default(),
        })
    }

    /// Takes one version, whole or not at all, but for cells that are not there for it.
    fn take(&mut self, version: &Version) -> Result<(), Error> {
        let reason = match check::sort(self.schema, version) {
            Err(reason) => reason.to_string(),
            Ok(sorted) => match self.merge(version.number, &sorted.known)? {
                Err(reason) => reason,
                Ok(()) => {
                    self.shelf.put(version.number, None, &sorted.unknown)?;
                    self.tally.stored += sorted.known.len();
                    self.tally.parked += sorted.unknown.len();
                    if !sorted.worn.is_empty() {
                        let reason = check::WORN.to_owned();
                        self.shelf
                            .put(version.number, Some(&reason), &sorted.worn)?;
                        self.tally.set_aside(version.number, reason);
                    }
                    return Ok(());
                }
            },
        };
        self.shelf
            .put(version.number, Some(&reason), &version.rows)?;
        self.tally.set_aside(version.number, reason);
        Ok(())
    }

    /// Merges checked rows; the inner error is the reason why SQLite will not have them, and nothing of them is left.
    fn merge(&self, number: i64, rows: &[Row]) -> Result<Result<(), String>, Error> {
        self.conn.execute_batch("SAVEPOINT sync_version")?;
        let merged = rows
            .iter()
            .zip(0_i64..)
            .try_for_each(|(row, seq)| self.merge_row(number, seq, row));
        match merged {
            Ok(()) => {
                self.conn.execute_batch("RELEASE sync_version")?;
                Ok(Ok(()))
            }
            Err(error) if held::is_about_data(&error) => {
                self.conn
                    .execute_batch("ROLLBACK TO sync_version; RELEASE sync_version")?;
                Ok(Err(format!("the table does not take it: {error}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn merge_row(&self, number: i64, seq: i64, row: &Row) -> rusqlite::Result<()> {
        let marks = vec!["?"; row.key.len()].join(", ");
        let key: Vec<u8> = self
            .conn
            .prepare_cached(&format!("SELECT crsql_pack_columns({marks})"))?
            .query_row(params_from_iter(&row.key), |packed| packed.get(0))?;
        let mut insert = self.conn.prepare_cached(
            r#"INSERT INTO crsql_changes
               ("table", pk, cid, val, col_version, db_version, site_id, cl, seq, ts)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '0')"#,
        )?;
        let mut put = |column: &str, value: &Value, edits: i64| {
            insert
                .execute((
                    &row.table,
                    &key,
                    column,
                    value,
                    edits,
                    number,
                    self.site.0,
                    row.life,
                    seq,
                ))
                .map(|_| ())
        };
        if row.turned {
            put(ROW, &Value::Null, row.life)?;
        }
        row.cells
            .iter()
            .try_for_each(|cell| put(&cell.column, &cell.value, cell.edits))
    }
}
