//! Marking what a class has handed in: each answer compiled in a jail, judged by isolab's own checks
//! and compared with the others.
//!
//! ```text
//!   OUT/index.html     the table        OUT/similar.html   answers side by side
//!   OUT/collect.csv    for a spreadsheet OUT/results.jsonl  each verdict, with the answer that it is of
//! ```
//!
//! A verdict is written down as it comes. A second run takes over those of the same answers, judged by
//! the same check, and goes on with the others.

mod jail;
mod page;
mod results;
mod similar;
mod submissions;
mod tokens;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;

use crate::runner::{
    Answer, Error, Front, LabContext, LocalUser, Result,
    build::{
        compile::{self, BuildTargets},
        kit::Kit,
    },
    commands::{check::not_compiled, export::write},
    course::Lab,
    judging::{
        check_process::{self, Check, Judge},
        nested,
    },
    output::{
        text::clean,
        verdict_text::{self, Messages},
    },
    privilege::environment::temporary_folder,
};
use crate::verdict::{Report, Verdict};
use jail::Compiled;
use results::{Mark, Results};
use submissions::{Refused, Submission};

/// So many refused files are named on the terminal; the page has all of them.
const MOST_LINES: usize = 20;

/// How answers are collected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Collecting {
    /// Whether all are judged anew.
    pub again: bool,
    /// Whether the checks run in the nest.
    pub nest: bool,
}

/// Marks the answers in `folder` and writes the tables into `out`.
///
/// # Errors
///
/// When the checkout is another user's, when nothing can be compiled or written, and when the user
/// asks to stop: then the tables have what was judged so far.
pub fn collect(
    context: &LabContext,
    folder: &Path,
    out: &Path,
    how: Collecting,
    front: &mut dyn Front,
) -> Result<Answer> {
    let course = &context.course;
    course.toolchain.ensure_own("collect", "收集")?;
    let (submissions, refused) = submissions::found(folder, course)?;
    let made = LocalUser::caller().acting(|| fs::create_dir_all(out));
    made.map_err(Error::file("create", out))?;
    let mut results = Results::open(&out.join("results.jsonl"))?;
    let mut marker = Marker::new(context, how)?;
    let mut marks = Vec::new();
    let mut interrupted = None;
    for (number, submission) in submissions.iter().enumerate() {
        let lab = course.lab(&submission.lab)?;
        let judge = marker.judge_key(lab);
        if let Some(mark) = results.known(submission, &judge).filter(|_| !how.again) {
            marks.push(mark);
            continue;
        }
        let student = clean(&submission.student);
        front.step(&format!("{}/{} {student} {}", number + 1, submissions.len(), lab.id));
        match marker.mark(lab, submission, &judge, front) {
            Ok(mark) => {
                results.add(&mark, submission)?;
                marks.push(mark);
            }
            Err(error) => {
                interrupted = Some(error);
                break;
            }
        }
    }
    front.step("index.html");
    let skeleton = |id: &str| {
        let lab = course.labs.iter().find(|lab| lab.id == id);
        lab.and_then(|lab| lab.owner.read_text(&lab.student()).ok()).unwrap_or_default()
    };
    let pairs = similar::pairs(&submissions, &skeleton);
    let page = page::index(&marks, &refused, pairs.len(), &context.style);
    write(&out.join("index.html"), page.as_bytes())?;
    let similar = page::similar(&submissions, &pairs, &skeleton, &context.style);
    write(&out.join("similar.html"), similar.as_bytes())?;
    write(&out.join("collect.csv"), page::table(&marks, &submissions, &pairs).as_bytes())?;
    match interrupted {
        Some(error) => Err(error),
        None => Ok(summed(context, out, &marks, &refused, pairs.len())),
    }
}

/// What marks one answer after the other.
struct Marker<'a> {
    context: &'a LabContext,
    how: Collecting,
    kit: Kit,
    sysroot: PathBuf,
    /// The checks of labs that isolab has none for.
    checks: BTreeMap<String, PathBuf>,
    _folder: tempfile::TempDir,
}

impl<'a> Marker<'a> {
    fn new(context: &'a LabContext, how: Collecting) -> Result<Self> {
        let folder = temporary_folder()?;
        // The compiler is another user where root calls.
        let mode = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), mode).map_err(Error::file("write", folder.path()))?;
        let kit = Kit::new(folder.path().join("kit"));
        let sysroot = context.course.toolchain.sysroot()?;
        Ok(Self { context, how, kit, sysroot, checks: BTreeMap::new(), _folder: folder })
    }

    /// What tells a verdict of this judge from those of others.
    fn judge_key(&self, lab: &Lab) -> String {
        let sources = self.context.built_in(lab).map_or(0, |it| it.sources);
        format!("{} {sources:016x}", env!("CARGO_PKG_VERSION"))
    }

    fn mark(
        &mut self,
        lab: &Lab,
        submission: &Submission,
        judge: &str,
        front: &mut dyn Front,
    ) -> Result<Mark> {
        let began = Instant::now();
        self.kit.add(&self.context.course, lab, front)?;
        let (report, fault) =
            match jail::compile((&self.kit, &self.sysroot), &lab.id, &submission.text, front)? {
                Compiled::Refused(error) => (Some(not_compiled(lab, &[clean(&error)])), None),
                Compiled::Program(program, _folder) => {
                    let (lab_id, deadline) = (lab.id.clone(), check_process::USUAL);
                    let judge = self.judge(lab, front)?;
                    let check = Check { lab: lab_id, judge, program, deadline };
                    let report = match self.how.nest {
                        true => nested::check(&check, &lab.owner, lab.counted, front.end()),
                        false => check.run(front.end()),
                    };
                    match report {
                        Ok(report) => (Some(report), None),
                        Err(Error::Interrupted) => return Err(Error::Interrupted),
                        // One answer that brings the check down holds up nobody else's.
                        Err(error) => (None, Some(error.message(self.context.style.language))),
                    }
                }
            };
        let saw = report.as_ref().and_then(|report| self.saw(lab, report)).or(fault);
        Ok(Mark {
            student: submission.student.clone(),
            lab: lab.id.clone(),
            name: lab.name.clone(),
            verdict: report.as_ref().map(|report| report.verdict),
            unjudged: report.as_ref().map(results::unjudged).unwrap_or_default(),
            id: report.and_then(|report| report.id),
            saw,
            seconds: began.elapsed().as_secs_f64(),
            judge: judge.to_owned(),
        })
    }

    fn judge(&mut self, lab: &Lab, front: &mut dyn Front) -> Result<Judge> {
        if self.context.built_in(lab).is_some() {
            return Ok(Judge::Isolab);
        }
        if !self.checks.contains_key(&lab.id) {
            let bins = vec![lab.bin("-check")];
            let targets = BuildTargets { packages: vec![&lab.name], bins, colours: false };
            let mut built = compile::build(&self.context.course, &targets, front)?;
            let check = built.programs.remove(&lab.bin("-check"));
            let broken = || Error::LabBroken { first: lab.bin("-check") };
            self.checks.insert(lab.id.clone(), check.ok_or_else(broken)?);
        }
        Ok(Judge::Checkout(self.checks[&lab.id].clone(), lab.owner.clone()))
    }

    /// The first sentence of the message.
    fn saw(&self, lab: &Lab, report: &Report) -> Option<String> {
        let messages = Messages::new(lab.catalogue().ok()?);
        let file = Path::new("student.rs");
        Some(verdict_text::sentences(report, &messages, file, &self.context.style)?.saw)
    }
}

fn summed(
    context: &LabContext,
    out: &Path,
    marks: &[Mark],
    refused: &[Refused],
    pairs: usize,
) -> Answer {
    let count = |verdict| marks.iter().filter(|mark| mark.verdict == verdict).count();
    let (passed, failed) = (count(Some(Verdict::Pass)), count(Some(Verdict::Fail)));
    let (open, broken) = (count(Some(Verdict::CannotTell)), count(None));
    let index = out.join("index.html");
    let style = &context.style;
    let (many, refusals) = (marks.len(), refused.len());
    let mut text = match style.either("en", "zh") {
        "en" => format!(
            "{many} answers: {passed} PASS, {failed} FAIL, {open} CANNOT TELL, {broken} not judged; \
             {refusals} files refused; {pairs} pairs alike\n{}\n",
            index.display()
        ),
        _ => format!(
            "{many} 份答案：通过 {passed}，未通过 {failed}，无法判断 {open}，没有判定 {broken}；\
             拒收 {refusals} 个文件；{pairs} 对相似\n{}\n",
            index.display()
        ),
    };
    for Refused { file, why } in refused.iter().take(MOST_LINES) {
        text += &format!("{} {}: {}\n", style.either("refused", "拒收"), clean(file), clean(why));
    }
    if refusals > MOST_LINES {
        let more = refusals - MOST_LINES;
        text += &match style.either("en", "zh") {
            "en" => format!("and {more} more\n"),
            _ => format!("以及另外 {more} 个\n"),
        };
    }
    let refused: Vec<_> =
        refused.iter().map(|it| json!({ "file": it.file, "why": it.why })).collect();
    let code = u8::from(!refused.is_empty());
    let json = json!({
        "answers": marks, "passed": passed, "failed": failed, "cannot_tell": open,
        "not_judged": broken, "alike": pairs, "refused": refused, "written": index,
    });
    Answer { text, json, code }
}
