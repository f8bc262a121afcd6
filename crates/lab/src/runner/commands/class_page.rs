//! The class as one page of HTML: no script, no network, light and dark.

use std::{collections::BTreeMap, fmt::Write as _};

use report::html::escaped;

use super::{
    export::{Export, Exported},
    predict::short,
};
use crate::runner::{
    output::text::{Style, clean},
    progress::{State, clock},
};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #ccc; --good: #1a7f37; --some: #9a6700; --dim: #666; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --good: #3fb950; --some: #d29922; --dim: #999; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left; }
td.lab, th.lab { text-align: center; }
.passed { color: var(--good); font-weight: 600; }
.begun, .revealed { color: var(--some); }
.not-begun, footer { color: var(--dim); }
";

/// The whole page.
pub(crate) fn page(students: &[Export], refused: &[(String, String)], style: &Style) -> String {
    let mut page = head(style.either("The class's labs", "全班的实验"), "", style);
    let mut labs: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, lab) in students.iter().flat_map(|student| &student.labs) {
        labs.entry(id).or_insert(&lab.name);
    }
    by_student(&mut page, students, &labs, style);
    by_lab(&mut page, students, &labs, style);
    self::refused(&mut page, refused.iter().map(|(file, why)| (&**file, &**why)), style);
    page + &foot()
}

/// The beginning of a page, with rules of its own behind the usual ones.
pub(crate) fn head(title: &str, rules: &str, style: &Style) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}{rules}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        style.either("en", "zh")
    )
}

/// The end of a page.
pub(crate) fn foot() -> String {
    format!("<footer>{}</footer>\n</body>\n</html>\n", clock::now())
}

/// The files that were refused, and why.
pub(crate) fn refused<'a>(
    page: &mut String,
    files: impl Iterator<Item = (&'a str, &'a str)>,
    style: &Style,
) {
    let mut files = files.peekable();
    if files.peek().is_none() {
        return;
    }
    let _ = write!(page, "<h2>{}</h2>\n<ul>\n", style.either("Refused files", "拒收的文件"));
    for (file, why) in files {
        let _ = writeln!(page, "<li><code>{}</code>: {}</li>", safe(file), safe(why));
    }
    page.push_str("</ul>\n");
}

/// Text of others in a page.
pub(crate) fn safe(text: &str) -> String {
    escaped(&clean(text))
}

fn by_student(page: &mut String, students: &[Export], labs: &BTreeMap<&str, &str>, style: &Style) {
    let legend = style.either(
        "The number is the count of checks. ✓ passed, … begun, ! the solution was shown first.",
        "数字是检查次数。✓ 已通过，… 进行中，! 通过之前看过答案。",
    );
    let _ = write!(
        page,
        "<p>{legend}</p>\n<div class=\"wide\">\n<table>\n<tr><th>{}</th><th>{}</th>",
        style.either("student", "学生"),
        style.either("passed", "通过")
    );
    for (id, name) in labs {
        let _ = write!(page, "<th class=\"lab\" title=\"{}\">{}</th>", safe(name), safe(id));
    }
    page.push_str("</tr>\n");
    for student in students {
        let passed = student.labs.values().filter(|lab| lab.state == State::Passed).count();
        let _ = write!(page, "<tr><td>{}</td><td>{passed}</td>", safe(&student.student));
        for id in labs.keys() {
            page.push_str(&cell(student.labs.get(*id)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n</div>\n");
}

fn cell(lab: Option<&Exported>) -> String {
    let Some(lab) = lab.filter(|lab| lab.state != State::NotBegun) else {
        return "<td class=\"lab not-begun\">–</td>".to_owned();
    };
    let sign = if lab.state == State::Passed { "✓" } else { "…" };
    let shown = if lab.revealed.is_some() { "!" } else { "" };
    let guesses = lab.guesses.iter().map(|(name, guess)| {
        let measured = guess.measured.map_or("?".to_owned(), short);
        format!("{name}: {} / {measured}", short(guess.guess))
    });
    let about: Vec<String> = lab.passed.iter().cloned().chain(guesses).collect();
    format!(
        "<td class=\"lab {}\" title=\"{}\">{sign}{shown} {}</td>",
        lab.state.label().replace(' ', "-"),
        safe(&about.join("; ")),
        lab.attempts
    )
}

fn by_lab(page: &mut String, students: &[Export], labs: &BTreeMap<&str, &str>, style: &Style) {
    let heads = match style.either("en", "zh") {
        "en" => [
            "lab",
            "passed",
            "checks (median)",
            "most frequent message",
            "guessed / measured (medians)",
        ],
        _ => ["实验", "通过", "检查次数（中位数）", "最常见的提示", "猜测 / 实测（中位数）"],
    };
    let _ = write!(
        page,
        "<h2>{}</h2>\n<div class=\"wide\">\n<table>\n<tr>",
        style.either("Lab by lab", "逐个实验")
    );
    for head in heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>\n");
    for (id, name) in labs {
        let done: Vec<&Exported> =
            students.iter().filter_map(|student| student.labs.get(*id)).collect();
        let passed = done.iter().filter(|lab| lab.state == State::Passed);
        let attempts: Vec<f64> = passed.clone().map(|lab| f64::from(lab.attempts)).collect();
        let _ = writeln!(
            page,
            "<tr><td>{} {}</td><td>{} / {}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            safe(id),
            safe(name),
            attempts.len(),
            students.len(),
            median(&attempts),
            safe(&most_given(&done)),
            safe(&guesses(&done))
        );
    }
    page.push_str("</table>\n</div>\n");
}

fn median(numbers: &[f64]) -> String {
    report::median(numbers).map_or("–".to_owned(), short)
}

fn most_given(labs: &[&Exported]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, count) in labs.iter().flat_map(|lab| &lab.failures) {
        *counts.entry(id).or_default() += u64::from(*count);
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(String::new(), |(id, count)| format!("{id} ({count})"))
}

fn guesses(labs: &[&Exported]) -> String {
    let mut by_name: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for (name, guess) in labs.iter().flat_map(|lab| &lab.guesses) {
        let (guessed, measured) = by_name.entry(name).or_default();
        guessed.push(guess.guess);
        measured.extend(guess.measured);
    }
    let cells = by_name.into_iter().map(|(name, (guessed, measured))| {
        format!("{name}: {} / {}", median(&guessed), median(&measured))
    });
    cells.collect::<Vec<_>>().join("; ")
}
