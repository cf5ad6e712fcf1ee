//! A configuration file: commented TOML, checked before anything starts.
//!
//! Invariant: a key that is not known is an error that names the key, its line and the nearest key that exists; whatever is wrong
//! is said with its line and what to write.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use toml::de::{DeTable, DeValue};

/// What a program reads its file as: sections of keys, each with a default.
pub trait Configured: Default + Serialize + DeserializeOwned {
    /// An address to listen on, as an example of how one is written.
    const ADDRESS: &'static str;

    /// Notes what types cannot say: ranges, names that must resolve.
    fn check(&self, values: &mut Values<'_>);
}

/// What is wrong with a configuration, all of it at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("{path} is not a valid configuration:\n{}", list(problems))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Each problem.
        problems: Vec<Problem>,
    },
}

/// One thing wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 when the problem has no line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

/// Problems, a line each.
pub fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|p| format!("  {p}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// When the file can't be read, or any key or value in it is wrong; all wrong keys are named at once.
pub fn load<C: Configured>(path: &Path) -> Result<C, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|problems| ConfigError::Invalid {
        path: path.to_owned(),
        problems,
    })
}

/// Checks and reads configuration text.
///
/// # Errors
/// Every problem found, in the order of lines.
pub fn parse<C: Configured>(text: &str) -> Result<C, Vec<Problem>> {
    let table = DeTable::parse(text).map_err(|e| vec![at::<C>(text, &e)])?;
    let known =
        toml::Value::try_from(C::default()).expect("the default configuration is plain data");
    let mut problems = Vec::new();
    unknown_keys(text, table.get_ref(), &known, "", &mut problems);
    if problems.is_empty() {
        let config: C = toml::from_str(text).map_err(|e| vec![at::<C>(text, &e)])?;
        let mut values = Values {
            text,
            table: table.get_ref(),
            problems,
        };
        config.check(&mut values);
        problems = values.problems;
        if problems.is_empty() {
            return Ok(config);
        }
    }
    problems.sort_by_key(|p| p.line);
    Err(problems)
}

/// What the names of types mean to whoever writes the file.
const IN_WORDS: &[(&str, &str)] = &[
    ("struct", "a section, as of"),
    ("a sequence", "a list in brackets, such as [\"…\"]"),
    ("u32", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i64", "a whole number"),
    ("f64", "a number"),
];

fn at<C: Configured>(text: &str, error: &toml::de::Error) -> Problem {
    let Some(span) = error.span() else {
        return Problem {
            line: 0,
            message: error.message().replace('\n', " "),
        };
    };
    let written = text.get(span.clone()).unwrap_or_default();
    let message = match error.message() {
        "invalid socket address syntax" => {
            format!(
                "{written} is no address with a port; write it as \"{}\"",
                C::ADDRESS
            )
        }
        "invalid IP address syntax" => {
            format!("{written} is no address; write it as \"192.168.1.50\"")
        }
        other => IN_WORDS
            .iter()
            .fold(other.replace('\n', " "), |said, (type_name, words)| {
                said.replace(
                    &format!("expected {type_name}"),
                    &format!("expected {words}"),
                )
            }),
    };
    Problem {
        line: line_of(text, span.start),
        message,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() + 1
}

fn unknown_keys(
    text: &str,
    table: &DeTable<'_>,
    known: &toml::Value,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let toml::Value::Table(known) = known else {
        return;
    };
    for (key, value) in table {
        let name: &str = key.get_ref().as_ref();
        match (known.get(name), value.get_ref()) {
            (Some(inner), DeValue::Table(table)) => {
                unknown_keys(text, table, inner, &format!("{path}{name}."), problems);
            }
            (Some(_), _) => {}
            (None, _) => problems.push(Problem {
                line: line_of(text, key.span().start),
                message: format!("unknown key `{path}{name}`; {}", hint(name, path, known)),
            }),
        }
    }
}

/// What may have been meant: the nearest key, or all there are.
fn hint(name: &str, path: &str, known: &toml::Table) -> String {
    let likeness = |key: &str| strsim::jaro_winkler(name, key);
    let nearest = known
        .keys()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(near) if likeness(near) > 0.75 => format!("did you mean `{path}{near}`?"),
        _ => {
            let keys: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            format!("known here: {}", keys.join(", "))
        }
    }
}

/// The values of a file, with where each stands.
#[derive(Debug)]
pub struct Values<'a> {
    text: &'a str,
    table: &'a DeTable<'a>,
    problems: Vec<Problem>,
}

impl Values<'_> {
    /// Notes what is wrong with the key `section.name`.
    pub fn wrong(&mut self, key: &str, what: &str) {
        self.note(self.line(key), format!("`{key}` {what}"));
    }

    /// Notes what is wrong on a line, or with what stands nowhere.
    pub fn note(&mut self, line: Option<usize>, message: String) {
        self.problems.push(Problem {
            line: line.unwrap_or(0),
            message,
        });
    }

    /// The line where `section.name` stands, if it does.
    pub fn line(&self, key: &str) -> Option<usize> {
        let (section, name) = key.split_once('.')?;
        let DeValue::Table(section) = self.table.get(section)?.get_ref() else {
            return None;
        };
        let (key, _) = section.get_key_value(name)?;
        Some(line_of(self.text, key.span().start))
    }

    /// Notes that `value` of the key is less than 1, if it is.
    pub fn at_least_one(&mut self, key: &str, value: i64) {
        if value < 1 {
            self.wrong(key, "must be at least 1");
        }
    }

    /// Notes that the key's folder is empty, if it is; `example` is one.
    pub fn folder(&mut self, key: &str, dir: &Path, example: &str) {
        if dir.as_os_str().is_empty() {
            let what = format!("is empty; write the folder, such as \"{example}\"");
            self.wrong(key, &what);
        }
    }
}
