//! What goes into a statement and what comes out: integers and texts, the same on every engine.

use std::num::TryFromIntError;

use uuid::Uuid;

use crate::{Micros, StoreError};

/// A value for a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// A number, a moment, a yes or no.
    Integer(i64),
    /// A text, an identity.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<Micros> for Value {
    fn from(value: Micros) -> Self {
        Self::Integer(value.0)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Text(value.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement: `args![id, now]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] };
}

/// A value of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// A number, a moment, a yes or no.
    Integer(i64),
    /// A text, an identity.
    Text(&'a str),
}

/// What a column of an answer can be read as.
pub trait Column: Sized {
    /// The value, or nothing when it is no such thing.
    fn read(value: ValueRef<'_>) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Integer(n) => Some(n),
            _ => None,
        }
    }
}

impl Column for usize {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        let narrow: Result<Self, TryFromIntError> = i64::read(value)?.try_into();
        narrow.ok()
    }
}

impl Column for bool {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        Some(i64::read(value)? != 0)
    }
}

impl Column for Micros {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        i64::read(value).map(Self)
    }
}

impl Column for String {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Column for Uuid {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(text) => Self::try_parse(text).ok(),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }
}

/// A row of an answer.
pub struct Row<'a> {
    pub(crate) row: &'a rusqlite::Row<'a>,
    pub(crate) sql: &'static str,
}

impl Row<'_> {
    /// The value of a column, from 0.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        let value = match self.row.get_ref(column)? {
            rusqlite::types::ValueRef::Null => Some(ValueRef::Null),
            rusqlite::types::ValueRef::Integer(n) => Some(ValueRef::Integer(n)),
            rusqlite::types::ValueRef::Text(text) => {
                std::str::from_utf8(text).ok().map(ValueRef::Text)
            }
            _ => None,
        };
        value.and_then(T::read).ok_or(StoreError::Unreadable {
            sql: self.sql,
            column,
        })
    }
}
