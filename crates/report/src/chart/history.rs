//! How one metric went from run to run: a row a run, a mark a sandbox.

use crate::{Interval, Unit, format::human, spelling};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, fitting, text_width},
    colours::Colour,
};

const LEGEND_HEIGHT: i32 = 26;
const ROW_HEIGHT: i32 = 22;
const AXIS_HEIGHT: i32 = 32;

/// A median with its interval, where a run has one.
pub(crate) type Mark = Option<(f64, Option<Interval>)>;

/// What is drawn of one metric: a row a run, a mark a sandbox.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(crate) title: &'a str,
    pub(crate) unit: Unit,
    /// The names of the sandboxes.
    pub(crate) sandboxes: Vec<&'a str>,
    /// For each run its label, and the value of each sandbox that it has.
    pub(crate) rows: Vec<(String, Vec<Mark>)>,
}

/// A row a run.
pub(super) fn draw(course: &Course, width: u32) -> Drawing {
    let values = || course.rows.iter().flat_map(|(_, row)| row.iter().flatten());
    let labels = course.rows.iter().map(|(label, _)| text_width(label)).max().unwrap_or(0);
    let pixels = (labels.min(150) + 12, width as i32 - 16);
    let Some(axis) = Axis::over(values().map(|(value, _)| *value), course.unit, pixels) else {
        return Ok(None);
    };
    let bottom = LEGEND_HEIGHT + ROW_HEIGHT * course.rows.len() as i32;
    let canvas = Canvas::drawn((width, (bottom + AXIS_HEIGHT) as u32), |surface| {
        let mut x = 0;
        for (column, sandbox) in course.sandboxes.iter().enumerate() {
            let name = spelling::name(sandbox);
            surface.dot((x + 5, LEGEND_HEIGHT / 2), Colour::Sandbox(column))?;
            surface.text(name, (x + 14, LEGEND_HEIGHT / 2), Anchor::Left, Colour::Text)?;
            x += 14 + text_width(name) + 16;
        }
        axis.draw(surface, LEGEND_HEIGHT, bottom)?;
        for (index, (label, row)) in course.rows.iter().enumerate() {
            let y = LEGEND_HEIGHT + ROW_HEIGHT * index as i32 + ROW_HEIGHT / 2;
            surface.text(&fitting(label, 150), (0, y), Anchor::Left, Colour::Muted)?;
            for (column, value) in row.iter().enumerate() {
                let Some((value, interval)) = value else { continue };
                let colour = Colour::Sandbox(column);
                if let Some(interval) = interval {
                    let (low, high) = (axis.pixel(interval.low), axis.pixel(interval.high));
                    surface.bar((low, y - 1), (high.max(low + 1), y + 1), colour)?;
                }
                surface.disc((axis.pixel(*value), y), colour)?;
            }
        }
        Ok(())
    })?;
    let description = course.sandboxes.iter().enumerate().map(|(column, sandbox)| {
        let values = course.rows.iter().filter_map(|(_, row)| row[column]);
        let values: Vec<String> = values.map(|(value, _)| human(value, course.unit)).collect();
        format!("{}: {}.", spelling::name(sandbox), values.join(", "))
    });
    Ok(Some((canvas, description.collect::<Vec<_>>().join(" "))))
}
