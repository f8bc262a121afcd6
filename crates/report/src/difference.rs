//! What differs between two runs beyond the noise of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::{
    Comparison, Interval, Method, Order, Ratio, Records, Unit, Verdict, catalogue,
    comparison::Measured,
    format::{human, times},
    interval::{FEWEST, ratio_of_runs},
    spelling,
    text::{pad_left, pad_right, wrap},
};

/// What two runs have to do with each other.
#[derive(Debug)]
pub struct Difference {
    /// What changed beyond the noise of both.
    pub changed: Vec<Change>,
    /// How many metrics show no difference.
    pub alike: usize,
    /// What cannot be told, with the reason: metric and sandbox, then why.
    pub undecided: Vec<(String, String)>,
    /// What only one of them measured: metric and sandbox, and whether that is the second.
    pub only: Vec<(String, bool)>,
    /// Facts that differ: name, first, second.
    pub facts: Vec<[String; 3]>,
}

/// A metric in a sandbox that changed.
#[derive(Debug)]
pub struct Change {
    /// The metric.
    pub metric: String,
    /// The sandbox.
    pub sandbox: String,
    /// Its unit.
    pub unit: Unit,
    /// The medians of the first and the second run.
    pub medians: [f64; 2],
    /// How many times the first's the second is.
    pub ratio: Ratio,
}

/// What the second run has otherwise than the first.
pub fn difference(first: &Records, second: &Records) -> Difference {
    let (one, two) = (Comparison::of(first), Comparison::of(second));
    let mut found = Difference {
        changed: Vec::new(),
        alike: 0,
        undecided: Vec::new(),
        only: Vec::new(),
        facts: facts(first, second),
    };
    let names = |records: &Records| -> BTreeSet<(String, String)> {
        let own = records.series.iter();
        let own = own.filter(|series| catalogue::has_figure(&series.metric, &series.sandbox));
        own.map(|series| (series.metric.clone(), series.sandbox.clone())).collect()
    };
    let (of_first, of_second) = (names(first), names(second));
    for name in of_first.symmetric_difference(&of_second) {
        let words = format!("{} of {}", name.0, spelling::name(&name.1));
        found.only.push((words, of_second.contains(name)));
    }
    for (metric, sandbox) in of_first.intersection(&of_second) {
        let (Some(before), Some(after)) =
            (one.measured_of(metric, sandbox), two.measured_of(metric, sandbox))
        else {
            continue;
        };
        let words = || format!("{metric} of {}", spelling::name(sandbox));
        let rows = [one.find(metric), two.find(metric)];
        match judged(rows, &before, &after) {
            Err(why) => found.undecided.push((words(), why)),
            Ok(None) => found.alike += 1,
            Ok(Some(ratio)) => found.changed.push(Change {
                metric: metric.clone(),
                sandbox: sandbox.clone(),
                unit: rows[0].and_then(|row| row.unit).unwrap_or(Unit::Count),
                medians: [before.median, after.median],
                ratio,
            }),
        }
    }
    let far = |change: &Change| change.ratio.value.ln().abs();
    found.changed.sort_by(|a, b| far(b).total_cmp(&far(a)));
    found
}

/// The ratio if it shows a difference, or why nobody can tell.
fn judged(
    rows: [Option<&crate::comparison::Row>; 2],
    before: &Measured,
    after: &Measured,
) -> Result<Option<Ratio>, String> {
    let both = before.constant && after.constant;
    if both && before.median == after.median {
        return Ok(None);
    }
    let Some(ratio) = ratio_of_runs(&after.samples, &before.samples) else {
        return Err("there is no ratio to a value of 0 or less".to_owned());
    };
    if both {
        let interval = Some(Interval { low: ratio.value, high: ratio.value });
        return Ok(Some(Ratio { interval, ..ratio }));
    }
    if ratio.interval.is_none() {
        let fewest = before.processes().min(after.processes());
        if fewest >= FEWEST {
            return Err("there is no interval: values of 0 or less have no ratio".to_owned());
        }
        return Err(format!(
            "too few processes in one of them: {fewest}, and an interval takes {FEWEST}"
        ));
    }
    if let Some(busy) = rows.iter().flatten().find_map(|row| row.disturbed.as_ref()) {
        return Err(format!("the host was busy: {busy}"));
    }
    let floor = rows.iter().flatten().filter_map(|row| row.noise_floor).reduce(f64::max);
    let shown = matches!(Verdict::of(&ratio, floor), Verdict::Less(_) | Verdict::More(_));
    Ok(shown.then_some(ratio))
}

fn in_words(method: &Method) -> String {
    let Method { processes, rounds, warm_up, order, measured_twice } = method;
    let order = match order {
        Order::Balanced => "balanced",
        Order::Cyclic => "cyclic",
        Order::Consecutive => "consecutive",
    };
    let twice = if *measured_twice { ", the process twice" } else { "" };
    format!(
        "up to {processes} processes with {rounds} rounds, {warm_up} of warm-up; {order} order{twice}"
    )
}

/// Facts about machine, program and method that differ, without those that name the moment.
fn facts(first: &Records, second: &Records) -> Vec<[String; 3]> {
    let of = |records: &Records| {
        let provenance = &records.provenance;
        let mut facts = provenance.host.clone();
        facts.insert("command".into(), provenance.command.clone());
        facts.insert("commit".into(), provenance.commit.clone());
        facts.insert("isolab".into(), provenance.isolab.clone());
        facts.insert("seed".into(), provenance.seed.to_string());
        let method = provenance.method.as_ref().map(in_words);
        facts.insert("method".into(), method.unwrap_or_else(|| "not recorded".to_owned()));
        for (name, subject) in &provenance.subjects {
            facts.insert(format!("version of {name}"), subject.version.clone());
        }
        facts
    };
    let (first, second) = (of(first), of(second));
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let moment = |name: &str| name.starts_with("load ") || name == "steal";
    let fact = |facts: &BTreeMap<String, String>, name: &str| {
        facts.get(name).cloned().unwrap_or_else(|| "not recorded".to_owned())
    };
    names
        .into_iter()
        .filter(|name| !moment(name) && first.get(*name) != second.get(*name))
        .map(|name| [name.clone(), fact(&first, name), fact(&second, name)])
        .collect()
}

impl Difference {
    /// All of it as lines of text for a terminal of that many columns.
    pub fn text(&self, columns: usize) -> String {
        let columns = columns.clamp(80, 110);
        let mut text = String::new();
        writeln!(
            text,
            "{} changed beyond the noise of both runs, {} show no difference, {} cannot be told",
            self.changed.len(),
            self.alike,
            self.undecided.len()
        )
        .ok();
        for Change { metric, sandbox, unit, medians, ratio } in &self.changed {
            let title = catalogue::find(metric).map_or(metric.as_str(), |(_, known)| known.title);
            let name = format!("{title}, {}", spelling::name(sandbox));
            let [before, after] = medians.map(|median| pad_left(&human(median, *unit), 10));
            let ends = ratio.interval.map_or(String::new(), |interval| {
                format!(" ({} to {})", times(interval.low), times(interval.high))
            });
            writeln!(
                text,
                "  {} {before} → {after}  {}{ends}",
                pad_right(&name, 28),
                times(ratio.value)
            )
            .ok();
        }
        let mut list = |head: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                writeln!(text, "{head}").ok();
            }
            for line in lines {
                for (index, line) in wrap(&line, columns - 4).iter().enumerate() {
                    writeln!(text, "  {}{line}", if index == 0 { "" } else { "  " }).ok();
                }
            }
        };
        let only = |second: bool| {
            let these = self.only.iter().filter(move |(_, of_second)| *of_second == second);
            let names = these.map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            if names.is_empty() { Vec::new() } else { vec![names.join(", ")] }
        };
        list("Only in the first:", only(false));
        list("Only in the second:", only(true));
        let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
        for (name, why) in &self.undecided {
            reasons.entry(why).or_default().push(name);
        }
        let undecided = reasons.iter().map(|(why, names)| format!("{why}: {}", names.join(", ")));
        list("Cannot be told:", undecided.collect());
        let facts = self.facts.iter().map(|[name, one, two]| format!("{name}: {one} → {two}"));
        list("Facts that differ:", facts.collect());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, metric};

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let found = difference(&example::records(), &example::records());
        assert!(found.changed.is_empty() && found.only.is_empty() && found.facts.is_empty());
        assert!(found.undecided.is_empty() && found.alike > 50, "{found:?}");
    }

    #[test]
    fn what_changed_is_named_with_its_interval_and_so_is_the_machine() {
        let mut second = example::records();
        for series in &mut second.series {
            if series.metric == metric::COMPUTE_SPIN && series.sandbox == "microvm" {
                series.samples.iter_mut().for_each(|sample| sample.value *= 1.5);
            }
        }
        second.provenance.host.insert("cpu".into(), "another".into());
        second.series.retain(|series| series.metric != metric::CROSSING);
        let found = difference(&example::records(), &second);
        let [change] = found.changed.as_slice() else { panic!("{found:?}") };
        let interval = change.ratio.interval.unwrap();
        assert!(interval.contains(1.5) && !change.ratio.paired, "{change:?}");
        assert_eq!(found.only.len(), 3);
        assert_eq!(found.facts, [["cpu", "made up", "another"]]);
        let text = found.text(80);
        assert!(text.contains("integer loop, microVM") && text.contains("cpu: made up → another"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn few_processes_cannot_tell() {
        let mut few = example::records();
        few.series.iter_mut().for_each(|it| it.samples.retain(|sample| sample.process < 3));
        let found = difference(&few, &example::records());
        assert!(found.changed.is_empty() && !found.undecided.is_empty());
        assert!(found.undecided[0].1.contains("an interval takes 5"), "{:?}", found.undecided[0]);
    }
}
