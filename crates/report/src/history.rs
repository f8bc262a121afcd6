//! A series of runs: how each figure went from one to the next.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Comparison, Interval, Records, RecordsError, Series, Unit, catalogue,
    chart::{Chart, Course, Mark, STYLE, history_chart},
    file::replace,
    format::{date, human},
    html::escaped,
    spelling,
    text::{pad_left, pad_right, wrap},
};

/// More runs than this are neither read nor drawn; the latest are.
const MOST_RUNS: usize = 200;

/// One run of the series, without its samples.
#[derive(Debug, Clone)]
pub struct Run {
    /// The name of its folder.
    pub name: String,
    /// When it began, in seconds since 1970, UTC.
    pub began_unix_seconds: u64,
    /// The processor and the kernel, which tell whether runs compare.
    pub machine: String,
    /// Medians with their intervals by metric and sandbox.
    values: BTreeMap<(String, String), (f64, Option<Interval>, Unit)>,
}

/// Runs in the order of time.
#[derive(Debug)]
pub struct History {
    /// The runs.
    pub runs: Vec<Run>,
    /// Folders whose records could not be read, with the reason.
    pub unread: Vec<(String, String)>,
}

/// Reads the runs in the folders below `folder`.
///
/// # Errors
///
/// When `folder` cannot be read. A run that cannot be read is named in the history.
pub fn history(folder: &Path) -> Result<History, RecordsError> {
    let unreadable = |source: io::Error| RecordsError::Read { path: folder.to_owned(), source };
    let mut found = History { runs: Vec::new(), unread: Vec::new() };
    for inside in fs::read_dir(folder).map_err(unreadable)? {
        let path = inside.map_err(unreadable)?.path();
        if !path.join(crate::file::NAME).is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match Records::read(&path) {
            Ok(records) => found.runs.push(Run::of(name, &records)),
            Err(error) => found.unread.push((name, error.to_string())),
        }
        if found.runs.len() > MOST_RUNS {
            let oldest =
                found.runs.iter().enumerate().min_by_key(|(_, run)| run.began_unix_seconds);
            if let Some((oldest, _)) = oldest {
                found.runs.remove(oldest);
            }
        }
    }
    found
        .runs
        .sort_by(|a, b| (a.began_unix_seconds, &a.name).cmp(&(b.began_unix_seconds, &b.name)));
    found.unread.sort();
    Ok(found)
}

impl Run {
    fn of(name: String, records: &Records) -> Self {
        let comparison = Comparison::of(records);
        let mut values = BTreeMap::new();
        let own = |it: &&Series| catalogue::has_figure(&it.metric, &it.sandbox);
        for series in records.series.iter().filter(own) {
            if let Some(measured) = comparison.measured_of(&series.metric, &series.sandbox) {
                let name = (series.metric.clone(), series.sandbox.clone());
                values.insert(name, (measured.median, measured.interval, series.unit));
            }
        }
        let fact = |name: &str| records.provenance.host.get(name).map_or("unknown", String::as_str);
        Self {
            name,
            began_unix_seconds: records.provenance.began_unix_seconds,
            machine: format!("{}, Linux {}", fact("cpu"), fact("kernel")),
            values,
        }
    }
}

impl History {
    /// Metrics that at least two runs have, in the order of the catalogue, then of their names.
    fn courses(&self) -> Vec<Course<'_>> {
        let mut metrics: BTreeMap<(usize, &str), Vec<&str>> = BTreeMap::new();
        let known: Vec<&str> = catalogue::GROUPS
            .iter()
            .flat_map(|(_, metrics)| metrics.iter().map(|metric| metric.name))
            .collect();
        for (metric, sandbox) in self.runs.iter().flat_map(|run| run.values.keys()) {
            let place = known.iter().position(|name| name == metric).unwrap_or(known.len());
            let sandboxes = metrics.entry((place, metric)).or_default();
            if !sandboxes.contains(&sandbox.as_str()) {
                sandboxes.push(sandbox);
            }
        }
        let courses = metrics.into_iter().filter_map(|((place, metric), sandboxes)| {
            let title = known.get(place).and_then(|name| catalogue::find(name));
            self.course(title.map_or(metric, |(_, metric)| metric.title), metric, sandboxes)
        });
        courses.collect()
    }

    /// The course of one metric, if two runs have it.
    fn course<'a>(
        &'a self,
        title: &'a str,
        metric: &str,
        mut sandboxes: Vec<&'a str>,
    ) -> Option<Course<'a>> {
        let usual = ["process", "container", "microvm"];
        sandboxes.sort_by_key(|name| usual.iter().position(|it| it == name).unwrap_or(3));
        let value = |run: &Run, sandbox: &str| {
            run.values.get(&(metric.to_owned(), sandbox.to_owned())).copied()
        };
        let row = |run: &Run| {
            let values = sandboxes.iter().map(|sandbox| value(run, sandbox));
            values.map(|it| it.map(|(median, ends, _)| (median, ends))).collect::<Vec<_>>()
        };
        let label = |run: &Run| date(run.began_unix_seconds).replace(" UTC", "");
        let rows: Vec<_> = self.runs.iter().map(|run| (label(run), row(run))).collect();
        let all = self.runs.iter().flat_map(|run| sandboxes.iter().map(move |it| (run, it)));
        let (.., unit) = { all }.find_map(|(run, sandbox)| value(run, sandbox))?;
        let several = rows.iter().filter(|(_, row)| row.iter().any(Option::is_some)).count() > 1;
        several.then_some(Course { title, unit, sandboxes, rows })
    }

    /// A line a metric and sandbox: the medians in the order of time. A star is one whose interval
    /// does not meet that of the run before.
    pub fn text(&self) -> String {
        const MOST: usize = 5;
        let mut text = format!("{} runs", self.runs.len());
        if let (Some(first), Some(last)) = (self.runs.first(), self.runs.last()) {
            let [first, last] = [first, last].map(|run| date(run.began_unix_seconds));
            write!(text, ", {first} to {last}").ok();
        }
        text.push('\n');
        for (name, why) in &self.unread {
            for line in wrap(&format!("not read: {name}: {why}"), 80) {
                writeln!(text, "{line}").ok();
            }
        }
        for pair in self.runs.windows(2).filter(|pair| pair[0].machine != pair[1].machine) {
            writeln!(text, "another machine from {} on: {}", pair[1].name, pair[1].machine).ok();
        }
        for course in self.courses() {
            writeln!(text, "{}", course.title).ok();
            for (column, sandbox) in course.sandboxes.iter().enumerate() {
                let values: Vec<_> = course.rows.iter().map(|(_, row)| row[column]).collect();
                let skipped = values.len().saturating_sub(MOST);
                let mut line = format!("  {}", pad_right(spelling::name(sandbox), 14));
                line.push_str(if skipped > 0 { "… " } else { "  " });
                for (index, value) in values.iter().enumerate().skip(skipped) {
                    let before = index.checked_sub(1).and_then(|before| values[before]);
                    let star = if apart(before, *value) { "*" } else { " " };
                    let value = value.map_or("–".to_owned(), |(it, _)| human(it, course.unit));
                    write!(line, "{}{star}", pad_left(&value, 11)).ok();
                }
                writeln!(text, "{}", line.trim_end()).ok();
            }
        }
        text
    }

    /// Draws the runs as `history.html` into `folder` and returns its path.
    ///
    /// # Errors
    ///
    /// When a chart cannot be drawn or the page not be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, RecordsError> {
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>A series of runs</title>\n\
             <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<h1>A series of runs</h1>\n\
             <p class=\"legend\">A row a run, the latest last; a mark is a median, its bar the \
             interval of 95 %.</p>\n",
            include_str!("page/page.css")
        );
        for (name, why) in &self.unread {
            writeln!(
                page,
                "<p class=\"warning\">not read: {}: {}</p>",
                escaped(name),
                escaped(why)
            )
            .ok();
        }
        for course in self.courses() {
            if let Some(Chart { title, wide, narrow, .. }) = history_chart(&course)? {
                writeln!(
                    page,
                    "<figure>\n<figcaption>{}</figcaption>\n<div class=\"wide\">{wide}</div>\n\
                     <div class=\"narrow\">{narrow}</div>\n</figure>",
                    escaped(&title)
                )
                .ok();
            }
        }
        page.push_str("<table class=\"stacked\">\n<tbody>\n");
        for run in &self.runs {
            let (name, machine) = (escaped(&run.name), escaped(&run.machine));
            let began = date(run.began_unix_seconds);
            writeln!(
                page,
                "<tr><th scope=\"row\">{name}</th><td>{began}</td><td>{machine}</td></tr>"
            )
            .ok();
        }
        page.push_str("</tbody>\n</table>\n</main>\n</body>\n</html>\n");
        let path = folder.join("history.html");
        match replace(&path, page.as_bytes()) {
            Ok(()) => Ok(path),
            Err(source) => Err(RecordsError::Write { path, source }),
        }
    }
}

/// Whether both have intervals, and these have nothing in common.
fn apart(before: Mark, after: Mark) -> bool {
    let ends = |value: Mark| value.and_then(|(_, ends)| ends);
    ends(before)
        .zip(ends(after))
        .is_some_and(|(one, other)| one.high < other.low || other.high < one.low)
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::{example, metric};

    #[test]
    fn runs_are_drawn_in_the_order_of_time_and_a_jump_has_a_star() {
        let folder = tempdir().unwrap();
        for (index, name) in ["b", "a", "c"].iter().enumerate() {
            let mut records = example::records();
            records.provenance.began_unix_seconds += 86_400 * index as u64;
            for series in records.series.iter_mut().filter(|it| it.metric == metric::CROSSING) {
                let factor = if index == 2 { 2.0 } else { 1.0 };
                series.samples.iter_mut().for_each(|sample| sample.value *= factor);
            }
            records.write(&folder.path().join(name)).unwrap();
        }
        fs::create_dir(folder.path().join("broken")).unwrap();
        fs::write(folder.path().join("broken/records.json"), "{").unwrap();
        let history = history(folder.path()).unwrap();
        let names: Vec<&str> = history.runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
        assert_eq!(history.unread[0].0, "broken");
        let text = history.text();
        let (_, crossing) = text.split_once("one crossing\n").unwrap();
        let crossing = crossing.lines().next().unwrap();
        assert_eq!(crossing.matches('*').count(), 1, "{crossing}");
        assert!(crossing.ends_with('*'), "{crossing}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let page = fs::read_to_string(history.write(folder.path()).unwrap()).unwrap();
        assert!(page.contains("one crossing") && !page.contains("<script"));
    }
}
