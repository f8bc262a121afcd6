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
mod rules;
mod tokens;

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    os::{fd::BorrowedFd, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, mpsc},
    thread,
};

use serde::Serialize;
use tempfile::TempDir;

use super::{
    Error, Front, Result,
    build::kit::Kit,
    contract::Contract,
    course::{Course, Lab},
    judging::{
        check_process::Judge,
        nested,
        staged::Staged,
        truth::{Expected, Outcome, Row},
    },
    privilege::environment::temporary_folder,
};
use crate::verdict::Verdict;
use changes::Change;

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
        let compiler = Compiler::of(self.course, lab, front)?;
        let folder = self.course.target.join("changed").join(&lab.id);
        let made = || {
            // What an interrupted survey has left is written anew.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)
        };
        lab.owner.acting(made).map_err(Error::file("create", &folder))?;
        let programs = |number: usize| folder.join(format!("lab{}-changed-{number:03}", lab.id));
        let write = || {
            changes.iter().enumerate().try_for_each(|(number, change)| {
                fs::write(programs(number).with_extension("rs"), change.applied(&source))
            })
        };
        lab.owner.acting(write).map_err(Error::file("write to", &folder))?;

        let mut survey =
            Survey { lab: lab.id.clone(), changes: changes.len(), ..Survey::default() };
        let verdicts = match self.nest {
            true => self.judged_in_the_nest(lab, &compiler, changes.len(), &programs, front)?,
            false => self.judged_here(lab, &compiler, changes.len(), &programs, front)?,
        };
        let _ = lab.owner.acting(|| fs::remove_dir_all(&folder));
        survey.count(&changes, &verdicts, &contract);
        Ok(survey)
    }

    /// Compiles on all processors, and judges each as soon as it is there.
    fn judged_here(
        &self,
        lab: &Lab,
        compiler: &Compiler<'_>,
        count: usize,
        program: &(dyn Fn(usize) -> PathBuf + Sync),
        front: &mut dyn Front,
    ) -> Result<Vec<Option<Verdict>>> {
        let mut verdicts = vec![None; count];
        compiled(compiler, count, program, |number| {
            front.step(&format!("{} {}/{count}", lab.id, number + 1));
            let path = program(number);
            let staged = Staged::of(&path, &lab.owner)?;
            let row = self.row(lab, number, staged.path.clone());
            let programs = BTreeSet::from([staged.path.clone()]);
            verdicts[number] = Some(verdict(&row.judge(&programs, front.end())?));
            // Hundreds of programs are gigabytes.
            let _ = lab.owner.acting(|| fs::remove_file(&path));
            Ok(())
        })?;
        Ok(verdicts)
    }

    fn judged_in_the_nest(
        &self,
        lab: &Lab,
        compiler: &Compiler<'_>,
        count: usize,
        program: &(dyn Fn(usize) -> PathBuf + Sync),
        front: &mut dyn Front,
    ) -> Result<Vec<Option<Verdict>>> {
        /// What a nest's memory holds.
        const AT_ONCE: usize = 40;
        let mut rows = Vec::new();
        compiled(compiler, count, program, |number| {
            front.step(&format!("{} {}/{count}", lab.id, number + 1));
            rows.push((number, self.row(lab, number, program(number))));
            stopped(front.end())
        })?;
        let mut verdicts = vec![None; count];
        for some in rows.chunks(AT_ONCE) {
            let (numbers, rows): (Vec<usize>, Vec<Row>) = some.iter().cloned().unzip();
            let outcomes = nested::judge(&rows, &lab.owner, front.end())?;
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

/// Compiles further programs of a lab without cargo: hundreds of them, each in half a second.
struct Compiler<'a> {
    kit: Kit,
    course: &'a Course,
    lab: &'a Lab,
    /// It has the kit's libraries.
    _folder: TempDir,
}

impl<'a> Compiler<'a> {
    fn of(course: &'a Course, lab: &'a Lab, front: &mut dyn Front) -> Result<Self> {
        let folder = temporary_folder()?;
        // The owner of the checkout compiles.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).map_err(Error::file("chmod", folder.path()))?;
        let mut kit = Kit::new(folder.path().join("libraries"));
        kit.add(course, lab, front)?;
        Ok(Self { kit, course, lab, _folder: folder })
    }

    /// Whether the compiler takes the source.
    fn compile(&self, source: &Path, program: &Path) -> Result<bool> {
        let [source, program, libraries] =
            [source, program, &self.kit.libraries].map(|path| path.to_string_lossy());
        let words = self.kit.arguments(&self.lab.id, &source, &program, &libraries);
        let words = words.expect("the lab was added");
        let mut rustc = self.course.toolchain.command(&self.kit.rustc);
        rustc.args(words).arg("--cap-lints=allow").stdout(Stdio::null()).stderr(Stdio::null());
        let ended = rustc.status().map_err(|error| self.course.toolchain.no_start(&error))?;
        Ok(ended.success())
    }
}

/// What leaves something behind, or ends its check without a verdict, is told from the solution, too.
fn verdict(outcome: &Outcome) -> Verdict {
    match &outcome.report {
        Some(report) if outcome.why.is_empty() => report.verdict,
        _ => Verdict::Fail,
    }
}

fn stopped(end: Option<BorrowedFd<'_>>) -> Result<()> {
    use super::judging::check_process::is_readable_within;
    match is_readable_within(end, std::time::Duration::ZERO) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}

/// Compiles the numbered sources on all processors, and gives the number of each program that there
/// is then to `take`.
fn compiled(
    compiler: &Compiler<'_>,
    count: usize,
    program: &(dyn Fn(usize) -> PathBuf + Sync),
    mut take: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let open: Mutex<VecDeque<usize>> = Mutex::new((0..count).collect());
    let next = || open.lock().ok()?.pop_front();
    let (send, receive) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let send = send.clone();
            scope.spawn(move || {
                while let Some(number) = next() {
                    let path = program(number);
                    let made = compiler.compile(&path.with_extension("rs"), &path);
                    // Nobody takes more once something has failed.
                    if send.send((number, made)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (number, made) in receive {
            if made? {
                take(number)?;
            }
        }
        Ok(())
    })
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
