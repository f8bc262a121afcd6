//! The picture: a line a worker, time from left to right.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use report::columns::{columns, wrapped};

use super::{Row, Slices, words};
use crate::Language;

/// Colours that can be told apart on a projector, in turn.
pub(super) const COLOURS: [Color; 5] =
    [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue];
/// For a worker's name before its line.
const NAME: usize = 7;
/// For each of its numbers behind the line: share, counted, slice, gap. A narrow picture has room
/// for the first and the third.
const NUMBERS: [usize; 4] = [9, 11, 10, 9];
/// From this width on there is room for all columns.
const WIDE: u16 = 64;

/// Draws the scene into `area`.
pub fn draw(scene: &Slices, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let all: Vec<Row> = scene.rows.iter().cloned().chain([scene.others(language)]).collect();
    let rows = all.len() as u16;
    // Where there is room, lines are higher, with a blank one between them.
    const AROUND: u16 = 9;
    let height = (area.height.saturating_sub(AROUND) / rows.max(1)).clamp(1, 3);
    let heights = [
        Constraint::Length(if area.width < WIDE { 2 } else { 1 }),
        Constraint::Length(1),
        Constraint::Length(rows * height),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ];
    let [mode, head, lines, axis, shades, below] = Layout::vertical(heights).areas(area);
    let bold = Style::new().bold();
    let dim = Style::new().fg(Color::DarkGray);
    let wrap = Wrap { trim: true };
    frame.render_widget(Paragraph::new(scene.mode.words(language)).wrap(wrap), mode);
    let is_wide = area.width >= WIDE;
    let shown = |columns: &[String; 4]| -> String {
        let kept = columns.iter().enumerate().filter(|(at, _)| is_wide || at % 2 == 0);
        kept.map(|(_, column)| column.as_str()).collect()
    };
    let taken = NAME + NUMBERS.iter().step_by(if is_wide { 1 } else { 2 }).sum::<usize>();
    let width = usize::from(area.width).saturating_sub(taken);
    frame.render_widget(Line::styled(shown(&heads(scene, language)), dim).right_aligned(), head);
    for (number, row) in all.iter().enumerate() {
        let colour = match number {
            worker if worker < scene.rows.len() => Style::new().fg(COLOURS[worker % COLOURS.len()]),
            _ => dim,
        };
        let line = Span::styled(line(row, scene.milliseconds, width), colour);
        for part in 0..height.max(2) - 1 {
            let y = lines.y + number as u16 * height + part;
            let cell = Rect { y, height: 1, ..lines }.intersection(lines);
            let (name, numbers) = match part {
                0 => (row.name.as_str(), shown(&right(words::numbers(row)))),
                _ => ("", String::new()),
            };
            let name = Span::styled(left(name), bold);
            frame.render_widget(Line::from(vec![name, line.clone(), numbers.into()]), cell);
        }
    }
    let right = format!("{} ms", scene.milliseconds);
    let space = width.saturating_sub(1 + right.len());
    let scale = format!("{}0{}{right}", " ".repeat(NAME), " ".repeat(space));
    frame.render_widget(Line::styled(scale, dim), axis);
    let key = format!(
        "{}{}",
        " ".repeat(NAME),
        shade_key(usize::from(area.width).saturating_sub(NAME), language)
    );
    frame.render_widget(Line::styled(key, dim), shades);
    let mut notes: Vec<Line> = Vec::new();
    notes.extend(words::throttled(scene, language).map(Line::from));
    notes.extend(scene.about_cut(language).map(Line::from));
    notes.extend(words::processor(scene, language).map(|text| Line::styled(text, dim)));
    notes.push(Line::styled(words::sources(scene, language), dim));
    notes.extend(scene.note.clone().map(|note| Line::styled(note, Style::new().fg(Color::Red))));
    frame.render_widget(Paragraph::new(notes).wrap(wrap), below);
}

/// A name before its line.
fn left(name: &str) -> String {
    format!("{}{name} ", " ".repeat((NAME - 1).saturating_sub(columns(name))))
}

/// Numbers in their columns.
fn right(texts: [String; 4]) -> [String; 4] {
    let mut at = NUMBERS.iter();
    texts.map(|text| format!("{text:>w$}", w = at.next().copied().unwrap_or_default()))
}

/// What stands over the numbers, at their right ends.
fn heads(scene: &Slices, language: Language) -> [String; 4] {
    let mut at = NUMBERS.iter();
    words::names(scene, language).map(|head| {
        let room = at.next().copied().unwrap_or_default();
        " ".repeat(room.saturating_sub(columns(head))) + head
    })
}

/// How dark a column is, by the part of its time in which the worker ran.
const SHADES: [(f64, char); 5] = [(0.85, '█'), (0.5, '▓'), (0.2, '▒'), (0.02, '░'), (0.0, '·')];

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
        let part = ran(from, from + column) / column;
        let darkest = SHADES.iter().find(|(least, _)| part > *least);
        darkest.map_or('·', |(_, shade)| *shade)
    };
    (0..width).map(shade).collect()
}

/// What the shades of a line mean.
fn shade_key(width: usize, language: Language) -> String {
    let shades = SHADES.map(|(part, shade)| match part {
        part if part > 0.0 => format!("{shade} >{:.0} %", part * 100.0),
        _ => format!("{shade} {}", language.either("less", "更少")),
    });
    let key = shades.join("  ");
    let about = language.either("ran in a column: ", "一列中运行的部分：");
    if columns(about) + columns(&key) <= width { format!("{about}{key}") } else { key }
}

/// The numbers of the picture, where there is no terminal.
pub fn summary(scene: &Slices, language: Language) -> String {
    const LINE: usize = 30;
    let mut text = format!("{}\n", scene.mode.words(language));
    text += &format!("{}{}\n", " ".repeat(NAME + LINE), heads(scene, language).concat());
    for row in scene.rows.iter().chain([&scene.others(language)]) {
        let line = line(row, scene.milliseconds, LINE);
        text += &format!("{}{line}{}\n", left(&row.name), right(words::numbers(row)).concat());
    }
    let notes = words::throttled(scene, language).into_iter().chain(scene.about_cut(language));
    let notes =
        notes.chain(words::processor(scene, language)).chain([words::sources(scene, language)]);
    for line in notes.flat_map(|note| wrapped(&note, 79)).chain(scene.note.clone()) {
        text += &format!("{line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::drawn;
    use crate::slices::{Counter, Mode, ProcessorTime, Switches, Throttled};

    fn scene() -> Slices {
        let row = |number: u32| Row {
            name: (number + 1).to_string(),
            runs: vec![(number * 50_000, 50_000)],
            share: 0.5,
            counted: Some(0.498),
            slice: Some(500.0),
            gap: None,
        };
        let rows = vec![row(0), row(1)];
        Slices {
            mode: Mode::RoundRobin,
            milliseconds: 1000,
            rows,
            counter: Some(Counter::Schedstat),
            throttled: Some(Throttled { periods: 10, throttled: 9, milliseconds: 905.4 }),
            switches: Some(Switches::Recorded { given: 12, preempted: 11, processors: vec![0] }),
            processor: Some(ProcessorTime { number: 0, idle: 0.0, steal: 0.01 }),
            note: None,
        }
    }

    fn screen(width: u16, height: u16) -> String {
        drawn((width, height), |frame| draw(&scene(), frame, frame.area(), Language::En))
            .to_string()
    }

    #[test]
    fn who_ran_when_is_a_line_of_dark_and_light() {
        let seen = screen(86, 14);
        let numbers = "   50.0 %     49.8 %     500.0        –";
        for line in ["█".repeat(20) + &"·".repeat(20), "·".repeat(20) + &"█".repeat(20)] {
            assert!(seen.contains(&(line + numbers)), "{seen}");
        }
        assert!(seen.contains("nr_throttled 9 of nr_periods 10; throttled for 905 ms"));
        assert!(seen.contains("(perf), CPU 0: switched in 12"), "{seen}");
        // All of the second is somebody's.
        assert!(
            seen.contains("others ") && seen.contains("workers 100.0 % + others 0.0 %"),
            "{seen}"
        );
        assert!(seen.contains("█ >85 %  ▓ >50 %  ▒ >20 %  ░ >2 %  · less"), "{seen}");
        // A phone has room for the share and the slice.
        let seen = screen(44, 14);
        assert!(seen.contains("·········   50.0 %     500.0"), "{seen}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 5), (300, 100)] {
            screen(width, height);
        }
    }
}
