//! The comparison for a terminal: beautiful at 80 columns.

mod peers;

use std::{fmt::Write, mem};

use crate::{
    Comparison, Records, Verdict,
    claims::{Conclusion, claims},
    comparison::{Look, Row},
    doubts,
    format::{human, spread, times},
    notes::Notes,
    spelling,
    text::{pad_left, pad_right, width, wrap},
    words::{self, COMPARED, LEAST},
};

/// The narrowest table that is drawn; a narrower terminal wraps it.
const NARROWEST: usize = 80;
/// Wider lines are hard to follow with the eye.
const WIDEST: usize = 110;
/// More sandboxes than this do not fit beside each other in 80 columns.
const SANDBOXES_ABREAST: usize = 3;

/// The comparison as lines of text of at most `columns`, which is raised to 80 where it is less.
pub fn table(records: &Records, columns: usize, colour: bool) -> String {
    let comparison = Comparison::of(records);
    let mut table = Table {
        text: String::new(),
        columns: columns.clamp(NARROWEST, WIDEST),
        colour,
        notes: Notes::default(),
    };
    table.warnings(&comparison);
    table.measurements(&comparison);
    table.peers(&comparison);
    table.probes(&comparison);
    // What the eye finds above the prompt.
    table.claims(&comparison);
    table.text
}

struct Table {
    text: String,
    columns: usize,
    colour: bool,
    notes: Notes,
}

/// The parts of a cell, so that each can be aligned with those above and below.
#[derive(Default, Clone)]
struct Parts {
    value: String,
    spread: String,
    ratio: String,
    mark: String,
    /// Whether the ratio shows something.
    shown: bool,
}

impl Table {
    /// What makes all of it doubtful, before it is read.
    fn warnings(&mut self, comparison: &Comparison) {
        for warning in doubts::warnings(comparison) {
            for (index, line) in wrap(&warning, self.columns - 2).iter().enumerate() {
                let start = if index == 0 { "! " } else { "  " };
                let line = paint(self.colour, "33", &format!("{start}{line}"));
                self.line(&line);
            }
        }
    }

    fn measurements(&mut self, comparison: &Comparison) {
        let others: Vec<usize> = (1..comparison.sandboxes.len()).collect();
        for columns in others.chunks(SANDBOXES_ABREAST - 1) {
            let columns: Vec<usize> = std::iter::once(0).chain(columns.iter().copied()).collect();
            self.block(comparison, &columns);
        }
        let legend = "Median, ± half of its 95\u{a0}% interval, and how many times the process's value; \
                      ≈\u{a0}no difference shown; –\u{a0}not measured.";
        self.paragraph("", legend);
        if ["container", "microvm"].iter().all(|sandbox| comparison.has(sandbox)) {
            self.paragraph("", LEAST);
        }
        for (letter, note) in mem::take(&mut self.notes).all() {
            self.paragraph(&format!("{letter} "), note);
        }
    }

    fn block(&mut self, comparison: &Comparison, columns: &[usize]) {
        // What holds for a whole column is said at its head, and so has the first letters.
        let heads: Vec<String> = columns.iter().map(|&c| self.head(comparison, c)).collect();
        let shown = |row: &&Row| {
            // What nobody measured is a matter for the page; the base alone is shown once.
            let of_block = if columns.contains(&1) { columns } else { &columns[1..] };
            of_block.iter().any(|column| row.cells[*column].measured().is_some())
        };
        let mut rows = Vec::new();
        for row in comparison.questions.iter().flat_map(|question| &question.rows).filter(shown) {
            let parts = columns.iter().map(|&c| self.parts(row, c, comparison.common_caveat(c)));
            rows.push((parts.collect::<Vec<_>>(), self.title(row)));
        }
        if rows.is_empty() {
            return;
        }
        let widths: Vec<[usize; 4]> = (0..columns.len())
            .map(|column| {
                let widest = |part: fn(&Parts) -> &str| {
                    rows.iter().map(|(row, _)| width(part(&row[column]))).max().unwrap_or(0)
                };
                let mut widths = [
                    widest(|p| &p.value),
                    widest(|p| &p.spread),
                    widest(|p| &p.ratio),
                    widest(|p| &p.mark),
                ];
                // A column of gaps is narrower than its name.
                widths[0] += (width(&heads[column]) + 2).saturating_sub(cell_width(&widths));
                widths
            })
            .collect();
        let used: usize = widths.iter().map(cell_width).sum();
        let label = self.columns.saturating_sub(used).clamp(12, 34);

        let mut head = pad_right("", label);
        for (name, widths) in heads.iter().zip(&widths) {
            // Above the values, which are what the eye looks for.
            let column = cell_width(widths).saturating_sub(2);
            write!(head, "  {}", pad_right(&pad_left(name, widths[0].max(width(name))), column))
                .ok();
        }
        self.line(&bold(self.colour, head.trim_end()));
        let mut rows = rows.iter();
        for question in &comparison.questions {
            if question.rows.iter().any(|row| shown(&row)) {
                self.line(&bold(self.colour, question.group.title));
            }
            let count = question.rows.iter().filter(shown).count();
            for (cells, title) in rows.by_ref().take(count) {
                let (title, marks) = title;
                let room = label.saturating_sub(2 + width(marks));
                let title = pad_right(title, width(title).min(room));
                let mut line = pad_right(&format!("  {title}{marks}"), label);
                for (parts, widths) in cells.iter().zip(&widths) {
                    self.cell(&mut line, parts, widths);
                }
                self.line(line.trim_end());
            }
        }
        self.line("");
    }

    fn head(&mut self, comparison: &Comparison, column: usize) -> String {
        let name = spelling::name(comparison.sandboxes[column]);
        match comparison.common_caveat(column) {
            Some(caveat) => format!("{name} {}", self.notes.mark(caveat.to_owned())),
            None => name.to_owned(),
        }
    }

    /// The title of a row, with the letters of what holds for all of it.
    fn title<'a>(&mut self, row: &Row<'a>) -> (&'a str, String) {
        let marks: Vec<String> =
            words::row_notes(row).into_iter().map(|note| self.notes.mark(note)).collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" {}", marks.join(",")) };
        (row.title, marks)
    }

    fn parts(&mut self, row: &Row, column: usize, common: Option<&str>) -> Parts {
        let cell = &row.cells[column];
        let why_not = cell.why_not().map(|(why, fix)| match fix {
            "" => self.notes.mark(why),
            fix => self.notes.mark(format!("{why}: {fix}")),
        });
        let Some(measured) = cell.measured() else {
            let mark = why_not.unwrap_or_default();
            return Parts { value: "–".into(), spread: mark, ..Parts::default() };
        };
        let (ratio, shown) = match measured.against_base {
            None => (String::new(), false),
            Some((_, Verdict::NoDifferenceShown)) => ("≈".to_owned(), false),
            Some((_, Verdict::TooFewSamples(ratio))) => (times(ratio), false),
            Some((_, Verdict::Less(ratio) | Verdict::More(ratio))) => (times(ratio), true),
        };
        let said = [common, row.common_caveat()];
        let caveat = measured.caveat.filter(|caveat| !said.contains(&Some(caveat)));
        let caveat = caveat.map(|caveat| self.notes.mark(caveat.to_owned()));
        Parts {
            value: row.unit.map_or(String::new(), |unit| human(measured.median, unit)),
            spread: measured.interval.map_or(String::new(), |i| spread(measured.median, i)),
            ratio,
            mark: [caveat, why_not].into_iter().flatten().collect::<Vec<_>>().join(","),
            shown,
        }
    }

    fn cell(&self, line: &mut String, parts: &Parts, widths: &[usize; 4]) {
        let ratio = pad_left(&parts.ratio, widths[2]);
        let ratio = if parts.shown { bold(self.colour, &ratio) } else { dim(self.colour, &ratio) };
        write!(
            line,
            "  {} {}{}{ratio}{}",
            pad_left(&parts.value, widths[0]),
            dim(self.colour, &pad_right(&parts.spread, widths[1])),
            if widths[2] > 0 { " " } else { "" },
            pad_right(&parts.mark, widths[3]),
        )
        .ok();
    }

    fn claims(&mut self, comparison: &Comparison) {
        self.line("");
        self.line(&bold(self.colour, "The textbook says"));
        for claim in claims(comparison) {
            let mut first = true;
            for line in wrap(claim.claim, self.columns - 4) {
                self.line(&format!("  {}{line}", if first { "" } else { "  " }));
                first = false;
            }
            let code = match claim.concluded() {
                Some(Conclusion::Holds) => "32",
                Some(Conclusion::InDirection) => "33",
                Some(Conclusion::Otherwise) => "36",
                None => "2",
            };
            let words = claim.verdict();
            for (index, line) in
                wrap(&format!("{words}: {}", claim.basis()), self.columns - 6).iter().enumerate()
            {
                let line = match line.strip_prefix(words.as_str()) {
                    Some(rest) if index == 0 => {
                        format!("{}{rest}", paint(self.colour, code, &words))
                    }
                    _ => line.clone(),
                };
                self.line(&format!("    {}{line}", if index == 0 { "→ " } else { "  " }));
            }
            self.paragraph("      ", claim.note);
        }
    }

    fn probes(&mut self, comparison: &Comparison) {
        let names = comparison.probes();
        if names.is_empty() {
            return;
        }
        self.line("");
        self.line(&bold(self.colour, "What can be seen from inside"));
        for name in names {
            self.line(&format!("  {name}"));
            for sandbox in &comparison.sandboxes {
                let look = comparison.look(name, sandbox);
                if matches!(look, Look::Absent) && !COMPARED.contains(sandbox) {
                    continue;
                }
                let (sign, seen) = look.words();
                let label = pad_right(spelling::name(sandbox), 10);
                for (index, line) in wrap(&seen, self.columns - 17).iter().enumerate() {
                    match index {
                        0 => self.line(&format!("    {sign} {label} {line}")),
                        _ => self.line(&format!("      {:10} {line}", "")),
                    }
                }
            }
        }
        let legend = "●\u{a0}the host shows through; ○\u{a0}it does not; –\u{a0}not determined.";
        self.paragraph("", legend);
    }

    fn paragraph(&mut self, mark: &str, text: &str) {
        let indent = " ".repeat(width(mark));
        for (index, line) in wrap(text, self.columns - width(mark)).iter().enumerate() {
            let start = if index == 0 { mark } else { &indent };
            let line = dim(self.colour, &format!("{start}{line}"));
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Two spaces before, one between value and spread, one before the ratio if there is any.
fn cell_width(widths: &[usize; 4]) -> usize {
    3 + usize::from(widths[2] > 0) + widths.iter().sum::<usize>()
}

fn bold(colour: bool, text: &str) -> String {
    paint(colour, "1", text)
}

fn dim(colour: bool, text: &str) -> String {
    paint(colour, "2", text)
}

/// Select Graphic Rendition (ECMA-48, 8.3.117).
fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour && !text.trim().is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn no_line_is_longer_than_asked_for() {
        for columns in [0, 97] {
            let text = table(&example::records(), columns, false);
            for line in text.lines() {
                assert!(width(line) <= columns.clamp(80, 110), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn differences_have_a_ratio_and_the_rest_says_so() {
        let text = table(&example::records(), 80, false);
        let row = |name| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("one crossing").contains('×'), "{text}");
        assert!(row("integer loop").contains('≈'), "{text}");
    }

    #[test]
    fn a_gap_and_a_caveat_are_told_in_footnotes() {
        let text = table(&example::records(), 80, false);
        assert!(text.contains("a microVM cannot keep a CPU quota"), "{text}");
        assert!(text.contains("this KVM interprets guest code"), "{text}");
    }

    #[test]
    fn what_the_page_says_to_qualify_the_numbers_stands_in_the_terminal_too() {
        let records = example::records();
        let comparison = Comparison::of(&records);
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = in_one_line(&table(&records, 80, false));
        let page =
            in_one_line(&crate::page::page(&comparison, &crate::page::Illustrations::default()));
        for claim in claims(&comparison) {
            assert!(!claim.note.is_empty() && text.contains(&in_one_line(claim.note)), "{text}");
        }
        assert!(page.contains(&in_one_line(LEAST)) && text.contains(&in_one_line(LEAST)), "{text}");
        // It is said of those two only.
        let mut alone = records;
        alone.series.retain(|series| series.sandbox != "microvm");
        alone.gaps.retain(|gap| gap.sandbox != "microvm");
        alone.probes.retain(|probe| probe.sandbox != "microvm");
        assert!(!in_one_line(&table(&alone, 80, false)).contains(&in_one_line(LEAST)));
    }

    #[test]
    fn colours_are_only_there_when_asked_for() {
        assert!(!table(&example::records(), 80, false).contains('\x1b'));
        assert!(table(&example::records(), 80, true).contains("\x1b[1m"));
    }

    #[test]
    fn control_characters_of_hostile_records_do_not_reach_the_terminal() {
        let mut records = example::records();
        records.gaps[0].reason = "\x1b[2Jgone\nand \u{9b}31m".into();
        records.probes[0].seen = "\x1b]0;title\x07".into();
        records.series[0].metric = "\x1b[31mred".into();
        let text = table(&records, 80, false);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
