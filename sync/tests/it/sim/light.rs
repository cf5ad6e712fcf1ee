//! A file in a few lines of memory, with the promises of the real one: own streams that grow, marks with a hash, a merge that
//! does not ask for the order. It lets a simulation run for a million steps.

use std::collections::BTreeMap;

use sync::{
    Outcome, Refused, Sender, Site, Tally, Value,
    exchange::{Gathered, Speak},
    facts::Run,
    marks::{Hash, Mark, RECORDS},
    records::{Cell, Row, Span, Version},
    store::{Copied, Fault, Me, Turn, Turned, Verdict, Want},
    wire::{Have, Head, Part, Stream},
};

use super::Replica;
use crate::dice::Dice;

/// Cells that sites meet in.
const KEYS: usize = 12;
const MILK: &str = "milking";
/// What an item weighs.
const ITEM: usize = 24;

/// One item of a stream: a fact's value, or a cell's key, edits and value.
type Item = [i64; 3];

#[derive(Clone, Default)]
struct Log {
    items: Vec<Item>,
    /// The mark after each item; only what a site says of itself has a hash in records.
    marks: Vec<Mark>,
}

impl Log {
    fn mark(&self) -> Mark {
        self.marks.last().copied().unwrap_or_default()
    }

    fn upto(&self) -> i64 {
        i64::try_from(self.items.len()).expect("it is short")
    }
}

#[derive(Clone)]
pub(crate) struct Light {
    site: Site,
    streams: BTreeMap<Stream, Log>,
    cells: BTreeMap<i64, (i64, i64)>,
    written: i64,
}

impl Light {
    fn stream(&self, name: &str) -> Stream {
        Stream {
            site: self.site,
            name: name.to_owned(),
        }
    }

    fn append(&mut self, name: &str, item: Item) -> i64 {
        let stream = self.stream(name);
        let log = self.streams.entry(stream.clone()).or_default();
        let end = end(&part(&stream, log.mark(), &[item]));
        log.items.push(item);
        log.marks.push(end);
        log.upto()
    }

    fn merge(&mut self, [key, edits, value]: Item) {
        let cell = self.cells.entry(key).or_default();
        *cell = (*cell).max((edits, value));
    }

    fn take(&mut self, sender: Sender, part: &Part) -> Result<Outcome, Refused> {
        let stream = part.stream();
        match sender {
            _ if stream.site == self.site => return Err(Refused::OurOwn),
            Sender::Edge(site) if site != stream.site => return Err(Refused::NotTheSenders),
            _ => {}
        }
        let chained = stream.name != RECORDS || sender.site() == stream.site;
        let log = self.streams.entry(stream.clone()).or_default();
        let (have, items) = (log.mark(), items(part));
        let to = part.from().upto + i64::try_from(items.len()).expect("it is short");
        if to <= have.upto {
            return Ok(Outcome::Known);
        }
        if part.from().upto != have.upto {
            return Ok(Outcome::OutOfStep { have: have.upto });
        }
        if chained && part.from().hash != have.hash {
            return Err(Refused::Fork);
        }
        for (item, upto) in items.iter().zip(have.upto + 1..) {
            let end = if chained {
                end(&self::part(&stream, log.mark(), &[*item]))
            } else {
                Mark {
                    upto,
                    hash: Hash::default(),
                }
            };
            log.items.push(*item);
            log.marks.push(end);
        }
        if stream.name == RECORDS {
            for item in &items {
                self.merge(*item);
            }
        }
        Ok(Outcome::Taken(Tally {
            stored: items.len(),
            ..Tally::default()
        }))
    }

    /// Whether the peer holds nothing of us that we never gave it.
    fn check(&self, want: &Want) -> Result<(), Fault> {
        for have in want
            .have
            .iter()
            .filter(|have| have.stream.site == self.site)
        {
            let log = self.streams.get(&have.stream);
            let last = usize::try_from(have.mark.upto)
                .ok()
                .and_then(|upto| upto.checked_sub(1));
            let ours = last.map_or(Some(Mark::default()), |last| log?.marks.get(last).copied());
            if ours != Some(have.mark) {
                return Err(Fault::Copied(Copied));
            }
        }
        Ok(())
    }

    fn gather(&self, want: &Want) -> Gathered {
        let mut gathered = Gathered::default();
        for name in [RECORDS, MILK] {
            for (stream, log) in self
                .streams
                .iter()
                .filter(|(stream, _)| stream.name == name)
            {
                let own = stream.site == self.site;
                if stream.site == want.peer || want.speak == Speak::ForItself && !own {
                    continue;
                }
                let have = want.have.iter().find(|have| have.stream == *stream);
                let mut from = have.map_or_else(Mark::default, |have| have.mark);
                let at = usize::try_from(from.upto).expect("never negative");
                let left = want.room.saturating_sub(gathered.weight).div_ceil(ITEM);
                let lacking = log.items.get(at..).unwrap_or_default();
                let items = &lacking[..lacking.len().min(left)];
                gathered.more |= items.len() < lacking.len();
                gathered.weight += ITEM * items.len();
                // A span has one version, as that is how its mark was made; a run has as many facts as there is room for.
                let size = if name == RECORDS {
                    1
                } else {
                    items.len().max(1)
                };
                for items in items.chunks(size) {
                    let next = part(stream, from, items);
                    from = if own || name == MILK {
                        end(&next)
                    } else {
                        Mark {
                            upto: from.upto + 1,
                            hash: Hash::default(),
                        }
                    };
                    gathered.parts.push(next);
                }
            }
        }
        gathered
    }
}

fn part(stream: &Stream, from: Mark, items: &[Item]) -> Part {
    if stream.name == RECORDS {
        let version = |(item, number): (&Item, i64)| Version {
            number,
            rows: vec![Row {
                table: "cell".to_owned(),
                key: vec![Value::Integer(item[0])],
                life: 1,
                turned: false,
                cells: vec![Cell {
                    column: "value".to_owned(),
                    value: Value::Integer(item[2]),
                    edits: item[1],
                }],
            }],
        };
        Part::Records(Span {
            site: stream.site,
            from,
            to: from.upto + i64::try_from(items.len()).expect("it is short"),
            versions: items.iter().zip(from.upto + 1..).map(version).collect(),
        })
    } else {
        Part::Facts(Run {
            log: stream.name.clone(),
            site: stream.site,
            from,
            columns: vec!["value".to_owned()],
            rows: items
                .iter()
                .map(|item| vec![Value::Integer(item[2])])
                .collect(),
        })
    }
}

fn end(part: &Part) -> Mark {
    match part {
        Part::Records(span) => span.end(),
        Part::Facts(run) => run.end(),
    }
    .expect("it is small")
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(n) => *n,
        other => panic!("{other:?} was invented"),
    }
}

fn items(part: &Part) -> Vec<Item> {
    match part {
        Part::Records(span) => span
            .versions
            .iter()
            .flat_map(|version| &version.rows)
            .map(|row| {
                [
                    integer(&row.key[0]),
                    row.cells[0].edits,
                    integer(&row.cells[0].value),
                ]
            })
            .collect(),
        Part::Facts(run) => run
            .rows
            .iter()
            .map(|row| [0, 0, integer(&row[0])])
            .collect(),
    }
}

impl Replica for Light {
    fn new(dice: &mut Dice) -> Self {
        let mut site = [0; 16];
        site.fill_with(|| u8::try_from(dice.roll(256)).expect("a byte"));
        Self {
            site: Site(site),
            streams: BTreeMap::new(),
            cells: BTreeMap::new(),
            written: 0,
        }
    }

    fn copy(&self) -> Self {
        self.clone()
    }

    fn site(&self) -> Site {
        self.site
    }

    fn turn(&mut self, turn: &Turn) -> Result<Turned, Fault> {
        turn.give.iter().try_for_each(|want| self.check(want))?;
        let mut verdicts = Vec::new();
        if let Some(delivery) = &turn.take {
            for part in &delivery.parts {
                let outcome = self.take(delivery.sender, part);
                verdicts.push(Verdict {
                    stream: part.stream(),
                    outcome,
                });
            }
        }
        let gathered = turn
            .give
            .as_ref()
            .map_or_else(Gathered::default, |want| self.gather(want));
        let (own, others): (Vec<_>, Vec<_>) = self
            .streams
            .iter()
            .partition(|(stream, _)| stream.site == self.site);
        Ok(Turned {
            me: Me {
                site: self.site,
                schema: 1,
                epoch: 0,
            },
            verdicts,
            gathered,
            holdings: others
                .into_iter()
                .map(|(stream, log)| Have {
                    stream: stream.clone(),
                    mark: log.mark(),
                })
                .collect(),
            heads: own
                .into_iter()
                .map(|(stream, log)| Head {
                    stream: stream.name.clone(),
                    upto: log.upto(),
                })
                .collect(),
        })
    }

    fn edit(&mut self, dice: &mut Dice) -> Option<(i64, i64)> {
        self.written += 1;
        let value = dice.small(1 << 40);
        if dice.roll(2) == 0 {
            return Some((self.append(MILK, [0, 0, value]), value));
        }
        let key = dice.small(KEYS);
        let edits = self.cells.get(&key).map_or(0, |cell| cell.0) + 1;
        self.append(RECORDS, [key, edits, value]);
        self.merge([key, edits, value]);
        None
    }

    fn facts(&self) -> BTreeMap<(Site, i64), i64> {
        self.streams
            .iter()
            .filter(|(stream, _)| stream.name == MILK)
            .flat_map(|(stream, log)| {
                log.items
                    .iter()
                    .zip(1_i64..)
                    .map(|(item, n)| ((stream.site, n), item[2]))
            })
            .collect()
    }

    fn content(&self) -> String {
        format!("{:?}", self.cells)
    }

    fn held(&self) -> BTreeMap<Stream, i64> {
        self.streams
            .iter()
            .map(|(stream, log)| (stream.clone(), log.upto()))
            .collect()
    }
}
