//! What a student has done: a file that people can read.

pub(crate) mod book;
pub(crate) mod clock;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::verdict::{Report, Verdict};

/// The version of the file; another one is set aside.
pub(crate) const VERSION: u32 = 1;

/// All that one student has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The version of the file.
    pub version: u32,
    /// The lab that was begun or checked last.
    pub last: Option<String>,
    /// The labs, by number.
    pub labs: BTreeMap<String, Record>,
    /// What a newer isolab has written, kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What was done of one lab.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// When it was begun.
    pub begun: Option<String>,
    /// How many times it was checked.
    pub attempts: u32,
    /// When it first passed.
    pub passed: Option<String>,
    /// When the solution was shown before that.
    pub revealed: Option<String>,
    /// How many times each message was given.
    pub failures: BTreeMap<String, u32>,
    /// The message that was given last.
    pub last_failure: Option<String>,
    /// How many hints of each message were shown.
    pub hints: BTreeMap<String, usize>,
    /// What was guessed, by the name of what is measured.
    pub guesses: BTreeMap<String, Guess>,
    /// What the last check said.
    pub report: Option<Report>,
    /// What a newer isolab has written, kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A number that was guessed before the first run that could have shown it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    /// The guess.
    pub guess: f64,
    /// When it was made.
    pub at: String,
    /// What was measured last.
    pub measured: Option<f64>,
}

/// How far a student is with a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was done.
    NotBegun,
    /// It was begun.
    Begun,
    /// Its solution was shown before it passed.
    Revealed,
    /// It has passed.
    Passed,
}

impl State {
    /// As the class's page and table name it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotBegun => "not begun",
            Self::Begun => "begun",
            Self::Revealed => "revealed",
            Self::Passed => "passed",
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self { version: VERSION, last: None, labs: BTreeMap::new(), other: Map::new() }
    }
}

impl Progress {
    /// The record of a lab, begun now if it was not.
    pub(crate) fn begin(&mut self, id: &str, name: &str) -> &mut Record {
        self.last = Some(id.to_owned());
        let record = self.labs.entry(id.to_owned()).or_default();
        record.name = name.to_owned();
        record.begun.get_or_insert_with(clock::now);
        record
    }

    /// The record of a lab, empty if nothing was done.
    pub(crate) fn of(&self, id: &str) -> Record {
        self.labs.get(id).cloned().unwrap_or_default()
    }
}

impl Record {
    /// How far it is.
    pub fn state(&self) -> State {
        match (&self.passed, &self.revealed, &self.begun) {
            (Some(_), _, _) => State::Passed,
            (None, Some(_), _) => State::Revealed,
            (None, None, Some(_)) => State::Begun,
            (None, None, None) => State::NotBegun,
        }
    }

    /// Writes down what a check has said.
    pub(crate) fn take(&mut self, report: &Report) {
        self.attempts += 1;
        if report.verdict == Verdict::Pass {
            self.passed.get_or_insert_with(clock::now);
        }
        if let (Verdict::Fail, Some(id)) = (report.verdict, &report.id) {
            *self.failures.entry(id.clone()).or_default() += 1;
            self.last_failure = Some(id.clone());
        }
        for (name, guess) in &mut self.guesses {
            guess.measured = report.measured.get(name).copied().or(guess.measured);
        }
        self.report = Some(report.clone());
    }
}

#[cfg(test)]
pub(crate) fn report(verdict: Verdict, id: Option<&str>) -> Report {
    Report {
        lab: "08".into(),
        verdict,
        id: id.map(str::to_owned),
        facts: BTreeMap::from([("pid".to_owned(), "4711".to_owned())]),
        evidence: Vec::new(),
        measured: BTreeMap::from([("exits".to_owned(), 1012.0)]),
        output: Vec::new(),
        unjudged: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_that_has_passed_stays_so() {
        let mut progress = Progress::default();
        assert_eq!(progress.of("08").state(), State::NotBegun);
        let record = progress.begin("08", "own-name");
        let at = "then".to_owned();
        record.guesses.insert("exits".into(), Guess { guess: 1000.0, at, measured: None });
        record.take(&report(Verdict::Fail, Some("L08-no-fork")));
        assert_eq!((record.state(), record.attempts), (State::Begun, 1));
        record.take(&report(Verdict::Pass, None));
        record.take(&report(Verdict::Fail, Some("L08-no-fork")));
        assert_eq!((record.state(), record.failures["L08-no-fork"]), (State::Passed, 2));
        assert_eq!(record.guesses["exits"].measured, Some(1012.0));
    }

    #[test]
    fn what_a_newer_isolab_has_written_is_kept() {
        let text =
            r#"{"version":1,"last":null,"labs":{"08":{"attempts":2,"stars":5}},"theme":"x"}"#;
        let progress: Progress = serde_json::from_str(text).unwrap();
        let again = serde_json::to_value(&progress).unwrap();
        assert_eq!((&again["theme"], &again["labs"]["08"]["stars"]), (&"x".into(), &5.into()));
    }
}
