//! The picture: a line a worker, time from left to right.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use report::columns::{columns, wrapped};

use super::{Row, Slices, Switches};
use crate::Language;

/// Colours that can be told apart on a projector, in turn.
const COLOURS: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue];
/// For a worker's name before its line.
const NAME: usize = 6;
/// For each of its numbers behind the line: share, counted, slice, gap. A narrow picture has room
/// for the first and the third.
const NUMBERS: [usize; 4] = [9, 11, 10, 9];
/// From this width on there is room for all columns.
const WIDE: u16 = 64;

/// Draws the scene into `area`.
pub fn draw(scene: &Slices, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let rows = scene.rows.len() as u16;
    // Where there is room, lines are higher, with a blank one between them.
    const AROUND: u16 = 8;
    let height = (area.height.saturating_sub(AROUND) / rows.max(1)).clamp(1, 3);
    let heights = [
        Constraint::Length(if area.width < WIDE { 2 } else { 1 }),
        Constraint::Length(1),
        Constraint::Length(rows * height),
        Constraint::Length(1),
        Constraint::Fill(1),
    ];
    let [mode, head, lines, axis, below] = Layout::vertical(heights).areas(area);
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
    for (number, row) in scene.rows.iter().enumerate() {
        let colour = Style::new().fg(COLOURS[number % COLOURS.len()]);
        let line = Span::styled(line(row, scene.milliseconds, width), colour);
        for part in 0..height.max(2) - 1 {
            let y = lines.y + number as u16 * height + part;
            let cell = Rect { y, height: 1, ..lines }.intersection(lines);
            let (name, numbers) = match part {
                0 => (row.name.as_str(), shown(&numbers(row))),
                _ => ("", String::new()),
            };
            let name = Span::styled(format!("{name:>w$} ", w = NAME - 1), bold);
            frame.render_widget(Line::from(vec![name, line.clone(), numbers.into()]), cell);
        }
    }
    let right = format!("{} ms", scene.milliseconds);
    let space = width.saturating_sub(1 + right.len());
    let scale = format!("{}0{}{right}", " ".repeat(NAME), " ".repeat(space));
    frame.render_widget(Line::styled(scale, dim), axis);
    let mut notes: Vec<Line> = Vec::new();
    notes.extend(throttled(scene, language).map(Line::from));
    notes.push(Line::styled(sources(scene, language), dim));
    notes.extend(scene.note.clone().map(|note| Line::styled(note, Style::new().fg(Color::Red))));
    frame.render_widget(Paragraph::new(notes).wrap(wrap), below);
}

/// What stands over the numbers, at their right ends.
fn heads(scene: &Slices, language: Language) -> [String; 4] {
    let counted = scene.counter.map_or("", super::Counter::name);
    let heads = [
        language.either("share", "份额"),
        counted,
        language.either("slice ms", "时间片 ms"),
        language.either("gap ms", "等待 ms"),
    ];
    let mut at = NUMBERS.iter();
    heads.map(|head| {
        let room = at.next().copied().unwrap_or_default();
        " ".repeat(room.saturating_sub(columns(head))) + head
    })
}

/// What the quota did, where there is one.
fn throttled(scene: &Slices, language: Language) -> Option<String> {
    let seen = scene.throttled?;
    let (throttled, periods, time) = (seen.throttled, seen.periods, seen.milliseconds);
    Some(match language {
        Language::En => format!(
            "cpu.stat, in this second: nr_throttled {throttled} of nr_periods {periods}; throttled for {time:.0} ms."
        ),
        Language::Zh => format!(
            "cpu.stat，这一秒内：nr_throttled {throttled}，nr_periods {periods}；被限制 {time:.0} 毫秒。"
        ),
    })
}

/// Who saw what is shown.
fn sources(scene: &Slices, language: Language) -> String {
    let own = language.either("Measured by the workers' own clocks.", "由各程序按自己的时钟测得。");
    let switches = match (&scene.switches, language) {
        (None, _) => String::new(),
        (Some(Switches::Recorded { given, preempted, processors }), language) => {
            let cpus = processors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            match language {
                Language::En => format!(
                    " Scheduler records (perf), CPU {cpus}: switched in {given} times, preempted {preempted} times."
                ),
                Language::Zh => {
                    format!(
                        "调度器记录（perf），CPU {cpus}：切入 {given} 次，抢占 {preempted} 次。"
                    )
                }
            }
        }
        (Some(Switches::NotAllowed(reason)), Language::En) => {
            format!(" Scheduler records are not permitted here: {reason}.")
        }
        (Some(Switches::NotAllowed(reason)), Language::Zh) => {
            format!("这里不允许读取调度器记录：{reason}。")
        }
    };
    format!("{own}{switches}")
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

/// Share, the same as the kernel counts it, length of a slice, longest gap.
fn numbers(row: &Row) -> [String; 4] {
    let percent = |share: f32| format!("{:.1} %", share * 100.0);
    let milliseconds =
        |value: Option<f32>| value.map_or("–".into(), |value| format!("{value:.1}"));
    let texts = [
        percent(row.share),
        row.counted.map_or("–".into(), percent),
        milliseconds(row.slice),
        milliseconds(row.gap),
    ];
    let mut at = NUMBERS.iter();
    texts.map(|text| format!("{text:>w$}", w = at.next().copied().unwrap_or_default()))
}

/// The numbers of the picture, where there is no terminal.
pub fn summary(scene: &Slices, language: Language) -> String {
    const LINE: usize = 31;
    let mut text = format!("{}\n", scene.mode.words(language));
    text += &format!("{}{}\n", " ".repeat(NAME + 1 + LINE), heads(scene, language).concat());
    for row in &scene.rows {
        let line = line(row, scene.milliseconds, LINE);
        text += &format!("{:>NAME$} {line}{}\n", row.name, numbers(row).concat());
    }
    let notes = throttled(scene, language).into_iter().chain([sources(scene, language)]);
    for line in notes.flat_map(|note| wrapped(&note, 79)).chain(scene.note.clone()) {
        text += &format!("{line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::drawn;
    use crate::slices::{Counter, Mode, Throttled};

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
            note: None,
        }
    }

    fn screen(width: u16, height: u16) -> String {
        drawn((width, height), |frame| draw(&scene(), frame, frame.area(), Language::En))
            .to_string()
    }

    #[test]
    fn who_ran_when_is_a_line_of_dark_and_light() {
        let seen = screen(85, 10);
        let numbers = "   50.0 %     49.8 %     500.0        –";
        for line in ["█".repeat(20) + &"·".repeat(20), "·".repeat(20) + &"█".repeat(20)] {
            assert!(seen.contains(&(line + numbers)), "{seen}");
        }
        assert!(seen.contains("nr_throttled 9 of nr_periods 10; throttled for 905 ms"));
        assert!(seen.contains("(perf), CPU 0: switched in 12"), "{seen}");
        // A phone has room for the share and the slice.
        let seen = screen(44, 12);
        assert!(seen.contains("·········   50.0 %     500.0"), "{seen}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 5), (300, 100)] {
            screen(width, height);
        }
    }
}
