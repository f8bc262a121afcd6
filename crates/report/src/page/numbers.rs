//! The numbers of the page. Each carries what it is of, so that another program can check it:
//! `data-metric` and `data-sandbox` on the cell, `data-figure` on what is written in it.

use std::fmt::Write;

use crate::{
    Comparison, Verdict,
    chart::class_of,
    comparison::{Cell, Measured, PeerRow, Row},
    format::{human, spread, times},
    html::escaped,
    metric,
    notes::Notes,
    spelling, words,
};

/// All rows in all of isolab's own sandboxes, with the footnotes below.
pub(super) fn comparison(page: &mut String, comparison: &Comparison) {
    let mut notes = Notes::default();
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"numbers\">\n<thead><tr><th></th>",
    );
    for (column, sandbox) in comparison.sandboxes.iter().enumerate() {
        // The base has no ratio to itself.
        let span = if column == 0 { 1 } else { 2 };
        let (class, name) = (class_of(column), escaped(spelling::name(sandbox)));
        let mark = comparison.common_caveat(column).map(|caveat| mark(&mut notes, caveat));
        write!(
            page,
            "<th scope=\"col\" colspan=\"{span}\"><i class=\"key {class}\"></i>{name}{}</th>",
            mark.unwrap_or_default()
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
            numbers(page, comparison, row, &mut notes);
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("</table>\n</div>\n");
    footnotes(page, &notes);
}

fn footnotes(page: &mut String, notes: &Notes) {
    for (letter, words) in notes.all() {
        writeln!(
            page,
            "<p class=\"note\" id=\"note-{letter}\"><sup>{letter}</sup> {}</p>",
            escaped(words)
        )
        .ok();
    }
}

/// The letter of a footnote, as a link to it.
fn mark(notes: &mut Notes, words: &str) -> String {
    let letter = notes.mark(words);
    format!("<sup><a href=\"#note-{letter}\">{letter}</a></sup>")
}

fn numbers(page: &mut String, comparison: &Comparison, row: &Row, notes: &mut Notes) {
    let marks: String =
        words::row_notes(row).iter().map(|note| mark(notes, note)).collect::<Vec<_>>().concat();
    write!(
        page,
        "<tr><th scope=\"row\" title=\"{}\">{}{marks}</th>",
        escaped(row.explanation),
        escaped(row.title)
    )
    .ok();
    for (column, cell) in row.cells.iter().enumerate() {
        let sandbox = comparison.sandboxes[column];
        let Cell::Measured(measured) = cell else {
            let why = cell.why_not().map_or_else(String::new, |(why, _)| escaped(&why));
            let label = escaped(spelling::name(sandbox));
            let class = if matches!(cell, Cell::Absent) { "none absent" } else { "none" };
            write!(page, "<td class=\"{class}\" data-label=\"{label}\" title=\"{why}\">–</td>")
                .ok();
            page.push_str(if column > 0 { "<td class=\"ratio\"></td>" } else { "" });
            continue;
        };
        let said = [comparison.common_caveat(column), row.common_caveat()];
        let caveat = measured.caveat.filter(|caveat| !said.contains(&Some(caveat)));
        let caveat = caveat.map(|caveat| mark(notes, caveat)).unwrap_or_default();
        let in_part = cell.why_not().map_or_else(String::new, |(why, _)| {
            format!("<abbr title=\"{}\">…</abbr>", escaped(&why))
        });
        let of = of(row, sandbox);
        write!(
            page,
            "<td{of} data-label=\"{}\">{}{caveat}{in_part}{}</td>",
            escaped(spelling::name(sandbox)),
            value(row, measured),
            half_interval(measured)
        )
        .ok();
        if column > 0 {
            let verdict = measured.against_base.map(|(_, verdict)| verdict);
            write!(page, "<td{of} class=\"ratio\">{}</td>", ratio(verdict)).ok();
        }
    }
    page.push_str("</tr>\n");
}

/// What a cell is of.
fn of(row: &Row, sandbox: &str) -> String {
    format!(" data-metric=\"{}\" data-sandbox=\"{}\"", escaped(row.metric), escaped(sandbox))
}

fn value(row: &Row, measured: &Measured) -> String {
    let text = row.unit.map_or(String::new(), |unit| human(measured.median, unit));
    format!("<span data-figure=\"median\">{}</span>", escaped(&text))
}

fn half_interval(measured: &Measured) -> String {
    let text = measured.interval.map_or(String::new(), |it| spread(measured.median, it));
    format!("<span class=\"pm\" data-figure=\"spread\">{}</span>", escaped(&text))
}

fn ratio(verdict: Option<Verdict>) -> String {
    let figure = |kind: &str, ratio: f64| {
        format!(
            "<span data-figure=\"ratio\" data-shows=\"{kind}\">{}</span>",
            escaped(&times(ratio))
        )
    };
    match verdict {
        None => String::new(),
        Some(Verdict::NoDifferenceShown) => "<abbr data-figure=\"ratio\" data-shows=\"nothing\" \
             title=\"no difference shown\">≈</abbr>"
            .to_owned(),
        Some(Verdict::TooFewSamples(ratio)) => figure("too-little", ratio),
        Some(Verdict::Less(ratio) | Verdict::More(ratio)) => {
            format!("<b>{}</b>", figure("difference", ratio))
        }
    }
}

/// The starts of peers with isolab's own values beside, and folded what else was measured of them.
pub(super) fn peers(page: &mut String, comparison: &Comparison, rows: &[PeerRow]) {
    let is_start = |found: &&PeerRow| {
        [metric::STARTUP_COLD_FIRST_BYTE, metric::STARTUP_LOGIN].contains(&found.row.metric)
    };
    let (starts, others): (Vec<_>, Vec<_>) = rows.iter().partition(is_start);
    peer_rows(page, comparison, &starts);
    if !others.is_empty() {
        page.push_str(
            "<details class=\"more\"><summary>What else was measured of them</summary>\n",
        );
        peer_rows(page, comparison, &others);
        page.push_str("</details>\n");
    }
    page.push_str(
        "<details class=\"more\"><summary>Their versions and commands, and what they have no number \
         of</summary>\n",
    );
    peer_notes(page, comparison);
    page.push_str("</details>\n");
}

/// A row a peer and metric.
fn peer_rows(page: &mut String, comparison: &Comparison, rows: &[&PeerRow]) {
    page.push_str(
        "<table class=\"peers stacked\">\n<thead><tr><th scope=\"col\">Peer</th>\
         <th scope=\"col\">What</th><th scope=\"col\">Its value</th>\
         <th scope=\"col\">isolab’s container</th><th scope=\"col\">isolab’s microVM</th>\
         <th scope=\"col\">times the container’s</th></tr></thead>\n<tbody>\n",
    );
    for PeerRow { row, peer, measured, against_container } in rows {
        let own = |sandbox| match comparison.measured(row.metric, sandbox) {
            Some(own) => value(row, own),
            None => "–".to_owned(),
        };
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-label=\"What\">{}</td>\
             <td{} data-label=\"Its value\">{}{}</td>\
             <td{} data-label=\"isolab’s container\">{}</td>\
             <td{} data-label=\"isolab’s microVM\">{}</td>\
             <td{} data-base=\"container\" data-label=\"times the container’s\">{}</td></tr>",
            escaped(spelling::name(peer)),
            escaped(row.title),
            of(row, peer),
            value(row, measured),
            half_interval(measured),
            of(row, "container"),
            own("container"),
            of(row, "microvm"),
            own("microvm"),
            of(row, peer),
            ratio(*against_container)
        )
        .ok();
    }
    page.push_str("</tbody>\n</table>\n");
}

fn peer_notes(page: &mut String, comparison: &Comparison) {
    for (name, subject) in &comparison.provenance.subjects {
        writeln!(
            page,
            "<p class=\"note\"><b>{}</b>: {}; <code>{}</code></p>",
            escaped(spelling::name(name)),
            escaped(&subject.version),
            escaped(&subject.command.join(" "))
        )
        .ok();
    }
    for (peers, titles, reason) in comparison.peer_gaps() {
        writeln!(
            page,
            "<p class=\"note\"><b>{}</b> ({}): {}</p>",
            escaped(&peers),
            escaped(&titles),
            escaped(&reason)
        )
        .ok();
    }
}
