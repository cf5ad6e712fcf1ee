//! Wrong tries are counted before they are tried, and cost more and more time.
//!
//! What is counted need not exist, so that a wait tells nobody whether it does.

use hub_store::{Micros, StoreError, Tx, args};

use crate::secret;

/// Failures that cost nothing but their count.
const FREE: i64 = 4;
/// Wait after the first failure that costs, in seconds; doubled by each further one.
const FIRST_WAIT_S: i64 = 30;
/// Longest wait.
const LONGEST_WAIT_S: i64 = 15 * 60;
/// Subjects remembered at once; beyond them those with the fewest failures are forgotten.
const REMEMBERED: i64 = 50_000;
/// Failures are forgotten after a day without another.
const FORGET_S: i64 = 86_400;

/// It is too early for another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong tries: wait {seconds} seconds, then try again")]
pub struct Locked {
    /// Seconds to wait.
    pub seconds: i64,
}

/// Counts a try as failed, unless it is too early for one; [`forgive`] clears the count.
///
/// # Errors
/// When the database fails; the inner error when one must wait.
pub fn count(tx: &mut Tx<'_>, kind: &str, subject: &str) -> Result<Result<(), Locked>, StoreError> {
    let (now, subject) = (tx.now(), key(kind, subject));
    tx.execute(
        "DELETE FROM attempt WHERE at < $1",
        args![now.plus_seconds(-FORGET_S)],
    )?;
    let before: Option<(i64, Micros)> = tx.first(
        "SELECT failures, at FROM attempt WHERE subject = $1",
        args![subject.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let failures = before.map_or(0, |(n, _)| n);
    if before.is_none() {
        make_room(tx)?;
    }
    if let Some((n, at)) = before {
        let left = wait_after(n) - now.seconds_since(at);
        if left > 0 {
            return Ok(Err(Locked { seconds: left }));
        }
    }
    tx.execute(
        "INSERT INTO attempt (subject, failures, at) VALUES ($1, $2, $3)
         ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, at = excluded.at",
        args![subject, failures + 1, now],
    )?;
    Ok(Ok(()))
}

/// Whoever tries ever other names cannot fill the table.
fn make_room(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM attempt WHERE subject IN (
             SELECT subject FROM attempt ORDER BY failures DESC, at DESC LIMIT $2 OFFSET $1)",
        args![REMEMBERED, REMEMBERED],
    )?;
    Ok(())
}

/// Forgets the failures.
///
/// # Errors
/// When the database fails.
pub fn forgive(tx: &mut Tx<'_>, kind: &str, subject: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM attempt WHERE subject = $1",
        args![key(kind, subject)],
    )?;
    Ok(())
}

/// Of bounded length, whatever somebody types.
fn key(kind: &str, subject: &str) -> String {
    format!("{kind}:{}", secret::hash(subject))
}

/// Seconds to wait after that many failures.
fn wait_after(failures: i64) -> i64 {
    match failures - FREE {
        n if n < 0 => 0,
        n => FIRST_WAIT_S
            .saturating_mul(1 << n.min(20))
            .min(LONGEST_WAIT_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<i64> = (1..=12).map(wait_after).collect();
        assert_eq!(waits, [0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900, 900]);
    }
}
