//! What is measured: the words for each metric, in the order in which they are shown.
//!
//! A metric that is not in here is shown all the same, under its own name.

mod size;
mod speed;
mod start;

use crate::{Unit, metric, records::is_second_run};
use size::{DENSITY, DENSITY_METRICS, FOOTPRINT, FOOTPRINT_METRICS, IMAGES, IMAGES_METRICS};
use speed::{
    COMPUTE, COMPUTE_METRICS, CROSSING, CROSSING_METRICS, IO, IO_METRICS, MEMORY, MEMORY_METRICS,
    SLICES, SLICES_METRICS,
};
pub use start::LINUX;
use start::{LINUX_METRICS, STARTUP, STARTUP_METRICS};

/// A question of the comparison, with the metrics that answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Short name, for file names and links.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// The question.
    pub question: &'static str,
    /// What exactly was measured, and what was not.
    pub method: &'static str,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name in records.
    pub name: &'static str,
    /// At most 17 characters, for the first column of tables.
    pub title: &'static str,
    /// One line for the page.
    pub explanation: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What it should be, if it was asked for: a tenth for a quota of 10 %.
    pub expected: Option<f64>,
    /// The formula by which it is computed from what was measured, and what that leaves out; `None`
    /// of what was measured itself. A derived figure has no interval.
    pub derived: Option<&'static str>,
    /// The unit of its values in records.
    pub unit: Unit,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Times, costs, memory.
    Less,
    /// Throughput, density.
    More,
    /// Neither: it should be what was asked for.
    Neither,
}

/// The questions, in order.
pub const GROUPS: &[(Group, &[Metric])] = &[
    (STARTUP, STARTUP_METRICS),
    (COMPUTE, COMPUTE_METRICS),
    (MEMORY, MEMORY_METRICS),
    (CROSSING, CROSSING_METRICS),
    (FOOTPRINT, FOOTPRINT_METRICS),
    (IMAGES, IMAGES_METRICS),
    (DENSITY, DENSITY_METRICS),
    (SLICES, SLICES_METRICS),
    (IO, IO_METRICS),
    (LINUX, LINUX_METRICS),
];

/// The group of metrics from `cargo bench`.
pub const BENCHES: Group = Group {
    name: "benches",
    title: "Benches",
    question: "What do the criterion benches say?",
    method: "Criterion's raw samples: the time of a batch of iterations divided by their number.",
};

/// The group of metrics that this catalogue does not know.
pub const OTHER: Group = Group {
    name: "other",
    title: "Other",
    question: "What else was measured?",
    method: "These rows are shown under the names that the records give them.",
};

/// The metric of that name, with its group.
pub fn find(name: &str) -> Option<(&'static Group, &'static Metric)> {
    let named = |(group, metrics): &'static (Group, &[Metric])| {
        let metric = metrics.iter().find(|metric| metric.name == name)?;
        Some((group, metric))
    };
    GROUPS.iter().find_map(named)
}

/// What is looked for from inside of every sandbox.
pub const PROBES: [&str; 6] = [
    probe(metric::PROBE_KERNEL),
    probe(metric::PROBE_PIDS),
    probe(metric::PROBE_HOST_FILES),
    probe(metric::PROBE_DEVICES),
    probe(metric::PROBE_HOST_NAME),
    probe(metric::PROBE_WAY_OUT),
];

/// The question of a metric that is a probe.
const fn probe(metric: &'static str) -> &'static str {
    metric.split_at(metric::PROBE.len()).1
}

/// Metrics whose samples are points of a curve over the number of instances, in their rounds: they
/// are drawn, and have no median.
pub const CURVES: [&str; 2] = [metric::DENSITY_START, metric::DENSITY_MEMORY];

/// Whether a report writes a figure of that metric in that sandbox: neither of a curve nor of a second
/// run.
pub(crate) fn has_figure(metric: &str, sandbox: &str) -> bool {
    !CURVES.contains(&metric) && !is_second_run(sandbox)
}

/// Whether the process is measured a second time for the noise floor: wherever a round does not take
/// seconds.
pub fn measured_twice(name: &str) -> bool {
    let once = |group: &Group| [IMAGES, SLICES, LINUX].contains(group);
    // Each sample of a curve is of another number of instances, and a process has no login prompt.
    let never = CURVES.contains(&name) || name == metric::STARTUP_LOGIN;
    find(name).is_some_and(|(group, _)| !once(group) && !never)
}

const fn less(name: &'static str, title: &'static str, explanation: &'static str) -> Metric {
    Metric {
        name,
        title,
        explanation,
        better: Better::Less,
        expected: None,
        derived: None,
        unit: Unit::Nanoseconds,
    }
}

const fn size(name: &'static str, title: &'static str, explanation: &'static str) -> Metric {
    Metric { unit: Unit::Bytes, ..less(name, title, explanation) }
}

const fn share(
    name: &'static str,
    title: &'static str,
    explanation: &'static str,
    expected: f64,
) -> Metric {
    Metric {
        better: Better::Neither,
        expected: Some(expected),
        unit: Unit::Share,
        ..less(name, title, explanation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_fit_the_first_column() {
        for metric in GROUPS.iter().flat_map(|(_, metrics)| *metrics) {
            assert!(metric.title.chars().count() <= 17, "{}", metric.title);
        }
    }

    #[test]
    fn a_metric_is_found_in_its_group() {
        assert_eq!(find(metric::MEMORY_LATENCY).unwrap().0.name, "memory");
        assert_eq!(find("no such thing"), None);
    }
}
