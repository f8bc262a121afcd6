//! The charts: dots for samples, stacked phases for start-up, lanes for slices of time.
//!
//! Each is drawn twice, wide and narrow, because text that is scaled down to the width of a phone
//! cannot be read. Colours are classes, which the page and the files define for light and dark.

mod axis;
mod canvas;
mod colours;
mod curves;
mod dots;
mod history;
mod lanes;
mod lesson;
mod phases;

use crate::{Comparison, Unit, file::RecordsError, metric};
use canvas::Canvas;
pub(crate) use colours::{STYLE, class_of};
pub(crate) use history::{Course, Mark};

/// The width of a chart in its own pixels, on a page and on a phone.
const WIDE: u32 = 940;
const NARROW: u32 = 380;

/// So many rows are in a chart of samples.
const ROWS: usize = 3;

/// A chart in two widths.
#[derive(Debug)]
pub(crate) struct Chart {
    /// For the file name and links; from the records, so it may hold anything.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// For pages.
    pub wide: String,
    /// For phones.
    pub narrow: String,
}

/// All charts of one question.
pub(crate) fn charts(comparison: &Comparison, group: &str) -> Result<Vec<Chart>, RecordsError> {
    let mut charts = Vec::new();
    let Some(question) = comparison.questions.iter().find(|q| q.group.name == group) else {
        return Ok(charts);
    };
    if group == "startup" {
        charts.extend(chart("startup-phases", "From the call until nothing is left", |width| {
            phases::draw(comparison, width)
        })?);
    }
    if group == "density" {
        for (metric, unit, title) in [
            (metric::DENSITY_MEMORY, Unit::Bytes, "Memory of all that are alive, by their number"),
            (metric::DENSITY_START, Unit::Nanoseconds, "Start of one more, by those alive"),
        ] {
            let found = comparison.curves(metric);
            charts.extend(chart(metric, title, |width| curves::draw(&found, unit, width))?);
        }
    }
    if group == "slices" {
        for trace in comparison.traces {
            let title = lanes::title(trace, WIDE);
            charts.extend(chart(&trace.metric, &title, |width| lanes::draw(trace, width))?);
        }
    }
    let rows: Vec<_> = question
        .rows
        .iter()
        .filter(|row| row.unit.is_some_and(|unit| unit != Unit::Count))
        .collect();
    let title = format!("{}: every sample", question.group.title);
    // Programs under different limits share an axis; other rows have one each, and a chart of a few
    // rows fits on a sheet of paper.
    let of_one = if group == "slices" { rows.len().max(1) } else { ROWS };
    for (number, rows) in (1..).zip(rows.chunks(of_one)) {
        let (name, title) = match number {
            1 => (group.to_owned(), title.clone()),
            _ => (format!("{group}-{number}"), format!("{title}, continued")),
        };
        charts.extend(chart(&name, &title, |width| dots::draw(comparison, rows, group, width))?);
    }
    Ok(charts)
}

/// The first picture of a report: medians beside what the lesson says.
pub(crate) fn lesson_chart(comparison: &Comparison) -> Result<Option<Chart>, RecordsError> {
    chart("lesson", "Measured (filled), and what the lesson says (hollow)", |width| {
        lesson::draw(comparison, width)
    })
}

/// How a metric went from run to run.
pub(crate) fn history_chart(course: &Course) -> Result<Option<Chart>, RecordsError> {
    chart(course.title, course.title, |width| history::draw(course, width))
}

/// What a drawing function gives: the picture and the same in words; nothing if there is nothing.
type Drawing = Result<Option<(Canvas, String)>, canvas::DrawError>;

fn chart(
    name: &str,
    title: &str,
    draw: impl Fn(u32) -> Drawing,
) -> Result<Option<Chart>, RecordsError> {
    let failed = |error: canvas::DrawError| RecordsError::Chart {
        name: name.to_owned(),
        message: error.to_string(),
    };
    let Some((wide, description)) = draw(WIDE).map_err(failed)? else { return Ok(None) };
    let Some((narrow, _)) = draw(NARROW).map_err(failed)? else { return Ok(None) };
    Ok(Some(Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        wide: wide.svg(&format!("{title} (wide)"), &description),
        narrow: narrow.svg(&format!("{title} (narrow)"), &description),
    }))
}

impl Chart {
    /// The wide chart as a file of its own, with its own colours and paper.
    pub(crate) fn file(&self) -> String {
        let (head, body) = self.wide.split_once('>').unwrap_or_default();
        let paper = "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>";
        format!("{head} xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>{paper}{body}")
    }
}
