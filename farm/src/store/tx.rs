//! What a command works with: the connection inside its savepoint, the moment, who acts, and what to tell afterwards.

use std::{collections::HashMap, fmt};

use farm_model::{Clock, DeviceId, Quantity, StaffId, Stamp, UnixMillis};
use rusqlite::{Connection, params};
use sync::Site;

use super::{StoreError, events::Change};
use crate::{
    FarmClock, Moment,
    hearing::Word,
    live::{Live, LiveValue},
    milkings::Handles,
};

/// Who is responsible for a change; written into facts and the audit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    /// The appliance itself.
    System,
    /// A person who logged in.
    Staff(StaffId),
    /// A device.
    Device(DeviceId),
    /// The holder of the API token of this name.
    Token(String),
    /// Someone at the command line.
    CommandLine,
    /// Someone with an account at the hub. The name is kept beside the identity, because the farm does not know the hub's
    /// accounts.
    Account {
        /// The account's identity at the hub, without blanks.
        id: String,
        /// What the person was called then.
        name: String,
    },
}

impl Actor {
    /// Whether both are the same one, whatever an account is called by now.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Account { id, .. }, Self::Account { id: other, .. }) => id == other,
            _ => self == other,
        }
    }

    /// The member of staff, if it is one.
    pub fn staff(&self) -> Option<StaffId> {
        match self {
            Self::Staff(id) => Some(*id),
            _ => None,
        }
    }
}

impl fmt::Display for Actor {
    /// The form that is stored: `staff:` and an identity, `token:` and a name, `hub:`, an identity, a blank and a name, …
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Staff(id) => write!(f, "staff:{id}"),
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::CommandLine => f.write_str("command-line"),
            Self::Account { id, name } => write!(f, "hub:{id} {name}"),
        }
    }
}

impl Actor {
    /// The actor stored as `text`; anything unknown is the system.
    pub fn from_stored(text: &str) -> Self {
        if text == "command-line" {
            return Self::CommandLine;
        }
        match text.split_once(':') {
            Some(("staff", id)) => id.parse().map_or(Self::System, Self::Staff),
            Some(("device", id)) => id.parse().map_or(Self::System, Self::Device),
            Some(("token", name)) => Self::Token(name.to_owned()),
            Some(("hub", account)) => {
                let (id, name) = account.split_once(' ').unwrap_or((account, account));
                Self::Account {
                    id: id.to_owned(),
                    name: name.to_owned(),
                }
            }
            _ => Self::System,
        }
    }
}

/// Identity of a fact: the site that wrote it (0 is this one) and its number there.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct FactId {
    /// Ordinal of the site in this file: another file counts its sites otherwise.
    pub site: i64,
    /// Number of the fact in its log, counted from 1 without a hole.
    pub seq: i64,
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.site, self.seq)
    }
}

impl std::str::FromStr for FactId {
    type Err = NotAFactId;

    fn from_str(s: &str) -> Result<Self, NotAFactId> {
        let (site, seq) = s.split_once('-').ok_or(NotAFactId)?;
        Ok(Self {
            site: site.parse().map_err(|_| NotAFactId)?,
            seq: seq.parse().map_err(|_| NotAFactId)?,
        })
    }
}

/// The text is no fact's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fact is named by two numbers with a dash between them, such as 0-42")]
pub struct NotAFactId;

/// A log of facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Log {
    Milking,
    Event,
    Audit,
    Sample,
}

impl Log {
    pub(crate) const ALL: [Self; 4] = [Self::Milking, Self::Event, Self::Audit, Self::Sample];
    /// Those whose facts bear the time at which they were written.
    pub(crate) const DATED: [Self; 3] = [Self::Milking, Self::Event, Self::Audit];

    /// Its table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Milking => "milking",
            Self::Event => "animal_event",
            Self::Audit => "audit",
            Self::Sample => "sample",
        }
    }
}

/// The numbers that come next: of this site's facts in each log, and of its readings. A rollback gives them back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) facts: [i64; Log::ALL.len()],
    pub(crate) reading: i64,
}

/// What the writer remembers between commands; whatever a rollback could make untrue is dropped by one.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) site: Site,
    pub(crate) next: Numbers,
    pub(crate) series: HashMap<(DeviceId, Quantity), i64>,
    pub(crate) handles: Handles,
    /// Of a series here: the number by which others are told of it, and the slots of its span.
    pub(crate) samples: HashMap<i64, (i64, i64)>,
}

impl Memory {
    pub(crate) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut facts = [0; Log::ALL.len()];
        for (next, log) in facts.iter_mut().zip(Log::ALL) {
            let sql = format!("SELECT max(seq) FROM {} WHERE site = 0", log.table());
            let newest: Option<i64> = conn.query_row(&sql, [], |row| row.get(0))?;
            *next = newest.unwrap_or(0) + 1;
        }
        let reading = crate::readings::next_seq(conn)?;
        Ok(Self {
            site: sync::site::own(conn)?,
            next: Numbers { facts, reading },
            series: HashMap::new(),
            handles: Handles::default(),
            samples: HashMap::new(),
        })
    }

    /// Forgets what a rollback to where these numbers came next made untrue.
    pub(crate) fn forget(&mut self, next: Numbers) {
        self.next = next;
        self.series.clear();
        self.handles = Handles::default();
        self.samples.clear();
    }
}

/// What happens after the commit.
pub(crate) enum After {
    Tell(Change),
    Newest(LiveValue),
    /// What a batch brought of a device: of one quantity, or of tags and bytes without sense.
    Heard(DeviceId, Option<Quantity>, Word),
    /// A frame of a node, whatever it holds.
    Attended(DeviceId, Stamp),
    /// The alarm of a device's silence.
    Missed(DeviceId),
    Call(Box<dyn FnOnce() + Send>),
    /// Something was taken from another site, and may be passed on.
    Took,
}

/// A command's transaction: a savepoint of the group that the writer commits.
pub struct Tx<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) memory: &'a mut Memory,
    pub(crate) after: &'a mut Vec<After>,
    pub(crate) clock: &'a FarmClock,
    pub(crate) live: &'a Live,
    pub(crate) now: Stamp,
    pub(crate) actor: Actor,
}

impl<'a> Tx<'a> {
    /// The connection, for queries and statements of this transaction.
    pub fn conn(&self) -> &'a Connection {
        self.conn
    }

    /// When the command began.
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// The wall time of [`Tx::now`].
    pub fn wall(&self) -> UnixMillis {
        self.now.wall
    }

    /// [`Tx::now`] as a moment from which spans are counted through restarts.
    pub fn moment(&self) -> Moment {
        self.clock.moment(self.now)
    }

    /// The farm's clock.
    pub fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The identity of the next fact of a log.
    pub(crate) fn next_fact(&mut self, log: Log) -> FactId {
        let next = &mut self.memory.next.facts[log as usize];
        let seq = *next;
        *next += 1;
        FactId { site: 0, seq }
    }

    /// Tells followers of the event log, once this is committed.
    pub fn tell(&mut self, change: Change) {
        self.after.push(After::Tell(change));
    }

    /// Says that something was taken from another site.
    pub(crate) fn took_from_others(&mut self) {
        self.after.push(After::Took);
    }

    /// Runs `f` on the writer thread once this is committed; it must be quick and must not wait for the farm.
    pub fn after_commit(&mut self, f: impl FnOnce() + Send + 'static) {
        self.after.push(After::Call(Box::new(f)));
    }

    /// Does a part that may trip over what is stored: then all of it is undone, nothing else, and the inner error says why.
    ///
    /// # Errors
    /// When the file itself failed.
    pub(crate) fn apart<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Result<T, String>, StoreError> {
        let (numbers, told) = (self.memory.next, self.after.len());
        self.conn.execute_batch("SAVEPOINT apart")?;
        match part(self) {
            Ok(done) => {
                self.conn.execute_batch("RELEASE apart")?;
                Ok(Ok(done))
            }
            Err(error) if error.is_about_data() => {
                self.conn
                    .execute_batch("ROLLBACK TO apart; RELEASE apart")?;
                self.memory.forget(numbers);
                self.after.truncate(told);
                Ok(Err(whole(&error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an audit entry.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit(
        &mut self,
        action: &str,
        subject: &str,
        detail: Option<&serde_json::Value>,
    ) -> Result<FactId, StoreError> {
        let id = self.next_fact(Log::Audit);
        self.conn
            .prepare_cached(
                "INSERT INTO audit (site, seq, at, clock, actor, action, subject, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                id.site,
                id.seq,
                self.now.wall.0,
                self.now.clock as u8,
                self.actor.to_string(),
                action,
                subject,
                detail.map(ToString::to_string),
            ])?;
        Ok(id)
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("now", &self.now)
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let first = causes.next().map(ToString::to_string).unwrap_or_default();
    causes.fold(first, |all, cause| format!("{all}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_as_it_was_stored() {
        let account = |id: &str, name: &str| Actor::Account {
            id: id.to_owned(),
            name: name.to_owned(),
        };
        for (actor, stored) in [
            (Actor::System, "system"),
            (Actor::Token("till: 2".into()), "token:till: 2"),
            (Actor::CommandLine, "command-line"),
            (account("7f", "করিম উদ্দিন"), "hub:7f করিম উদ্দিন"),
            (account("7f", ""), "hub:7f "),
        ] {
            assert_eq!(actor.to_string(), stored);
            assert_eq!(Actor::from_stored(stored), actor);
        }
        assert!(account("7f", "Karim").is(&account("7f", "Karim Uddin")));
        assert!(!account("7f", "Karim").is(&account("80", "Karim")));
    }
}
