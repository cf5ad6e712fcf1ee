//! What a person must know or do: raised once per kind and subject, acknowledged by somebody, closed when the cause is
//! gone or somebody has settled it. Alerts are records, so that a manager far away may settle one too.

use std::fmt;

use farm_model::{
    AlertId, AnimalId, DeviceId, PlaceId, StaffId, UnixMillis, VisitId, milking::Finding,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use crate::{
    sql,
    store::{Actor, Change, StoreError, Tx, store_error},
    text::Note,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $severity:ident;)*) => {
        /// What an alert is about.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AlertKind { $($(#[$doc])* $name,)* }

        impl AlertKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name used in the store, JSON and translation keys.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// How urgent it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// The kind called `key`.
            pub fn from_key(key: &str) -> Option<Self> {
                match key { $($key => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A tank is warmer than its limit, for longer than it may be.
    TankWarm = "tank_warm", Critical;
    /// A tank is colder than its limit: milk freezes.
    TankCold = "tank_cold", Warning;
    /// Methane in the air above its limit.
    Methane = "methane", Critical;
    /// The air of a room troubles the cows in it.
    HeatStress = "heat_stress", Warning;
    /// The air of a room endangers them.
    HeatDanger = "heat_danger", Critical;
    /// A device has been silent three times as long as it should be.
    Silent = "silent", Warning;
    /// A cow under a withdrawal hold was milked.
    Withdrawal = "withdrawal", Critical;
    /// A cow gave much less than her own baseline.
    YieldDrop = "yield_drop", Warning;
    /// No milk flows though it should: the machine may be broken.
    NoFlow = "no_flow", Critical;
    /// Milk without a cow.
    Unidentified = "unidentified", Warning;
    /// Milk of a tag that no animal wears.
    UnknownTag = "unknown_tag", Warning;
    /// Two animals' tags in one visit.
    TwoIdentities = "two_identities", Warning;
    /// An animal milked twice in a session.
    MilkedTwice = "milked_twice", Warning;
    /// Two neighbours' tags seem to be swapped.
    SwappedTag = "swapped_tag", Warning;
    /// A visit with more milk than a cow gives.
    TooMuch = "too_much", Warning;
    /// An animal was treated.
    Health = "health", Warning;
    /// The wall clock is not known.
    ClockUnknown = "clock_unknown", Warning;
    /// The disk is nearly full.
    DiskFull = "disk_full", Critical;
    /// The database or its copies are not sound.
    Database = "database", Critical;
    /// A device did badly with new firmware, and its rollout was stopped.
    Firmware = "firmware", Warning;
    /// Two places each wrote down a calving of one cow.
    CalvedTwice = "calved_twice", Warning;
    /// Milk went into the tank of a cow that another place had treated.
    Tanked = "tanked", Critical;
    /// Somebody whom one place dismissed went on working at another.
    Dismissed = "dismissed", Critical;
}

impl AlertKind {
    /// The kind that puts a visit's finding before a person, if the finding needs a decision.
    pub fn of_finding(finding: Finding) -> Option<Self> {
        match finding {
            Finding::Unidentified => Some(Self::Unidentified),
            Finding::UnknownTag => Some(Self::UnknownTag),
            Finding::TwoIdentities => Some(Self::TwoIdentities),
            Finding::MilkedTwice => Some(Self::MilkedTwice),
            Finding::SwappedTag => Some(Self::SwappedTag),
            Finding::Withdrawal => Some(Self::Withdrawal),
            Finding::TooMuch => Some(Self::TooMuch),
            _ => None,
        }
    }

    /// Whether only a merge shows it: then there is one for each cause, and a subject may have several.
    pub(crate) fn is_found_by_merges(self) -> bool {
        matches!(self, Self::CalvedTwice | Self::Tanked | Self::Dismissed)
    }

    /// Whether it is the question whose milk a visit was.
    pub fn asks_whose(self) -> bool {
        self.is_decision() && self != Self::TooMuch
    }

    /// Whether somebody must decide something about a visit, so that only settling closes it.
    pub fn is_decision(self) -> bool {
        matches!(
            self,
            Self::Unidentified
                | Self::UnknownTag
                | Self::TwoIdentities
                | Self::MilkedTwice
                | Self::SwappedTag
                | Self::TooMuch
        )
    }
}

/// How urgent an alert is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Severity {
    /// Look at it today.
    Warning = 1,
    /// Act now.
    Critical = 2,
}

/// What an alert is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// The farm or its appliance.
    Farm,
    /// A place.
    Place(PlaceId),
    /// A device.
    Device(DeviceId),
    /// An animal.
    Animal(AnimalId),
    /// A milking visit.
    Visit(VisitId),
    /// A stall of the parlour.
    Stall(farm_model::Stall),
    /// A member of staff.
    Staff(StaffId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Farm => f.write_str("farm"),
            Self::Place(id) => write!(f, "place:{id}"),
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Animal(id) => write!(f, "animal:{id}"),
            Self::Visit(id) => write!(f, "visit:{id}"),
            Self::Stall(stall) => write!(f, "stall:{stall}"),
            Self::Staff(id) => write!(f, "staff:{id}"),
        }
    }
}

impl serde::Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Subject {
    /// The subject written as `text`; anything unknown is the farm.
    pub fn parse(text: &str) -> Self {
        let Some((sort, id)) = text.split_once(':') else {
            return Self::Farm;
        };
        match sort {
            "place" => id.parse().map_or(Self::Farm, Self::Place),
            "device" => id.parse().map_or(Self::Farm, Self::Device),
            "animal" => id.parse().map_or(Self::Farm, Self::Animal),
            "visit" => id.parse().map_or(Self::Farm, Self::Visit),
            "staff" => id.parse().map_or(Self::Farm, Self::Staff),
            "stall" => id
                .parse()
                .map_or(Self::Farm, |n| Self::Stall(farm_model::Stall(n))),
            _ => Self::Farm,
        }
    }
}

/// An alert.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Alert {
    /// Identity.
    pub id: AlertId,
    /// What it is about.
    pub kind: AlertKind,
    /// Whom it is about.
    pub subject: Subject,
    /// How urgent it is.
    pub severity: Severity,
    /// When it was raised.
    pub raised: UnixMillis,
    /// Figures, by name.
    pub detail: Value,
    /// Who has seen it, and when.
    pub acknowledged: Option<(UnixMillis, String)>,
    /// When it was closed, and by whom: `system` when its cause went away.
    pub closed: Option<(UnixMillis, String)>,
    /// What was decided.
    pub outcome: Option<String>,
}

/// Why an alert was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// No such alert.
    #[error("this alert is not known: reload the list")]
    Unknown,
    /// Somebody was quicker.
    #[error("this alert is closed already: reload the list")]
    Closed,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(AlertError);

/// Raises an alert unless one of the kind is open for the subject; an open one takes the new figures.
///
/// # Errors
/// When the database fails.
pub fn raise(
    tx: &mut Tx<'_>,
    kind: AlertKind,
    subject: Subject,
    detail: &Value,
) -> Result<AlertId, StoreError> {
    if let Some(id) = find_open(tx.conn(), kind, subject)? {
        tx.conn()
            .prepare_cached("UPDATE alert SET detail = ?2 WHERE id = ?1 AND detail IS NOT ?2")?
            .execute(params![id.as_bytes(), detail.to_string()])?;
        return Ok(id);
    }
    let id = AlertId::new();
    tx.conn()
        .prepare_cached(
            "INSERT INTO alert (id, kind, subject, severity, raised_at, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id.as_bytes(),
            kind.key(),
            subject.to_string(),
            kind.severity() as u8,
            tx.wall().0,
            detail.to_string()
        ])?;
    tell(tx, id, kind, State::Open);
    Ok(id)
}

/// Raises what two places may find at once: under the identity that both give it, unless it was raised before, settled or not.
pub(crate) fn raise_once(
    tx: &mut Tx<'_>,
    id: AlertId,
    kind: AlertKind,
    subject: Subject,
    at: UnixMillis,
    detail: &Value,
) -> Result<(), StoreError> {
    let raised = tx
        .conn()
        .prepare_cached(
            "INSERT INTO alert (id, kind, subject, severity, raised_at, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id.as_bytes(),
            kind.key(),
            subject.to_string(),
            kind.severity() as u8,
            at.0,
            detail.to_string()
        ])?;
    if raised > 0 {
        tell(tx, id, kind, State::Open);
    }
    Ok(())
}

/// Closes the open alerts of this kind and subject but for these, because their cause is gone.
pub(crate) fn clear_others(
    tx: &mut Tx<'_>,
    kind: AlertKind,
    subject: Subject,
    standing: &[AlertId],
) -> Result<(), StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT id FROM alert WHERE kind = ?1 AND subject = ?2 AND closed_at IS NULL",
    )?;
    let rows = statement.query_map(params![kind.key(), subject.to_string()], |row| {
        sql::id(row, 0)
    })?;
    let open: Vec<AlertId> = rows.collect::<Result<_, _>>()?;
    for id in open.into_iter().filter(|id| !standing.contains(id)) {
        close(tx, id, kind, &Actor::System, None)?;
    }
    Ok(())
}

/// Closes all but one of the open alerts of an alert's kind and subject: two places raised it apart, and a person is told once. Both keep
/// the same one.
pub(crate) fn close_twins(tx: &mut Tx<'_>, id: AlertId) -> Result<(), StoreError> {
    let Some(alert) = get(tx.conn(), id)?.filter(|alert| alert.closed.is_none()) else {
        return Ok(());
    };
    if alert.kind.is_found_by_merges() {
        return Ok(());
    }
    match find_open(tx.conn(), alert.kind, alert.subject)? {
        Some(first) => clear_others(tx, alert.kind, alert.subject, &[first]),
        None => Ok(()),
    }
}

/// Closes the open alert of this kind and subject, if there is one, because its cause is gone.
///
/// # Errors
/// When the database fails.
pub fn clear(tx: &mut Tx<'_>, kind: AlertKind, subject: Subject) -> Result<bool, StoreError> {
    let Some(id) = find_open(tx.conn(), kind, subject)? else {
        return Ok(false);
    };
    close(tx, id, kind, &Actor::System, None)?;
    Ok(true)
}

/// Says that somebody has seen an alert; it stays open.
///
/// # Errors
/// When it is unknown or closed.
pub fn acknowledge(tx: &mut Tx<'_>, id: AlertId) -> Result<(), AlertError> {
    let alert = get(tx.conn(), id)?.ok_or(AlertError::Unknown)?;
    if alert.closed.is_some() {
        return Err(AlertError::Closed);
    }
    tx.conn().execute(
        "UPDATE alert SET acknowledged_at = ?2, acknowledged_by = ?3 WHERE id = ?1 AND acknowledged_at IS NULL",
        params![id.as_bytes(), tx.wall().0, tx.actor().to_string()],
    )?;
    tell(tx, id, alert.kind, State::Open);
    Ok(())
}

/// Closes an alert by a person's word.
///
/// # Errors
/// When it is unknown or closed.
pub fn settle(tx: &mut Tx<'_>, id: AlertId, outcome: Option<&Note>) -> Result<(), AlertError> {
    let alert = get(tx.conn(), id)?.ok_or(AlertError::Unknown)?;
    if alert.closed.is_some() {
        return Err(AlertError::Closed);
    }
    let actor = tx.actor().clone();
    close(tx, id, alert.kind, &actor, outcome.map(Note::as_str))?;
    tx.audit("alert.settle", &id.to_string(), None)?;
    Ok(())
}

/// Closes every open decision about a visit, because it was decided.
pub(crate) fn settle_visit(
    tx: &mut Tx<'_>,
    visit: VisitId,
    kinds: &[AlertKind],
    outcome: &str,
) -> Result<(), StoreError> {
    for kind in kinds {
        if let Some(id) = find_open(tx.conn(), *kind, Subject::Visit(visit))? {
            let actor = tx.actor().clone();
            close(tx, id, *kind, &actor, Some(outcome))?;
        }
    }
    Ok(())
}

/// The open alert of this kind and subject.
///
/// # Errors
/// When the database fails.
pub fn find_open(
    conn: &Connection,
    kind: AlertKind,
    subject: Subject,
) -> Result<Option<AlertId>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT id FROM alert WHERE kind = ?1 AND subject = ?2 AND closed_at IS NULL ORDER BY id LIMIT 1",
        )?
        .query_row(params![kind.key(), subject.to_string()], |row| {
            sql::id(row, 0)
        })
        .optional()?)
}

/// The subjects of all open alerts of this kind.
///
/// # Errors
/// When the database fails.
pub fn open_subjects<C: FromIterator<Subject>>(
    conn: &Connection,
    kind: AlertKind,
) -> Result<C, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT subject FROM alert INDEXED BY alert_open WHERE kind = ?1 AND closed_at IS NULL",
    )?;
    let rows = statement.query_map([kind.key()], |row| Ok(Subject::parse(&sql::text(row, 0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "id, kind, subject, raised_at, detail, acknowledged_at, acknowledged_by, closed_at, closed_by, outcome";

/// Open alerts, most urgent first, then newest first.
///
/// # Errors
/// When the database fails.
pub fn open(conn: &Connection) -> Result<Vec<Alert>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alert INDEXED BY alert_open WHERE closed_at IS NULL
         ORDER BY severity DESC, raised_at DESC, id DESC"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(sql::known(rows)?)
}

/// How many alerts are open, critical ones and all.
///
/// # Errors
/// When the database fails.
pub fn count_open(conn: &Connection) -> Result<(i64, i64), StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT coalesce(sum(severity = 2), 0), count(*) FROM alert INDEXED BY alert_open WHERE closed_at IS NULL",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Alerts raised before `before`, open or closed, newest first.
///
/// # Errors
/// When the database fails.
pub fn history(
    conn: &Connection,
    before: Option<UnixMillis>,
    limit: usize,
) -> Result<Vec<Alert>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alert WHERE raised_at < ?1 ORDER BY raised_at DESC, id DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(
        params![before.map_or(i64::MAX, |b| b.0), limit as i64],
        read,
    )?;
    Ok(sql::known(rows)?)
}

/// One alert.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: AlertId) -> Result<Option<Alert>, StoreError> {
    Ok(conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM alert WHERE id = ?1"))?
        .query_row([id.as_bytes()], read)
        .optional()?
        .flatten())
}

fn close(
    tx: &mut Tx<'_>,
    id: AlertId,
    kind: AlertKind,
    by: &Actor,
    outcome: Option<&str>,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "UPDATE alert SET closed_at = ?2, closed_by = ?3, outcome = ?4 WHERE id = ?1",
        )?
        .execute(params![id.as_bytes(), tx.wall().0, by.to_string(), outcome])?;
    tell(tx, id, kind, State::Closed);
    Ok(())
}

/// Whether an alert waits for somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

fn tell(tx: &mut Tx<'_>, alert: AlertId, kind: AlertKind, state: State) {
    tx.tell(Change::Alert {
        alert,
        kind: kind.key(),
        open: state == State::Open,
    });
}

/// A row whose kind this program does not know is of a newer site; it is left out.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Alert>> {
    let Some(kind) = AlertKind::from_key(&sql::text(row, 1)?) else {
        return Ok(None);
    };
    let stamped = |at: usize| -> rusqlite::Result<Option<(UnixMillis, String)>> {
        Ok(match row.get::<_, Option<i64>>(at)? {
            Some(millis) => Some((UnixMillis(millis), sql::text(row, at + 1)?)),
            None => None,
        })
    };
    Ok(Some(Alert {
        id: sql::id(row, 0)?,
        kind,
        subject: Subject::parse(&sql::text(row, 2)?),
        severity: kind.severity(),
        raised: UnixMillis(row.get::<_, Option<i64>>(3)?.unwrap_or(0)),
        detail: serde_json::from_str(&sql::text(row, 4)?).unwrap_or(Value::Null),
        acknowledged: stamped(5)?,
        closed: stamped(7)?,
        outcome: row.get(9)?,
    }))
}
