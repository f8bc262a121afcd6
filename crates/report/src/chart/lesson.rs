//! The first picture: what was measured, and beside it what the lesson says.

use crate::{
    Comparison, Unit,
    comparison::BASE,
    format::human,
    lesson::{LESSON_VALUES, LINUX, LessonValue},
    metric, spelling,
};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, DrawError, Surface, fitting, text_width},
    colours::Colour,
};

const TITLE_HEIGHT: i32 = 28;
const ROW_HEIGHT: i32 = 30;
const AXIS_HEIGHT: i32 = 36;

/// One question of the lesson.
struct Panel<'a> {
    title: &'static str,
    unit: Unit,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    sandbox: &'a str,
    column: usize,
    value: f64,
    /// The lesson's value, where it has one of this subject.
    lesson: Option<LessonValue>,
}

/// A panel a question of the lesson, a line a subject.
pub(super) fn draw(comparison: &Comparison, width: u32) -> Drawing {
    let panels: Vec<Panel> = LESSON_VALUES
        .iter()
        .filter_map(|(metric, lesson)| Panel::of(comparison, metric, lesson))
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let lines = || panels.iter().flat_map(|panel| &panel.lines);
    let labels = lines().map(|line| text_width(spelling::name(line.sandbox))).max().unwrap_or(0);
    let pixels = (labels.min(130) + 12, width as i32 - text_width("1000 MiB") - 14);
    let height: i32 = panels.iter().map(Panel::height).sum();
    let canvas = Canvas::drawn((width, height as u32), |surface| {
        let mut top = 0;
        for panel in &panels {
            panel.draw(surface, pixels, top, width as i32)?;
            top += panel.height();
        }
        Ok(())
    })?;
    let description: Vec<String> = panels.iter().map(Panel::description).collect();
    Ok(Some((canvas, description.join(" "))))
}

impl<'a> Panel<'a> {
    fn of(comparison: &Comparison<'a>, metric: &str, lesson: &[LessonValue; 2]) -> Option<Self> {
        let (title, of_linux) = match metric {
            metric::FOOTPRINT_DISK => ("Disk of one", metric::LINUX_DISK),
            metric::DENSITY_COUNT => ("Alive at once (at least)", metric::DENSITY_COUNT),
            _ => ("Start-up, to the first byte", metric::LINUX_FIRST_BYTE),
        };
        let subjects =
            [(BASE, metric), ("container", metric), ("microvm", metric), (LINUX, of_linux)];
        let mut lines: Vec<Line> = Vec::new();
        for (sandbox, metric) in subjects {
            let whole = comparison.measured(metric::STARTUP_COLD_FIRST_BYTE, sandbox);
            let metric = match metric {
                metric::LINUX_FIRST_BYTE if whole.is_some() => metric::STARTUP_COLD_FIRST_BYTE,
                metric => metric,
            };
            let column = comparison.sandboxes.iter().position(|name| *name == sandbox);
            let (Some(column), Some(measured)) = (column, comparison.measured(metric, sandbox))
            else {
                continue;
            };
            let lesson = (sandbox == "container").then_some(lesson[0]);
            let sandbox = comparison.sandboxes[column];
            lines.push(Line { sandbox, column, value: measured.median, lesson });
        }
        // The machine of the lesson is the one with a kernel, where there is one.
        let machine = lines.iter_mut().rfind(|line| ["microvm", LINUX].contains(&line.sandbox));
        if let Some(line) = machine {
            line.lesson = Some(lesson[1]);
        }
        let unit = comparison.find(metric)?.unit?;
        (!lines.is_empty()).then_some(Self { title, unit, lines })
    }

    fn height(&self) -> i32 {
        TITLE_HEIGHT + ROW_HEIGHT * self.lines.len() as i32 + AXIS_HEIGHT
    }

    fn draw(
        &self,
        surface: &Surface,
        pixels: (i32, i32),
        top: i32,
        width: i32,
    ) -> Result<(), DrawError> {
        let lessons = self.lines.iter().filter_map(|line| line.lesson).map(|it| it.value);
        let values = self.lines.iter().map(|line| line.value).chain(lessons);
        let Some(axis) = Axis::over(values, self.unit, pixels) else { return Ok(()) };
        let scale = if axis.logarithmic() { " (logarithmic)" } else { "" };
        surface
            .title(&fitting(&format!("{}{scale}", self.title), width * 9 / 10), (0, top + 12))?;
        let first = top + TITLE_HEIGHT;
        axis.draw(surface, first, first + ROW_HEIGHT * self.lines.len() as i32)?;
        for (index, line) in self.lines.iter().enumerate() {
            let y = first + ROW_HEIGHT * index as i32 + ROW_HEIGHT / 2;
            line.draw(surface, &axis, self.unit, (y, width))?;
        }
        Ok(())
    }

    fn description(&self) -> String {
        let line = |line: &Line| {
            let lesson = line.lesson.map(|it| format!(", the lesson says {}", it.word));
            let value = human(line.value, self.unit);
            format!("{} {value}{}", spelling::name(line.sandbox), lesson.unwrap_or_default())
        };
        format!("{}: {}.", self.title, self.lines.iter().map(line).collect::<Vec<_>>().join("; "))
    }
}

impl Line<'_> {
    fn draw(
        &self,
        surface: &Surface,
        axis: &Axis,
        unit: Unit,
        (y, width): (i32, i32),
    ) -> Result<(), DrawError> {
        let colour = Colour::Sandbox(self.column);
        let name = fitting(spelling::name(self.sandbox), 130);
        surface.text(&name, (0, y), Anchor::Left, Colour::Text)?;
        surface.text(&human(self.value, unit), (width - 1, y), Anchor::Right, Colour::Text)?;
        let x = axis.pixel(self.value);
        if let Some(lesson) = self.lesson {
            let at = axis.pixel(lesson.value);
            surface.line((x, y), (at, y), 1, Colour::Muted)?;
            surface.ring((at, y), colour)?;
            let close = (at - x).abs() < text_width(lesson.word) + 22;
            let (anchor, at) = match (at > width / 2, close) {
                (true, true) => (Anchor::Right, at.min(x) - 11),
                (true, false) => (Anchor::Right, at - 11),
                (false, true) => (Anchor::Left, at.max(x) + 11),
                (false, false) => (Anchor::Left, at + 11),
            };
            surface.text(lesson.word, (at, y - 9), anchor, Colour::Muted)?;
        }
        surface.disc((x, y), colour)
    }
}
