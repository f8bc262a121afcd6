//! `isolab lab hint` and `isolab lab why`: what helps after a verdict.

use std::collections::BTreeMap;

use serde_json::json;

use super::predict::{short, with_unit};
use crate::runner::{
    Answer, LabContext, Result, Style,
    course::Lab,
    output::{
        steps,
        text::{beside, clean},
        verdict_text::{self, Messages},
    },
    progress::{Record, State},
};
use crate::{
    catalogue::fill,
    verdict::{Evidence, Report},
};

/// One more hint on the last failure at each call; all of them once the lab has passed.
///
/// # Errors
///
/// When the lab's messages are damaged, and when the progress cannot be written.
pub fn hint(context: &LabContext, lab: &Lab) -> Result<Answer> {
    let messages = Messages::new(lab.catalogue()?);
    let record = context.progress()?.of(&lab.id);
    if record.state() == State::Passed {
        let ids = record.failures.keys().map(String::as_str);
        return Ok(hints_answer(context, lab, &messages, &record, ids, usize::MAX));
    }
    let Some(id) = record.last_failure.clone() else {
        let text = match context.style.either("en", "zh") {
            "en" => format!("nothing has failed yet: isolab lab check {}\n", lab.id),
            _ => format!("还没有失败过：isolab lab check {}\n", lab.id),
        };
        return Ok(Answer { text, json: json!({ "lab": lab.id, "hints": [] }), code: 0 });
    };
    let all = hints_of(&id, lab, &messages, &record, context).len();
    // Each step has hints of its own.
    let step = record.report.as_ref().filter(|report| report.id.as_ref() == Some(&id));
    let step = step
        .and_then(|report| steps::stopped_at(report, messages.own(), context.style.language))
        .map_or(id.clone(), |(number, _)| format!("{id} {number}"));
    let shown = context.book.change(|progress| {
        let shown = progress.begin(&lab.id, &lab.name).hints.entry(step).or_default();
        *shown = (*shown + 1).min(all);
        *shown
    })?;
    Ok(hints_answer(context, lab, &messages, &record, [id.as_str()].into_iter(), shown))
}

fn hints_answer<'a>(
    context: &LabContext,
    lab: &Lab,
    messages: &Messages,
    record: &Record,
    ids: impl Iterator<Item = &'a str>,
    shown: usize,
) -> Answer {
    let style = &context.style;
    let (mut text, mut json) = (String::new(), Vec::new());
    for id in ids {
        let hints = hints_of(id, lab, messages, record, context);
        text +=
            &format!("{} {}  {}\n", style.either("Lab", "实验"), lab.id, style.bold(&clean(id)));
        if hints.is_empty() {
            text += style.either("  no hints for this message\n", "  这一条没有提示\n");
        }
        for (number, hint) in hints.iter().enumerate().take(shown) {
            let label = format!("  {}/{}", number + 1, hints.len());
            text += &beside(&label, hint, 7, style.width);
            json.push(json!({ "id": id, "step": number + 1, "of": hints.len(), "hint": hint }));
        }
    }
    if text.is_empty() {
        text = style.either("nothing has failed in this lab\n", "这里从来没有失败过\n").to_owned();
    }
    Answer { text, json: json!({ "lab": lab.id, "hints": json }), code: 0 }
}

/// The hints for a message, those of the step where the program stopped at one.
fn hints_of(
    id: &str,
    lab: &Lab,
    messages: &Messages,
    record: &Record,
    context: &LabContext,
) -> Vec<String> {
    let (language, file) = (context.style.language, context.as_typed(&lab.judged_file()));
    let report = record.report.as_ref().filter(|report| report.id.as_deref() == Some(id));
    let facts = match report {
        Some(report) => verdict_text::facts(report, messages, &file, language),
        None => BTreeMap::from([
            ("file".to_owned(), file.display().to_string()),
            ("lab".to_owned(), lab.id.clone()),
        ]),
    };
    let step = report.and_then(|report| steps::stopped_at(report, messages.own(), language));
    let of_step = step.map(|(_, step)| &step.hints).filter(|hints| !hints.is_empty());
    let hints = of_step.or_else(|| Some(&messages.get(id)?.get(language).hints));
    hints.into_iter().flatten().map(|hint| clean(&fill(hint, &facts))).collect()
}

/// What the kernel said in the last check.
///
/// # Errors
///
/// When the lab's messages are damaged, and when the progress cannot be read.
pub fn why(context: &LabContext, lab: &Lab) -> Result<Answer> {
    let style = &context.style;
    let messages = Messages::new(lab.catalogue()?);
    let Some(report) = context.progress()?.of(&lab.id).report else {
        let text = match style.either("en", "zh") {
            "en" => format!("not checked yet: isolab lab check {}\n", lab.id),
            _ => format!("还没有检查过：isolab lab check {}\n", lab.id),
        };
        return Ok(Answer { text, json: json!({ "lab": lab.id, "evidence": [] }), code: 0 });
    };
    let mut text = verdict_text::head(lab, &report, style) + "\n";
    text += &evidence(&report, &messages, style);
    if report.evidence.is_empty() {
        text += style.either("  no kernel state recorded yet\n", "  还没有看到任何内核状态\n");
    }
    for (name, value) in &report.measured {
        let asked = messages.own().predict.iter().find(|(asked, _)| asked == name);
        let value = match asked {
            Some((_, both)) => with_unit(*value, &both.get(style.language).unit),
            None => short(*value),
        };
        text += &format!("  {} = {}\n", clean(name), clean(&value));
    }
    let man = report.id.as_ref().and_then(|id| messages.get(id)).map(|message| &message.man);
    if let Some(man) = man {
        text += &format!("\n{}: {}\n", style.either("read", "参阅"), pointer(man));
    }
    let mut json = verdict_text::json(lab, &report, None);
    json["man"] = json!(man);
    Ok(Answer { text, json, code: 0 })
}

/// Where the check looked, and what was there.
fn evidence(report: &Report, messages: &Messages, style: &Style) -> String {
    let mut text = String::new();
    for Evidence { place, says } in &report.evidence {
        let place = messages.translate(place, style.language);
        text += &format!("  {}\n", style.bold(&clean(&place)));
        for line in messages.translate(says, style.language).lines() {
            text += &format!("    {}\n", clean(line));
        }
    }
    text
}

/// `pid_namespaces(7)` as what is typed to read it.
fn pointer(man: &str) -> String {
    let page = man.strip_suffix(')').and_then(|man| man.split_once('('));
    match page {
        Some((name, section)) if section.len() == 1 && !name.contains(' ') => {
            format!("man {section} {name}")
        }
        _ => man.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::{Catalogue, Language},
        runner::progress,
        verdict::Verdict,
    };

    #[test]
    fn evidence_is_in_the_readers_language_and_a_terminal_finds_nothing_to_obey() {
        let mut own = Catalogue::common();
        own.evidence = [("{} says: {}".into(), "{} 说：{}".into())].into();
        let messages = Messages::new(own);
        let mut report = progress::report(Verdict::Fail, None);
        let (place, says) = ("it says: \x1b[2J".into(), "yes".into());
        report.evidence.push(Evidence { place, says });
        let text =
            |language| evidence(&report, &messages, &Style { language, width: 80, colours: false });
        assert_eq!(text(Language::En), "  it says: \\u{1b}[2J\n    yes\n");
        assert_eq!(text(Language::Zh), "  it 说：\\u{1b}[2J\n    是\n");
    }

    #[test]
    fn a_man_page_is_told_as_it_is_typed() {
        assert_eq!(pointer("pid_namespaces(7)"), "man 7 pid_namespaces");
        assert_eq!(pointer("Intel SDM 3A 4.5"), "Intel SDM 3A 4.5");
    }
}
