//! `isolab lab check`: build as the checkout's owner, run the check, say what it saw.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::json;

use super::{notes, predict};
use crate::runner::{
    Answer, Error, Front, LabContext, Result,
    build::{
        compile::{self, BuildTargets, Built, Diagnostic},
        prebuilt,
    },
    course::{Lab, skeleton, work},
    judging::{
        check_process::{self, Check, Judge},
        nested,
        staged::Staged,
    },
    output::{
        steps,
        text::{Style, beside, clean},
        verdict_text::{self, Messages},
    },
    progress::Record,
};
use crate::verdict::{Evidence, Report, Verdict};

/// How a lab is to be checked.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether the student is asked for guesses.
    pub ask: bool,
    /// Guesses, `NAME=NUMBER` each.
    pub predict: Vec<String>,
    /// Whether the check runs in the nest.
    pub nest: bool,
}

/// What came of building the student's program.
pub(crate) enum BuildOutcome {
    /// The student's program, and who judges it.
    Program(PathBuf, Judge),
    /// The student's program does not compile.
    CompileErrors(Vec<Diagnostic>),
}

/// Checks the lab.
///
/// # Errors
///
/// When no verdict can be had, for reasons that are not the student's.
pub fn check(
    context: &LabContext,
    lab: &Lab,
    options: &Options,
    front: &mut dyn Front,
) -> Result<Answer> {
    let messages = Messages::new(lab.catalogue()?);
    begin(context, lab, &messages, options, front)?;
    let file_note = notes::judged_file(context, lab);
    let (report, errors) = match programs(context, lab, front)? {
        BuildOutcome::CompileErrors(errors) => {
            let lines: Vec<String> = errors.iter().map(|error| error.short.clone()).collect();
            (not_compiled(lab, &lines), errors)
        }
        BuildOutcome::Program(program, judge) => {
            let deadline = check_process::USUAL;
            let check = Check { lab: lab.id.clone(), judge, program, deadline };
            let report = match options.nest {
                true => nested::check(&check, &lab.owner, lab.counted, front.end())?,
                false => {
                    let staged = Staged::of(&check.program, &lab.owner)?;
                    Check { program: staged.path.clone(), ..check }.run(front.end())?
                }
            };
            (report, Vec::new())
        }
    };
    let record = context.book.change(|progress| {
        let record = progress.begin(&lab.id, &lab.name);
        record.take(&report);
        record.clone()
    });
    // A verdict is worth telling even where it cannot be written down.
    let (record, unwritten) = match record {
        Ok(record) => (record, None),
        Err(error) => (Record::default(), Some(error)),
    };
    let mut answer = verdict_answer(context, lab, &report, &messages, &record);
    let rendered: String = errors.iter().map(|error| error.rendered.clone() + "\n").collect();
    answer.text.insert_str(0, &rendered);
    if !errors.is_empty() {
        answer.json["errors"] = errors.iter().map(|error| error.short.clone()).collect();
    }
    answer.json["file"] = json!(lab.judged_file());
    if let Some(note) = file_note {
        answer.text += &format!("\n{}", beside("", &note, 0, context.style.width));
        answer.json["file_note"] = json!(note);
    }
    if let Some(note) = notes::judged_by(context, lab) {
        answer.text += &format!("\n{}", beside("", &note, 0, context.style.width));
        answer.json["judge"] = json!(note);
    }
    if let Some(error) = unwritten {
        answer.text += &format!("\n{}\n", error.message(context.style.language));
        answer.json["unwritten"] = json!(error.to_string());
    }
    Ok(answer)
}

/// Writes down that the lab was begun, and what the student guesses.
fn begin(
    context: &LabContext,
    lab: &Lab,
    messages: &Messages,
    options: &Options,
    front: &mut dyn Front,
) -> Result<()> {
    let mut guesses = predict::given(messages.own(), &options.predict)?;
    skeleton::keep(&context.book, &context.course, lab)?;
    if options.ask {
        let mut known = context.progress()?.of(&lab.id).guesses;
        known.extend(guesses.clone());
        for (name, prediction) in predict::open(messages.own(), &known, context.style.language) {
            if let Some(guess) = front.ask(&prediction.question, &prediction.unit) {
                guesses.insert(name.to_owned(), predict::guess(guess));
            }
        }
    }
    context.book.change(|progress| {
        progress.begin(&lab.id, &lab.name).guesses.extend(guesses);
    })?;
    match check_process::is_readable_within(front.end(), Duration::ZERO) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}

/// Builds the student's program, and the check where this isolab has none for the lab.
pub(crate) fn programs(
    context: &LabContext,
    lab: &Lab,
    front: &mut dyn Front,
) -> Result<BuildOutcome> {
    let [student, check] = [lab.bin(""), lab.bin("-check")];
    let is_built_in = context.built_in(lab).is_some();
    let colours = context.style.colours;
    let course = &context.course;
    let mut built = Built::default();
    let mut bins = Vec::new();
    if lab.has_work() {
        let workspace = work::furnish(course, lab)?;
        built = match prebuilt::build(course, lab, colours, front)? {
            Some(built) => built,
            None => {
                let package = lab.work_package();
                let bins = vec![student.clone()];
                let targets = BuildTargets { packages: vec![&package], bins, colours };
                compile::build_in(course, &workspace, &targets, front)?
            }
        };
    } else {
        bins.push(student.clone());
    }
    if !is_built_in {
        bins.push(check.clone());
    }
    if !bins.is_empty() && built.errors.is_empty() {
        let targets = BuildTargets { packages: vec![&lab.name], bins, colours };
        let others = compile::build(course, &targets, front)?;
        built.programs.extend(others.programs);
        built.errors.extend(others.errors);
    }
    if let Some(errors) = built.errors.remove(&student) {
        return Ok(BuildOutcome::CompileErrors(errors));
    }
    if let Some(error) = built.errors.values().flatten().next() {
        return Err(Error::LabBroken { first: error.short.clone() });
    }
    match (built.programs.remove(&student), built.programs.remove(&check)) {
        (Some(student), _) if is_built_in => Ok(BuildOutcome::Program(student, Judge::Isolab)),
        (Some(student), Some(check)) => {
            Ok(BuildOutcome::Program(student, Judge::Checkout(check, lab.owner.clone())))
        }
        _ => Err(Error::Cargo { said: format!("{student} and {check} were not built") }),
    }
}

/// The verdict on a program that does not compile, from the compiler's errors in a line each.
pub(crate) fn not_compiled(lab: &Lab, errors: &[String]) -> Report {
    let evidence = |says: &String| Evidence { place: "rustc".to_owned(), says: says.clone() };
    Report {
        lab: lab.id.clone(),
        verdict: Verdict::Fail,
        id: Some("not-compiled".to_owned()),
        facts: BTreeMap::from([("error".to_owned(), errors.first().cloned().unwrap_or_default())]),
        evidence: errors.iter().map(evidence).collect(),
        measured: BTreeMap::new(),
        output: Vec::new(),
        unjudged: Vec::new(),
    }
}

/// The verdict with all that is said around it.
pub(crate) fn verdict_answer(
    context: &LabContext,
    lab: &Lab,
    report: &Report,
    messages: &Messages,
    record: &Record,
) -> Answer {
    let style = &context.style;
    let shown = steps::in_language(report, messages.own(), style.language);
    let sentences =
        verdict_text::sentences(&shown, messages, &context.as_typed(&lab.judged_file()), style);
    let mut text = verdict_text::head(lab, report, style);
    if report.verdict != Verdict::Pass {
        text.push('\n');
        text += &verdict_text::body(report, sentences.as_ref(), style);
    }
    if report.verdict == Verdict::Pass {
        text += &verdict_text::left_open(report, messages, style);
    }
    let table = predict::table(messages.own(), &record.guesses, &report.measured, style);
    if !table.is_empty() {
        text = text + "\n" + &clean_lines(&table);
    }
    let passed = report.verdict == Verdict::Pass;
    let progress = context.progress().ok().filter(|_| passed).unwrap_or_default();
    let mut open = if passed { context.course.open(&progress) } else { Vec::new() };
    // It has passed now, even where that cannot be written down.
    open.retain(|other| other.id != lab.id);
    text.push('\n');
    text += &match report.verdict {
        Verdict::Fail => {
            pointers(lab, style.either("hint", "提示"), style.either("evidence", "证据"))
        }
        Verdict::CannotTell => beside("", &format!("isolab lab why {}", lab.id), 0, style.width),
        Verdict::Pass => next_labs(&open, style),
    };
    let mut json = verdict_text::json(lab, report, sentences.as_ref());
    json["guesses"] = json!(record.guesses);
    json["next_lab"] = json!(open.first().map(|next| &next.id));
    json["open"] = open.iter().map(|lab| lab.id.as_str()).collect();
    Answer { text, json, code: report.verdict.code() }
}

/// The first lab that has not passed, and the numbers of the others.
fn next_labs(open: &[&Lab], style: &Style) -> String {
    let Some((next, others)) = open.split_first() else {
        return style
            .either("That was the last one: all labs have passed.\n", "全部实验都已通过。\n")
            .to_owned();
    };
    let title = next.about(style.language).map_or(next.name.clone(), |about| about.title);
    let label = style.either("next:", "下一个：");
    let mut text = format!("{label} isolab lab start {}  {}\n", next.id, clean(&title));
    if !others.is_empty() {
        let ids: Vec<&str> = others.iter().map(|lab| lab.id.as_str()).collect();
        let label = style.either("also open:", "还没通过的：");
        text += &beside("", &format!("{label} {}", ids.join(" ")), 0, style.width);
    }
    text
}

fn pointers(lab: &Lab, hint: &str, evidence: &str) -> String {
    format!("{hint}: isolab lab hint {id}   {evidence}: isolab lab why {id}\n", id = lab.id)
}

fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}
