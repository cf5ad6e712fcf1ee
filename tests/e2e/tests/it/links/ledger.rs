//! What was told to either place, and what of it was acknowledged: the truth that both files are held against.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What somebody was told of what they said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing: it may have been taken or not.
    Tried,
    /// It was taken.
    Acknowledged,
}

/// What one cow was called, in order, by one place.
pub(crate) type Called = Vec<(String, Word)>;

/// The truth. Shared by all who tell.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Told>);

/// All that was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Milkings by what they gave, in millilitres: no two gave the same.
    pub(crate) milkings: BTreeMap<i64, Word>,
    /// Milkings that were struck out.
    pub(crate) struck: BTreeMap<i64, Word>,
    /// Names that each place gave to cows, by number.
    pub(crate) cows: BTreeMap<(String, &'static str), Called>,
}

impl Ledger {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn milked(&self, yield_ml: i64, word: Word) {
        self.told().milkings.insert(yield_ml, word);
    }

    pub(crate) fn struck(&self, yield_ml: i64, word: Word) {
        self.told().struck.insert(yield_ml, word);
    }

    /// A cow was given a name; [`Ledger::was_taken`] says that the last one was taken.
    pub(crate) fn named(&self, number: &str, place: &'static str, name: &str) {
        let mut told = self.told();
        let called = told.cows.entry((number.to_owned(), place)).or_default();
        called.push((name.to_owned(), Word::Tried));
    }

    pub(crate) fn was_taken(&self, number: &str, place: &'static str) {
        let mut told = self.told();
        let called = told.cows.get_mut(&(number.to_owned(), place));
        let last = called.and_then(|called| called.last_mut());
        last.expect("it was named before").1 = Word::Acknowledged;
    }

    /// How much was acknowledged: milkings, and names of cows at each place.
    pub(crate) fn acknowledged(&self) -> (usize, BTreeMap<&'static str, usize>) {
        let told = self.told();
        let milkings = told.milkings.values();
        let mut names = BTreeMap::new();
        for ((_, place), called) in &told.cows {
            let taken = called
                .iter()
                .filter(|(_, word)| *word == Word::Acknowledged);
            *names.entry(*place).or_default() += taken.count();
        }
        (
            milkings.filter(|word| **word == Word::Acknowledged).count(),
            names,
        )
    }
}

impl Told {
    /// What is wrong with the milkings of a file: by what they gave, and whether they are struck out.
    pub(crate) fn wrong_milkings(&self, held: &[(i64, bool)]) -> Vec<String> {
        let mut found = Vec::new();
        let mut times = BTreeMap::<i64, Vec<bool>>::new();
        for (yield_ml, struck) in held {
            times.entry(*yield_ml).or_default().push(*struck);
        }
        for (yield_ml, word) in &self.milkings {
            let struck = times.remove(yield_ml).unwrap_or_default();
            match (word, struck.as_slice()) {
                (Word::Acknowledged, []) => found.push(format!("{yield_ml} ml was lost")),
                (Word::Tried, []) => {}
                (_, [struck]) => match (self.struck.get(yield_ml), struck) {
                    (None, true) => found.push(format!("{yield_ml} ml was struck out by nobody")),
                    (Some(Word::Acknowledged), false) => {
                        found.push(format!("{yield_ml} ml came back"));
                    }
                    _ => {}
                },
                (_, many) => found.push(format!("{yield_ml} ml is there {} times", many.len())),
            }
        }
        found.extend(times.keys().map(|ml| format!("{ml} ml was told by nobody")));
        found
    }

    /// What is wrong with the cows of a file: their numbers and names.
    pub(crate) fn wrong_cows(&self, held: &[(String, String)]) -> Vec<String> {
        let mut found = Vec::new();
        let numbers: BTreeSet<&str> = self
            .cows
            .keys()
            .map(|(number, _)| number.as_str())
            .collect();
        for (number, name) in held {
            if !numbers.contains(number.as_str()) {
                found.push(format!("cow {number} {name} was told by nobody"));
            }
        }
        for number in numbers {
            let told: Vec<&Called> = self
                .cows
                .iter()
                .filter(|((of, _), _)| of == number)
                .map(|(_, called)| called)
                .collect();
            let names: Vec<&str> = held
                .iter()
                .filter(|(of, _)| of == number)
                .map(|(_, name)| name.as_str())
                .collect();
            found.extend(wrong_names(number, &told, &names));
        }
        found
    }
}

fn wrong_names(number: &str, told: &[&Called], names: &[&str]) -> Option<String> {
    let last = |called: &Called| {
        called
            .iter()
            .rposition(|(_, word)| *word == Word::Acknowledged)
    };
    let is_due = told.iter().any(|called| last(called).is_some());
    let may_be: BTreeSet<&str> = match told {
        // One place alone named her: nothing older than what was acknowledged last.
        [called] => called[last(called).unwrap_or(0)..]
            .iter()
            .map(|(name, _)| name.as_str())
            .collect(),
        // Whichever of them was edited more often.
        places => places
            .iter()
            .flat_map(|called| called.iter())
            .map(|(name, _)| name.as_str())
            .collect(),
    };
    match names {
        [] if is_due => Some(format!("cow {number} was lost")),
        [] => None,
        [name] if may_be.contains(name) => None,
        [name] => Some(format!(
            "cow {number} is called {name}, and not one of {may_be:?}"
        )),
        many => Some(format!("cow {number} is there {} times", many.len())),
    }
}

#[test]
fn the_ledger_sees_what_is_lost_doubled_invented_or_back() {
    let ledger = Ledger::default();
    ledger.milked(1, Word::Acknowledged);
    ledger.milked(2, Word::Acknowledged);
    ledger.milked(3, Word::Tried);
    ledger.milked(4, Word::Acknowledged);
    ledger.struck(4, Word::Acknowledged);
    let told = ledger.told().clone();
    let sound = [(1, false), (2, false), (4, true)];
    assert_eq!(told.wrong_milkings(&sound), Vec::<String>::new());
    let wrong = [(2, false), (2, false), (3, true), (4, false), (5, false)];
    assert_eq!(
        told.wrong_milkings(&wrong),
        [
            "1 ml was lost",
            "2 ml is there 2 times",
            "3 ml was struck out by nobody",
            "4 ml came back",
            "5 ml was told by nobody"
        ]
    );

    for (place, name) in [("edge", "a"), ("edge", "b"), ("edge", "c")] {
        ledger.named("1", place, name);
        if name != "c" {
            ledger.was_taken("1", place);
        }
    }
    let told = ledger.told().clone();
    let is_wrong = |held: &[(&str, &str)]| {
        let held: Vec<_> = held
            .iter()
            .map(|(n, name)| ((*n).to_owned(), (*name).to_owned()))
            .collect();
        !told.wrong_cows(&held).is_empty()
    };
    assert!(!is_wrong(&[("1", "b")]) && !is_wrong(&[("1", "c")]));
    for held in [
        &[][..],
        &[("1", "a")],
        &[("1", "b"), ("1", "b")],
        &[("1", "b"), ("2", "b")],
    ] {
        assert!(is_wrong(held), "{held:?}");
    }
}
