//! A lane of the picture: one start, time from left to right.

use ratatui::{
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
};
use report::columns::{padded, shortened, wrapped};
use sandbox::Milestone;

use super::{
    Lane,
    picture::{Picture, Room, milliseconds},
};
use crate::script::Words;

/// What ends with each milestone: its sign, its colour and its name.
pub(super) const PHASES: [(char, Color, Words); Milestone::ALL.len()] = [
    ('█', Color::Cyan, Words("created", "已创建")),
    ('▓', Color::Green, Words("entered", "已进入")),
    ('▒', Color::Yellow, Words("first byte", "首字节")),
    ('░', Color::Magenta, Words("exited", "已结束")),
    ('·', Color::DarkGray, Words("cleaned", "已清理")),
];
/// Columns that a number below a lane needs to have its name above it.
const NAMED: usize = 12;
/// Columns for the numbers behind a lane.
const LAST_NUMBERS: usize = 16;

impl Picture {
    /// A bar, and the numbers below it.
    pub(super) fn lane(&self, lane: &Lane, axis: u32, shown: u32) -> Vec<Line<'static>> {
        let name = |line: usize| {
            let word = if line == 0 { lane.kind.words(self.language) } else { "" };
            padded(word, self.name()).bold()
        };
        if let Some(reason) = &lane.missing {
            // It takes the room of a lane, so that what is below does not move.
            let height = match self.room {
                Room::Least => 1,
                _ => self.height() + 1,
            };
            let mut lines = wrapped(reason, self.bar());
            if lines.len() > height {
                let rest = lines.split_off(height - 1).join(" ");
                lines.push(shortened(&rest, self.bar()));
            }
            lines.resize(height, String::new());
            let line = |(number, text): (usize, String)| {
                Line::from_iter([name(number), text.fg(Color::Red)])
            };
            return lines.into_iter().enumerate().map(line).collect();
        }
        let width = self.track();
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
        // Even the shortest start is visible.
        if cells.iter().all(Option::is_none) && shown > 0 && width > 0 {
            pieces = vec!["▏".into(), " ".repeat(width - 1).into()];
        }
        let bar = |line| Line::from_iter([name(line)].into_iter().chain(pieces.iter().cloned()));
        let mut lines: Vec<Line<'static>> = (0..self.height()).map(bar).collect();
        match (self.room, &mut lines[..]) {
            (Room::Least, [line]) => line.extend(self.last_numbers(lane, shown)),
            _ => lines.extend(self.numbers(lane, shown)),
        }
        lines
    }

    /// When each milestone was reached, below its name; a number comes when it is reached.
    fn numbers(&self, lane: &Lane, shown: u32) -> Vec<Line<'static>> {
        let number = |((sign, colour, _), reached): (&(char, Color, Words), &Option<u32>)| {
            let text = match reached {
                None => "–".into(),
                Some(time) if *time <= shown => milliseconds(*time),
                Some(_) => return vec![" ".repeat(self.column()).into()],
            };
            let text = padded(&text, self.column().saturating_sub(1));
            vec![sign.to_string().fg(*colour), text.into()]
        };
        let blank = vec![Span::from(" ".repeat(self.name()))];
        let numbers = PHASES.iter().zip(&lane.reached).map(number);
        vec![Line::from_iter([blank].into_iter().chain(numbers).flatten())]
    }

    /// Columns for each number below a lane.
    fn column(&self) -> usize {
        self.bar() / PHASES.len()
    }

    /// First byte and end, where there is no room for more.
    fn last_numbers(&self, lane: &Lane, shown: u32) -> Vec<Span<'static>> {
        let number = |milestone: Milestone| {
            let (sign, colour, _) = PHASES[milestone as usize];
            let reached = lane.at(milestone).filter(|reached| *reached <= shown);
            let text = format!("{:<6}", reached.map_or(String::new(), milliseconds));
            [format!(" {sign}").fg(colour), text.into()]
        };
        [Milestone::FirstByte, Milestone::Cleaned].map(number).concat()
    }

    /// Columns for a lane.
    fn track(&self) -> usize {
        match self.room {
            Room::Least => self.bar().saturating_sub(LAST_NUMBERS),
            _ => self.bar(),
        }
    }

    /// The signs of the phases and their names, above the numbers where there is room for that.
    pub(super) fn legend(&self) -> Vec<Line<'static>> {
        let is_head = self.room != Room::Least && self.column() >= NAMED;
        let sign = |(sign, colour, words): &(char, Color, Words)| {
            let name = words.of(self.language);
            let name = match is_head {
                true => padded(name, self.column() - 1),
                false => format!("{name}  "),
            };
            vec![sign.to_string().fg(*colour), name.into()]
        };
        let signs = PHASES.iter().map(sign);
        match is_head {
            true => {
                let blank = vec![Span::from(" ".repeat(self.name()))];
                vec![Line::from_iter([blank].into_iter().chain(signs).flatten())]
            }
            false => self.packed(signs),
        }
    }

    pub(super) fn axis(&self, axis: u32) -> Line<'static> {
        let width = self.track();
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
