//! What else the host did while a metric was measured, and whether that spoils the verdict.

use crate::{Condition, Provenance, Unit, catalogue, metric, statistics::median};

/// More of the CPU time than this given to others by the hypervisor below spoils a measurement.
pub(crate) const MOST_STEAL: f64 = 0.05;

/// More of the time than this with a program waiting for a CPU spoils one. What is measured waits
/// for itself now and then; on a quiet host that stays well below.
pub(crate) const MOST_PRESSURE: f64 = 0.25;

/// The part of a comparison that measures a metric, as [`Condition::part`] names it; `None` of
/// metrics of other programs.
pub(crate) fn part_of(name: &str) -> Option<&'static str> {
    const COLD: [&str; 6] = [
        metric::STARTUP_COLD_FIRST_BYTE,
        metric::STARTUP_COLD_EXITED,
        metric::STARTUP_IMAGE_FIRST_BYTE,
        metric::STARTUP_ENGINE_FIRST_BYTE,
        metric::STARTUP_DOCKERD_FIRST_BYTE,
        metric::STARTUP_LOGIN,
    ];
    let family = name.split('.').next().unwrap_or(name);
    Some(match (name, family) {
        (cold, _) if COLD.contains(&cold) => "cold",
        (metric::TEARDOWN, _) | (_, "startup") => "startup",
        (metric::FOOTPRINT_KERNEL, _) | (_, "density") => "density",
        (metric::CROSSING, _) | (_, "compute" | "memory") => "programs",
        (_, "footprint") => "footprint",
        (_, "images") => "images",
        (_, "slices") => "slices",
        (_, "io") => "io",
        (_, "linux") => "linux",
        _ => return None,
    })
}

/// Why a verdict on `metric` would be doubtful: what the host did meanwhile, in words; `None` of a
/// quiet host, and where the records do not say.
pub(crate) fn disturbance(provenance: &Provenance, metric: &str) -> Option<String> {
    // A size and a count do not wait for a CPU.
    let timed = |unit| !matches!(unit, Unit::Bytes | Unit::Count);
    let timed = catalogue::find(metric).is_none_or(|(_, known)| timed(known.unit));
    let part = part_of(metric).filter(|_| timed)?;
    of_part(provenance, part)
}

/// What the host did in the parts whose times carry no verdict: by what disturbed them, each with
/// its share in percent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Disturbed {
    /// Parts in which programs waited for a CPU: `startup 88 %`.
    pub(crate) waited: Vec<String>,
    /// Parts in which CPU time went to others.
    pub(crate) stolen: Vec<String>,
}

/// The parts that were disturbed, in the order of time.
pub(crate) fn disturbed(provenance: &Provenance) -> Disturbed {
    // Sizes, and what can be seen, do not wait for a CPU.
    let timed = ["startup", "cold", "programs", "density", "slices", "io", "linux"];
    let mut parts: Vec<&str> = Vec::new();
    for condition in &provenance.conditions {
        let part = condition.part.as_str();
        if timed.contains(&part) && !parts.contains(&part) {
            parts.push(part);
        }
    }
    let mut all = Disturbed::default();
    for part in parts {
        let (steal, pressure) = beyond(provenance, part);
        let named = |share: f64| format!("{part} {}", percent(share));
        all.stolen.extend(steal.map(named));
        all.waited.extend(pressure.map(named));
    }
    all
}

fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", share * 100.0)
}

/// The usual steal and pressure of a part, where they are beyond the limits.
fn beyond(provenance: &Provenance, part: &str) -> (Option<f64>, Option<f64>) {
    // The clock of a nest counts instructions: it stands still while the nest waits.
    if part == "linux" && provenance.host.contains_key("linux.machine") {
        return (None, None);
    }
    // Ten programs on one CPU wait for each other, and hundreds that start at once do so too.
    let crowded = ["slices", "density"].contains(&part);
    let usual = |value: fn(&Condition) -> Option<f64>| {
        let there = provenance.conditions.iter().filter(|condition| condition.part == part);
        median(&there.filter_map(value).collect::<Vec<_>>())
    };
    let steal = usual(|condition| condition.steal).filter(|steal| *steal > MOST_STEAL);
    let pressure = usual(|condition| condition.cpu_pressure)
        .filter(|pressure| !crowded && *pressure > MOST_PRESSURE);
    (steal, pressure)
}

fn of_part(provenance: &Provenance, part: &str) -> Option<String> {
    let (steal, pressure) = beyond(provenance, part);
    match (steal.map(percent), pressure.map(percent)) {
        (None, None) => None,
        (Some(steal), None) => Some(format!("{steal} of the CPU time went to others")),
        (None, Some(pressure)) => {
            Some(format!("programs waited for a CPU during {pressure} of the time"))
        }
        (Some(steal), Some(pressure)) => Some(format!(
            "{steal} of the CPU time went to others, and programs waited for a CPU during \
             {pressure} of the time"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::GROUPS;

    fn provenance(part: &str, steal: f64, pressure: f64) -> Provenance {
        let (part, steal, cpu_pressure) = (part.to_owned(), Some(steal), Some(pressure));
        let conditions = vec![Condition { seconds: 1.0, part, steal, cpu_pressure }; 3];
        Provenance { conditions, ..Provenance::default() }
    }

    #[test]
    fn a_busy_host_spoils_what_was_measured_meanwhile_and_nothing_else() {
        let busy = provenance("programs", 0.0, 0.6);
        assert!(disturbance(&busy, metric::COMPUTE_SPIN).unwrap().contains("60\u{a0}%"));
        assert_eq!(disturbance(&busy, metric::STARTUP_CREATED), None);
        let stolen = provenance("cold", 0.2, 0.0);
        assert!(disturbance(&stolen, metric::STARTUP_COLD_FIRST_BYTE).is_some());
    }

    #[test]
    fn programs_that_share_a_cpu_on_purpose_may_wait_for_it() {
        assert_eq!(disturbance(&provenance("slices", 0.0, 0.99), metric::SLICES_QUOTA10), None);
        assert!(disturbance(&provenance("slices", 0.3, 0.99), metric::SLICES_QUOTA10).is_some());
    }

    #[test]
    fn a_clock_that_counts_instructions_does_not_run_while_its_machine_waits() {
        let busy = provenance("linux", 0.0, 0.9);
        assert!(disturbance(&busy, metric::LINUX_FIRST_BYTE).is_some());
        let host = [("linux.machine".to_owned(), "in a nest".to_owned())].into();
        let in_nest = Provenance { host, ..busy };
        assert_eq!(disturbance(&in_nest, metric::LINUX_FIRST_BYTE), None);
        assert_eq!(disturbed(&in_nest), Disturbed::default());
    }

    #[test]
    fn every_metric_of_the_catalogue_has_its_part() {
        for metric in GROUPS.iter().flat_map(|(_, metrics)| *metrics) {
            assert!(part_of(metric.name).is_some(), "{}", metric.name);
        }
    }
}
