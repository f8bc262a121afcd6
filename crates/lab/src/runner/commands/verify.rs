//! `isolab lab verify`: the truth table of the labs, for whoever writes one.
//!
//! ```text
//!   skeleton             not-written          solution, all processors busy   no fail
//!   solution             pass                 ... and after each row the host is as before
//!   every mutant         fail with its own id
//!   contract             whole: every sentence of the lab's text has its check and its mutant
//! ```

use serde_json::json;

use crate::catalogue::Language;
use crate::runner::{
    Answer, Front, LabContext, Result,
    build::compile::{self, BuildTargets, Built},
    contract::Contract,
    course::Lab,
    judging::{
        nested,
        staged::Staged,
        table::{self, Planned, Table},
        truth::{Expected, Mark, Outcome},
    },
    output::{
        text::{beside, clean, padded, shortened},
        verdict_text::{self, Messages},
    },
};

/// Judges the table and tells each row as it comes.
///
/// # Errors
///
/// When a lab is not there, and when nothing can be built.
pub fn verify(context: &LabContext, table: &Table, front: &mut dyn Front) -> Result<Answer> {
    let labs = chosen(context, table)?;
    let targets = BuildTargets {
        packages: labs.iter().map(|lab| lab.name.as_str()).collect(),
        bins: Vec::new(),
        colours: false,
    };
    let built = match labs.is_empty() {
        true => Built::default(),
        false => compile::build(&context.course, &targets, front)?,
    };
    if table.mutate {
        return super::mutate::mutate(context, &labs, &built, table.nest, front);
    }
    let planned: Vec<Planned> =
        labs.iter().flat_map(|lab| table::rows_of(context, lab, table, &built)).collect();
    front.say(&context.style.bold(&row(["lab", "program", "expected", "got", "s"])));
    // The text is the same wherever the programs are judged.
    let contracts = labs.iter().filter(|_| !table.nest).map(|lab| contract_outcome(lab));
    let mut outcomes: Vec<Outcome> = contracts.collect();
    for outcome in &outcomes {
        front.say(&outcome_lines(outcome, context));
    }
    outcomes.extend(match table.nest {
        true => in_the_nest(context, &labs, planned, front)?,
        false => out_here(context, &labs, planned, front)?,
    });
    Ok(summed(context, &outcomes))
}

fn chosen<'a>(context: &'a LabContext, table: &Table) -> Result<Vec<&'a Lab>> {
    let labs: Vec<&Lab> = match table.labs.as_slice() {
        [] => context
            .course
            .labs
            .iter()
            .map(|lab| context.course.lab(&lab.id))
            .collect::<Result<_>>()?,
        asked => asked.iter().map(|asked| context.course.lab(asked)).collect::<Result<_>>()?,
    };
    Ok(labs.into_iter().filter(|lab| !table.nest || lab.nest).collect())
}

/// Whether every sentence of the lab's text has its check and its proof.
fn contract_outcome(lab: &Lab) -> Outcome {
    let mut outcome = Outcome::without_run(&lab.id, "contract", "whole", "whole");
    outcome.why = match Contract::of(lab).and_then(|contract| contract.faults(lab)) {
        Ok(faults) => faults,
        Err(error) => vec![error.to_string()],
    };
    outcome.mark = Mark::Right;
    if !outcome.why.is_empty() {
        outcome.mark = Mark::Wrong;
        outcome.got = "gaps".to_owned();
    }
    outcome
}

fn out_here(
    context: &LabContext,
    labs: &[&Lab],
    planned: Vec<Planned>,
    front: &mut dyn Front,
) -> Result<Vec<Outcome>> {
    let rows = planned.iter().filter_map(|row| match row {
        Planned::Run(row) => Some(row),
        Planned::Settled(_) => None,
    });
    let mut programs = nested::programs(rows);
    let mut outcomes = Vec::new();
    for row in planned {
        let outcome = match row {
            Planned::Run(mut row) => {
                front.step(&format!("{} {}", row.lab, row.program));
                let staged = Staged::of(&row.binary, context.course.toolchain.owner())?;
                row.binary.clone_from(&staged.path);
                programs.insert(row.binary.clone());
                row.judge(&programs, front.end())?
            }
            Planned::Settled(outcome) => outcome,
        };
        let outcome = examined(context, labs, outcome);
        front.say(&outcome_lines(&outcome, context));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn in_the_nest(
    context: &LabContext,
    labs: &[&Lab],
    planned: Vec<Planned>,
    front: &mut dyn Front,
) -> Result<Vec<Outcome>> {
    let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
    for row in planned {
        match row {
            Planned::Run(row) => rows.push(row),
            Planned::Settled(outcome) => outcomes.push(outcome),
        }
    }
    if !rows.is_empty() {
        front.step("nest");
        outcomes.extend(nested::judge(&rows, context.course.toolchain.owner(), front.end())?);
    }
    let outcomes = outcomes.into_iter().map(|outcome| examined(context, labs, outcome));
    let outcomes: Vec<Outcome> = outcomes.collect();
    for outcome in &outcomes {
        front.say(&outcome_lines(outcome, context));
    }
    Ok(outcomes)
}

/// Adds what only the lab's messages can tell: whether the report has words, all of them filled.
fn examined(context: &LabContext, labs: &[&Lab], mut outcome: Outcome) -> Outcome {
    let (Some(report), Some(lab)) =
        (&outcome.report, labs.iter().find(|lab| lab.id == outcome.lab))
    else {
        return outcome;
    };
    let Some(id) = &report.id else { return outcome };
    let mut faults = Vec::new();
    match lab.catalogue().map(Messages::new) {
        Err(error) => faults.push(error.to_string()),
        Ok(messages) => {
            for language in [Language::En, Language::Zh] {
                let style = crate::runner::Style { language, ..context.style };
                match verdict_text::sentences(report, &messages, &lab.student(), &style) {
                    None => faults.push(format!("the catalogue has no message {id}")),
                    Some(text) => {
                        // Hints are not looked at: they may quote code with braces of its own.
                        let all = [&text.saw, &text.expected, &text.why, &text.next];
                        faults
                            .extend(all.into_iter().filter_map(|text| open_brace(text)).map(|name| {
                            format!(
                                "the message {id} uses {{{name}}}, which the check does not provide"
                            )
                        }));
                        if outcome.mark != Mark::Right && language == context.style.language {
                            outcome.why.push(text.saw);
                        }
                    }
                }
            }
        }
    }
    faults.dedup();
    if !faults.is_empty() {
        outcome.mark = Mark::Wrong;
        outcome.why.extend(faults);
    }
    outcome
}

/// A brace that no fact has filled.
fn open_brace(text: &str) -> Option<&str> {
    let names = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let mut names = names.filter(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    names.next()
}

fn row([lab, program, expected, got, seconds]: [&str; 5]) -> String {
    let cell = |text: &str, width: usize| padded(&shortened(text, width - 1), width);
    format!(
        "{}{}{}{}{seconds:>5}",
        cell(lab, 4),
        cell(program, 21),
        cell(expected, 21),
        cell(got, 21)
    )
}

fn outcome_lines(outcome: &Outcome, context: &LabContext) -> String {
    let style = &context.style;
    let seconds = format!("{:.1}", outcome.seconds);
    let cells = [outcome.lab.as_str(), &outcome.program, &outcome.expected, &outcome.got, &seconds];
    let mut line = row(cells.map(clean).each_ref().map(String::as_str));
    line += &match outcome.mark {
        Mark::Right => String::new(),
        Mark::Wrong => format!("  {}", style.red(style.either("WRONG", "不符"))),
        Mark::NotJudged => format!("  {}", style.yellow("?")),
    };
    for why in &outcome.why {
        line.push('\n');
        line += beside("", &format!("    {}", clean(why)), 4, style.width).trim_end();
    }
    line
}

fn summed(context: &LabContext, outcomes: &[Outcome]) -> Answer {
    let count = |mark| outcomes.iter().filter(|outcome| outcome.mark == mark).count();
    let (right, wrong, not_judged) =
        (count(Mark::Right), count(Mark::Wrong), count(Mark::NotJudged));
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|word| word == "labs");
    let fails: u32 = outcomes
        .iter()
        .filter(|outcome| outcome.expected == Expected::NoFail.word())
        .map(|outcome| outcome.fails)
        .sum();
    let text = match context.style.language {
        Language::En => format!(
            "\n{right} right, {wrong} wrong, {not_judged} not judged here; \
             false fails under load: {fails}\n"
        ),
        Language::Zh => format!(
            "\n相符 {right}，不符 {wrong}，此处无法判定 {not_judged}；满负荷下误判未通过：{fails}\n"
        ),
    };
    // The table is long, and only its end may be kept.
    let faults = outcomes.iter().filter(|outcome| outcome.mark == Mark::Wrong);
    let faults: String = faults.map(|outcome| outcome_lines(outcome, context) + "\n").collect();
    let text = if faults.is_empty() { text } else { format!("\n{faults}{text}") };
    let json = json!({
        "rows": outcomes, "right": right, "wrong": wrong, "not_judged": not_judged,
        "false_fails": fails,
    });
    let bad = wrong > 0 || (required && not_judged > 0);
    Answer { text, json, code: u8::from(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brace_without_a_fact_is_found() {
        assert_eq!(open_brace("process {pid} is"), Some("pid"));
        for text in ["fn main() {}", "{ 1 }", "a } b {", "{Name}"] {
            assert_eq!(open_brace(text), None, "{text}");
        }
    }

    #[test]
    fn a_row_fits_into_80_columns() {
        let long = "a word that is far too long for any column";
        assert!(row([long, long, long, long, "120.0"]).len() <= 80);
    }
}
