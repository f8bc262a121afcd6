//! The tables of the page.

use std::{borrow::Cow, fmt::Write};

use crate::{
    Comparison,
    chart::class_of,
    claims::{Claim, Conclusion},
    html::escaped,
    published::PublishedFigure,
    spelling, words,
};

/// Claim, measured value, verdict.
pub(super) fn claims(page: &mut String, claims: &[Claim]) {
    page.push_str(
        "<table class=\"claims stacked\">\n<thead><tr><th scope=\"col\">About</th>\
         <th scope=\"col\">The textbook</th><th scope=\"col\">Measured here</th>\
         <th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n",
    );
    for claim in claims {
        let (class, sign) = match claim.concluded() {
            Some(Conclusion::Holds) => ("holds", "✓"),
            Some(Conclusion::InDirection) => ("direction", "↗"),
            Some(Conclusion::Otherwise) => ("otherwise", "≠"),
            None => ("unknown", "?"),
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
            write!(
                page,
                "<details class=\"why\"><summary>what to know</summary>{}</details>",
                escaped(claim.note)
            )
            .ok();
        }
        writeln!(
            page,
            "</td><td data-label=\"Verdict\"><span class=\"verdict {class}\">{sign} {}</span></td></tr>",
            escaped(&claim.verdict())
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What others have published.
pub(super) fn published(page: &mut String, figures: &[(&str, &PublishedFigure)]) {
    page.push_str(
        "<table class=\"published stacked\">\n<thead><tr><th scope=\"col\">Beside</th>\
         <th scope=\"col\">System</th><th scope=\"col\">Value</th>\
         <th scope=\"col\">Conditions, and why it does not compare</th></tr></thead>\n<tbody>\n",
    );
    for (title, figure) in figures {
        writeln!(
            page,
            "<tr><td data-label=\"Beside\">{}</td><th scope=\"row\">{}</th>\
             <td data-label=\"Value\" class=\"value\">{}</td>\
             <td data-label=\"Conditions\">{}<small>not comparable because {}</small>\
             <small>{}</small></td></tr>",
            escaped(title),
            escaped(&format!("{}: {}", figure.system, figure.quantity)),
            escaped(&figure.value),
            escaped(&figure.conditions),
            escaped(figure.relevance.differs),
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
        let (class, name) = (class_of(column), escaped(spelling::name(sandbox)));
        write!(page, "<th scope=\"col\"><i class=\"key {class}\"></i>{name}</th>").ok();
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for name in comparison.probes() {
        write!(page, "<tr><th scope=\"row\">{}</th>", escaped(name)).ok();
        for sandbox in &comparison.sandboxes {
            let look = comparison.look(name, sandbox);
            let (sign, seen) = look.words();
            let class = match look.exposed() {
                Some(true) => "exposed",
                Some(false) => "hidden",
                None => "none",
            };
            write!(
                page,
                "<td data-label=\"{}\"><span class=\"{class}\">{sign}</span> {}</td>",
                escaped(spelling::name(sandbox)),
                escaped(&seen)
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
            escaped(spelling::name(sandbox)),
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
