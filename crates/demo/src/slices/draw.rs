//! The picture: a line a worker, time from left to right.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Row, Slices};
use crate::Language;

/// Colours that can be told apart on a projector, in turn.
const COLOURS: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue];
/// For a worker's name before its line, and for its numbers behind it.
const NAME: u16 = 6;
const NUMBERS: u16 = 27;

/// Draws the scene into `area`.
pub fn draw(scene: &Slices, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let rows = scene.rows.len() as u16;
    let heights = [1, 1, rows, 1, 1].map(Constraint::Length);
    let [mode, head, lines, axis, note] = Layout::vertical(heights).areas(area);
    let bold = Style::new().bold();
    let dim = Style::new().fg(Color::DarkGray);
    frame.render_widget(Line::from(scene.mode.words(language)), mode);
    let width = lines.width.saturating_sub(NAME + NUMBERS);
    let columns = language.either("share  slice ms  longest gap", "份额  片长 ms  最长等待");
    frame.render_widget(Paragraph::new(columns).style(dim).right_aligned(), head);
    for (number, row) in scene.rows.iter().enumerate().take(lines.height.into()) {
        let place = Rect { y: lines.y + number as u16, height: 1, ..lines };
        let colour = Style::new().fg(COLOURS[number % COLOURS.len()]);
        let spans = vec![
            Span::styled(format!("{:>w$} ", row.name, w = usize::from(NAME) - 1), bold),
            Span::styled(line(row, scene.milliseconds, width.into()), colour),
            Span::raw(numbers(row)),
        ];
        frame.render_widget(Line::from(spans), place);
    }
    let [left, right] = ["0", &format!("{} ms", scene.milliseconds)].map(str::to_owned);
    let space = usize::from(width).saturating_sub(left.len() + right.len());
    let scale = format!("{}{left}{}{right}", " ".repeat(NAME.into()), " ".repeat(space));
    frame.render_widget(Line::styled(scale, dim), axis);
    if let Some(text) = &scene.note {
        frame.render_widget(Line::styled(text.clone(), Style::new().fg(Color::Red)), note);
    }
}

/// A column is a stretch of time; how dark it is says for how much of it the worker ran.
fn line(row: &Row, milliseconds: u32, width: usize) -> String {
    let whole = f64::from(milliseconds) * 100.0;
    let column = whole / width.max(1) as f64;
    let ran = |from: f64, to: f64| -> f64 {
        let part = |&(begin, length): &(u32, u32)| {
            let (begin, end) = (f64::from(begin), f64::from(begin) + f64::from(length));
            (end.min(to) - begin.max(from)).max(0.0)
        };
        row.runs.iter().map(part).sum()
    };
    let shade = |number: usize| {
        let from = number as f64 * column;
        match ran(from, from + column) / column {
            part if part > 0.85 => '█',
            part if part > 0.5 => '▓',
            part if part > 0.2 => '▒',
            part if part > 0.02 => '░',
            _ => '·',
        }
    };
    (0..width).map(shade).collect()
}

fn numbers(row: &Row) -> String {
    let number = |value: Option<f32>| value.map_or("–".into(), |value| format!("{value:.1}"));
    format!("{:>6.1} % {:>8} {:>9}", row.share * 100.0, number(row.slice), number(row.gap))
}

/// The numbers of the picture, for who has no terminal.
pub fn summary(scene: &Slices, language: Language) -> String {
    let mut text = format!("{}\n", scene.mode.words(language));
    for row in &scene.rows {
        text += &format!("{:>6} {}{}\n", row.name, line(row, scene.milliseconds, 40), numbers(row));
    }
    if let Some(note) = &scene.note {
        text += &format!("{note}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::slices::Mode;

    fn scene() -> Slices {
        let row = |number: u32| Row {
            name: (number + 1).to_string(),
            runs: vec![(number * 50_000, 50_000)],
            share: 0.5,
            slice: Some(500.0),
            gap: None,
        };
        let rows = vec![row(0), row(1)];
        Slices { mode: Mode::RoundRobin, milliseconds: 1000, rows, note: None }
    }

    fn screen(width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&scene(), frame, frame.area(), Language::En)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn who_ran_when_is_a_line_of_dark_and_light() {
        let screen = screen(73, 10);
        assert!(screen.contains("████████████████████····················  50.0 %"), "{screen}");
        assert!(screen.contains("····················████████████████████  50.0 %"), "{screen}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 5), (300, 100)] {
            screen(width, height);
        }
    }
}
