//! A row of the truth table: a program, what its check must say, and what it said.

use std::{
    collections::BTreeSet,
    os::fd::BorrowedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    check_process::{Check, Judge},
    host::HostState,
    load::Load,
};
use crate::runner::{Error, Result};
use crate::verdict::{Report, Verdict};

/// Under a full load a check may take twice its time.
const UNDER_LOAD: Duration = Duration::from_secs(120);
/// How often a check that found the host too busy is tried.
const TRIES: u32 = 3;

/// A program that is to be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The lab's number.
    pub(crate) lab: String,
    /// `skeleton`, `solution`, or a mutant's name.
    pub(crate) program: String,
    /// What its check must say.
    pub(crate) expected: Expected,
    /// Who judges.
    pub(crate) judge: Judge,
    /// The program.
    pub(crate) binary: PathBuf,
    /// Whether the verdict depends on measured times.
    pub(crate) timing: bool,
    /// Whether the nest's clock is to count instructions.
    pub(crate) counted: bool,
    /// Whether every processor is busy meanwhile.
    pub(crate) load: bool,
    /// How many times it is judged.
    pub(crate) repeat: u32,
    /// How long its check may take.
    pub(crate) seconds: u64,
    /// What a pass leaves open where the host cannot show it (`[unjudged.NAME]`), this program's
    /// mistake among it.
    #[serde(default)]
    pub(crate) unjudged: Vec<String>,
}

/// What a check must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expected {
    /// A pass.
    Pass,
    /// A fail with this message.
    Fail(String),
    /// Anything but a fail.
    NoFail,
}

/// Whether a row is as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mark {
    /// It is.
    Right,
    /// It is not.
    Wrong,
    /// This host lacks what it takes to tell.
    NotJudged,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The row's lab.
    pub(crate) lab: String,
    /// The row's program.
    pub(crate) program: String,
    /// What was expected, in a word.
    pub(crate) expected: String,
    /// What was got, in a word.
    pub(crate) got: String,
    /// Whether that is right.
    pub(crate) mark: Mark,
    /// Why not, a line each.
    pub(crate) why: Vec<String>,
    /// How long it took.
    pub(crate) seconds: f64,
    /// How many of the repetitions failed.
    pub(crate) fails: u32,
    /// The last report.
    pub(crate) report: Option<Report>,
}

impl Expected {
    /// In a word.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Pass => "pass".to_owned(),
            Self::Fail(id) => id.clone(),
            Self::NoFail => "no fail".to_owned(),
        }
    }

    fn mark(&self, report: &Report) -> Mark {
        match (self, report.verdict) {
            (Self::Pass | Self::NoFail, Verdict::Pass) => Mark::Right,
            (Self::NoFail, Verdict::CannotTell) => Mark::Right,
            (Self::Fail(id), Verdict::Fail) if report.id.as_ref() == Some(id) => Mark::Right,
            (_, Verdict::CannotTell) => Mark::NotJudged,
            _ => Mark::Wrong,
        }
    }
}

/// A verdict in a word.
fn word(report: &Report) -> String {
    match (report.verdict, &report.id) {
        (Verdict::Pass, _) => "pass".to_owned(),
        (Verdict::Fail, id) => id.clone().unwrap_or("fail".to_owned()),
        (Verdict::CannotTell, id) => format!("? {}", id.as_deref().unwrap_or("cannot tell")),
    }
}

impl Outcome {
    /// Of a row that was not run.
    pub(crate) fn without_run(lab: &str, program: &str, expected: &str, got: &str) -> Self {
        Self {
            lab: lab.to_owned(),
            program: program.to_owned(),
            expected: expected.to_owned(),
            got: got.to_owned(),
            mark: Mark::Wrong,
            why: Vec::new(),
            seconds: 0.0,
            fails: 0,
            report: None,
        }
    }
}

impl Row {
    /// The files that it takes.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let check = match &mut self.judge {
            Judge::Checkout(program, _) => Some(program),
            Judge::Isolab => None,
        };
        check.into_iter().chain([&mut self.binary])
    }

    /// Judges it, as often as it says, and looks whether the host is as before.
    pub(crate) fn judge(
        &self,
        programs: &BTreeSet<PathBuf>,
        end: Option<BorrowedFd<'_>>,
    ) -> Result<Outcome> {
        let (began, before) = (Instant::now(), HostState::now(programs));
        let mut outcome = Outcome::without_run(&self.lab, &self.program, &self.expected.word(), "");
        outcome.mark = Mark::Right;
        let (mut passes, mut unclear) = (0, 0);
        for _ in 0..self.repeat.max(1) {
            match self.once(end) {
                Ok(report) => {
                    let mark = self.mark(&report);
                    outcome.mark = worse(outcome.mark, mark);
                    outcome.got = word(&report);
                    match report.verdict {
                        Verdict::Pass => passes += 1,
                        Verdict::Fail => outcome.fails += 1,
                        Verdict::CannotTell => unclear += 1,
                    }
                    if mark != Mark::Right || outcome.report.is_none() {
                        outcome.report = Some(report);
                    }
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    outcome.mark = Mark::Wrong;
                    outcome.got = "no verdict".to_owned();
                    outcome.why.push(error.to_string());
                }
            }
        }
        if self.repeat > 1 {
            outcome.got = format!("{passes} pass {unclear} ? {} fail", outcome.fails);
        }
        outcome.seconds = began.elapsed().as_secs_f64();
        let changes = before.changes(programs);
        if !changes.is_empty() {
            outcome.mark = Mark::Wrong;
            outcome.why.extend(changes);
        }
        Ok(outcome)
    }

    /// A wrong answer that passes is not judged where the report says so.
    fn mark(&self, report: &Report) -> Mark {
        let left_open = report.unjudged.iter().any(|open| self.unjudged.contains(&open.name));
        match self.expected.mark(report) {
            Mark::Wrong if left_open && report.verdict == Verdict::Pass => Mark::NotJudged,
            mark => mark,
        }
    }

    fn once(&self, end: Option<BorrowedFd<'_>>) -> Result<Report> {
        let deadline = Duration::from_secs(self.seconds);
        let check = Check {
            lab: self.lab.clone(),
            judge: self.judge.clone(),
            program: self.binary.clone(),
            deadline: if self.load { deadline.max(UNDER_LOAD) } else { deadline },
        };
        if self.load {
            let _load = Load::start();
            return check.run(end);
        }
        for _ in 1..TRIES {
            let report = check.run(end)?;
            if !(self.timing && report.verdict == Verdict::CannotTell) {
                return Ok(report);
            }
        }
        check.run(end)
    }
}

fn worse(one: Mark, other: Mark) -> Mark {
    match (one, other) {
        (Mark::Wrong, _) | (_, Mark::Wrong) => Mark::Wrong,
        (Mark::NotJudged, _) | (_, Mark::NotJudged) => Mark::NotJudged,
        _ => Mark::Right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::progress::report;

    #[test]
    fn only_its_own_message_catches_a_mutant() {
        let expected = Expected::Fail("L08-no-fork".into());
        let marked = |verdict, id| expected.mark(&report(verdict, id));
        assert_eq!(marked(Verdict::Fail, Some("L08-no-fork")), Mark::Right);
        assert_eq!(marked(Verdict::Fail, Some("L08-other")), Mark::Wrong);
        assert_eq!(marked(Verdict::Pass, None), Mark::Wrong);
        assert_eq!(marked(Verdict::CannotTell, Some("no-kvm")), Mark::NotJudged);
    }

    #[test]
    fn under_load_a_pass_and_no_answer_are_right_and_a_fail_is_not() {
        let marked = |verdict| Expected::NoFail.mark(&report(verdict, None));
        assert_eq!(marked(Verdict::Pass), Mark::Right);
        assert_eq!(marked(Verdict::CannotTell), Mark::Right);
        assert_eq!(marked(Verdict::Fail), Mark::Wrong);
    }
}
