//! The figures of a comparison for other programs: a line for each metric and sandbox.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    Comparison, Records, Unit, Verdict,
    comparison::BASE,
    format::{human, spread, times},
    markdown::plain,
    spelling,
};

/// How figures are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180), with a head.
    Csv,
    /// A table of Markdown.
    Markdown,
    /// An array of objects.
    Json,
}

/// One metric in one sandbox. Values are in the unit, not rounded.
#[derive(Debug, Serialize)]
struct Line<'a> {
    metric: &'a str,
    sandbox: &'a str,
    unit: Unit,
    median: f64,
    /// The ends of the interval of 95 %.
    low: Option<f64>,
    high: Option<f64>,
    samples: usize,
    processes: usize,
    /// How many times the process's value, and the ends of its interval.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    /// `difference`, `none` or `too little`; nothing without a ratio.
    shows: Option<&'static str>,
    /// Whether it was computed from other figures.
    derived: bool,
    caveat: Option<&'a str>,
}

/// All measured figures in that format.
pub fn export(records: &Records, format: Format) -> String {
    let comparison = Comparison::of(records);
    let lines = lines(&comparison);
    match format {
        Format::Csv => csv(&lines),
        Format::Markdown => markdown(&lines),
        Format::Json => {
            let text = serde_json::to_string_pretty(&lines);
            text.expect("lines hold strings and finite numbers") + "\n"
        }
    }
}

fn lines<'a>(comparison: &'a Comparison<'a>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let peers = comparison.peers();
    for row in comparison.questions.iter().flat_map(|question| &question.rows) {
        for &sandbox in comparison.sandboxes.iter().chain(&peers) {
            let (Some(measured), Some(unit)) =
                (comparison.measured_of(row.metric, sandbox), row.unit)
            else {
                continue;
            };
            let (ratio, shows) = match measured.against_base.filter(|_| sandbox != BASE) {
                None => (None, None),
                Some((ratio, Verdict::NoDifferenceShown)) => (Some(ratio), Some("none")),
                Some((ratio, Verdict::TooFewSamples(_))) => (Some(ratio), Some("too little")),
                Some((ratio, _)) => (Some(ratio), Some("difference")),
            };
            let ends = ratio.and_then(|ratio| ratio.interval);
            lines.push(Line {
                metric: row.metric,
                sandbox,
                unit,
                median: measured.median,
                low: measured.interval.map(|interval| interval.low),
                high: measured.interval.map(|interval| interval.high),
                samples: measured.samples.len(),
                processes: measured.processes(),
                ratio: ratio.map(|ratio| ratio.value),
                ratio_low: ends.map(|interval| interval.low),
                ratio_high: ends.map(|interval| interval.high),
                shows,
                derived: row.derived.is_some(),
                caveat: measured.caveat,
            });
        }
    }
    lines
}

fn csv(lines: &[Line]) -> String {
    let mut text = "metric,sandbox,unit,median,low,high,samples,processes,ratio,ratio_low,\
                    ratio_high,shows,derived,caveat\r\n"
        .to_owned();
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for line in lines {
        let fields = [
            quoted(line.metric),
            quoted(line.sandbox),
            line.unit.name().to_owned(),
            line.median.to_string(),
            number(line.low),
            number(line.high),
            line.samples.to_string(),
            line.processes.to_string(),
            number(line.ratio),
            number(line.ratio_low),
            number(line.ratio_high),
            line.shows.unwrap_or_default().to_owned(),
            line.derived.to_string(),
            quoted(line.caveat.unwrap_or_default()),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field that may hold anything. A spreadsheet computes what begins with one of `=+-@`, so such a
/// text begins with an apostrophe.
fn quoted(text: &str) -> String {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn markdown(lines: &[Line]) -> String {
    let mut text =
        "| Metric | Sandbox | Median | ± | Ratio | Shows |\n|---|---|---:|---:|---:|---|\n"
            .to_owned();
    for line in lines {
        let interval = line.low.zip(line.high).map(|(low, high)| crate::Interval { low, high });
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            plain(line.metric),
            plain(spelling::name(line.sandbox)),
            human(line.median, line.unit),
            plain(&interval.map_or(String::new(), |interval| spread(line.median, interval))),
            plain(&line.ratio.map_or(String::new(), times)),
            line.shows.unwrap_or_default()
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, metric};

    #[test]
    fn every_format_has_every_measured_figure() {
        let records = example::records();
        let own = records.series.iter().filter(|series| !series.sandbox.ends_with(" (again)"));
        let count = own.count();
        assert_eq!(export(&records, Format::Csv).lines().count(), count + 1);
        assert_eq!(export(&records, Format::Markdown).lines().count(), count + 2);
        let json: serde_json::Value =
            serde_json::from_str(&export(&records, Format::Json)).unwrap();
        let lines = json.as_array().unwrap();
        assert_eq!(lines.len(), count);
        let crossing = lines
            .iter()
            .find(|line| line["metric"] == metric::CROSSING && line["sandbox"] == "microvm");
        assert_eq!(crossing.unwrap()["shows"], "difference");
        assert!(crossing.unwrap()["ratio"].as_f64().unwrap() > 700.0);
    }

    #[test]
    fn a_spreadsheet_computes_nothing_of_it() {
        let mut records = example::records();
        records.series[0].caveat = Some("=1+1,\"x\"".into());
        let csv = export(&records, Format::Csv);
        assert!(csv.contains("\"'=1+1,\"\"x\"\"\""), "{csv}");
    }
}
