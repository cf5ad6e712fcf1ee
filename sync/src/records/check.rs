//! The border that no foreign change crosses unchecked.
//!
//! A hostile or broken sender may say anything. What the extension would take and should not: keys of another shape (the
//! process ends), counts at the end of their range (a cell that can never be edited again, a row that can never be deleted),
//! values of another class, values too large. Measured on cr-sqlite 17.0.0.

use super::{Cell, Row, Version};
use crate::{Replicated, Value, marks::LIMIT, schema::Table};

/// Bytes of one value; photographs are not record cells.
pub(super) const VALUE_BYTES: usize = 256 * 1024;
/// Bytes of one value of a key.
const KEY_BYTES: usize = 255;
const KEY_COLUMNS: usize = 8;
const NAME_BYTES: usize = 64;
const CELLS: usize = 256;

/// What is wrong with a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a name is empty or too long")]
    Name,
    #[error("a key does not fit its table")]
    Key,
    #[error("a row was made and deleted an impossible number of times")]
    Life,
    #[error("{WORN}")]
    Edits,
    #[error("a value is too large")]
    Size,
    #[error("a value does not fit its column")]
    Class,
    #[error("a value of {0} is out of bounds")]
    Bounds(String),
    #[error("a row says nothing, contradicts itself or has too many cells")]
    Shape,
}

/// Why a cell is left out that was edited more often than anybody takes.
pub(super) const WORN: &str = "a cell was edited an impossible number of times";

/// The rows of a version.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What this build knows.
    pub(super) known: Vec<Row>,
    /// Rows, or cells of rows, that it does not.
    pub(super) unknown: Vec<Row>,
    /// Cells that were edited past the limit. An honest site tells one after somebody else has put the cell at the limit, and the rest of
    /// what it says must not suffer for that. Past twice the limit it is nobody's work.
    pub(super) worn: Vec<Row>,
}

/// Sorts the rows of a version.
pub(super) fn sort(schema: &Replicated, version: &Version) -> Result<Sorted, Fault> {
    let mut sorted = Sorted::default();
    for row in &version.rows {
        check_bounds(row)?;
        let Some(table) = schema.tables.get(&row.table) else {
            sorted.unknown.push(row.clone());
            continue;
        };
        check_key(table, row)?;
        let (sound, worn): (Vec<Cell>, Vec<Cell>) = row
            .cells
            .iter()
            .cloned()
            .partition(|cell| cell.edits <= LIMIT);
        let (mine, foreign): (Vec<Cell>, Vec<Cell>) = sound
            .into_iter()
            .partition(|cell| table.columns.contains_key(&cell.column));
        let fits = |cell: &Cell| table.columns[&cell.column].takes(&cell.value);
        if !mine.iter().all(fits) {
            return Err(Fault::Class);
        }
        let holds = |cell: &&Cell| table.columns[&cell.column].holds(&cell.value);
        if let Some(cell) = mine.iter().find(|cell| !holds(cell)) {
            return Err(Fault::Bounds(cell.column.clone()));
        }
        if !mine.is_empty() || row.turned {
            sorted.known.push(Row {
                cells: mine,
                ..row.clone()
            });
        }
        for (cells, rows) in [(foreign, &mut sorted.unknown), (worn, &mut sorted.worn)] {
            if !cells.is_empty() {
                rows.push(Row {
                    cells,
                    turned: false,
                    ..row.clone()
                });
            }
        }
    }
    Ok(sorted)
}

fn check_bounds(row: &Row) -> Result<(), Fault> {
    let counts = 1..=LIMIT;
    let named = |name: &str| (1..=NAME_BYTES).contains(&name.len());
    if !named(&row.table) || !row.cells.iter().all(|cell| named(&cell.column)) {
        return Err(Fault::Name);
    }
    if !counts.contains(&row.life) {
        return Err(Fault::Life);
    }
    let dead = row.life % 2 == 0;
    if row.cells.len() > CELLS
        || row.cells.is_empty() && !row.turned
        || dead && !row.cells.is_empty()
    {
        return Err(Fault::Shape);
    }
    let small = |value: &Value| value.weight() <= KEY_BYTES && *value != Value::Null;
    if !(1..=KEY_COLUMNS).contains(&row.key.len()) || !row.key.iter().all(small) {
        return Err(Fault::Key);
    }
    // The extension itself writes 0 when a row is made again: a cell that any edit of the new life replaces.
    if row
        .cells
        .iter()
        .any(|cell| !(0..=2 * LIMIT).contains(&cell.edits))
    {
        return Err(Fault::Edits);
    }
    if row
        .cells
        .iter()
        .any(|cell| cell.value.weight() > VALUE_BYTES)
    {
        return Err(Fault::Size);
    }
    Ok(())
}

fn check_key(table: &Table, row: &Row) -> Result<(), Fault> {
    let fits = row.key.len() == table.key.len()
        && table
            .key
            .iter()
            .zip(&row.key)
            .all(|((_, column), value)| column.takes(value) && column.holds(value));
    if fits { Ok(()) } else { Err(Fault::Key) }
}
