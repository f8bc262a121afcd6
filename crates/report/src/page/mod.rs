//! The report as one page of HTML: no script, no network, light and dark.
//!
//! Result first: one picture, the claims, the numbers. All else is folded until somebody asks.

mod numbers;
mod tables;

use std::fmt::Write;

use crate::{
    Comparison,
    catalogue::GROUPS,
    chart::{Chart, STYLE},
    claims::claims,
    comparison::Question,
    doubts,
    format::date,
    html::escaped,
    method,
    published::{self, published},
    words,
};

/// A question with its charts.
pub(crate) type Illustrated<'a> = (&'a Question<'a>, Vec<Chart>);

/// What a page is made of besides the numbers.
#[derive(Debug, Default)]
pub(crate) struct Illustrations<'a> {
    /// The first picture.
    pub(crate) lesson: Option<&'a Chart>,
    /// The questions with their charts.
    pub(crate) questions: &'a [Illustrated<'a>],
    /// SHA-256 of the records that the page is made from, in hexadecimal digits.
    pub(crate) digest: &'a str,
}

/// The whole page.
pub(crate) fn page(comparison: &Comparison, illustrations: &Illustrations) -> String {
    let mut page = String::with_capacity(400_000);
    head(&mut page, comparison, illustrations.digest);
    if let Some(lesson) = illustrations.lesson {
        figure(&mut page, lesson);
    }
    section(&mut page, "claims", "What the textbook says, and what was measured", |page| {
        tables::claims(page, &claims(comparison));
    });
    section(&mut page, "comparison", "The comparison", |page| {
        page.push_str(
            "<p class=\"legend\">Median, ± half of its 95 % interval, and how many times the \
             process’s value. <b>Bold</b>: a difference is shown. ≈: no difference shown. \
             –: not measured; …: measured in part; <a href=\"#gaps\">with the reasons</a>.</p>\n",
        );
        numbers::comparison(page, comparison);
    });
    let peers = comparison.peer_rows();
    if !peers.is_empty() || !comparison.provenance.subjects.is_empty() {
        section(&mut page, "peers", "Peers, in the same rounds", |page| {
            numbers::peers(page, comparison, &peers);
        });
    }
    for (question, charts) in illustrations.questions {
        folded(&mut page, question.group.name, question.group.title, |page| {
            illustrated(page, comparison, question, charts);
        });
    }
    if !comparison.probes().is_empty() {
        folded(&mut page, "isolation", "What can be seen from inside", |page| {
            tables::probes(page, comparison);
            let figures: Vec<_> = comparison
                .probes()
                .into_iter()
                .flat_map(|name| {
                    let metric = format!("{}{name}", crate::metric::PROBE);
                    let found: Vec<_> = published(&metric).collect();
                    found.into_iter().map(move |figure| (name, figure))
                })
                .collect();
            beside(page, "isolation", &figures);
        });
    }
    folded(&mut page, "five-questions", "Five questions, two answers each", tables::five_questions);
    method_and_doubts(&mut page, comparison);
    let gaps = words::gaps(comparison);
    if !gaps.is_empty() {
        folded(&mut page, "gaps", "What was not measured, and why", |page| {
            tables::gaps(page, &gaps);
        });
    }
    not_asked(&mut page, comparison);
    folded(&mut page, "provenance", "Where the numbers come from", |page| {
        tables::provenance(page, comparison);
        page.push_str(
            "<p>All tables and charts are computed from the raw samples in \
             <a href=\"records.json\">records.json</a>. <code>isolab report</code> makes this page \
             from it again, and <code>isolab report verify</code> recomputes every figure of \
             it.</p>\n",
        );
    });
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, comparison: &Comparison, digest: &str) {
    let provenance = comparison.provenance;
    let fact = |name: &str| provenance.host.get(name).map(String::as_str);
    let mut parts = vec![date(provenance.began_unix_seconds)];
    parts.extend(fact("cpu").map(str::to_owned));
    parts.extend(fact("kernel").map(|kernel| format!("Linux {kernel}")));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"records-sha256\" content=\"{digest}\">\n<title>{title}</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n\
         <p class=\"place\">isolab · {}</p>\n<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n</header>\n",
        include_str!("page.css"),
        escaped(&parts.join(" · ")),
        escaped(&words::headline(comparison)),
        title = words::TITLE,
    )
    .ok();
    for warning in doubts::warnings(comparison) {
        writeln!(page, "<p class=\"warning\">{}</p>", escaped(&warning)).ok();
    }
}

fn figure(page: &mut String, chart: &Chart) {
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

/// What is known of one question: charts, method, and what others have published.
fn illustrated(page: &mut String, comparison: &Comparison, question: &Question, charts: &[Chart]) {
    writeln!(page, "<p class=\"question\">{}</p>", escaped(question.group.question)).ok();
    charts.iter().for_each(|chart| figure(page, chart));
    writeln!(page, "<p class=\"note\">{}</p>", escaped(&words::group_method(comparison, question)))
        .ok();
    for (title, fact) in words::notes(comparison, question) {
        writeln!(page, "<p class=\"note\"><b>{}</b>: {}</p>", escaped(title), escaped(fact)).ok();
    }
    let figures: Vec<_> = question
        .rows
        .iter()
        .flat_map(|row| published(row.metric).map(move |figure| (row.title, figure)))
        .collect();
    beside(page, question.group.name, &figures);
}

/// What others have published, beside the rows that it belongs to.
fn beside(page: &mut String, name: &str, figures: &[(&str, &published::PublishedFigure)]) {
    if !figures.is_empty() {
        writeln!(page, "<h3 id=\"published-{name}\">Published by others</h3>").ok();
        tables::published(page, figures);
    }
}

/// How it was measured and what could make that wrong, in both languages.
fn method_and_doubts(page: &mut String, comparison: &Comparison) {
    let (method, doubts) = (method::sentences(comparison), doubts::doubts(comparison));
    folded(page, "method", "How it was measured", |page| {
        list(page, method.iter().map(|sentence| sentence.en.as_str()));
    });
    folded(page, "doubts", "What could make it wrong", |page| {
        list(page, doubts.iter().map(|sentence| sentence.en.as_str()));
    });
    page.push_str("<div lang=\"zh\">\n");
    folded(page, "method-zh", "测量方法，以及可能出错之处", |page| {
        list(page, method.iter().map(|sentence| sentence.zh.as_str()));
        page.push_str("<h3>可能出错之处</h3>\n");
        list(page, doubts.iter().map(|sentence| sentence.zh.as_str()));
    });
    page.push_str("</div>\n");
}

/// What others have published of metrics that this run has no row for.
fn not_asked(page: &mut String, comparison: &Comparison) {
    let groups = GROUPS.iter().map(|(group, _)| group);
    let figures: Vec<_> = groups
        .flat_map(published::of_question)
        .filter(|figure| comparison.find(figure.relevance.metric).is_none())
        .map(|figure| {
            let known = crate::catalogue::find(figure.relevance.metric);
            (known.map_or("", |(_, metric)| metric.title), figure)
        })
        .collect();
    if !figures.is_empty() {
        folded(page, "published", "Published by others, of what was not measured here", |page| {
            tables::published(page, &figures);
        });
    }
}

fn section(page: &mut String, id: &str, title: &str, body: impl FnOnce(&mut String)) {
    write!(page, "<section id=\"{id}\">\n<h2>{}</h2>\n", escaped(title)).ok();
    body(page);
    page.push_str("</section>\n");
}

/// A section that is closed until somebody asks for it.
fn folded(page: &mut String, id: &str, title: &str, body: impl FnOnce(&mut String)) {
    write!(page, "<details id=\"{id}\">\n<summary><h2>{}</h2></summary>\n", escaped(title)).ok();
    body(page);
    page.push_str("</details>\n");
}

fn list<'a>(page: &mut String, items: impl Iterator<Item = &'a str>) {
    page.push_str("<ul>\n");
    for item in items {
        writeln!(page, "<li>{}</li>", escaped(item)).ok();
    }
    page.push_str("</ul>\n");
}
