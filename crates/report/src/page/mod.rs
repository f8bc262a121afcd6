//! The report as one page of HTML: no script, no network, light and dark.
//!
//! Result first, then the method, then what could make it wrong.

mod tables;

use std::fmt::Write;

use crate::{
    Comparison,
    chart::{Chart, STYLE},
    claims::claims,
    comparison::Question,
    format::date,
    html::escaped,
    published::published,
    words,
};

/// A question with its charts.
pub(crate) type Illustrated<'a> = (&'a Question<'a>, Vec<Chart>);

/// The whole page.
pub(crate) fn page(comparison: &Comparison, questions: &[Illustrated]) -> String {
    let mut page = String::with_capacity(400_000);
    head(&mut page, comparison);
    section(&mut page, "claims", "What the textbook says, and what was measured", |page| {
        tables::claims(page, &claims(comparison));
    });
    section(&mut page, "comparison", "The comparison", |page| {
        page.push_str(
            "<p class=\"legend\">Median, ± half of its 95 % interval, and how many times the \
             process’s value. <b>Bold</b>: a difference is shown. ≈: no difference shown. \
             –: not measured; …: measured in part; <a href=\"#gaps\">with the reasons</a>.</p>\n",
        );
        tables::comparison(page, comparison);
    });
    for (question, charts) in questions {
        section(&mut page, question.group.name, question.group.title, |page| {
            illustrated(page, comparison, question, charts);
        });
    }
    if !comparison.probes().is_empty() {
        section(&mut page, "isolation", "What can be seen from inside", |page| {
            tables::probes(page, comparison);
        });
    }
    section(
        &mut page,
        "five-questions",
        "Five questions, two answers each",
        tables::five_questions,
    );
    section(&mut page, "method", "How it was measured", |page| {
        list(page, words::METHOD.iter().copied());
    });
    section(&mut page, "doubts", "What could make it wrong", |page| {
        let reservations = words::reservations(comparison);
        list(page, reservations.iter().map(String::as_str));
    });
    let gaps = words::gaps(comparison);
    if !gaps.is_empty() {
        section(&mut page, "gaps", "What was not measured, and why", |page| {
            tables::gaps(page, &gaps);
        });
    }
    section(&mut page, "provenance", "Where the numbers come from", |page| {
        tables::provenance(page, comparison);
        page.push_str(
            "<p>All tables and charts are computed from the raw samples in \
             <a href=\"records.json\">records.json</a>. <code>isolab report</code> makes this page \
             from it again.</p>\n",
        );
    });
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, comparison: &Comparison) {
    let provenance = comparison.provenance;
    let fact = |name: &str| provenance.host.get(name).map(String::as_str);
    let mut parts = vec![date(provenance.began_unix_seconds)];
    parts.extend(fact("cpu").map(str::to_owned));
    parts.extend(fact("kernel").map(|kernel| format!("Linux {kernel}")));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n\
         <p class=\"place\">isolab · {}</p>\n<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n</header>\n",
        include_str!("page.css"),
        escaped(&parts.join(" · ")),
        escaped(&words::headline(comparison)),
        title = words::TITLE,
    )
    .ok();
}

/// What is known of one question: charts, method, and what others have published.
fn illustrated(page: &mut String, comparison: &Comparison, question: &Question, charts: &[Chart]) {
    writeln!(page, "<p class=\"question\">{}</p>", escaped(question.group.question)).ok();
    for chart in charts {
        write!(
            page,
            "<figure>\n<figcaption>{}</figcaption>\n<div class=\"wide\">{}</div>\n\
             <div class=\"narrow\">{}</div>\n</figure>\n",
            escaped(&chart.title),
            chart.wide,
            chart.narrow,
        )
        .ok();
    }
    writeln!(page, "<p class=\"note\">{}</p>", escaped(question.group.method)).ok();
    for (title, fact) in words::notes(comparison, question) {
        writeln!(page, "<p class=\"note\"><b>{}</b>: {}</p>", escaped(title), escaped(fact)).ok();
    }
    let mut caveats: Vec<(&str, &str)> = Vec::new();
    for row in &question.rows {
        for (column, cell) in row.cells.iter().enumerate() {
            let caveat = cell.measured().and_then(|measured| measured.caveat);
            // What holds for a whole column is said below the comparison.
            if caveat != comparison.common_caveat(column) {
                caveats.extend(caveat.map(|caveat| (row.title, caveat)));
            }
        }
    }
    for (title, caveat) in caveats {
        writeln!(
            page,
            "<p class=\"note caveat\"><b>{}</b>: {}</p>",
            escaped(title),
            escaped(caveat)
        )
        .ok();
    }
    let figures: Vec<_> = question
        .rows
        .iter()
        .flat_map(|row| published(row.metric).map(move |figure| (row.title, figure)))
        .collect();
    if !figures.is_empty() {
        writeln!(page, "<h3 id=\"published-{}\">Published by others</h3>", question.group.name)
            .ok();
        tables::published(page, &figures);
    }
}

fn section(page: &mut String, id: &str, title: &str, body: impl FnOnce(&mut String)) {
    write!(page, "<section id=\"{id}\">\n<h2>{}</h2>\n", escaped(title)).ok();
    body(page);
    page.push_str("</section>\n");
}

fn list<'a>(page: &mut String, items: impl Iterator<Item = &'a str>) {
    page.push_str("<ul>\n");
    for item in items {
        writeln!(page, "<li>{}</li>", escaped(item)).ok();
    }
    page.push_str("</ul>\n");
}
