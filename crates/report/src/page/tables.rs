//! The tables of the page.

use std::{borrow::Cow, fmt::Write};

use crate::{
    Comparison, Verdict,
    chart::class_of,
    claims::{Claim, Conclusion},
    comparison::Row,
    format::{human, spread, times},
    html::escaped,
    published::PublishedFigure,
    words,
};

/// Claim, measured value, verdict.
pub(super) fn claims(page: &mut String, claims: &[Claim]) {
    page.push_str(
        "<table class=\"claims stacked\">\n<thead><tr><th scope=\"col\">About</th>\
         <th scope=\"col\">The textbook</th><th scope=\"col\">Measured here</th>\
         <th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n",
    );
    for claim in claims {
        let class = match claim.concluded() {
            Some(Conclusion::Holds) => "holds",
            Some(Conclusion::InDirection) => "direction",
            Some(Conclusion::NotWhatWeMeasured) => "not",
            None => "unknown",
        };
        write!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-label=\"The textbook\">{}</td>\
             <td data-label=\"Measured here\">{}",
            escaped(claim.subject),
            escaped(claim.claim),
            escaped(&claim.basis()),
        )
        .ok();
        if !claim.note.is_empty() {
            write!(page, "<small>{}</small>", escaped(claim.note)).ok();
        }
        writeln!(
            page,
            "</td><td data-label=\"Verdict\"><span class=\"verdict {class}\">{}</span></td></tr>",
            claim.verdict()
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

/// All rows in all sandboxes.
pub(super) fn comparison(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"numbers\">\n<thead><tr><th></th>",
    );
    for (column, sandbox) in comparison.sandboxes.iter().enumerate() {
        // The base has no ratio to itself.
        let span = if column == 0 { 1 } else { 2 };
        let (class, name) = (class_of(column), escaped(sandbox));
        let mark = if comparison.common_caveat(column).is_some() { " *" } else { "" };
        write!(
            page,
            "<th scope=\"col\" colspan=\"{span}\"><i class=\"key {class}\"></i>{name}{mark}</th>",
        )
        .ok();
    }
    page.push_str("</tr></thead>\n");
    let columns = comparison.sandboxes.len() * 2;
    for question in &comparison.questions {
        write!(
            page,
            "<tbody>\n<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{columns}\">\
             <a href=\"#{}\">{}</a></th></tr>\n",
            question.group.name,
            escaped(question.group.title)
        )
        .ok();
        for row in &question.rows {
            numbers(page, comparison, row);
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("</table>\n</div>\n");
    for (column, sandbox) in comparison.sandboxes.iter().enumerate() {
        if let Some(caveat) = comparison.common_caveat(column) {
            let (sandbox, caveat) = (escaped(sandbox), escaped(caveat));
            writeln!(page, "<p class=\"note caveat\">* {sandbox}: {caveat}.</p>").ok();
        }
    }
}

fn numbers(page: &mut String, comparison: &Comparison, row: &Row) {
    write!(
        page,
        "<tr><th scope=\"row\" title=\"{}\">{}</th>",
        escaped(row.explanation),
        escaped(row.title)
    )
    .ok();
    for (column, cell) in row.cells.iter().enumerate() {
        let why_not = cell.why_not();
        let Some(measured) = cell.measured() else {
            let why = why_not.map_or_else(String::new, |(why, _)| escaped(&why));
            write!(page, "<td class=\"none\" title=\"{why}\">–</td>").ok();
            page.push_str(if column > 0 { "<td></td>" } else { "" });
            continue;
        };
        let value = row.unit.map_or(String::new(), |unit| human(measured.median, unit));
        let spread = measured.interval.map_or(String::new(), |i| spread(measured.median, i));
        let spread = escaped(&spread);
        let mark = match measured.caveat {
            caveat if caveat == comparison.common_caveat(column) => String::new(),
            Some(caveat) => format!("<abbr title=\"{}\">*</abbr>", escaped(caveat)),
            None => String::new(),
        };
        let in_part = why_not.map_or_else(String::new, |(why, _)| {
            format!("<abbr title=\"{}\">…</abbr>", escaped(&why))
        });
        write!(page, "<td>{value}{mark}{in_part}<span class=\"pm\">{spread}</span></td>").ok();
        if column == 0 {
            continue;
        }
        let ratio = match measured.against_base {
            None => String::new(),
            Some((_, Verdict::NoDifferenceShown)) => {
                "<abbr title=\"no difference shown\">≈</abbr>".to_owned()
            }
            Some((_, Verdict::TooFewSamples(ratio))) => escaped(&times(ratio)),
            Some((_, Verdict::Less(ratio) | Verdict::More(ratio))) => {
                format!("<b>{}</b>", escaped(&times(ratio)))
            }
        };
        write!(page, "<td class=\"ratio\">{ratio}</td>").ok();
    }
    page.push_str("</tr>\n");
}

/// What others have published.
pub(super) fn published(page: &mut String, figures: &[(&str, &PublishedFigure)]) {
    page.push_str(
        "<table class=\"published stacked\">\n<thead><tr><th scope=\"col\">Beside</th>\
         <th scope=\"col\">System</th><th scope=\"col\">Value</th>\
         <th scope=\"col\">Conditions and source</th></tr></thead>\n<tbody>\n",
    );
    for (title, figure) in figures {
        writeln!(
            page,
            "<tr><td data-label=\"Beside\">{}</td><th scope=\"row\">{}</th>\
             <td data-label=\"Value\" class=\"value\">{}</td>\
             <td data-label=\"Source\">{}<small>{}</small></td></tr>",
            escaped(title),
            escaped(&figure.system),
            escaped(&figure.value),
            escaped(&figure.conditions),
            escaped(&figure.source)
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What can be seen from inside: a row a probe, a column a sandbox.
pub(super) fn probes(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<p class=\"legend\"><span class=\"exposed\">●</span> the host shows through; \
         <span class=\"hidden\">○</span> it does not; – not determined.</p>\n\
         <table class=\"probes stacked\">\n<thead><tr><th></th>",
    );
    for (column, sandbox) in comparison.sandboxes.iter().enumerate() {
        let (class, name) = (class_of(column), escaped(sandbox));
        write!(page, "<th scope=\"col\"><i class=\"key {class}\"></i>{name}</th>").ok();
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for name in comparison.probes() {
        write!(page, "<tr><th scope=\"row\">{}</th>", escaped(name)).ok();
        for sandbox in &comparison.sandboxes {
            let look = comparison.look(name, sandbox);
            let (sign, words) = look.words();
            let class = match look.exposed() {
                Some(true) => "exposed",
                Some(false) => "hidden",
                None => "none",
            };
            write!(
                page,
                "<td data-label=\"{}\"><span class=\"{class}\">{sign}</span> {}</td>",
                escaped(sandbox),
                escaped(&words)
            )
            .ok();
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

/// The five questions of the house.
pub(super) fn five_questions(page: &mut String) {
    page.push_str(
        "<table class=\"stacked\">\n<thead><tr><th scope=\"col\">Question</th>\
         <th scope=\"col\">The microVM’s answer</th><th scope=\"col\">The container’s answer</th>\
         </tr></thead>\n<tbody>\n",
    );
    for [question, microvm, container] in words::FIVE_QUESTIONS {
        writeln!(
            page,
            "<tr><th scope=\"row\">{question}</th><td data-label=\"microVM\">{microvm}</td>\
             <td data-label=\"container\">{container}</td></tr>"
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What was not measured.
pub(super) fn gaps(page: &mut String, gaps: &[(&str, String, Cow<str>, &str)]) {
    page.push_str(
        "<table class=\"stacked\">\n<thead><tr><th scope=\"col\">Where</th>\
         <th scope=\"col\">What</th><th scope=\"col\">Why not</th><th scope=\"col\">What to do</th>\
         </tr></thead>\n<tbody>\n",
    );
    for (sandbox, titles, reason, fix) in gaps {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-label=\"What\">{}</td>\
             <td data-label=\"Why not\">{}</td><td data-label=\"What to do\">{}</td></tr>",
            escaped(sandbox),
            escaped(titles),
            escaped(reason),
            escaped(if fix.is_empty() { "–" } else { fix })
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

/// Where, when and how it was measured.
pub(super) fn provenance(page: &mut String, comparison: &Comparison) {
    page.push_str("<table class=\"facts stacked\">\n<tbody>\n");
    for (name, fact) in words::provenance(comparison) {
        let (name, fact) = (escaped(&name), escaped(&fact));
        writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{fact}</td></tr>").ok();
    }
    page.push_str("</tbody>\n</table>\n");
}
