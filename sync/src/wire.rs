//! What travels in the body of `POST /sync/v1/exchange`: four letters, then postcard inside zstd.
//!
//! A message is a [`Request`] or a [`Reply`] and the [`Part`]s that go with it; a request travels sealed ([`keys`](crate::keys)). Parts are laid out by column ([`column`]), as that is what
//! makes a milking weigh 13 bytes and not 105. The letters tell our own answer from the page of a captive portal, zstd's
//! checksum a truncated or altered one from a whole one.
//!
//! Invariant: decoding takes any bytes, never panics, and never takes more memory than its [`Room`] allows,
//! or a few times [`BARE_BYTES`] where no parts are expected.

mod bits;
mod column;
mod message;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Site, Value,
    facts::Run,
    marks::{Mark, RECORDS},
    records::{Cell, Row, Span, Version},
};
use column::{Budget, Packed};
pub use message::{
    Answer, Claim, Directive, Have, Head, Refusal, Reply, Request, Stream, Welcome, Welcomed,
};

/// The protocol that this build speaks.
pub const PROTOCOL: u16 = 1;
/// Bytes of a message on the line at most.
pub const MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of a message after decompression at most.
pub const OPEN_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a message without parts after decompression at most: strangers send such messages.
pub const BARE_BYTES: usize = 16 * 1024;
/// Bytes that the parts of a message may take in memory, roughly. A sender that reads with a room of 1 MiB stays below.
pub const EXPANDED_BYTES: usize = 128 * 1024 * 1024;

/// What reading a message may take of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes after decompression. A byte of them may stand for a value, which takes some 30 times as much until it is expanded.
    pub open: usize,
    /// Bytes of the expanded parts, roughly.
    pub expanded: usize,
}

impl Room {
    /// What any message that we send fits in.
    pub const FULL: Self = Self {
        open: OPEN_BYTES,
        expanded: EXPANDED_BYTES,
    };
    /// What most requests fit in: many of them may be read at once.
    pub const LIGHT: Self = Self {
        open: 128 * 1024,
        expanded: 2 * 1024 * 1024,
    };
}

const LETTERS: [u8; 4] = *b"KHS1";
/// zstd's own default: within 2 % of level 9 on this layout, and quick on a Pi.
const LEVEL: i32 = 3;

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Record changes.
    Records(Span),
    /// Facts.
    Facts(Run),
}

impl Part {
    /// Where it begins.
    pub fn from(&self) -> Mark {
        match self {
            Self::Records(span) => span.from,
            Self::Facts(run) => run.from,
        }
    }

    /// Bytes that it weighs, roughly, before it is packed.
    pub fn weight(&self) -> usize {
        match self {
            Self::Records(span) => span.weight(),
            Self::Facts(run) => run.weight(),
        }
    }

    /// Of which stream it is a piece.
    pub fn stream(&self) -> Stream {
        match self {
            Self::Records(span) => Stream {
                site: span.site,
                name: RECORDS.to_owned(),
            },
            Self::Facts(run) => Stream {
                site: run.site,
                name: run.log.clone(),
            },
        }
    }
}

/// Why bytes are no message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It does not begin as ours do.
    #[error("this is no answer of a Khamar hub: the line may lead to a login page")]
    Foreign,
    /// It is too large, packed or unpacked.
    #[error("the message is too large")]
    TooLarge,
    /// It is torn off or altered.
    #[error("the message is torn off or altered: send it again")]
    Torn,
    /// It was whole, and makes no sense.
    #[error("the message cannot be read: the other side may be of another version")]
    Malformed,
}

/// Rows with the same table and columns.
#[derive(Serialize, Deserialize)]
struct Group {
    table: String,
    columns: Vec<String>,
    turned: bool,
    rows: u32,
    versions: Packed,
    lives: Packed,
    key: Vec<Packed>,
    edits: Vec<Packed>,
    values: Vec<Packed>,
}

#[derive(Serialize, Deserialize)]
enum PackedPart {
    Records {
        site: Site,
        from: Mark,
        to: i64,
        groups: Vec<Group>,
    },
    Facts {
        site: Site,
        from: Mark,
        log: String,
        columns: Vec<String>,
        rows: u32,
        values: Vec<Packed>,
    },
}

/// Packs a message.
///
/// # Errors
/// When it would be larger than a receiver takes.
pub fn encode(head: &impl Serialize, parts: &[Part]) -> Result<Vec<u8>, WireError> {
    let packed: Vec<_> = parts.iter().map(pack).collect();
    let open = postcard::to_stdvec(&(head, packed)).map_err(|_| WireError::Malformed)?;
    if open.len() > OPEN_BYTES {
        return Err(WireError::TooLarge);
    }
    let mut zstd = zstd::bulk::Compressor::new(LEVEL).map_err(|_| WireError::Malformed)?;
    zstd.include_checksum(true)
        .map_err(|_| WireError::Malformed)?;
    let mut message = LETTERS.to_vec();
    message.extend(zstd.compress(&open).map_err(|_| WireError::Malformed)?);
    if message.len() > MESSAGE_BYTES {
        return Err(WireError::TooLarge);
    }
    Ok(message)
}

/// Packs a message with as many of the parts, from the first, as one message can carry, and says how many.
///
/// # Errors
/// When not even the head fits.
pub fn encode_some(head: &impl Serialize, parts: &[Part]) -> Result<(Vec<u8>, usize), WireError> {
    let mut some = parts.len();
    loop {
        match encode(head, &parts[..some]) {
            Err(WireError::TooLarge) if some > 0 => some /= 2,
            Err(error) => return Err(error),
            Ok(message) => return Ok((message, some)),
        }
    }
}

/// The protocol of a request whose layout may not be ours: it stands first in every one.
pub(crate) fn protocol_of(message: &[u8], room: Room) -> Option<u16> {
    let open = unzip(message, room.open).ok()?;
    postcard::take_from_bytes(&open)
        .ok()
        .map(|(protocol, _)| protocol)
}

fn unzip(message: &[u8], most: usize) -> Result<Vec<u8>, WireError> {
    if message.len() > MESSAGE_BYTES {
        return Err(WireError::TooLarge);
    }
    let body = message.strip_prefix(&LETTERS).ok_or(WireError::Foreign)?;
    zstd::bulk::decompress(body, most).map_err(|_| WireError::Torn)
}

/// Reads a message, from anyone.
///
/// # Errors
/// When the bytes are not a whole message of bounded size.
pub fn decode<H: DeserializeOwned>(message: &[u8]) -> Result<(H, Vec<Part>), WireError> {
    decode_within(message, Room::FULL)
}

/// Reads a message, from anyone, unless it takes more memory than this.
///
/// # Errors
/// When the bytes are not a whole message of that size.
pub fn decode_within<H: DeserializeOwned>(
    message: &[u8],
    room: Room,
) -> Result<(H, Vec<Part>), WireError> {
    let open = unzip(message, room.open)?;
    let ((head, packed), rest) = postcard::take_from_bytes::<(H, Vec<PackedPart>)>(&open)
        .map_err(|_| WireError::Malformed)?;
    if !rest.is_empty() {
        return Err(WireError::Malformed);
    }
    let mut budget = Budget::new(room.expanded);
    let parts = packed
        .into_iter()
        .map(|part| unpack(part, &mut budget))
        .collect::<Option<_>>()
        .ok_or(WireError::Malformed)?;
    Ok((head, parts))
}

/// Reads a message that brings no parts, from anyone: before it is known who sent it, parts are not even looked at.
///
/// # Errors
/// When the bytes are not a whole message of at most [`BARE_BYTES`], or parts follow.
pub fn decode_bare<H: DeserializeOwned>(message: &[u8]) -> Result<H, WireError> {
    let open = unzip(message, BARE_BYTES)?;
    let ((head, parts), rest) =
        postcard::take_from_bytes::<(H, u32)>(&open).map_err(|_| WireError::Malformed)?;
    if parts == 0 && rest.is_empty() {
        Ok(head)
    } else {
        Err(WireError::Malformed)
    }
}

fn pack(part: &Part) -> PackedPart {
    match part {
        Part::Records(span) => PackedPart::Records {
            site: span.site,
            from: span.from,
            to: span.to,
            groups: group(&span.versions),
        },
        Part::Facts(run) => PackedPart::Facts {
            site: run.site,
            from: run.from,
            log: run.log.clone(),
            columns: run.columns.clone(),
            rows: count(run.rows.len()),
            values: (0..run.columns.len())
                .map(|n| {
                    Packed::of(
                        run.rows
                            .iter()
                            .map(|row| row.get(n).unwrap_or(&Value::Null)),
                    )
                })
                .collect(),
        },
    }
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

fn group(versions: &[Version]) -> Vec<Group> {
    type Shape<'a> = (&'a str, bool, usize, Vec<&'a str>);
    let mut groups: BTreeMap<Shape<'_>, Vec<(i64, &Row)>> = BTreeMap::new();
    for version in versions {
        for row in &version.rows {
            let columns = row.cells.iter().map(|cell| cell.column.as_str()).collect();
            groups
                .entry((&row.table, row.turned, row.key.len(), columns))
                .or_default()
                .push((version.number, row));
        }
    }
    groups
        .into_iter()
        .map(|((table, turned, key, columns), rows)| Group {
            table: table.to_owned(),
            turned,
            rows: count(rows.len()),
            versions: Packed::of_numbers(rows.iter().map(|(number, _)| *number)),
            lives: Packed::of_numbers(rows.iter().map(|(_, row)| row.life)),
            key: (0..key)
                .map(|n| Packed::of(rows.iter().map(|(_, row)| &row.key[n])))
                .collect(),
            edits: (0..columns.len())
                .map(|n| Packed::of_numbers(rows.iter().map(|(_, row)| row.cells[n].edits)))
                .collect(),
            values: (0..columns.len())
                .map(|n| Packed::of(rows.iter().map(|(_, row)| &row.cells[n].value)))
                .collect(),
            columns: columns.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

fn unpack(part: PackedPart, budget: &mut Budget) -> Option<Part> {
    match part {
        PackedPart::Records {
            site,
            from,
            to,
            groups,
        } => {
            let mut rows: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
            for group in groups {
                ungroup(group, budget, &mut rows)?;
            }
            let versions = rows
                .into_iter()
                .map(|(number, rows)| {
                    let mut version = Version { number, rows };
                    version.settle();
                    version
                })
                .collect();
            Some(Part::Records(Span {
                site,
                from,
                to,
                versions,
            }))
        }
        PackedPart::Facts {
            site,
            from,
            log,
            columns,
            rows,
            values,
        } => {
            let rows = budget.rows(rows, values.len())?;
            let mut values = expand_all(values, rows, budget)?;
            let rows = (0..rows)
                .map(|_| values.iter_mut().map(Iterator::next).collect())
                .collect::<Option<Vec<Vec<Value>>>>()?;
            let sound = rows.is_empty() || rows[0].len() == columns.len();
            sound.then_some(Part::Facts(Run {
                log,
                site,
                from,
                columns,
                rows,
            }))
        }
    }
}

type Values = std::vec::IntoIter<Value>;

fn expand_all(columns: Vec<Packed>, rows: usize, budget: &mut Budget) -> Option<Vec<Values>> {
    columns
        .into_iter()
        .map(|column| Some(column.expand(rows, budget)?.into_iter()))
        .collect()
}

fn ungroup(group: Group, budget: &mut Budget, into: &mut BTreeMap<i64, Vec<Row>>) -> Option<()> {
    let width = group.columns.len();
    if group.edits.len() != width || group.values.len() != width {
        return None;
    }
    let rows = budget.rows(group.rows, 2 + group.key.len() + 2 * width)?;
    let names: usize = group.columns.iter().map(String::len).sum();
    budget.take(rows.checked_mul(group.table.len() + names)?)?;
    let mut numbers = group.versions.expand_numbers(rows, budget)?.into_iter();
    let mut lives = group.lives.expand_numbers(rows, budget)?.into_iter();
    let mut key = expand_all(group.key, rows, budget)?;
    let mut values = expand_all(group.values, rows, budget)?;
    let mut edits = group
        .edits
        .into_iter()
        .map(|column| Some(column.expand_numbers(rows, budget)?.into_iter()))
        .collect::<Option<Vec<_>>>()?;
    for _ in 0..rows {
        let cells = group
            .columns
            .iter()
            .zip(values.iter_mut().zip(&mut edits))
            .map(|(column, (value, edits))| {
                Some(Cell {
                    column: column.clone(),
                    value: value.next()?,
                    edits: edits.next()?,
                })
            })
            .collect::<Option<_>>()?;
        into.entry(numbers.next()?).or_default().push(Row {
            table: group.table.clone(),
            key: key.iter_mut().map(Iterator::next).collect::<Option<_>>()?,
            life: lives.next()?,
            turned: group.turned,
            cells,
        });
    }
    Some(())
}
