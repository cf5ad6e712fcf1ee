//! Tags that were read in a stall, and whose milk that makes it.
//!
//! Two reads of one tag are one cow, and so are two tags of one animal. A tag read again and again is the cow in the
//! stall; one read in passing beside it is not. Whatever is still doubtful is put before a person with every tag that
//! was read. Invariant: a guess is never made into an animal.

use farm_model::{AnimalId, Identity, Schedule, Stamp, Tag, milking::Finding};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, ms},
    herd::Herd,
    span::ms_between,
};

/// Most tags remembered in one stall: more than ever stand before a reader, even one beside a passage.
const MOST_TAGS: usize = 32;

/// One tag's reads.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) tag: Tag,
    pub(crate) first: Stamp,
    pub(crate) last: Stamp,
    times: u32,
    /// Whose tag it is, as of its last read.
    pub(crate) animal: Option<AnimalId>,
    /// Her milk was under a hold at some read.
    withheld: bool,
    /// She already gave milk in this session.
    pub(crate) milked: bool,
}

/// The tags read of whoever is in the stall, in the order of their first reads.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reads(Vec<Read>);

/// When the milk that wants an owner flowed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Milked {
    pub(crate) from: Stamp,
    pub(crate) to: Stamp,
}

/// Who it is, as far as the tags say.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    pub(crate) findings: Vec<Finding>,
    /// Animals under a hold among all that it may be.
    pub(crate) withheld: Vec<AnimalId>,
    /// The animal already gave milk in this session.
    pub(crate) milked: bool,
}

impl Reads {
    /// Takes in a read.
    pub(crate) fn add(&mut self, tag: &Tag, at: Stamp, herd: &dyn Herd, schedule: &Schedule) {
        let animal = herd.animal_of(tag);
        let withheld = animal.is_some_and(|a| herd.is_withheld(a, at));
        let session = schedule.session_at(at);
        let milked = animal.is_some_and(|a| herd.milked_in(a, session).is_some());
        if let Some(read) = self.0.iter_mut().find(|r| r.tag == *tag) {
            read.times = read.times.saturating_add(1);
            if ms_between(read.last, at) > 0 {
                read.last = at;
            }
            if ms_between(read.first, at) < 0 {
                read.first = at;
            }
            read.animal = animal;
            read.withheld |= withheld;
            read.milked = milked;
        } else {
            self.make_room();
            self.0.push(Read {
                tag: tag.clone(),
                first: at,
                last: at,
                times: 1,
                animal,
                withheld,
                milked,
            });
        }
    }

    /// Forgets the tag that was read least often, then the oldest; one under a hold last.
    fn make_room(&mut self) {
        if self.0.len() < MOST_TAGS {
            return;
        }
        let least = (0..self.0.len()).min_by_key(|i| (self.0[*i].withheld, self.0[*i].times, *i));
        if let Some(least) = least {
            self.0.remove(least);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first of them was read.
    pub(crate) fn since(&self) -> Option<Stamp> {
        self.0.first().map(|r| r.first)
    }

    /// When any of them was last read.
    pub(crate) fn last(&self) -> Option<Stamp> {
        self.0
            .iter()
            .map(|r| r.last)
            .reduce(|a, b| if ms_between(a, b) > 0 { b } else { a })
    }

    /// How often the tag read most often was read.
    pub(crate) fn most_times(&self) -> u32 {
        self.0.iter().map(|r| r.times).max().unwrap_or(0)
    }

    /// The tag to show: the strongest.
    pub(crate) fn strongest(&self) -> Option<&Read> {
        self.0.iter().rev().max_by_key(|r| r.times)
    }

    /// Whether `tag` belongs to nobody who was read here.
    pub(crate) fn is_stranger(&self, tag: &Tag, animal: Option<AnimalId>) -> bool {
        !self
            .0
            .iter()
            .any(|r| r.tag == *tag || (animal.is_some() && r.animal == animal))
    }

    /// The tags first read no later than `moment`: those of whoever gave the milk up to then.
    pub(crate) fn until(&self, moment: Stamp) -> Self {
        self.filtered(|r| ms_between(moment, r.first) <= 0)
    }

    /// The tags first read after `moment`: those of whoever comes next.
    pub(crate) fn after(&self, moment: Stamp) -> Self {
        self.filtered(|r| ms_between(moment, r.first) > 0)
    }

    /// The tags of `animal`, or all when it is not certain whose they are.
    pub(crate) fn tags_of(&self, animal: Option<AnimalId>) -> Vec<Tag> {
        self.0
            .iter()
            .filter(|r| animal.is_none() || r.animal == animal)
            .map(|r| r.tag.clone())
            .collect()
    }

    fn filtered(&self, keep: impl Fn(&Read) -> bool) -> Self {
        Self(self.0.iter().filter(|r| keep(r)).cloned().collect())
    }

    /// Asks the herd again: an animal may have been registered, or put under a hold, since its tag was read.
    pub(crate) fn refresh(&mut self, at: Stamp, herd: &dyn Herd) {
        for read in &mut self.0 {
            read.animal = herd.animal_of(&read.tag);
            read.withheld |= read.animal.is_some_and(|a| herd.is_withheld(a, at));
        }
    }

    /// Who it is. `milked` says when the milk flowed, if any did.
    pub(crate) fn identify(&self, milked: Option<Milked>, config: &Config) -> Identified {
        let candidates = self.candidates(config);
        let (identity, findings) = match candidates.as_slice() {
            [] => (Identity::None, vec![Finding::Unidentified]),
            [one] => match milked.map_or(Timing::InTime, |m| m.timing_of(one.first, config)) {
                Timing::TooLate => (
                    Identity::Ambiguous {
                        tags: vec![one.tag.clone()],
                    },
                    vec![Finding::Unidentified, Finding::LateIdentity],
                ),
                timing => one.certain(timing),
            },
            several => (
                Identity::Ambiguous {
                    tags: several.iter().map(|r| r.tag.clone()).collect(),
                },
                vec![Finding::TwoIdentities],
            ),
        };
        let mut withheld: Vec<_> = candidates
            .iter()
            .filter(|r| r.withheld)
            .filter_map(|r| r.animal)
            .collect();
        withheld.sort_unstable();
        withheld.dedup();
        Identified {
            milked: identity.animal().is_some() && candidates.iter().any(|r| r.milked),
            identity,
            findings,
            withheld,
        }
    }

    /// One entry for each animal (or unknown tag) that it may be; cows that merely passed by are left out.
    fn candidates(&self, config: &Config) -> Vec<Read> {
        let mut animals: Vec<Read> = Vec::new();
        for read in &self.0 {
            match animals
                .iter_mut()
                .find(|a| read.animal.is_some() && a.animal == read.animal)
            {
                Some(same) => {
                    same.times = same.times.saturating_add(read.times);
                    same.withheld |= read.withheld;
                    same.milked |= read.milked;
                }
                None => animals.push(read.clone()),
            }
        }
        let strongest = animals.iter().map(|a| a.times).max().unwrap_or(0);
        if strongest >= config.strong_reads {
            animals.retain(|a| a.times > config.passing_reads);
        }
        animals
    }
}

impl Read {
    fn certain(&self, timing: Timing) -> (Identity, Vec<Finding>) {
        let (identity, mut findings) = match self.animal {
            Some(animal) => (
                Identity::Animal {
                    animal,
                    tag: Some(self.tag.clone()),
                },
                vec![],
            ),
            None => (
                Identity::UnknownTag {
                    tag: self.tag.clone(),
                },
                vec![Finding::UnknownTag],
            ),
        };
        if timing == Timing::Late {
            findings.push(Finding::LateIdentity);
        }
        (identity, findings)
    }
}

/// When an identity was read, as seen from the milk.
#[derive(Clone, Copy, PartialEq)]
enum Timing {
    InTime,
    Late,
    TooLate,
}

impl Milked {
    /// A tag first read while milk flowed is late; one first read long after milk began, or after it stopped, may be
    /// somebody else's.
    fn timing_of(self, first: Stamp, config: &Config) -> Timing {
        let after_start = ms_between(self.from, first);
        if after_start <= 0 {
            Timing::InTime
        } else if after_start <= ms(config.late_identity_s) && ms_between(self.to, first) <= 0 {
            Timing::Late
        } else {
            Timing::TooLate
        }
    }
}

#[cfg(test)]
mod tests {
    use farm_model::{SessionKey, VisitId};
    use jiff::tz::TimeZone;

    use super::*;
    use crate::herd::Usual;

    /// Every tag is an animal's; that of number 7 is under a hold.
    struct Everybody;

    impl Herd for Everybody {
        fn animal_of(&self, tag: &Tag) -> Option<AnimalId> {
            let Tag::Em4100(number) = tag else {
                return None;
            };
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            Some(AnimalId::from_bytes(bytes))
        }

        fn is_withheld(&self, animal: AnimalId, _: Stamp) -> bool {
            animal.as_bytes()[15] == 7
        }

        fn milked_in(&self, _: AnimalId, _: SessionKey) -> Option<VisitId> {
            None
        }

        fn usual(&self, _: AnimalId) -> Option<Usual> {
            None
        }
    }

    #[test]
    fn a_reader_beside_a_passage_fills_no_memory_and_hides_no_hold() {
        let schedule = Schedule::new(Vec::new(), TimeZone::UTC);
        let mut reads = Reads::default();
        let mut add = |number| {
            let at = Stamp::default();
            reads.add(&Tag::Em4100(number), at, &Everybody, &schedule);
        };
        // The cow who stands there, again and again; a held one; then a herd that walks by.
        (0..5).for_each(|_| add(3));
        (7..200).for_each(&mut add);
        assert_eq!(reads.0.len(), MOST_TAGS);
        let kept = |number| reads.0.iter().any(|r| r.tag == Tag::Em4100(number));
        assert!(kept(3) && kept(7) && kept(199) && !kept(8));
    }
}
