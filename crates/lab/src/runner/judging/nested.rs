//! Checks in the nest: isolab inside judges rows whose programs were built out here.
//!
//! ```text
//!   host   build, write rows.json     nest: isolab lab verify --built rows.json
//!          read the outcomes    <---  standard output: one JSON list
//! ```

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Duration,
};

use nest::Nest;
use sandbox::Stdio;

use super::{
    check_process::{Check, Judge},
    staged::Staged,
    truth::{Expected, Outcome, Row},
};
use crate::runner::{Answer, Error, LocalUser, Result, privilege::environment};
use crate::verdict::Report;

/// An emulated processor computes ten to a hundred times slower.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);
/// Beyond its programs the nest needs this much.
const MEMORY_BYTES: u64 = 1 << 30;

/// Judges rows inside: those of a lab in one nest, with the clock that it needs, and as many nests
/// at once as there are processors, since each emulates one. The outcomes are in the rows' order.
pub(crate) fn judge(
    rows: &[Row],
    owner: &LocalUser,
    end: Option<BorrowedFd<'_>>,
) -> Result<Vec<Outcome>> {
    let mut rows = rows.to_vec();
    // A nest takes its files with the caller's rights.
    let mut staged = Vec::new();
    for path in rows.iter_mut().flat_map(Row::paths) {
        let copy = Staged::of(path, owner)?;
        path.clone_from(&copy.path);
        staged.push(copy);
    }
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let open = Mutex::new(batches(&rows, lanes));
    let next = || open.lock().ok()?.pop();
    let judge_all = || {
        let mut judged = Vec::new();
        while let Some(batch) = next() {
            let (numbers, rows): (Vec<usize>, Vec<Row>) = batch.into_iter().unzip();
            let outcomes = judge_alike(&rows, rows[0].counted, end)?;
            judged.extend(numbers.into_iter().zip(outcomes));
        }
        Ok(judged)
    };
    let judged: Result<Vec<Vec<(usize, Outcome)>>> = thread::scope(|scope| {
        let running: Vec<_> = (0..lanes).map(|_| scope.spawn(judge_all)).collect();
        running.into_iter().map(|lane| lane.join().expect("no lane panics")).collect()
    });
    let mut judged = judged?.concat();
    judged.sort_by_key(|(number, _)| *number);
    Ok(judged.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The rows with their numbers, in batches for a nest each: by the clock, and the labs of each clock
/// dealt out to as many as there are lanes.
fn batches(rows: &[Row], lanes: usize) -> Vec<Vec<(usize, Row)>> {
    let mut batches = vec![Vec::new(); 2 * lanes];
    let mut labs: Vec<&str> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if labs.last() != Some(&&*row.lab) {
            labs.push(&row.lab);
        }
        let batch = labs.len() % lanes + if row.counted { lanes } else { 0 };
        batches[batch].push((number, row.clone()));
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

fn judge_alike(rows: &[Row], counted: bool, end: Option<BorrowedFd<'_>>) -> Result<Vec<Outcome>> {
    let folder = environment::temporary_folder()?;
    let file = folder.path().join("rows.json");
    let text = serde_json::to_vec(rows).expect("rows have only plain values");
    fs::write(&file, text).map_err(Error::file("write", &file))?;
    let isolab = std::env::current_exe().map_err(Error::system("find isolab's own program"))?;
    nest::available().map_err(Error::Nest)?;
    let mut nest = Nest::of(isolab).map_err(Error::Nest)?;
    nest.icount = counted;
    let mut added = programs(rows);
    let bytes: u64 = added.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
    added.insert(file.clone());
    let words = ["lab", "verify", "--json", "--built"].map(OsString::from);
    nest.arguments = words.into_iter().chain([file.into_os_string()]).collect();
    nest.add = added.into_iter().collect();
    // The archive and what is unpacked of it are there at once for a moment, and that may take half
    // of what the archive leaves (tmpfs(5), `size`).
    nest.memory_bytes = MEMORY_BYTES + 3 * bytes;
    let seconds: u64 = rows.iter().map(|row| row.seconds * u64::from(row.repeat.max(1))).sum();
    nest.deadline = Some(nest.start_up + Duration::from_secs(seconds));
    let ended = match nest.run(Stdio::Capture, end) {
        Err(nest::Error::Stopped) => return Err(Error::Interrupted),
        ended => ended.map_err(Error::Nest)?,
    };
    serde_json::from_slice(&ended.output).map_err(|_| {
        let errors = String::from_utf8_lossy(&ended.errors).trim().to_owned();
        Error::CheckDied { said: format!("isolab in the nest: {errors}") }
    })
}

/// Runs one check inside.
pub(crate) fn check(
    check: &Check,
    owner: &LocalUser,
    counted: bool,
    end: Option<BorrowedFd<'_>>,
) -> Result<Report> {
    let row = Row {
        lab: check.lab.clone(),
        program: "student".to_owned(),
        expected: Expected::NoFail,
        judge: check.judge.clone(),
        binary: check.program.clone(),
        timing: false,
        counted,
        load: false,
        repeat: 1,
        seconds: TIMEOUT.as_secs(),
        unjudged: Vec::new(),
    };
    let outcome = judge(&[row], owner, end)?.pop();
    let outcome = outcome.ok_or(Error::CheckDied { said: "the nest judged nothing".to_owned() })?;
    outcome.report.ok_or(Error::CheckDied { said: outcome.why.join("; ") })
}

/// What isolab does inside: judges the rows in `file`, and gives the outcomes.
///
/// # Errors
///
/// When the file is not readable.
pub fn inside(file: &Path, end: Option<BorrowedFd<'_>>) -> Result<Answer> {
    let text = fs::read(file).map_err(Error::file("read", file))?;
    let rows: Vec<Row> = serde_json::from_slice(&text)
        .map_err(|error| Error::Damaged { path: file.to_owned(), cause: error.to_string() })?;
    let programs = programs(&rows);
    let outcomes: Result<Vec<Outcome>> = rows.iter().map(|row| row.judge(&programs, end)).collect();
    let json = serde_json::to_value(outcomes?).expect("outcomes have only plain values");
    Ok(Answer { text: format!("{json:#}\n"), json, code: 0 })
}

/// All programs of which no process may be left.
pub(crate) fn programs<'a>(rows: impl IntoIterator<Item = &'a Row>) -> BTreeSet<PathBuf> {
    let check = |row: &Row| match &row.judge {
        Judge::Checkout(program, _) => Some(program.clone()),
        Judge::Isolab => None,
    };
    rows.into_iter().flat_map(|row| check(row).into_iter().chain([row.binary.clone()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_lab_stay_together_and_clocks_apart() {
        let row = |lab: &str, counted| Row {
            lab: lab.to_owned(),
            program: "solution".to_owned(),
            expected: Expected::Pass,
            judge: Judge::Isolab,
            binary: PathBuf::new(),
            timing: false,
            counted,
            load: false,
            repeat: 1,
            seconds: 1,
            unjudged: Vec::new(),
        };
        let rows = [
            row("01", true),
            row("01", true),
            row("02", false),
            row("02", false),
            row("03", false),
            row("04", false),
        ];
        let numbers = |lanes| -> Vec<Vec<usize>> {
            let numbers = |batch: Vec<(usize, Row)>| batch.into_iter().map(|(at, _)| at).collect();
            batches(&rows, lanes).into_iter().map(numbers).collect()
        };
        assert_eq!(numbers(1), [vec![2, 3, 4, 5], vec![0, 1]]);
        assert_eq!(numbers(2), [vec![2, 3, 5], vec![4], vec![0, 1]]);
    }
}
