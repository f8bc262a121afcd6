//! The numbers in a terminal: a row for each metric, a column for each sandbox.

use std::{fmt::Write, mem};

use super::{SANDBOXES_ABREAST, Table, bold, dim};
use crate::{
    Comparison, Verdict,
    comparison::Row,
    format::{human, spread, times},
    spelling,
    text::{pad_left, pad_right, width},
    words::{self, LEAST},
};

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
    pub(super) fn measurements(&mut self, comparison: &Comparison) {
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
}

/// Two spaces before, one between value and spread, one before the ratio if there is any.
fn cell_width(widths: &[usize; 4]) -> usize {
    3 + usize::from(widths[2] > 0) + widths.iter().sum::<usize>()
}
