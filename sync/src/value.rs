//! Values of columns and keys, as they are stored and as they travel.

use std::cmp::Ordering;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// A value in one of SQLite's five classes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// Bytes that the value itself takes, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Integer(_) => 1,
            Self::Real(_) => 2,
            Self::Text(_) => 3,
            Self::Blob(_) => 4,
        }
    }
}

/// A total order, with which changes are put into the one order that their hash is taken in. Not the order of a merge.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl FromSql for Value {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Integer(n),
            ValueRef::Real(x) => Self::Real(x),
            ValueRef::Text(_) => Self::Text(value.as_str()?.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        })
    }
}

/// Reads a primary key as cr-sqlite packs it: a count, then for each value a byte `length << 3 | class`, big-endian
/// bytes of the number or of the length, and the bytes (crates/sqlite/src/lib.rs, `pack_columns`, in vlcn-io/cr-sqlite).
/// `None` for anything else; the extension itself ends the process on some of those.
pub(crate) fn unpack_key(packed: &[u8]) -> Option<Vec<Value>> {
    let (&count, mut rest) = packed.split_first()?;
    let mut key = Vec::new();
    for _ in 0..count {
        let (&head, after) = rest.split_first()?;
        let (class, length) = (head & 7, usize::from(head >> 3));
        let (value, after) = match class {
            1 => {
                let (n, after) = unsigned(after, length)?;
                (Value::Integer(n.cast_signed()), after)
            }
            2 => {
                let (bytes, after) = after.split_at_checked(8)?;
                (
                    Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
                    after,
                )
            }
            3 | 4 => {
                let (bytes, after) = unsigned(after, length)
                    .and_then(|(n, after)| after.split_at_checked(usize::try_from(n).ok()?))?;
                let value = if class == 3 {
                    Value::Text(String::from_utf8(bytes.to_vec()).ok()?)
                } else {
                    Value::Blob(bytes.to_vec())
                };
                (value, after)
            }
            _ => return None,
        };
        key.push(value);
        rest = after;
    }
    rest.is_empty().then_some(key)
}

fn unsigned(bytes: &[u8], length: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(length)?;
    let mut wide = [0; 8];
    wide.get_mut(8_usize.checked_sub(length)?..)?
        .copy_from_slice(number);
    Some((u64::from_be_bytes(wide), rest))
}
