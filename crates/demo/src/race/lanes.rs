//! A lane of the picture: one start, time from left to right.

use ratatui::{
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
};
use report::columns::{columns, padded, shortened, wrapped};
use sandbox::Milestone;

use super::{
    Lane,
    draw::{Picture, milliseconds},
};
use crate::script::Words;

/// What ends with each milestone: its sign, which is its legend too, its colour and its name.
const PHASES: [(char, Color, Words); Milestone::ALL.len()] = [
    ('█', Color::Cyan, Words("created", "墙立好")),
    ('▓', Color::Green, Words("entered", "程序进入")),
    ('▒', Color::Yellow, Words("first byte", "首字节")),
    ('░', Color::Magenta, Words("exited", "结束")),
    ('·', Color::DarkGray, Words("cleaned", "清理完")),
];

impl Picture {
    /// A bar, and the numbers below it.
    pub(super) fn lane(&self, lane: &Lane, axis: u32, shown: u32) -> Vec<Line<'static>> {
        let name = |line: usize| {
            let word = if line == 0 { lane.kind.words(self.language) } else { "" };
            padded(word, self.name()).bold()
        };
        if let Some(reason) = &lane.missing {
            // It takes the room of a lane, so that what is below stays in its place.
            let height = self.height.max(1) + 1;
            let mut told = wrapped(reason, self.bar());
            if told.len() > height {
                let rest = told.split_off(height - 1).join(" ");
                told.push(shortened(&rest, self.bar()));
            }
            told.resize(height, String::new());
            let line = |(number, text): (usize, String)| {
                Line::from_iter([name(number), text.fg(Color::Red)])
            };
            return told.into_iter().enumerate().map(line).collect();
        }
        let width = self.bar();
        let phase = |column: usize| {
            let time = (column as f64 + 0.5) / width.max(1) as f64 * f64::from(axis);
            let (index, _) =
                lane.reached.iter().enumerate().find(|(_, reached)| {
                    reached.is_some_and(|reached| time < f64::from(reached))
                })?;
            (time < f64::from(shown)).then_some(index)
        };
        let cells: Vec<Option<usize>> = (0..width).map(phase).collect();
        let pieces = cells.chunk_by(|a, b| a == b).map(|piece| match piece[0] {
            Some(index) => {
                let (sign, colour, _) = PHASES[index];
                sign.to_string().repeat(piece.len()).fg(colour)
            }
            None => " ".repeat(piece.len()).into(),
        });
        let mut pieces: Vec<Span<'static>> = pieces.collect();
        // However short it was, it was there.
        if cells.iter().all(Option::is_none) && shown > 0 && width > 0 {
            pieces = vec!["▏".into()];
        }
        let bar = |line| Line::from_iter([name(line)].into_iter().chain(pieces.iter().cloned()));
        let mut lines: Vec<Line<'static>> = (0..self.height.max(1)).map(bar).collect();
        lines.extend(self.numbers(lane, shown));
        lines
    }

    /// When each milestone was reached, each at its place before it is reached, too.
    fn numbers(&self, lane: &Lane, shown: u32) -> Vec<Line<'static>> {
        let number = |((sign, colour, words), reached): (&(char, Color, Words), &Option<u32>)| {
            let time = reached.map_or("–".into(), milliseconds);
            let text = format!("{} {time}", words.of(self.language));
            match reached.is_none_or(|reached| reached <= shown) {
                true => vec![sign.to_string().fg(*colour), format!("{text}  ").into()],
                false => vec![" ".repeat(columns(&text) + 3).into()],
            }
        };
        self.packed(PHASES.iter().zip(&lane.reached).map(number))
    }

    pub(super) fn axis(&self, axis: u32) -> Line<'static> {
        let width = self.bar();
        let end = format!("{} ms", scale(f64::from(axis) / 1000.0));
        let middle = scale(f64::from(axis) / 2000.0);
        let before = (width / 2).saturating_sub(1 + middle.len() / 2);
        let between = width.saturating_sub(1 + before + middle.len() + end.len());
        let text = format!(
            "{}0{}{middle}{}{end}",
            " ".repeat(self.name()),
            "╌".repeat(before),
            "╌".repeat(between)
        );
        Line::styled(text, Style::new().fg(Color::DarkGray))
    }
}

/// A number of the scale without what need not be said.
fn scale(value: f64) -> String {
    format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}
