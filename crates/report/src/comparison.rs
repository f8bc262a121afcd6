//! What the records say, computed once for every table, chart and page.

mod cells;
mod data;
mod evidence;
mod peers;

pub use cells::{Cell, Look, Measured, Row};
pub(crate) use cells::{Curve, counted};
pub use evidence::{Evidence, Lack, Missing};
pub(crate) use peers::{MACHINES, PeerRow};

use crate::{
    Gap, Provenance, Ratio, Records, ScheduleTrace, Series, Unit, Verdict,
    catalogue::{self, BENCHES, Better, CURVES, GROUPS, Group, LINUX, OTHER},
    conditions::disturbance,
    interval::{is_constant, median_interval},
    metric::PROBE,
    records::is_second_run,
};
use data::Found;

/// The sandbox that all others are compared with.
pub const BASE: &str = "process";

/// The records with all that follows from them.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Where, when and how it was measured.
    pub provenance: &'a Provenance,
    /// The version of the format that the records were written in.
    pub version: u32,
    /// The columns: the base first, then the sandboxes that are compared with it.
    pub sandboxes: Vec<&'a str>,
    /// The rows by question.
    pub questions: Vec<Question<'a>>,
    /// Who ran when.
    pub traces: &'a [ScheduleTrace],
    records: &'a Records,
}

/// A question with its rows.
#[derive(Debug)]
pub struct Question<'a> {
    /// The question.
    pub group: &'static Group,
    /// Its rows.
    pub rows: Vec<Row<'a>>,
}

impl<'a> Comparison<'a> {
    /// Computes all that tables and charts show.
    pub fn of(records: &'a Records) -> Self {
        let mut comparison = Self {
            provenance: &records.provenance,
            version: records.version,
            sandboxes: sandboxes(records),
            questions: Vec::new(),
            traces: &records.traces,
            records,
        };
        let known = GROUPS.iter().map(|(group, metrics)| {
            (group, metrics.iter().map(|metric| metric.name).collect::<Vec<_>>())
        });
        let mut unknown = names(records);
        unknown.retain(|name| catalogue::find(name).is_none());
        let (benches, other) = unknown.into_iter().partition(|name| name.starts_with("bench."));
        let unknown = [(&BENCHES, benches), (&OTHER, other)];
        for (group, names) in known.chain(unknown) {
            let rows = names.into_iter().filter(|name| !CURVES.contains(name));
            let rows: Vec<_> = rows.filter_map(|name| comparison.row(name)).collect();
            if !rows.is_empty() {
                comparison.questions.push(Question { group, rows });
            }
        }
        comparison
    }

    /// The computed row of a metric.
    pub fn find(&self, metric: &str) -> Option<&Row<'a>> {
        let mut rows = self.questions.iter().flat_map(|question| &question.rows);
        rows.find(|row| row.metric == metric)
    }

    /// The points of a metric over the number of instances, in each of isolab's own sandboxes.
    pub(crate) fn curves(&self, metric: &str) -> Vec<Curve<'a>> {
        let series = self.records.series.iter().filter(|series| series.metric == metric);
        let curve = |series: &'a Series| {
            let column = self.sandboxes.iter().position(|name| *name == series.sandbox)?;
            Some(Curve { sandbox: &series.sandbox, column, samples: &series.samples })
        };
        series.filter_map(curve).filter(|curve| !curve.samples.is_empty()).collect()
    }

    /// Why a metric was not measured in a sandbox, if the records say it.
    pub(crate) fn gap(&self, metric: &str, sandbox: &str) -> Option<&'a Gap> {
        self.records.gaps.iter().find(|gap| gap.metric == metric && gap.sandbox == sandbox)
    }

    /// Whether anything was measured in a sandbox.
    pub(crate) fn has(&self, sandbox: &str) -> bool {
        let mut rows = self.questions.iter().flat_map(|question| &question.rows);
        rows.any(|row| self.measured(row.metric, sandbox).is_some())
    }

    /// The measured value of a metric in a sandbox.
    pub fn measured(&self, metric: &str, sandbox: &str) -> Option<&Measured<'_>> {
        let column = self.sandboxes.iter().position(|&name| name == sandbox)?;
        self.find(metric)?.cells.get(column)?.measured()
    }

    /// The names of all probes, in the order of their first appearance.
    pub fn probes(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        let seen = self.records.probes.iter().map(|probe| probe.probe.as_str());
        for name in seen.chain(self.failed_probes().map(|(name, _)| name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What that probe has shown in that sandbox.
    pub fn look(&self, probe: &str, sandbox: &str) -> Look<'a> {
        let made = self.records.probes.iter();
        let made = made.clone().find(|it| it.probe == probe && it.sandbox == sandbox);
        let failed =
            || self.failed_probes().find(|(name, gap)| *name == probe && gap.sandbox == sandbox);
        match made {
            Some(made) => Look::Answered(made),
            None => failed().map_or(Look::Absent, |(_, gap)| Look::Failed(gap)),
        }
    }

    /// The probes that could not be made.
    pub(crate) fn failed_probes(&self) -> impl Iterator<Item = (&'a str, &'a Gap)> {
        self.records.gaps.iter().filter_map(|gap| Some((gap.metric.strip_prefix(PROBE)?, gap)))
    }

    /// The caveat of a sandbox that holds for all that was measured in it, if there is one; the
    /// question of Linux guests may be of another machine, and has caveats of its own.
    pub fn common_caveat(&self, column: usize) -> Option<&str> {
        let here = self.questions.iter().filter(|question| *question.group != LINUX);
        let rows = here.flat_map(|question| &question.rows);
        let mut caveats =
            rows.filter_map(|row| row.cells.get(column)?.measured()).map(|cell| cell.caveat);
        let first = caveats.next()??;
        caveats.all(|caveat| caveat == Some(first)).then_some(first)
    }

    fn row(&self, metric: &'a str) -> Option<Row<'a>> {
        let noise_floor = self.noise_floor(metric);
        let cells: Vec<_> =
            self.sandboxes.iter().map(|sandbox| self.cell(metric, sandbox, noise_floor)).collect();
        let measured = |series: &&Series| {
            series.metric == metric && !series.samples.is_empty() && !is_second_run(&series.sandbox)
        };
        let any = self.records.series.iter().find(measured);
        if any.is_none() && cells.iter().all(|cell| matches!(cell, Cell::Absent)) {
            return None;
        }
        let known = catalogue::find(metric).map(|(_, metric)| metric);
        Some(Row {
            metric,
            title: known.map_or(metric, |known| known.title),
            explanation: known.map_or("", |known| known.explanation),
            better: known.map_or(Better::Neither, |known| known.better),
            expected: known.and_then(|known| known.expected),
            unit: any.map(|series| series.unit),
            cells,
            noise_floor,
            derived: known.and_then(|known| known.derived),
            disturbed: disturbance(self.provenance, metric),
        })
    }

    fn cell(&self, metric: &str, sandbox: &str, noise_floor: Option<f64>) -> Cell<'a> {
        if let Some(measured) = self.measure(metric, sandbox, noise_floor) {
            return Cell::Measured(measured);
        }
        let samples =
            |it: &Series| it.metric == metric && it.sandbox == sandbox && !it.samples.is_empty();
        match self.gap(metric, sandbox) {
            Some(gap) => Cell::Gap(gap),
            None if self.records.series.iter().any(samples) => Cell::Unusable,
            None => Cell::Absent,
        }
    }

    fn measure(
        &self,
        metric: &str,
        sandbox: &str,
        noise_floor: Option<f64>,
    ) -> Option<Measured<'a>> {
        let Found { series, samples, median, incomplete } = self.found(metric, sandbox).ok()?;
        // What was asked for differs from sandbox to sandbox, as a quota that a process cannot keep.
        let known = catalogue::find(metric).map(|(_, known)| known);
        let compared = sandbox != BASE && known.is_none_or(|it| it.better != Better::Neither);
        let base = compared.then(|| self.ratio(metric, sandbox, BASE)).flatten();
        let constant = countable(series.unit) && is_constant(&samples);
        let derived = known.is_some_and(|known| known.derived.is_some());
        let interval = median_interval(&samples).filter(|_| !constant && !derived);
        Some(Measured {
            median,
            interval,
            constant,
            against_base: base.map(|ratio| (ratio, self.judge(metric, &ratio, noise_floor))),
            caveat: series.caveat.as_deref(),
            incomplete,
            unusable: series.samples.len() - samples.len(),
            samples,
        })
    }

    /// What a ratio shows, where the host and the noise of two runs of the same thing allow it.
    fn judge(&self, metric: &str, ratio: &Ratio, noise_floor: Option<f64>) -> Verdict {
        let doubtful = disturbance(self.provenance, metric).is_some();
        match noise_floor {
            _ if doubtful => Verdict::TooFewSamples(ratio.value),
            None if catalogue::measured_twice(metric) => Verdict::TooFewSamples(ratio.value),
            floor => Verdict::of(ratio, floor),
        }
    }
}

/// Whether a value of this unit can be exactly the same each time.
fn countable(unit: Unit) -> bool {
    matches!(unit, Unit::Bytes | Unit::Count)
}

/// All names of metrics, in the order of their first appearance.
fn names(records: &Records) -> Vec<&str> {
    let mut names = Vec::new();
    let series = records.series.iter().map(|series| series.metric.as_str());
    let gaps = records.gaps.iter().map(|gap| gap.metric.as_str());
    // A probe is not a number, and has a table of its own.
    for name in series.chain(gaps.filter(|name| !name.starts_with(PROBE))) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// All sandboxes, the usual ones first, without second runs and peers.
fn sandboxes(records: &Records) -> Vec<&str> {
    let mut sandboxes = vec![BASE, "container", "microvm"];
    let series = records.series.iter().map(|series| series.sandbox.as_str());
    for name in series.chain(records.probes.iter().map(|probe| probe.sandbox.as_str())) {
        let own = !is_second_run(name) && !peers::is_peer(records, name);
        if own && !sandboxes.contains(&name) {
            sandboxes.push(name);
        }
    }
    sandboxes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, metric};

    #[test]
    fn second_runs_are_no_columns_but_give_the_noise_floor() {
        let records = example::records();
        let comparison = Comparison::of(&records);
        assert_eq!(comparison.sandboxes, ["process", "container", "microvm", "linux"]);
        let floor = comparison.find(metric::COMPUTE_SPIN).unwrap().noise_floor.unwrap();
        assert!((1.0..1.1).contains(&floor), "{floor}");
    }

    #[test]
    fn a_difference_is_shown_where_there_is_one() {
        let records = example::records();
        let comparison = Comparison::of(&records);
        let verdict =
            |metric, sandbox| comparison.measured(metric, sandbox).unwrap().against_base.unwrap().1;
        assert_eq!(verdict(metric::COMPUTE_SPIN, "container"), Verdict::NoDifferenceShown);
        assert!(
            matches!(verdict(metric::CROSSING, "microvm"), Verdict::More(ratio) if ratio > 700.0)
        );
    }

    #[test]
    fn unknown_metrics_and_gaps_have_rows() {
        let mut records = example::records();
        records.gaps.push(Gap {
            metric: "weather".into(),
            sandbox: "container".into(),
            reason: "no windows".into(),
            fix: String::new(),
        });
        let comparison = Comparison::of(&records);
        let groups: Vec<_> = comparison.questions.iter().map(|q| q.group.name).collect();
        assert!(groups.ends_with(&["benches", "other"]), "{groups:?}");
        assert!(matches!(comparison.find("weather").unwrap().cells[1], Cell::Gap(_)));
    }
}
