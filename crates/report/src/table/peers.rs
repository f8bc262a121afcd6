//! The peers in a terminal: a row for each and metric, with isolab's own values beside.

use super::{Table, bold, dim};
use crate::{
    Comparison, Verdict,
    format::{human, spread, times},
    spelling,
    text::{pad_left, pad_right},
};

/// The columns of name, value, spread, the two own values and the ratio: 79 with what is between.
const WIDTHS: [usize; 6] = [20, 10, 5, 10, 10, 7];

impl Table {
    /// What was measured of peers, and why the rest was not.
    pub(super) fn peers(&mut self, comparison: &Comparison) {
        let rows = comparison.peer_rows();
        let gaps = comparison.peer_gaps();
        if rows.is_empty() && gaps.is_empty() {
            return;
        }
        self.line("");
        self.line(&bold(self.colour, "Peers, in the same rounds"));
        let mut before = "";
        for found in &rows {
            let Some(unit) = found.row.unit else { continue };
            if before != found.row.metric {
                before = found.row.metric;
                let title = format!("  {}", found.row.title);
                let line = pad_right(&title, 38);
                let heads = [("container", 12), ("microVM", 12), ("to container", 14)];
                let heads: String =
                    heads.iter().map(|(name, width)| pad_left(name, *width)).collect();
                self.line(&dim(self.colour, &format!("{line}{heads}")));
            }
            let own = |sandbox| {
                let own = comparison.measured(found.row.metric, sandbox);
                own.map_or("–".to_owned(), |own| human(own.median, unit))
            };
            let spread = found.measured.interval.map(|it| spread(found.measured.median, it));
            let ratio = match found.against_container {
                None => String::new(),
                Some(Verdict::NoDifferenceShown) => "≈".to_owned(),
                Some(
                    Verdict::Less(ratio) | Verdict::More(ratio) | Verdict::TooFewSamples(ratio),
                ) => times(ratio),
            };
            let line = format!(
                "    {} {} {} {}  {}  {}",
                pad_right(spelling::name(found.peer), WIDTHS[0] - 2),
                pad_left(&human(found.measured.median, unit), WIDTHS[1]),
                pad_right(&spread.unwrap_or_default(), WIDTHS[2]),
                pad_left(&own("container"), WIDTHS[3]),
                pad_left(&own("microvm"), WIDTHS[4]),
                pad_left(&ratio, WIDTHS[5]),
            );
            self.line(line.trim_end());
        }
        for (peers, titles, reason) in gaps {
            self.paragraph("    ", &format!("{peers} ({titles}): {reason}"));
        }
        for (name, subject) in &comparison.provenance.subjects {
            let command = subject.command.join(" ");
            self.paragraph(
                "    ",
                &format!("{}: {}; {command}", spelling::name(name), subject.version),
            );
        }
    }
}
