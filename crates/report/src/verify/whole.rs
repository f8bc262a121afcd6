//! Whether samples, units, provenance and seed are whole.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Verification,
    raw::{Raw, RawSeries},
};
use crate::{catalogue, file::NAME, metric};

/// Checks all of it.
pub(super) fn check(raw: &Raw, found: &mut Verification) {
    let checked = raw.series.iter().filter(|series| !known_loss(raw, series));
    let faults: Vec<String> = checked.flat_map(|series| of_series(raw, series)).collect();
    found.faults_of(NAME, faults);
    found.faults_of(NAME, alike(raw));
    provenance(raw, found);
}

/// Version 1 left out the growth of zero or less of the kernel's memory.
fn known_loss(raw: &Raw, series: &RawSeries) -> bool {
    raw.version == 1 && series.metric == metric::FOOTPRINT_KERNEL
}

fn of_series(raw: &Raw, series: &RawSeries) -> Vec<String> {
    let RawSeries { metric, sandbox, unit, samples, seconds } = series;
    let name = format!("{metric} of {sandbox}");
    let mut faults = Vec::new();
    let expected = catalogue::find(metric).map(|(_, metric)| metric.unit.name());
    if let Some(expected) = expected.filter(|expected| expected != unit) {
        faults.push(format!("{name} is in {unit}, and the metric is in {expected}"));
    }
    if unit == "share" && samples.iter().any(|sample| sample.value > 1.5) {
        faults.push(format!("{name} has a share of far more than all"));
    }
    let took = raw.provenance["took_seconds"].as_f64().unwrap_or(f64::INFINITY);
    if !seconds.is_empty() && seconds.len() != samples.len() {
        faults.push(format!("{name} has {} samples and {} moments", samples.len(), seconds.len()));
    }
    if seconds.iter().any(|moment| !(0.0..=took).contains(moment)) {
        faults.push(format!("{name} has a sample from before the run or after it"));
    }
    if raw.failed(metric, sandbox) || catalogue::CURVES.contains(&metric.as_str()) {
        return faults;
    }
    let mut rounds = BTreeMap::<u64, BTreeSet<u64>>::new();
    for sample in samples {
        rounds.entry(sample.process).or_default().insert(sample.round);
    }
    let hole = |numbers: &BTreeSet<u64>| {
        numbers.iter().zip(0..).find(|(number, expected)| *number != expected).map(|it| it.1)
    };
    if let Some(process) = hole(&rounds.keys().copied().collect()) {
        faults.push(format!("{name} has no sample of process {process}"));
    }
    // What is slow takes part in some of the rounds only.
    let every_round =
        ["process", "container", "microvm"].iter().any(|own| sandbox.starts_with(own));
    for (process, rounds) in rounds.iter().filter(|_| every_round) {
        if let Some(round) = hole(rounds) {
            faults.push(format!("{name} has no sample of round {round} in process {process}"));
        }
    }
    faults
}

/// The same processes and rounds in every sandbox of a metric that is measured in turns.
fn alike(raw: &Raw) -> Vec<String> {
    let mut metrics = BTreeMap::<&str, Vec<&RawSeries>>::new();
    for series in raw.series.iter().filter(|it| !raw.failed(&it.metric, &it.sandbox)) {
        // How many first and last ones there are depends on how many there are in all.
        let many = series.metric.starts_with("density.") || known_loss(raw, series);
        let in_turns =
            !many && catalogue::measured_twice(&series.metric) && !series.samples.is_empty();
        if in_turns {
            metrics.entry(&series.metric).or_default().push(series);
        }
    }
    let mut faults = Vec::new();
    for (metric, all) in metrics {
        let count = |series: &RawSeries| series.samples.len();
        let (Some(most), Some(least)) =
            (all.iter().max_by_key(|it| count(it)), all.iter().min_by_key(|it| count(it)))
        else {
            continue;
        };
        let own =
            |series: &RawSeries| ["process", "container", "microvm"].contains(&&*series.sandbox);
        if count(most) != count(least) && own(most) && own(least) {
            faults.push(format!(
                "{metric} has {} samples of {} and {} of {}",
                count(most),
                most.sandbox,
                count(least),
                least.sandbox
            ));
        }
    }
    faults
}

fn provenance(raw: &Raw, found: &mut Verification) {
    let provenance = &raw.provenance;
    let empty = |name: &str| provenance[name].as_str().is_none_or(str::is_empty);
    let mut faults = Vec::new();
    if empty("command") {
        faults.push("the provenance has no command".to_owned());
    }
    if empty("commit") {
        faults.push("the provenance has no commit".to_owned());
    }
    if provenance["began_unix_seconds"].as_u64().unwrap_or(0) == 0 {
        faults.push("the provenance does not say when it was measured".to_owned());
    }
    if provenance["took_seconds"].as_f64().unwrap_or(0.0) <= 0.0 {
        faults.push("the provenance does not say how long it took".to_owned());
    }
    if provenance["seed"].as_u64().is_none() {
        faults.push("the provenance has no seed".to_owned());
    }
    for fact in ["cpu", "kernel"] {
        if provenance["host"][fact].as_str().is_none_or(str::is_empty) {
            faults.push(format!("the provenance does not say the host's {fact}"));
        }
    }
    if raw.version == 1 {
        let words = "the records have version 1 of the format: the method, the version of isolab and \
                     what the host did meanwhile are not in them, and samples of kernel memory that did \
                     not grow were left out";
        found.remarks.push(words.to_owned());
    } else {
        if empty("isolab") {
            faults.push("the provenance has no version of isolab".to_owned());
        }
        if provenance["method"].is_null() {
            faults.push("the provenance has no method".to_owned());
        }
        if provenance["conditions"].as_array().is_none_or(Vec::is_empty) {
            found.remarks.push("what the host did meanwhile is not recorded".to_owned());
        }
    }
    if provenance["commit"].as_str().is_some_and(|commit| commit.ends_with("-dirty")) {
        found.remarks.push("the tree of isolab was changed when it was built".to_owned());
    }
    found.faults_of(NAME, faults);
}
