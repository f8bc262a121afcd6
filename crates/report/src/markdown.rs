//! The report as Markdown, for a repository that shows a README beside its files.

use std::fmt::Write;

use crate::{
    Comparison, Verdict,
    claims::claims,
    comparison::{Cell, Look, Row},
    doubts,
    format::{human, spread, times},
    method,
    notes::Notes,
    page::Illustrations,
    spelling, words,
};

/// The same content as the page; `files` are the names of the charts, in their order.
pub(crate) fn markdown(
    comparison: &Comparison,
    illustrations: &Illustrations,
    files: &[String],
) -> String {
    let mut files = files.iter();
    let mut text = format!("# {}\n\n{}\n", words::TITLE, plain(&words::headline(comparison)));
    for warning in doubts::warnings(comparison) {
        write!(text, "\n> **{}**\n", plain(&warning)).ok();
    }
    if let (Some(chart), Some(file)) = (illustrations.lesson, files.next()) {
        write!(text, "\n![{}]({file})\n", plain(&chart.title)).ok();
    }
    text.push_str("\n| About | The textbook | Measured here | Verdict |\n|---|---|---|---|\n");
    for claim in claims(comparison) {
        let verdict = format!("**{}**", claim.verdict());
        row(&mut text, &[claim.subject, claim.claim, &claim.basis(), &verdict]);
    }
    text.push_str("\n## The comparison\n\nMedian, ± half of its 95 % interval, and how many times the process's value;\n≈ no difference shown; – not measured; … measured in part.\n\n| |");
    for sandbox in &comparison.sandboxes {
        write!(text, " {} |", plain(spelling::name(sandbox))).ok();
    }
    write!(text, "\n|---|{}\n", "---:|".repeat(comparison.sandboxes.len())).ok();
    let mut notes = Notes::default();
    for question in &comparison.questions {
        let empty = vec![""; comparison.sandboxes.len()];
        row(&mut text, &[&[format!("**{}**", question.group.title).as_str()], &empty[..]].concat());
        for line in &question.rows {
            let cells: Vec<String> =
                (0..line.cells.len()).map(|column| cell(line, column)).collect();
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let marks = words::row_notes(line).into_iter().map(|note| notes.mark(note));
            let marks: Vec<String> = marks.map(|letter| format!(" ({letter})")).collect();
            row(
                &mut text,
                &[&[&*format!("{}{}", line.title, marks.concat())], &cells[..]].concat(),
            );
        }
    }
    for (letter, note) in notes.all() {
        write!(text, "\n({letter}) {}\n", plain(note)).ok();
    }
    peers(&mut text, comparison);
    for (question, charts) in illustrations.questions {
        write!(text, "\n## {}\n\n{}\n", question.group.title, question.group.question).ok();
        for (chart, file) in charts.iter().zip(files.by_ref()) {
            write!(text, "\n![{}]({file})\n", plain(&chart.title)).ok();
        }
        write!(text, "\n{}\n", plain(&words::group_method(comparison, question))).ok();
    }
    let probes = comparison.probes();
    if !probes.is_empty() {
        text.push_str(
            "\n## What can be seen from inside\n\n| | Where | Seen | |\n|---|---|---|---|\n",
        );
        for (probe, sandbox) in probes
            .iter()
            .flat_map(|probe| comparison.sandboxes.iter().map(move |sandbox| (probe, sandbox)))
        {
            let look = comparison.look(probe, sandbox);
            let shows = match look {
                Look::Answered(probe) if probe.exposed => "the host shows through",
                Look::Answered(_) => "",
                Look::Failed(_) => "not determined",
                Look::Absent if words::COMPARED.contains(sandbox) => "not tried",
                Look::Absent => continue,
            };
            row(&mut text, &[probe, spelling::name(sandbox), &look.words().1, shows]);
        }
    }
    text.push_str("\n## How it was measured\n\n");
    method::sentences(comparison).iter().for_each(|item| list(&mut text, &item.en));
    text.push_str("\n## What could make it wrong\n\n");
    doubts::doubts(comparison).iter().for_each(|item| list(&mut text, &item.en));
    text.push_str("\n## What was not measured, and why\n\n| Where | What | Why not | What to do |\n|---|---|---|---|\n");
    for (sandbox, titles, reason, fix) in words::gaps(comparison) {
        row(&mut text, &[spelling::name(sandbox), &titles, &reason, fix]);
    }
    text.push_str("\n## Where the numbers come from\n\n| | |\n|---|---|\n");
    for (name, fact) in words::provenance(comparison) {
        row(&mut text, &[&name, &fact]);
    }
    text.push_str("\nAll of this is computed from the raw samples in [records.json](records.json); the same as a page: [index.html](index.html). `isolab report verify` recomputes every figure.\n");
    write!(text, "\nSHA-256 of the records: `{}`\n", illustrations.digest).ok();
    text
}

/// A row a peer and metric.
fn peers(text: &mut String, comparison: &Comparison) {
    let rows = comparison.peer_rows();
    if rows.is_empty() {
        return;
    }
    text.push_str("\n## Peers, in the same rounds\n\n| Peer | What | Its value | isolab's container | isolab's microVM | times the container's |\n|---|---|---:|---:|---:|---:|\n");
    for found in rows {
        let human = |value| found.row.unit.map_or(String::new(), |unit| human(value, unit));
        let own = |sandbox| match comparison.measured(found.row.metric, sandbox) {
            Some(own) => human(own.median),
            None => "–".to_owned(),
        };
        let median = found.measured.median;
        let spread = found.measured.interval.map(|it| spread(median, it)).unwrap_or_default();
        row(
            text,
            &[
                spelling::name(found.peer),
                found.row.title,
                format!("{} {spread}", human(median)).trim_end(),
                &own("container"),
                &own("microvm"),
                &found.against_container.map_or(String::new(), verdict),
            ],
        );
    }
    for (name, subject) in &comparison.provenance.subjects {
        let command = subject.command.join(" ");
        list(text, &format!("{}: {}; {command}", spelling::name(name), subject.version));
    }
}

/// A ratio, or that none is shown.
fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::NoDifferenceShown => "≈".to_owned(),
        Verdict::TooFewSamples(ratio) | Verdict::Less(ratio) | Verdict::More(ratio) => times(ratio),
    }
}

fn cell(row: &Row, column: usize) -> String {
    let Cell::Measured(measured) = &row.cells[column] else { return "–".to_owned() };
    let mut text = row.unit.map_or(String::new(), |unit| human(measured.median, unit));
    if let Some(interval) = measured.interval {
        write!(text, " {}", spread(measured.median, interval)).ok();
    }
    if measured.incomplete.is_some() {
        text.push_str(" …");
    }
    if let Some((_, shown)) = measured.against_base {
        write!(text, " {}", verdict(shown)).ok();
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    text.push('|');
    for cell in cells {
        // Our own bold text keeps its stars.
        let bold = cell.strip_prefix("**").and_then(|rest| rest.strip_suffix("**"));
        match bold {
            Some(inner) => write!(text, " **{}** |", plain(inner)).ok(),
            None => write!(text, " {} |", plain(cell)).ok(),
        };
    }
    text.push('\n');
}

fn list(text: &mut String, item: &str) {
    writeln!(text, "- {}", plain(item)).ok();
}

/// Text without Markdown or HTML in it, on one line.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '|' | '[' | ']' | '*' | '_' | '`' | '\\' | '!' => safe.extend(['\\', character]),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_break_out_of_its_cell() {
        assert_eq!(plain("a|b\n<script>[x](y)"), "a\\|b &lt;script>\\[x\\](y)");
    }
}
