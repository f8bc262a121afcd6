//! Figures that were read back from a text, held against the raw samples.

use std::collections::BTreeSet;

use super::raw::{Raw, RawSeries};
use crate::{
    catalogue::{self, Better},
    records::AGAIN,
};

/// What is written of one metric in one sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    pub(super) metric: String,
    pub(super) sandbox: String,
    /// The sandbox that the ratio is to.
    pub(super) base: String,
    /// `149 µs`.
    pub(super) median: Option<String>,
    /// Whether it is a value without its interval, as isolab's own beside a peer's.
    pub(super) bare: bool,
    /// `±4%`.
    pub(super) spread: Option<String>,
    /// `2.25×` or `≈`.
    pub(super) ratio: Option<String>,
    /// Whether the ratio is printed as a difference that is shown, where the text tells.
    pub(super) shows: Option<bool>,
}

impl Figure {
    /// How many figures it is.
    pub(super) fn count(&self) -> usize {
        [&self.median, &self.spread, &self.ratio].into_iter().flatten().count()
    }

    fn name(&self) -> String {
        format!("{} of {}", self.metric, self.sandbox)
    }
}

/// What differs, and which of the raw samples no figure is of.
pub(super) fn check(raw: &Raw, figures: &[Figure]) -> Vec<String> {
    let mut faults: Vec<String> =
        figures.iter().flat_map(|figure| check_one(raw, figure)).collect();
    let shown: BTreeSet<(&str, &str)> = figures
        .iter()
        .filter(|figure| figure.median.is_some())
        .map(|figure| (figure.metric.as_str(), figure.sandbox.as_str()))
        .collect();
    for series in &raw.series {
        let name = (series.metric.as_str(), series.sandbox.as_str());
        let expected = catalogue::has_figure(name.0, name.1) && !series.samples.is_empty();
        if expected && !shown.contains(&name) {
            faults.push(format!("{} of {} is measured and not shown", name.0, name.1));
        }
    }
    faults
}

/// What differs of one of them.
pub(super) fn check_one(raw: &Raw, figure: &Figure) -> Vec<String> {
    let name = figure.name();
    let Some(series) = raw.find(&figure.metric, &figure.sandbox) else {
        let any = figure.count() > 0;
        return if any { vec![format!("{name} is shown and not measured")] } else { Vec::new() };
    };
    let mut faults = Vec::new();
    let estimate = series.estimate();
    if let Some(text) = &figure.median {
        match number(text, &series.unit) {
            Some((value, half)) if (value - estimate.middle).abs() <= half => {}
            Some(_) => faults.push(format!(
                "{name}: {text} is written, and the samples give {}",
                estimate.middle
            )),
            None => faults.push(format!("{name}: {text} is no figure in {}", series.unit)),
        }
    }
    let derived = catalogue::find(&figure.metric).and_then(|(_, metric)| metric.derived).is_some();
    let ends = estimate.ends.filter(|_| !derived && !series.constant());
    let percent = ends.map(|(low, high)| (high - low) / 2.0 / estimate.middle.abs() * 100.0);
    let percent = percent.filter(|percent| percent.is_finite());
    let written = figure.spread.as_deref();
    if !figure.bare && !spread_fits(written, percent) {
        let percent = percent.map_or("no interval".to_owned(), |it| format!("±{it:.2}%"));
        faults.push(format!(
            "{name}: {} is written, and the samples give {percent}",
            written.unwrap_or("no interval")
        ));
    }
    if let Some(text) = &figure.ratio {
        faults.extend(check_ratio(raw, figure, series, text));
    }
    faults
}

fn check_ratio(raw: &Raw, figure: &Figure, series: &RawSeries, text: &str) -> Option<String> {
    let name = format!("{} against {}", figure.name(), figure.base);
    let whole = |sandbox: &str| !raw.failed(&figure.metric, sandbox);
    let base = raw.find(&figure.metric, &figure.base).filter(|_| whole(&figure.base));
    let ratio = base.filter(|_| whole(&figure.sandbox)).and_then(|base| series.ratio(base));
    let Some(ratio) = ratio else { return Some(format!("{name}: there is no ratio, and {text}")) };
    let known = catalogue::find(&figure.metric).map(|(_, metric)| metric);
    if known.is_some_and(|metric| metric.better == Better::Neither) {
        return Some(format!("{name}: what was asked for is not to be compared, and {text}"));
    }
    let fits = match text {
        "≈" => !may_show(raw, figure, ratio.ends, 1.0 - SLACK),
        "<0.01×" => ratio.middle < 0.01,
        ">9999×" => ratio.middle > 9999.0,
        text => decimal(text.trim_end_matches('×'))
            .is_some_and(|(value, half)| (value - ratio.middle).abs() <= half),
    };
    if !fits {
        return Some(format!("{name}: {text} is written, and the samples give {}", ratio.middle));
    }
    let shown = figure.shows == Some(true);
    (shown && !may_show(raw, figure, ratio.ends, 1.0 + SLACK))
        .then(|| format!("{name}: a difference is shown, and the samples show none"))
}

/// Two ways of computing a limit may differ by this part of it.
const SLACK: f64 = 0.003;

/// Whether the interval leaves 1 and the noise floor, of which the limits are moved by `slack`.
fn may_show(raw: &Raw, figure: &Figure, ends: Option<(f64, f64)>, slack: f64) -> bool {
    let Some((low, high)) = ends else { return false };
    let mut floor = 1.0_f64;
    for again in raw.series.iter().filter(|series| series.metric == figure.metric) {
        let Some(once) = again.sandbox.strip_suffix(AGAIN) else { continue };
        let Some(once) = raw.find(&figure.metric, once) else { continue };
        if let Some((low, high)) = again.ratio(once).and_then(|ratio| ratio.ends) {
            floor = floor.max(high).max(1.0 / low);
        }
    }
    let middle = (low * high).sqrt();
    let beyond = middle.max(1.0 / middle) * slack.max(1.0) >= floor * slack.min(1.0);
    let leaves_one = low * slack > 1.0 || high / slack < 1.0;
    leaves_one && beyond
}

fn spread_fits(written: Option<&str>, percent: Option<f64>) -> bool {
    match (written, percent) {
        (None, None) => true,
        (Some("±<1%"), Some(percent)) => percent < 0.97,
        (Some("±>99%"), Some(percent)) => percent > 99.3,
        (Some(text), Some(percent)) => {
            let number = text.strip_prefix('±').and_then(|text| text.strip_suffix('%'));
            let number = number.and_then(|number| number.parse::<f64>().ok());
            number.is_some_and(|number| (number - percent).abs() <= 0.5 + percent * SLACK)
        }
        _ => false,
    }
}

/// A number as it is written, and half a step of its last digit.
fn decimal(text: &str) -> Option<(f64, f64)> {
    let places = text.split_once('.').map_or(0, |(_, places)| places.len());
    let half = 0.5 * 10f64.powi(-i32::try_from(places).ok()?);
    Some((text.parse().ok()?, half * (1.0 + 1e-9)))
}

/// A figure with its unit, in the unit of the records, and half a step of its last digit.
fn number(text: &str, unit: &str) -> Option<(f64, f64)> {
    let (sign, text) = text.strip_prefix('−').map_or((1.0, text), |text| (-1.0, text));
    let (digits, name) = text.split_once(' ').unwrap_or((text, ""));
    let size = match (unit, name) {
        ("count", "") | ("nanoseconds", "ns") | ("bytes", "B") | ("bytes_per_second", "B/s") => 1.0,
        ("nanoseconds", "µs") | ("bytes_per_second", "kB/s") => 1e3,
        ("nanoseconds", "ms") | ("bytes_per_second", "MB/s") => 1e6,
        ("nanoseconds", "s") | ("bytes_per_second", "GB/s") => 1e9,
        ("bytes", "KiB") => 1024.0,
        ("bytes", "MiB") => 1024.0 * 1024.0,
        ("bytes", "GiB") => 1024.0 * 1024.0 * 1024.0,
        ("bytes", "TiB") => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        ("share", "%") => 0.01,
        _ => return None,
    };
    let (value, half) = decimal(digits)?;
    Some((sign * value * size, half * size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_as_exact_as_its_last_digit() {
        let (value, half) = number("149 µs", "nanoseconds").unwrap();
        assert_eq!(value, 149_000.0);
        assert!((half - 500.0).abs() < 1e-3);
        assert_eq!(number("−4.00 KiB", "bytes").unwrap().0, -4096.0);
        assert_eq!(number("149 µs", "bytes"), None);
    }

    #[test]
    fn an_interval_is_written_where_there_is_one() {
        assert!(spread_fits(Some("±4%"), Some(4.4)) && !spread_fits(Some("±4%"), Some(5.1)));
        assert!(spread_fits(None, None) && !spread_fits(None, Some(2.0)));
        assert!(!spread_fits(Some("±4%"), None));
    }
}
