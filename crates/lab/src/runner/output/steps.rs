//! A step that is not written, in the reader's language: the `todo!` of a student's file is English.

use std::borrow::Cow;

use crate::{
    catalogue::{Catalogue, Language, StepText},
    verdict::Report,
};

/// The message of a program that stopped at a `todo!`.
const NOT_WRITTEN: &str = "not-written";

/// The step at which the program stopped, if the lab's catalogue has it: its number and its text.
pub(crate) fn stopped_at<'a>(
    report: &Report,
    catalogue: &'a Catalogue,
    language: Language,
) -> Option<(&'a str, &'a StepText)> {
    let todo = report.facts.get("todo").filter(|_| report.id.as_deref() == Some(NOT_WRITTEN))?;
    let (number, step) = catalogue.step(todo)?;
    Some((number, step.get(language)))
}

/// The report, with the step in the place of the `todo!`'s own words.
pub(crate) fn in_language<'a>(
    report: &'a Report,
    catalogue: &Catalogue,
    language: Language,
) -> Cow<'a, Report> {
    let Some((number, step)) = stopped_at(report, catalogue, language) else {
        return Cow::Borrowed(report);
    };
    let (lab, what) = (report.lab.trim_start_matches('0'), &step.what);
    let text = match language {
        Language::En => format!("lab {lab}, step {number}: {what}"),
        Language::Zh => format!("实验 {lab} 第 {number} 步：{what}"),
    };
    let mut report = report.clone();
    report.facts.insert("todo".to_owned(), text);
    Cow::Owned(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runner::progress, verdict::Verdict};

    #[test]
    fn a_step_is_told_in_the_readers_language_and_another_todo_as_it_is() {
        let text = "[steps.1.en]\nwhat = \"three flags\"\n[steps.1.zh]\nwhat = \"三个标志\"\n";
        let catalogue = Catalogue::of_lab(text).unwrap();
        let mut report = progress::report(Verdict::Fail, Some(NOT_WRITTEN));
        let todo = |report: &Report, language| {
            in_language(report, &catalogue, language).facts["todo"].clone()
        };
        report.facts.insert("todo".into(), "lab 8, step 1: three flags, joined".into());
        assert_eq!(todo(&report, Language::En), "lab 8, step 1: three flags");
        assert_eq!(todo(&report, Language::Zh), "实验 8 第 1 步：三个标志");
        report.facts.insert("todo".into(), "my own".into());
        assert_eq!(todo(&report, Language::Zh), "my own");
    }
}
