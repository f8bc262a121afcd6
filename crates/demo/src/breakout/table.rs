//! Which attempt escaped from which wall: a row for each attempt, a column for each wall.

use ratatui::{
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
};
use report::columns::{columns, padded, shortened};

use super::{Attempt, Breakout, Trial, Verdict, Wall};
use crate::Language;

/// For the names of the attempts.
const NAMES: usize = 10;
/// A column of the table with room for a verdict and its evidence.
const WIDE: usize = 17;

/// The lines of the table. Where columns are narrow, a row is three lines:
/// its name, the verdict and the evidence.
pub(super) fn table(scene: &Breakout, width: usize, language: Language) -> Vec<Line<'static>> {
    let narrow = width < NAMES + WIDE * Wall::ALL.len();
    let names = if narrow { 0 } else { NAMES };
    let column = width.saturating_sub(names) / Wall::ALL.len();
    // A text in its column, with a blank behind it; the last column has the rest of the line, too.
    let fitted = |text: &str, wall: Wall, taken: usize| {
        let rest = if wall == Wall::MicroVm { width.saturating_sub(names + 4 * column) } else { 0 };
        let room = (column + rest).saturating_sub(taken);
        padded(&shortened(text, room.saturating_sub(1)), room)
    };
    let mut head = vec![Span::raw(" ".repeat(names))];
    for wall in Wall::ALL {
        let name = wall.words().of(language);
        let rest = fitted("", wall, columns(name)).into();
        head.extend([chosen(name.into(), scene.wall == Some(wall)), rest]);
    }
    let mut lines = vec![Line::from(head)];
    for attempt in Attempt::ALL {
        let name = format!("{} {}", attempt.key(), attempt.words().of(language));
        let rest = " ".repeat(names.saturating_sub(columns(&name)));
        let name = vec![chosen(name.into(), scene.attempt == attempt), rest.into()];
        let (mut first, mut second) = (Line::from(name), Line::default());
        if narrow {
            lines.push(std::mem::take(&mut first));
        }
        for wall in Wall::ALL {
            let trial = scene.trial(wall, attempt);
            let verdict = trial.verdict.words().of(language);
            let evidence = evidence(attempt, trial, language);
            let style = style(trial.verdict);
            if narrow {
                first.push_span(Span::styled(fitted(verdict, wall, 0), style));
                second.push_span(fitted(&evidence, wall, 0));
            } else {
                first.push_span(Span::styled(format!("{verdict} "), style));
                first.push_span(fitted(&evidence, wall, columns(verdict) + 1));
            }
        }
        lines.push(first);
        if narrow {
            lines.push(second);
        }
    }
    lines
}

/// The name of a row or a column, and whether it is the chosen one.
fn chosen(name: Span<'static>, is: bool) -> Span<'static> {
    if is { name.bold().reversed() } else { name.bold() }
}

/// How a verdict is shown.
pub(super) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Untried | Verdict::Impossible => Style::new().fg(Color::DarkGray),
        Verdict::Running => Style::new().fg(Color::Yellow),
        Verdict::Escaped => Style::new().fg(Color::Red).bold(),
        Verdict::Contained => Style::new().fg(Color::Green).bold(),
    }
}

/// The evidence for how an attempt ended.
pub(super) fn evidence(attempt: Attempt, trial: &Trial, language: Language) -> String {
    match (trial.verdict, attempt) {
        (Verdict::Untried | Verdict::Running, _) => return String::new(),
        (Verdict::Escaped, Attempt::Process) => return language.either("killed", "已杀死").into(),
        _ => {}
    }
    // A line that only checks decides nothing.
    let decisive = trial.steps.iter().rfind(|line| !line.call.ends_with(", 0)"));
    let result = decisive.map_or("", |line| &line.result);
    if let Some(text) = result.strip_prefix('"') {
        return format!("{} {}", language.either("read", "读到"), text.trim_end_matches('"'));
    }
    // Of `exception 14 (page fault), ...` the name.
    let name = result.split_once('(').and_then(|(_, rest)| rest.split(')').next());
    match name.unwrap_or(result) {
        "page fault" => language.either("page fault", "缺页").into(),
        "unknown" => language.either("unknown", "未知").into(),
        result => result.to_owned(),
    }
}
