//! Start-up as a bar that is stacked from its phases.

use crate::{
    Comparison, Unit, comparison::Evidence, format::human, metric, spelling::name as spelled,
};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, DrawError, Surface, fitting, text_width},
    colours::Colour,
};

/// The milestone at the end of each phase, and what happens until then.
const PHASES: [(&str, &str); 4] = [
    (metric::STARTUP_CREATED, "walls go up"),
    (metric::STARTUP_ENTERED, "program enters"),
    (metric::STARTUP_FIRST_BYTE, "it speaks"),
    (metric::STARTUP_EXITED, "it ends"),
];
const CLEANING: (&str, &str) = (metric::TEARDOWN, "it is cleaned up");

const BAR_HEIGHT: i32 = 30;
const ROW_HEIGHT: i32 = 44;
const LEGEND_HEIGHT: i32 = 24;
const AXIS_HEIGHT: i32 = 30;

struct Stack<'a> {
    sandbox: &'a str,
    /// How long each phase took; they add up to the whole. Empty if one is missing: then the whole
    /// is unknown.
    phases: Vec<f64>,
}

/// What stands in the place of a bar of which a phase is missing.
const INCOMPLETE: &str = "not all phases were measured";

/// One bar a sandbox.
pub(super) fn draw(comparison: &Comparison, width: u32) -> Drawing {
    let stacks: Vec<Stack> =
        comparison.sandboxes.iter().filter_map(|name| stack(comparison, name)).collect();
    let longest = stacks.iter().map(|stack| stack.phases.iter().sum()).fold(0.0, f64::max);
    if longest <= 0.0 {
        return Ok(None);
    }
    let width = width as i32;
    let legend = legend(width);
    let top = (legend.last().map_or(0, |&(_, line)| line) + 1) * LEGEND_HEIGHT + 6;
    let bottom = top + ROW_HEIGHT * stacks.len() as i32;
    let labels = stacks.iter().map(|stack| text_width(spelled(stack.sandbox))).max().unwrap_or(0);
    let pixels = (labels.min(110) + 12, width - text_width("1.23 ms") - 14);
    let axis = Axis::from_zero(longest, Unit::Nanoseconds, pixels);
    let canvas = Canvas::drawn((width as u32, (bottom + AXIS_HEIGHT) as u32), |surface| {
        for (phase, &(x, line)) in legend.iter().enumerate() {
            let y = line * LEGEND_HEIGHT + LEGEND_HEIGHT / 2;
            pattern(surface, phase, [(x, y - 6), (x + 12, y + 6)], Colour::Muted)?;
            surface.text(words(phase), (x + 18, y), Anchor::Left, Colour::Muted)?;
        }
        axis.draw(surface, top, bottom)?;
        for (row, stack) in stacks.iter().enumerate() {
            bar(surface, &axis, stack, top + ROW_HEIGHT * row as i32 + ROW_HEIGHT / 2, row)?;
        }
        Ok(())
    })?;
    let describe = |stack: &Stack| {
        if stack.phases.is_empty() {
            return format!("{}: {INCOMPLETE}.", spelled(stack.sandbox));
        }
        let phases = stack.phases.iter().enumerate();
        let phases: Vec<String> =
            phases.map(|(i, &time)| format!("{} {}", words(i), time_text(time))).collect();
        format!("{}: {}.", spelled(stack.sandbox), phases.join(", "))
    };
    let description: Vec<String> = stacks.iter().map(describe).collect();
    Ok(Some((canvas, description.join(" "))))
}

fn bar(surface: &Surface, axis: &Axis, stack: &Stack, y: i32, row: usize) -> Result<(), DrawError> {
    let name = fitting(spelled(stack.sandbox), 110);
    surface.text(&name, (0, y), Anchor::Left, Colour::Text)?;
    if stack.phases.is_empty() {
        return surface.text(INCOMPLETE, (axis.pixel(0.0) + 8, y), Anchor::Left, Colour::Muted);
    }
    let mut from = 0.0;
    for (phase, &time) in stack.phases.iter().enumerate() {
        let (left, right) = (axis.pixel(from), axis.pixel(from + time));
        from += time;
        if right <= left {
            continue;
        }
        let (above, below) = (y - BAR_HEIGHT / 2, y + BAR_HEIGHT / 2);
        pattern(surface, phase, [(left, above), (right, below)], Colour::Sandbox(row))?;
        let text = time_text(time);
        let (middle, half) = ((left + right) / 2, text_width(&text) / 2 + 4);
        if half * 2 + 8 <= right - left {
            surface.bar((middle - half, y - 9), (middle + half, y + 9), Colour::Paper)?;
            surface.text(&text, (middle, y), Anchor::Middle, Colour::Text)?;
        }
    }
    surface.text(&time_text(from), (axis.pixel(from) + 8, y), Anchor::Left, Colour::Text)
}

/// A phase is a pattern, for a colour is a sandbox.
fn pattern(
    surface: &Surface,
    phase: usize,
    [from, to]: [(i32, i32); 2],
    colour: Colour,
) -> Result<(), DrawError> {
    surface.bar(from, to, colour)?;
    let inner = ((from.0 + 2, from.1 + 2), (to.0 - 2, to.1 - 2));
    let (left, right, above, below) = (inner.0.0, inner.1.0, inner.0.1, inner.1.1);
    match phase {
        0 => {}
        1 => {
            for x in (left..=right).step_by(5) {
                surface.line((x, above), (x, below), 2, Colour::Paper)?;
            }
        }
        2 => {
            for y in (above..=below).step_by(5) {
                surface.line((left, y), (right, y), 2, Colour::Paper)?;
            }
        }
        3 => {
            let height = below - above;
            for x in (left - height..right).step_by(8) {
                let (first, last) = (x.max(left), (x + height).min(right));
                surface.line(
                    (first, below - (first - x)),
                    (last, below - (last - x)),
                    2,
                    Colour::Paper,
                )?;
            }
        }
        _ if left < right => surface.bar(inner.0, inner.1, Colour::Paper)?,
        _ => {}
    }
    Ok(())
}

/// The differences between the medians of the milestones; `None` if none was measured.
fn stack<'a>(comparison: &Comparison<'a>, sandbox: &'a str) -> Option<Stack<'a>> {
    let metrics = || PHASES.into_iter().chain([CLEANING]).map(|(metric, _)| metric);
    if !metrics().any(|metric| comparison.measured(metric, sandbox).is_some()) {
        return None;
    }
    let medians = metrics().map(|metric| comparison.median(metric, sandbox));
    let medians = Evidence::all(medians.map(|median| median.map(|(median, _)| median)));
    let mut phases = medians.get().cloned().unwrap_or_default();
    let mut reached = 0.0f64;
    // The last one is no milestone but the time after them.
    for phase in phases.iter_mut().take(PHASES.len()) {
        let milestone = *phase;
        *phase = (milestone - reached).max(0.0);
        reached = reached.max(milestone);
    }
    Some(Stack { sandbox, phases })
}

/// Where each word of the legend is: pixels from the left, and line.
fn legend(width: i32) -> Vec<(i32, i32)> {
    let (mut x, mut line) = (0, 0);
    let position = |phase| {
        let wide = 18 + text_width(words(phase)) + 16;
        if x > 0 && x + wide > width {
            (x, line) = (0, line + 1);
        }
        let position = (x, line);
        x += wide;
        position
    };
    (0..=PHASES.len()).map(position).collect()
}

fn words(phase: usize) -> &'static str {
    PHASES.get(phase).unwrap_or(&CLEANING).1
}

fn time_text(time: f64) -> String {
    human(time, Unit::Nanoseconds)
}
