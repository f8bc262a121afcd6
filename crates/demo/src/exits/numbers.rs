//! The counts side by side, in numbers that can be read from the last row of a classroom.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize as _,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Exits, Way};
use crate::{Language, style::DIM};

/// A label, a number of three lines, and what else was counted.
pub(super) const HEIGHT: u16 = 5;

/// A number for each way, in `rows` rows.
pub(super) fn counts(
    scene: &Exits,
    frame: &mut Frame<'_>,
    area: Rect,
    rows: usize,
    language: Language,
) {
    let heights = vec![Constraint::Length(HEIGHT); rows];
    let widths = vec![Constraint::Fill(1); Way::ALL.len() / rows];
    let cells = Layout::vertical(heights).split(area);
    let cells = cells.iter().flat_map(|row| Layout::horizontal(&widths).split(*row).to_vec());
    for (way, cell) in Way::ALL.into_iter().zip(cells) {
        frame.render_widget(count_of(scene, way, language), cell);
    }
}

/// What is counted of a way: the exits to isolab, as far as they are known, and of a whole run its
/// time and what KVM counted.
pub(super) fn counted(scene: &Exits, way: Way) -> (Option<u32>, Option<String>) {
    let is_on = scene.way == Some(way);
    let count = scene.count(way).filter(|_| !is_on || scene.slower.is_none());
    let number = match count {
        Some(count) => Some(count.answered),
        None => is_on.then_some(scene.answered),
    };
    let more = count.map(|count| {
        let by_kvm = count.by_kvm.map_or("?".into(), |count| count.to_string());
        format!("{}, KVM {by_kvm}", time(count.took))
    });
    (number, more)
}

/// The number that is to be remembered.
fn count_of(scene: &Exits, way: Way, language: Language) -> Paragraph<'static> {
    let is_on = scene.way == Some(way);
    let (number, more) = counted(scene, way);
    let label = format!(" {} ", way.name().of(language));
    let label: Span<'_> = if is_on { label.bold().reversed() } else { label.bold() };
    let mut lines = vec![Line::from(label)];
    lines.extend(large(number).map(|line| Line::from(format!(" {line}"))));
    lines.extend(more.map(|more| Line::styled(format!(" {more}"), DIM)));
    Paragraph::new(lines)
}

/// A length of time.
pub(super) fn time(microseconds: f32) -> String {
    match microseconds {
        short if short < 1000.0 => format!("{short:.0} µs"),
        long => format!("{:.1} ms", long / 1000.0),
    }
}

/// Three dots wide and five high, a row in three bits.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 1, 1],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];
const UNKNOWN: [u8; 5] = [7, 1, 3, 0, 2];

/// `number` in three lines, two dots above each other in a cell; a question mark if it is not
/// known.
fn large(number: Option<u32>) -> [String; 3] {
    let dots: Vec<[u8; 5]> = match number {
        Some(number) => {
            let digits = number.to_string().into_bytes();
            digits.into_iter().map(|digit| DIGITS[usize::from(digit - b'0')]).collect()
        }
        None => vec![UNKNOWN],
    };
    let cell = |upper: bool, lower: bool| match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    [0, 1, 2].map(|line| {
        let row = |digit: &[u8; 5]| -> String {
            let dot =
                |row: usize, column: u8| digit.get(row).is_some_and(|bits| bits & 4 >> column != 0);
            (0..3).map(|column| cell(dot(2 * line, column), dot(2 * line + 1, column))).collect()
        };
        dots.iter().map(row).collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_drawn_in_three_lines() {
        assert_eq!(large(Some(10)), ["▄█  █▀█", " █  █ █", "▀▀▀ ▀▀▀"]);
        assert_eq!(large(None), ["▀▀█", " ▀▀", " ▀ "]);
    }
}
