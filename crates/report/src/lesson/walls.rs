//! What the lesson says of isolation, and of the way out through devices.

use super::{LINUX, machine, measured, value};
use crate::{
    Comparison, Unit,
    catalogue::PROBES,
    claim::{Claim, Conclusion},
    comparison::{BASE, Evidence, Look},
    format::digits,
    metric, spelling,
};

pub(crate) fn isolation(comparison: &Comparison) -> Claim {
    let text = |(sandbox, name): (&str, &str)| {
        let looks = PROBES.map(|probe| comparison.look(probe, sandbox).exposed());
        let exposed = looks.iter().filter(|look| **look == Some(true)).count();
        match looks.iter().flatten().count() {
            0 => format!("{name}: none of {} probes could look", PROBES.len()),
            all if all == PROBES.len() => {
                format!("{name}: {exposed} of {all} probes show the host")
            }
            some => format!(
                "{name}: {some} of {} probes could look, and {exposed} of them show the host",
                PROBES.len()
            ),
        }
    };
    let seen = |sandbox: &str| {
        PROBES.iter().any(|probe| !matches!(comparison.look(probe, sandbox), Look::Absent))
    };
    let named = [("container", "container"), ("microvm", "microVM")];
    let texts: Vec<String> =
        named.into_iter().filter(|(sandbox, _)| seen(sandbox)).map(text).collect();
    // A container has processes of its own on the host's kernel; a microVM shows nothing of the host.
    let container = [("kernel", true), ("pids", false)]
        .map(|(probe, shown)| comparison.exposed(probe, "container").map(move |is| is == shown));
    let microvm = PROBES.map(|probe| comparison.exposed(probe, "microvm").map(|is| !is));
    Claim {
        subject: "Isolation",
        claim: "a container isolates processes; a virtual machine has a hypervisor's boundary",
        measured: texts.join(", "),
        distance: "another number of probes shows the host".to_owned(),
        conclusion: Evidence::all_true(container.into_iter().chain(microvm))
            .map(Conclusion::holds_if),
        note: "The container shares the host's kernel, the microVM does not. Probes show what is \
               visible from inside; they do not show what an attacker could break.",
    }
}

/// The rate of a disk or of a network, and whose rate is that of one without a machine in between: a
/// network is a link of its own to the host, as a container's is and a loop-back link is not.
const RATES: [(&str, &str, &str); 2] =
    [(metric::IO_DISK, "disk", BASE), (metric::IO_NETWORK, "network", "container")];

pub(crate) fn heavy_io(comparison: &Comparison) -> Claim {
    let lost = |guest| {
        RATES.map(|(metric, _, base)| {
            comparison.difference(metric, guest, base).map(|ratio| ratio.map(|it| 1.0 - it))
        })
    };
    // One machine for both: a verdict is not of the disk of one and the network of another.
    let can_be_judged = |_, guest| Evidence::all(lost(guest)).get().is_ok();
    let both = [metric::IO_DISK, metric::IO_NETWORK];
    let guest = machine(comparison, &both, &both, can_be_judged).1;
    let rates = RATES.iter().flat_map(|(metric, what, _)| {
        [guest, BASE, "container"].map(|sandbox| {
            let rate = comparison.median(metric, sandbox);
            let name = if sandbox == LINUX { "Linux guest" } else { spelling::name(sandbox) };
            let text = format!("{what} of {name} {}", value(&rate, Unit::BytesPerSecond));
            (rate, text)
        })
    });
    let rates: Vec<_> = rates.collect();
    let lost = Evidence::all(lost(guest));
    Claim {
        subject: "Disk and network",
        claim: "a virtual machine is unfit for heavy I/O, such as a database",
        measured: measured(rates.iter().map(|(rate, text)| (rate, text.clone()))),
        distance: lost.get().map_or(String::new(), |lost| {
            let texts = RATES.iter().zip(lost).map(|((_, what, _), lost)| match lost {
                None => format!("{what}: no loss shown"),
                Some(lost) if *lost < 0.0 => format!("{what}: nothing lost"),
                Some(lost) => format!("{what}: {}\u{a0}% lost", digits(lost * 100.0)),
            });
            texts.collect::<Vec<_>>().join("; ")
        }),
        conclusion: lost.map(|lost| {
            let lost: Vec<f64> = lost.into_iter().map(|lost| lost.unwrap_or(0.0)).collect();
            match (lost.iter().all(|lost| *lost >= 0.5), lost.iter().any(|lost| *lost >= 0.1)) {
                (true, _) => Conclusion::Holds,
                (_, true) => Conclusion::InDirection,
                _ => Conclusion::Otherwise,
            }
        }),
        note: "Judged by the rate of a Linux guest's disk against that of the host's file system, and \
               by the rate of its network card against that of a container's link to the host, where \
               a run measures them. It holds if half of both is lost.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gap, Records, Sample, Series, example};

    /// Rates of these sandboxes in five processes.
    fn records(rates: &[(&str, &str, f64)]) -> Records {
        let mut records = example::records();
        for (metric, sandbox, rate) in rates {
            let samples = (0..5).flat_map(|process| {
                [0.99, 1.0, 1.01].into_iter().zip(0..).map(move |(part, round)| Sample {
                    value: rate * part,
                    process,
                    round,
                })
            });
            records.series.push(Series {
                metric: (*metric).into(),
                sandbox: (*sandbox).into(),
                unit: Unit::BytesPerSecond,
                caveat: None,
                samples: samples.collect(),
                seconds: Vec::new(),
            });
        }
        records
    }

    const HOST: [(&str, &str, f64); 6] = [
        (metric::IO_DISK, "process", 1e9),
        (metric::IO_DISK, "process (again)", 1e9),
        (metric::IO_DISK, "container", 1e9),
        (metric::IO_NETWORK, "process", 8e9),
        (metric::IO_NETWORK, "process (again)", 8e9),
        (metric::IO_NETWORK, "container", 1e9),
    ];

    fn claim(guest: &[(&str, &str, f64)]) -> Claim {
        heavy_io(&Comparison::of(&records(&[&HOST[..], guest].concat())))
    }

    #[test]
    fn a_machine_that_loses_half_of_both_is_the_textbooks() {
        let guest = |disk, network| {
            claim(&[(metric::IO_DISK, LINUX, disk), (metric::IO_NETWORK, LINUX, network)])
        };
        assert_eq!(guest(2e8, 1e8).concluded(), Some(Conclusion::Holds));
        let one = guest(7e8, 1e8);
        assert_eq!(one.concluded(), Some(Conclusion::InDirection));
        assert_eq!(one.distance, "disk: 30.0\u{a0}% lost; network: 90.0\u{a0}% lost");
        // A loop-back link is eight times as fast as a container's.
        let none = guest(1e9, 1e9);
        assert_eq!(none.concluded(), Some(Conclusion::Otherwise));
        assert_eq!(none.distance, "disk: no loss shown; network: no loss shown");
    }

    #[test]
    fn a_row_without_a_machine_is_named_with_its_reason() {
        let claim = claim(&[(metric::IO_DISK, LINUX, 2e8)]);
        let missing = claim.conclusion.get().unwrap_err().words();
        assert!(missing.contains("network rate in the Linux microVM"), "{missing}");
        assert!(claim.measured.contains("disk of Linux guest"), "{}", claim.measured);
        assert!(claim.measured.contains("network of container"), "{}", claim.measured);
        let mut records = records(&HOST);
        for metric in [metric::IO_DISK, metric::IO_NETWORK] {
            let (metric, sandbox) = (metric.into(), LINUX.into());
            let reason = "no KVM here".into();
            records.gaps.push(Gap { metric, sandbox, reason, fix: String::new() });
        }
        let claim = heavy_io(&Comparison::of(&records));
        let missing = claim.conclusion.get().unwrap_err().words();
        assert_eq!(missing, "disk rate, network rate in the Linux microVM (no KVM here)");
        assert_eq!(claim.distance, "");
    }

    #[test]
    fn a_host_that_links_no_container_is_no_witness_of_a_network() {
        let without = HOST[..5].iter().copied();
        let guest = [(metric::IO_DISK, LINUX, 2e8), (metric::IO_NETWORK, LINUX, 1e8)];
        let all: Vec<_> = without.chain(guest).collect();
        let claim = heavy_io(&Comparison::of(&records(&all)));
        let missing = claim.conclusion.get().unwrap_err().words();
        assert!(missing.starts_with("network rate in the container"), "{missing}");
    }
}
