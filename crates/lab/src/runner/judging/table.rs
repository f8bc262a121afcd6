//! The rows of the truth table.

use std::path::PathBuf;

use super::{
    check_process::{self, Judge},
    nested,
    truth::{Expected, Mark, Outcome, Row},
};
use crate::runner::{
    LabContext,
    build::compile::Built,
    contract::Contract,
    course::{Lab, skeleton},
};

/// Which rows there are.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The labs; all of them if none is named.
    pub labs: Vec<String>,
    /// The solutions under a full load too.
    pub load: bool,
    /// How many times under a full load: all solutions with `load`, without it only those whose
    /// verdict depends on measured times.
    pub repeat: Option<u32>,
    /// In the nest, the labs that behave differently there.
    pub nest: bool,
    /// Each solution with one thing changed by machine, in place of the rest of the table.
    pub mutate: bool,
}

/// A row before it is judged.
pub(crate) enum Planned {
    /// It is to be run.
    Run(Row),
    /// It cannot be.
    Settled(Outcome),
}

/// The rows of a lab.
pub(crate) fn rows_of(
    context: &LabContext,
    lab: &Lab,
    table: &Table,
    built: &Built,
) -> Vec<Planned> {
    let fail = |id: &str| Expected::Fail(id.to_owned());
    let row = |program: &str, suffix: &str, expected| Row {
        binary: lab.bin(suffix).into(),
        ..Row::of(lab, program, expected, table.nest)
    };
    let mut rows = vec![
        row("skeleton", "", fail("not-written")),
        row("solution", "-solution", Expected::Pass),
    ];
    // What is wrong with the contract is told in a row of its own.
    let contract = Contract::of(lab).ok();
    for mutant in lab.mutants.iter().filter(|mutant| mutant.nest || !table.nest) {
        let name = mutant.bin.trim_start_matches(&lab.bin("-"));
        let wrong = row(name, &format!("-{name}"), fail(&mutant.caught_as));
        let unjudged = contract.as_ref().map(|contract| contract.unjudged(name));
        rows.push(Row { unjudged: unjudged.unwrap_or_default(), ..wrong });
    }
    let repeat = table.repeat.filter(|_| lab.timing || table.load);
    if !table.nest && (table.load || repeat.is_some()) {
        let loaded = row("solution, loaded", "-solution", Expected::NoFail);
        rows.push(Row { load: true, repeat: repeat.unwrap_or(1), ..loaded });
    }
    let mut planned: Vec<Planned> = rows.into_iter().map(|row| found(row, lab, built)).collect();
    if skeleton::is_edited(&context.course, lab) == Some(true) {
        let mut edited = Outcome::without_run(&lab.id, "skeleton", "not-written", "edited");
        edited.mark = Mark::NotJudged;
        edited.why = vec!["src/student.rs differs from the committed version".to_owned()];
        planned[0] = Planned::Settled(edited);
    }
    planned
}

impl Row {
    /// A program of the lab that is judged once; `judge` and `binary` are still to be said.
    pub(crate) fn of(lab: &Lab, program: &str, expected: Expected, nest: bool) -> Self {
        Self {
            lab: lab.id.clone(),
            program: program.to_owned(),
            expected,
            judge: Judge::Isolab,
            binary: PathBuf::new(),
            timing: lab.timing,
            counted: lab.counted,
            load: false,
            repeat: 1,
            unjudged: Vec::new(),
            seconds: if nest { nested::TIMEOUT } else { check_process::USUAL }.as_secs(),
        }
    }
}

/// The row with its programs in place of their names.
fn found(row: Row, lab: &Lab, built: &Built) -> Planned {
    let program = row.binary.display().to_string();
    let check = lab.bin("-check");
    match (built.programs.get(&check), built.programs.get(&program)) {
        (Some(check), Some(binary)) => {
            let judge = Judge::Checkout(check.clone(), lab.owner.clone());
            Planned::Run(Row { judge, binary: binary.clone(), ..row })
        }
        (found, _) => {
            let missing = if found.is_none() { check } else { program };
            let mut outcome =
                Outcome::without_run(&row.lab, &row.program, &row.expected.word(), "not built");
            // A program that is not there may be the library's fault.
            let errors = built.errors.get(&missing).or_else(|| built.errors.values().next());
            outcome.why = errors.into_iter().flatten().take(1).map(|it| it.short.clone()).collect();
            Planned::Settled(outcome)
        }
    }
}
