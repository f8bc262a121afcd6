//! Every sample as a dot, and the median with its interval as a bar.
//!
//! Dots rather than bars: a bar hides how many samples there were and how far apart they lie.

use crate::{
    Comparison, Unit,
    comparison::{Measured, Row},
    format::human,
    random::Random,
    spelling,
};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, DrawError, Surface, fitting, text_width},
    colours::Colour,
};

/// More dots than this are a blot; evenly spread ones are drawn.
const MOST_DOTS: usize = 240;

const WIDEST_LABEL: i32 = 130;
const TITLE_HEIGHT: i32 = 28;
const ROW_HEIGHT: i32 = 34;
const AXIS_HEIGHT: i32 = 42;

/// One panel a metric, one line a sandbox.
pub(super) fn draw(comparison: &Comparison, rows: &[&Row], group: &str, width: u32) -> Drawing {
    let panels = match group {
        "slices" => Panel::by_unit(comparison, rows),
        _ => rows.iter().filter_map(|row| Panel::of(comparison, row)).collect(),
    };
    if panels.is_empty() {
        return Ok(None);
    }
    let labels = panels.iter().flat_map(|panel| &panel.lines).map(|line| text_width(line.label));
    let left = labels.max().unwrap_or(0).min(WIDEST_LABEL) + 12;
    let values = panels.iter().flat_map(|panel| &panel.lines).map(|line| text_width(&line.value));
    let pixels = (left, width as i32 - values.max().unwrap_or(0) - 16);
    let height: i32 = panels.iter().map(Panel::height).sum();
    let canvas = Canvas::drawn((width, height as u32), |surface| {
        let mut top = 0;
        for panel in &panels {
            // The first and the last start are to be compared with each other.
            let alike = |other: &&Panel| group == "density" && other.unit == panel.unit;
            let shown: Vec<&Panel> =
                panels.iter().filter(|other| other.title == panel.title || alike(other)).collect();
            let values = shown.iter().flat_map(|panel| panel.values());
            if let Some(axis) = Axis::over(values, panel.unit, pixels) {
                panel.draw(surface, &axis, top, width as i32)?;
            }
            top += panel.height();
        }
        Ok(())
    })?;
    let description: Vec<String> = panels.iter().map(Panel::description).collect();
    Ok(Some((canvas, description.join(" "))))
}

struct Panel<'a> {
    title: &'a str,
    unit: Unit,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    label: &'a str,
    /// What it should be, if it was asked for.
    expected: Option<f64>,
    column: usize,
    measured: &'a Measured<'a>,
    value: String,
}

impl<'a> Panel<'a> {
    /// A metric, with a line for each sandbox.
    fn of(comparison: &'a Comparison, row: &'a Row) -> Option<Self> {
        let mut lines = lines(row);
        for line in &mut lines {
            line.label = spelling::name(comparison.sandboxes[line.column]);
        }
        let panel = Self { title: row.title, unit: row.unit?, lines };
        (!panel.lines.is_empty()).then_some(panel)
    }

    /// Metrics of the same unit, with a line for each, because few sandboxes have them.
    fn by_unit(comparison: &'a Comparison, rows: &[&'a Row]) -> Vec<Self> {
        let mut panels: Vec<Self> = Vec::new();
        for row in rows {
            let Some(unit) = row.unit else { continue };
            let lines = lines(row);
            if lines.len() > 1 {
                panels.extend(Self::of(comparison, row));
            } else if let Some(panel) = panels.iter_mut().find(|panel| panel.unit == unit) {
                panel.lines.extend(lines);
            } else {
                let title = match unit {
                    Unit::Share => "share of one CPU; dashed: what was asked for",
                    _ => "time at a stretch",
                };
                panels.push(Self { title, unit, lines });
            }
        }
        panels
    }

    fn height(&self) -> i32 {
        TITLE_HEIGHT + ROW_HEIGHT * self.lines.len() as i32 + AXIS_HEIGHT
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let samples = self.lines.iter().flat_map(|line| line.measured.samples.iter());
        let expected = self.lines.iter().filter_map(|line| line.expected);
        samples.map(|sample| sample.value).chain(expected)
    }

    fn draw(&self, surface: &Surface, axis: &Axis, top: i32, width: i32) -> Result<(), DrawError> {
        let scale = if axis.logarithmic() { " (logarithmic)" } else { "" };
        surface
            .title(&fitting(&format!("{}{scale}", self.title), width * 9 / 10), (0, top + 12))?;
        let first = top + TITLE_HEIGHT;
        let bottom = first + ROW_HEIGHT * self.lines.len() as i32;
        axis.draw(surface, first, bottom)?;
        for (index, line) in self.lines.iter().enumerate() {
            line.draw(surface, axis, first + ROW_HEIGHT * index as i32 + ROW_HEIGHT / 2, width)?;
        }
        Ok(())
    }

    fn description(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().map(|line| format!("{} {}", line.label, line.value)).collect();
        format!("{}: {}.", self.title, lines.join(", "))
    }
}

/// The measured cells of a row, under its title.
fn lines<'a>(row: &'a Row) -> Vec<Line<'a>> {
    let Some(unit) = row.unit else { return Vec::new() };
    let cells = row.cells.iter().enumerate();
    cells
        .filter_map(|(column, cell)| {
            let measured = cell.measured()?;
            let value = human(measured.median, unit);
            Some(Line { label: row.title, expected: row.expected, column, measured, value })
        })
        .collect()
}

impl Line<'_> {
    fn draw(&self, surface: &Surface, axis: &Axis, y: i32, width: i32) -> Result<(), DrawError> {
        let colour = Colour::Sandbox(self.column);
        surface.text(&fitting(self.label, WIDEST_LABEL), (0, y), Anchor::Left, Colour::Text)?;
        surface.text(&self.value, (width - 1, y), Anchor::Right, Colour::Text)?;
        if let Some(expected) = self.expected {
            let (x, half) = (axis.pixel(expected), ROW_HEIGHT / 2);
            surface.line((x, y - half), (x, y + half), 2, Colour::Expected)?;
        }
        let samples = &self.measured.samples;
        let step = samples.len().div_ceil(MOST_DOTS).max(1);
        let mut random = Random::new(samples.len() as u64);
        for sample in samples.iter().step_by(step) {
            // Up or down at random, so that equal samples do not hide each other.
            let off = if samples.len() > 1 { (random.fraction() * 16.0 - 8.0) as i32 } else { 0 };
            surface.dot((axis.pixel(sample.value), y + off), colour)?;
        }
        if let Some(interval) = self.measured.interval {
            let (low, high) = (axis.pixel(interval.low), axis.pixel(interval.high));
            surface.bar((low, y - 1), (high.max(low + 1), y + 2), Colour::Text)?;
        }
        if samples.len() > 1 {
            let x = axis.pixel(self.measured.median);
            surface.bar((x - 1, y - 11), (x + 2, y + 11), Colour::Text)?;
        }
        Ok(())
    }
}
