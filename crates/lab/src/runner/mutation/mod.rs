//! Wrong answers made by machine: each solution with one thing changed, and whether its check tells
//! it from the solution.
//!
//! ```text
//!   src/solution.rs   --- changes ---> one program each   --- check ---> caught, or it survives
//!   clauses.toml      which of the survivors are right as well, and why
//! ```
//!
//! What does not compile is nobody's answer, and what the host cannot judge is counted as such.

mod changes;
mod compiler;
mod rules;
mod tokens;

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{
    Error, Front, Result,
    contract::Contract,
    course::{Course, Lab},
    judging::{
        check_process::{Judge, is_readable_within},
        nested,
        staged::Staged,
        truth::{Expected, Outcome, Row},
    },
};
use crate::verdict::Verdict;
use changes::Change;
use compiler::Compiler;

/// What came of a lab's changes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Survey {
    /// The lab's number.
    pub(crate) lab: String,
    /// Changes of its solution.
    pub(crate) changes: usize,
    /// Those that the compiler refuses.
    pub(crate) refused: usize,
    /// Those that the check tells from the solution.
    pub(crate) caught: usize,
    /// Those that this host cannot judge.
    pub(crate) not_judged: usize,
    /// Those that pass.
    pub(crate) survivors: Vec<Survivor>,
    /// Explanations of changes that there are not, or that do not pass.
    pub(crate) idle: Vec<String>,
}

/// A change that passes.
#[derive(Debug, Serialize)]
pub(crate) struct Survivor {
    /// The line of the solution.
    pub(crate) line: usize,
    /// The function.
    pub(crate) function: String,
    /// What is changed to what.
    pub(crate) change: String,
    /// Why it is right as well, if the lab says so.
    pub(crate) why: Option<String>,
}

/// How a lab's changes are judged.
pub(crate) struct Surveyor<'a> {
    /// The labs.
    pub(crate) course: &'a Course,
    /// The check of the lab.
    pub(crate) judge: Judge,
    /// Whether in the nest.
    pub(crate) nest: bool,
}

impl Surveyor<'_> {
    /// Changes the lab's solution in all the ways there are, and judges each.
    ///
    /// # Errors
    ///
    /// When the solution cannot be read, nothing can be built, or the user asks to stop.
    pub(crate) fn survey(&self, lab: &Lab, front: &mut dyn Front) -> Result<Survey> {
        let path = lab.folder.join("src/solution.rs");
        let source = lab.owner.read_text(&path).map_err(Error::file("read", &path))?;
        let changes = changes::of(&source)
            .map_err(|error| Error::Damaged { path, cause: error.to_string() })?;
        // What is wrong with it is a row of the truth table; here it explains nothing then.
        let contract = Contract::of(lab).unwrap_or_default();
        let sources: Vec<String> = changes.iter().map(|change| change.applied(&source)).collect();
        let compiler = Compiler::of(self.course, lab, &sources, front)?;
        let verdicts = match self.nest {
            true => self.judged_in_the_nest(&compiler, front)?,
            false => self.judged_here(&compiler, front)?,
        };
        let mut survey =
            Survey { lab: lab.id.clone(), changes: changes.len(), ..Survey::default() };
        survey.count(&changes, &verdicts, &contract);
        Ok(survey)
    }

    /// Compiles on all processors, and judges each as soon as it is there.
    fn judged_here(
        &self,
        compiler: &Compiler<'_>,
        front: &mut dyn Front,
    ) -> Result<Vec<Option<Verdict>>> {
        let mut verdicts = vec![None; compiler.count()];
        let owner = &compiler.lab.owner;
        compiler.compile_all(|number, path| {
            front.step(&compiler.progress(number));
            let staged = Staged::of(path, owner)?;
            let row = self.row(compiler.lab, number, staged.path.clone());
            let programs = BTreeSet::from([staged.path.clone()]);
            verdicts[number] = Some(verdict(&row.judge(&programs, front.end())?));
            // Hundreds of programs are gigabytes.
            let _ = owner.acting(|| fs::remove_file(path));
            Ok(())
        })?;
        Ok(verdicts)
    }

    fn judged_in_the_nest(
        &self,
        compiler: &Compiler<'_>,
        front: &mut dyn Front,
    ) -> Result<Vec<Option<Verdict>>> {
        /// What a nest's memory holds.
        const AT_ONCE: usize = 40;
        let mut rows = Vec::new();
        compiler.compile_all(|number, path| {
            front.step(&compiler.progress(number));
            rows.push((number, self.row(compiler.lab, number, path.to_owned())));
            match is_readable_within(front.end(), Duration::ZERO) {
                true => Err(Error::Interrupted),
                false => Ok(()),
            }
        })?;
        let mut verdicts = vec![None; compiler.count()];
        for some in rows.chunks(AT_ONCE) {
            let (numbers, rows): (Vec<usize>, Vec<Row>) = some.iter().cloned().unzip();
            let outcomes = nested::judge(&rows, &compiler.lab.owner, front.end())?;
            for (number, outcome) in numbers.into_iter().zip(outcomes) {
                verdicts[number] = Some(verdict(&outcome));
            }
        }
        Ok(verdicts)
    }

    fn row(&self, lab: &Lab, number: usize, binary: PathBuf) -> Row {
        let mut row = Row::of(lab, &format!("changed {number}"), Expected::Pass, self.nest);
        (row.judge, row.binary) = (self.judge.clone(), binary);
        row
    }
}

/// What leaves something behind, or ends its check without a verdict, is told from the solution, too.
fn verdict(outcome: &Outcome) -> Verdict {
    match &outcome.report {
        Some(report) if outcome.why.is_empty() => report.verdict,
        _ => Verdict::Fail,
    }
}

impl Survey {
    /// The changes that pass, and of which the lab does not say why.
    pub(crate) fn unexplained(&self) -> impl Iterator<Item = &Survivor> {
        self.survivors.iter().filter(|survivor| survivor.why.is_none())
    }

    fn count(&mut self, changes: &[Change], verdicts: &[Option<Verdict>], contract: &Contract) {
        let mut used = BTreeSet::new();
        for (change, verdict) in changes.iter().zip(verdicts) {
            match verdict {
                None => self.refused += 1,
                Some(Verdict::Fail) => self.caught += 1,
                Some(Verdict::CannotTell) => self.not_judged += 1,
                Some(Verdict::Pass) => {
                    let explained = contract.equivalent.iter().position(|known| {
                        known.function == change.function && known.change == change.what
                    });
                    used.extend(explained);
                    self.survivors.push(Survivor {
                        line: change.line,
                        function: change.function.clone(),
                        change: change.what.clone(),
                        why: explained.map(|at| contract.equivalent[at].why.clone()),
                    });
                }
            }
        }
        let idle = contract.equivalent.iter().enumerate().filter(|(at, _)| !used.contains(at));
        self.idle =
            idle.map(|(_, known)| format!("{}: {}", known.function, known.change)).collect();
    }
}
