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

/// Judges rows inside, in one start of the nest for each kind of its clock.
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
    let (counted, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.counted);
    let mut outcomes = Vec::new();
    for (rows, counted) in [(counted, true), (others, false)] {
        if !rows.is_empty() {
            outcomes.extend(judge_alike(&rows, counted, end)?);
        }
    }
    Ok(outcomes)
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
