//! What a command works with: a transaction and its moment.

use rusqlite::{Connection, types::ToSqlOutput};

use crate::{Micros, Row, StoreError, Value};

/// A transaction. Whatever a command did is undone when it returns an error.
pub struct Tx<'a> {
    conn: &'a Connection,
    now: Micros,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(conn: &'a Connection, now: Micros) -> Self {
        Self { conn, now }
    }

    /// The moment of the command; it does not move while it runs.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Runs a statement; how many rows it changed.
    ///
    /// # Errors
    /// When the database fails or refuses it.
    pub fn execute(&mut self, sql: &'static str, args: &[Value]) -> Result<usize, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        bind(&mut statement, sql, args)?;
        Ok(statement.raw_execute()?)
    }

    /// Every row of an answer, read by `read`.
    ///
    /// # Errors
    /// When the database fails, or a column holds something else than is read.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, args, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Hands every row of an answer to `take`, holding one at a time.
    ///
    /// # Errors
    /// When the database fails, or what `take` returns.
    pub fn each(
        &mut self,
        sql: &'static str,
        args: &[Value],
        mut take: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        bind(&mut statement, sql, args)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            take(&Row { row, sql })?;
        }
        Ok(())
    }

    /// The first row of an answer, if there is one.
    ///
    /// # Errors
    /// As [`Tx::all`].
    pub fn first<T>(
        &mut self,
        sql: &'static str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        bind(&mut statement, sql, args)?;
        let mut rows = statement.raw_query();
        let first = match rows.next()? {
            Some(row) => Some(read(&Row { row, sql })?),
            None => None,
        };
        // To its end, so that a statement with RETURNING does all that it does.
        while rows.next()?.is_some() {}
        Ok(first)
    }

    /// Whether an answer has a row.
    ///
    /// # Errors
    /// When the database fails.
    pub fn exists(&mut self, sql: &'static str, args: &[Value]) -> Result<bool, StoreError> {
        Ok(self.first(sql, args, |_| Ok(()))?.is_some())
    }
}

/// Gives `$1` the first value, and so on; each must have one, and each value its parameter.
fn bind(
    statement: &mut rusqlite::Statement<'_>,
    sql: &'static str,
    args: &[Value],
) -> Result<(), StoreError> {
    let wrong = || StoreError::Parameters {
        sql,
        given: args.len(),
    };
    if statement.parameter_count() != args.len() {
        return Err(wrong());
    }
    for (i, value) in args.iter().enumerate() {
        let index = statement.parameter_index(&format!("${}", i + 1))?;
        let value = match value {
            Value::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
            Value::Integer(n) => ToSqlOutput::Owned((*n).into()),
            Value::Text(text) => ToSqlOutput::Borrowed(text.as_str().into()),
        };
        statement.raw_bind_parameter(index.ok_or_else(wrong)?, value)?;
    }
    Ok(())
}
