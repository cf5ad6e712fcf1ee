//! What both sides of an exchange do with their file: say what they hold, gather what the other lacks, take what came.
//!
//! Neither side trusts its memory of the other: what is gathered begins at the marks that the receiver has just told. Streams go in
//! the order of their urgency until the room is full, so a slow line carries what matters first.
//!
//! Invariant: [`gather`] writes down what is about to be offered; its transaction must be on disk before a byte leaves. [`take`]
//! judges each part by itself: one that is refused holds up nothing but its own stream.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    Error, Outcome, Refused, Replicated, Sender, Site, facts,
    marks::{self, Hash, Mark, RECORDS, Standing},
    records, site,
    store::{Me, Turn, Turned, Verdict, Want},
    wire::{Have, Head, Part, Stream},
};

/// The urgency of records among the logs: a log with a smaller one goes before them.
pub const RECORDS_URGENCY: u8 = 1;

/// Of whom a side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    /// An edge: of itself.
    ForItself,
    /// The hub: of everyone.
    ForAll,
}

/// Parts for a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathered {
    /// In the order of urgency.
    pub parts: Vec<Part>,
    /// Bytes that they weigh, roughly, before they are packed.
    pub weight: usize,
    /// Whether there is more than there was room for.
    pub more: bool,
}

/// Does one turn: takes what came, then gathers what the peer lacks. In a write transaction, on disk before anything is sent.
///
/// # Errors
/// [`Error::Epoch`] when the other side's farm is another seeding, [`Error::Copied`] when the peer holds what this file never gave it;
/// when the file fails. The transaction must then be rolled back.
pub fn turn(conn: &Connection, schema: &Replicated, turn: &Turn) -> Result<Turned, Error> {
    let me = Me {
        site: site::own(conn)?,
        schema: conn.query_row("PRAGMA user_version", [], |row| row.get(0))?,
        epoch: site::epoch(conn)?,
    };
    if turn.epoch.is_some_and(|theirs| theirs != me.epoch) {
        return Err(Error::Epoch { ours: me.epoch });
    }
    let mut verdicts = Vec::new();
    if let Some(delivery) = &turn.take {
        site::register(conn, delivery.sender.site())?;
        let outcomes = take(conn, schema, delivery.sender, &delivery.parts)?;
        verdicts.extend(delivery.parts.iter().zip(outcomes).map(judged));
    }
    let mut gathered = Gathered::default();
    if let Some(want) = &turn.give {
        site::register(conn, want.peer)?;
        gathered = gather(conn, schema, want)?;
    }
    Ok(Turned {
        me,
        verdicts,
        gathered,
        holdings: holdings(conn)?,
        heads: heads(conn, schema)?,
    })
}

fn judged((part, outcome): (&Part, Result<Outcome, Refused>)) -> Verdict {
    Verdict {
        stream: part.stream(),
        outcome,
    }
}

/// Up to where our own streams go; empty ones are left out.
///
/// # Errors
/// When the file fails.
pub fn heads(conn: &Connection, schema: &Replicated) -> Result<Vec<Head>, Error> {
    let mut heads = vec![Head {
        stream: RECORDS.to_owned(),
        upto: records::head(conn, 0)?,
    }];
    for log in schema.logs.keys() {
        heads.push(Head {
            stream: log.clone(),
            upto: facts::head(conn, schema, log, 0)?,
        });
    }
    heads.retain(|head| head.upto > 0);
    Ok(heads)
}

/// What this file holds of all other sites.
///
/// # Errors
/// When the file fails.
pub fn holdings(conn: &Connection) -> rusqlite::Result<Vec<Have>> {
    conn.prepare_cached(
        "SELECT id, stream, upto, hash FROM sync_mark JOIN sync_site ON ordinal = site WHERE site > 0 ORDER BY site, stream",
    )?
    .query_map([], |row| {
        Ok(Have {
            stream: Stream {
                site: Site(row.get(0)?),
                name: row.get(1)?,
            },
            mark: Mark {
                upto: row.get(2)?,
                hash: Hash(row.get(3)?),
            },
        })
    })?
    .collect()
}

/// Gathers what a peer lacks, about as much as there is room for. In a write transaction, on disk before anything is sent.
///
/// # Errors
/// [`Error::Copied`] when the peer holds what this file never gave it; when the file fails or the peer is not registered.
pub fn gather(conn: &Connection, schema: &Replicated, want: &Want) -> Result<Gathered, Error> {
    let peer = site::ordinal(conn, want.peer)?.ok_or(Refused::UnknownSite)?;
    let mut sites = site::all(conn)?;
    if want.speak == Speak::ForItself {
        sites.truncate(1);
    }
    let have: BTreeMap<_, _> = want
        .have
        .iter()
        .map(|have| (&have.stream, have.mark))
        .collect();
    let mut gathered = Gathered::default();
    for name in streams(conn, schema)? {
        for (ordinal, &site) in (0_i64..).zip(&sites).filter(|(_, of)| **of != want.peer) {
            let stream = Stream {
                site,
                name: name.clone(),
            };
            let from = have.get(&stream).copied().unwrap_or_default();
            if ordinal == 0 {
                check_standing(conn, schema, peer, &name, from)?;
            }
            let head = head(conn, schema, &name, ordinal)?;
            if head <= from.upto || want.skip.contains(&stream) {
                continue;
            }
            let left = want.room.saturating_sub(gathered.weight);
            if left == 0 {
                gathered.more = true;
                continue;
            }
            let (part, weight, to) = read(conn, schema, &stream, from, left)?;
            if let (0, Part::Records(span)) = (ordinal, &part) {
                records::keep_head(conn, span.to)?;
                marks::note_offer(conn, peer, span.end()?)?;
            }
            gathered.more |= to < head;
            gathered.weight += weight;
            gathered.parts.push(part);
        }
    }
    Ok(gathered)
}

fn head(conn: &Connection, schema: &Replicated, name: &str, ordinal: i64) -> Result<i64, Error> {
    match name {
        RECORDS => Ok(records::head(conn, ordinal)?),
        log => facts::head(conn, schema, log, ordinal),
    }
}

/// All streams, the urgent first; those that this build does not know, and only passes on, last.
fn streams(conn: &Connection, schema: &Replicated) -> rusqlite::Result<Vec<String>> {
    let mut known: Vec<_> = schema
        .logs
        .iter()
        .map(|(name, log)| (log.urgency, name.as_str()))
        .chain([(RECORDS_URGENCY, RECORDS)])
        .collect();
    known.sort_unstable();
    let mut streams: Vec<String> = known.into_iter().map(|(_, name)| name.to_owned()).collect();
    let mut read = conn.prepare_cached("SELECT DISTINCT stream FROM sync_mark ORDER BY stream")?;
    for stream in read.query_map([], |row| row.get(0))? {
        let stream = stream?;
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

fn check_standing(
    conn: &Connection,
    schema: &Replicated,
    peer: i64,
    stream: &str,
    theirs: Mark,
) -> Result<(), Error> {
    let standing = match stream {
        RECORDS => marks::standing(conn, peer, theirs)?,
        log if schema.logs.contains_key(log) => facts::standing(conn, schema, log, theirs)?,
        _ => Standing::Sound,
    };
    match standing {
        Standing::Sound | Standing::Unproven => Ok(()),
        Standing::Fork => Err(Error::Copied),
    }
}

fn read(
    conn: &Connection,
    schema: &Replicated,
    stream: &Stream,
    from: Mark,
    room: usize,
) -> Result<(Part, usize, i64), Error> {
    Ok(if stream.name == RECORDS {
        let span = records::read(conn, schema, stream.site, from, room)?;
        let (weight, to) = (span.weight(), span.to);
        (Part::Records(span), weight, to)
    } else {
        let run = facts::read(conn, schema, &stream.name, stream.site, from, room)?;
        let (weight, to) = (run.weight(), run.to());
        (Part::Facts(run), weight, to)
    })
}

/// Takes parts, each for itself; what became of them, in their order. In a write transaction, on disk before it is acknowledged.
///
/// # Errors
/// When the file fails; the transaction must then be rolled back.
pub fn take(
    conn: &Connection,
    schema: &Replicated,
    sender: Sender,
    parts: &[Part],
) -> Result<Vec<Result<Outcome, Refused>>, Error> {
    let mut outcomes = Vec::new();
    for part in parts {
        conn.execute_batch("SAVEPOINT sync_part")?;
        let taken = match part {
            Part::Records(span) => records::apply(conn, schema, sender, span),
            Part::Facts(run) => facts::apply(conn, schema, sender, run),
        };
        let outcome = match taken {
            Ok(outcome) => Ok(outcome),
            Err(Error::Refused(refused)) => {
                conn.execute_batch("ROLLBACK TO sync_part")?;
                Err(refused)
            }
            Err(error) => return Err(error),
        };
        conn.execute_batch("RELEASE sync_part")?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
