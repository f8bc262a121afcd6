//! A verdict in words.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    phrases::{Phrases, without_gaps},
    text::{Style, beside, clean, columns},
};
use crate::runner::course::Lab;
use crate::{
    catalogue::{Catalogue, Language, LeftOpen, Message, Text, fill},
    verdict::{Report, Unjudged, Verdict},
};

/// How many of a program's own last lines are shown.
const LAST_LINES: usize = 10;

/// The messages of a lab and those that all labs share.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    own: Catalogue,
    common: Catalogue,
    phrases: Phrases,
}

impl Messages {
    pub(crate) fn new(own: Catalogue) -> Self {
        let common = Catalogue::common();
        let phrases = Phrases::new(&[&own.evidence, &common.evidence]);
        Self { own, common, phrases }
    }

    /// What the lab itself says.
    pub(crate) fn own(&self) -> &Catalogue {
        &self.own
    }

    /// The message with that id.
    pub(crate) fn get(&self, id: &str) -> Option<&Message> {
        self.own.messages.get(id).or_else(|| self.common.messages.get(id))
    }

    /// What the check wrote, a place or a fact, in the reader's language as far as there are phrases
    /// for it.
    pub(crate) fn translate(&self, text: &str, language: Language) -> String {
        match language {
            Language::En => text.to_owned(),
            Language::Zh => self.phrases.translate(text),
        }
    }
}

/// The four sentences of a report's message, with its facts in them.
pub(crate) fn sentences(
    report: &Report,
    messages: &Messages,
    file: &Path,
    style: &Style,
) -> Option<Text> {
    let text = messages.get(report.id.as_ref()?)?.get(style.language);
    let facts = facts(report, messages, file, style.language);
    let filled = |text: &String| {
        let text = clean(&fill(text, &facts));
        if style.language == Language::Zh { without_gaps(&text) } else { text }
    };
    Some(Text {
        saw: filled(&text.saw),
        expected: filled(&text.expected),
        why: filled(&text.why),
        next: filled(&text.next),
        hints: text.hints.iter().map(filled).collect(),
    })
}

/// What goes into braces: the check's own facts, and what every message may name.
pub(crate) fn facts(
    report: &Report,
    messages: &Messages,
    file: &Path,
    language: Language,
) -> BTreeMap<String, String> {
    let fact =
        |(name, value): (&String, &String)| (name.clone(), messages.translate(value, language));
    let mut facts: BTreeMap<String, String> = report.facts.iter().map(fact).collect();
    // A check's own `file` is the one that it speaks of.
    facts.entry("file".to_owned()).or_insert_with(|| file.display().to_string());
    facts.entry("lab".to_owned()).or_insert_with(|| report.lab.clone());
    facts
}

/// `Lab 08  A name of its own          FAIL  L08-no-fork`, the end at the right margin.
pub(crate) fn head(lab: &Lab, report: &Report, style: &Style) -> String {
    let title = lab.about(style.language).map_or(lab.name.clone(), |about| about.title);
    let title = format!("{} {}  {}", style.either("Lab", "实验"), lab.id, clean(&title));
    let id = report.id.as_deref().map(|id| format!("  {}", clean(id))).unwrap_or_default();
    let verdict = match report.verdict {
        Verdict::Pass => style.either("PASS", "通过"),
        Verdict::Fail => style.either("FAIL", "未通过"),
        Verdict::CannotTell => style.either("CANNOT TELL", "无法判断"),
    };
    let taken = columns(&title) + columns(verdict) + columns(&id);
    let room = style.width.saturating_sub(1 + taken);
    let space = " ".repeat(room.max(2));
    let verdict = match report.verdict {
        Verdict::Pass => style.green(verdict),
        Verdict::Fail => style.red(verdict),
        Verdict::CannotTell => style.yellow(verdict),
    };
    format!("{}{space}{verdict}{id}\n", style.bold(&title))
}

/// Saw, expected, why, next, and the program's own last words.
pub(crate) fn body(report: &Report, text: Option<&Text>, style: &Style) -> String {
    let mut said = String::new();
    let labels = match style.either("en", "zh") {
        "en" => ["saw", "expected", "why", "next"],
        _ => ["看到", "应为", "原因", "下一步"],
    };
    match text {
        Some(text) => {
            let texts = [&text.saw, &text.expected, &text.why, &text.next];
            for (label, text) in labels.into_iter().zip(texts) {
                said += &beside(&format!("  {label}"), text, 12, style.width);
            }
        }
        // A report without words is still shown, with all that it knows.
        None => {
            for (name, value) in &report.facts {
                said += &beside(&format!("  {}", clean(name)), &clean(value), 12, style.width);
            }
        }
    }
    let lines = &report.output[report.output.len().saturating_sub(LAST_LINES)..];
    if report.verdict != Verdict::Pass && !lines.is_empty() {
        said += &format!("\n  {}\n", style.either("the program's last output", "程序最后的输出"));
        for line in lines {
            let line =
                crate::runner::output::text::shortened(&clean(line), style.width.saturating_sub(4));
            said += &format!("  {} {line}\n", style.dim("|"));
        }
    }
    said
}

/// What a pass leaves open, because this host cannot show it: empty if it speaks of everything.
pub(crate) fn left_open(report: &Report, messages: &Messages, style: &Style) -> String {
    let mut said = String::new();
    for Unjudged { name, because } in &report.unjudged {
        let text = match messages.own().unjudged.get(name) {
            Some(text) => {
                let LeftOpen { what, why } = text.get(style.language);
                let because = messages.translate(because, style.language);
                let because = BTreeMap::from([("because".to_owned(), because)]);
                let colon = style.either(": ", "：");
                clean(&fill(&format!("{what}{colon}{why}"), &because))
            }
            // Without words it is still told.
            None => clean(&format!("{name}: {because}")),
        };
        let label = format!("  {}", style.either("not judged", "未判断"));
        said += &beside(&label, &text, 14, style.width);
    }
    said
}

/// The same for programs.
pub(crate) fn json(lab: &Lab, report: &Report, text: Option<&Text>) -> Value {
    let mut value = serde_json::to_value(report).expect("a report has only plain values");
    value["name"] = json!(lab.name);
    value["message"] = match text {
        Some(text) => json!({
            "saw": text.saw, "expected": text.expected, "why": text.why, "next": text.next,
        }),
        None => Value::Null,
    };
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::progress;

    #[test]
    fn a_hostile_program_cannot_write_on_the_terminal() {
        let mut report = progress::report(Verdict::Fail, Some("not-written"));
        report.facts.insert("todo".into(), "lab 8, step 1\x1b[2J".into());
        report.output = vec!["\x1b]0;PASS\x07".into(); 30];
        for language in [Language::En, Language::Zh] {
            let style = Style { language, width: 80, colours: false };
            let messages = Messages::new(Catalogue::common());
            let text = sentences(&report, &messages, Path::new("student.rs"), &style).unwrap();
            let said = body(&report, Some(&text), &style);
            assert!(!said.contains('\x1b') && said.contains("lab 8, step 1"), "{said}");
            assert!(said.contains("student.rs"), "{said}");
            assert_eq!(said.matches("| ").count(), LAST_LINES, "{said}");
        }
    }

    #[test]
    fn what_a_host_cannot_show_is_told_with_its_reason() {
        let mut own = Catalogue::common();
        own.unjudged = toml::from_str(
            "[realtime]\nen = { what = \"the turns\", why = \"refused ({because})\" }\n\
             zh = { what = \"轮流\", why = \"被拒绝（{because}）\" }",
        )
        .unwrap();
        let mut report = progress::report(Verdict::Pass, None);
        for name in ["realtime", "new"] {
            report.unjudged.push(Unjudged { name: name.into(), because: "EPERM\x1b[2J".into() });
        }
        let said = |language| {
            let style = Style { language, width: 80, colours: false };
            left_open(&report, &Messages::new(own.clone()), &style)
        };
        let english = said(Language::En);
        assert!(english.contains("the turns: refused (EPERM"), "{english}");
        assert!(english.contains("new: EPERM") && !english.contains('\x1b'), "{english}");
        assert!(said(Language::Zh).contains("轮流：被拒绝"));
    }

    #[test]
    fn a_checks_own_file_is_not_taken_for_the_students() {
        let mut report = progress::report(Verdict::Fail, None);
        let messages = Messages::new(Catalogue::common());
        let named = |report: &Report| {
            facts(report, &messages, Path::new("student.rs"), Language::En)["file"].clone()
        };
        assert_eq!(named(&report), "student.rs");
        report.facts.insert("file".into(), "/proc/mounts".into());
        assert_eq!(named(&report), "/proc/mounts");
    }

    #[test]
    fn a_report_without_words_shows_its_facts() {
        let report = progress::report(Verdict::Fail, Some("L08-new"));
        let style = Style { language: Language::En, width: 80, colours: false };
        assert_eq!(body(&report, None, &style), "  pid       4711\n");
    }
}
