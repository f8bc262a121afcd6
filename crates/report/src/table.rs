//! The comparison for a terminal: beautiful at 80 columns.

mod numbers;
mod peers;

use crate::{
    Comparison, Records,
    claims::{Conclusion, claims},
    comparison::Look,
    doubts,
    notes::Notes,
    spelling,
    text::{pad_right, width, wrap},
    words::COMPARED,
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
    use crate::words::LEAST;

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
