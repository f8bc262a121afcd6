//! The claims of the lesson one by one, each held against the numbers.

use crate::{
    Comparison, Unit, Verdict,
    claims::{Claim, Holding},
    format::{digits, times, told},
};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// The start that a user sees, or, where that is missing, the one that a program sees.
fn start(comparison: &Comparison, sandbox: &str) -> Option<(f64, String)> {
    let cold = comparison.measured("startup.cold.first_byte", sandbox);
    let (what, measured) = match cold {
        Some(cold) => ("whole command, to the first byte", cold),
        None => ("warm, to the first byte", comparison.measured("startup.first_byte", sandbox)?),
    };
    Some((measured.median, format!("{} ({what})", told(measured.median, Unit::Nanoseconds))))
}

pub(crate) fn container_startup(comparison: &Comparison) -> Claim {
    let start = start(comparison, "container");
    Claim {
        subject: "Start-up",
        claim: "a container starts in seconds",
        holding: start.as_ref().map_or(Holding::CannotTell, |(time, _)| {
            Holding::holds_if((0.5..60.0).contains(&(time / NANOSECONDS_PER_SECOND)))
        }),
        measured: start.map_or_else(nothing, |(_, text)| text),
        note: "No image is pulled and no daemon is asked: this is the kernel's part of the work.",
    }
}

pub(crate) fn microvm_startup(comparison: &Comparison) -> Claim {
    let slower = ["startup.cold.first_byte", "startup.first_byte"]
        .into_iter()
        .find_map(|metric| comparison.ratio(metric, "microvm", "container"))
        .is_some_and(|ratio| matches!(Verdict::of(&ratio, None), Verdict::More(_)));
    let start = start(comparison, "microvm");
    Claim {
        subject: "Start-up",
        claim: "a virtual machine starts in minutes",
        holding: match &start {
            None => Holding::CannotTell,
            Some((time, _)) if *time >= 60.0 * NANOSECONDS_PER_SECOND => Holding::Holds,
            Some(_) if slower => Holding::InDirection,
            Some(_) => Holding::NotWhatWeMeasured,
        },
        measured: start.map_or_else(nothing, |(_, text)| text),
        note: "This microVM boots no kernel: the program runs bare in it. What a kernel of its own \
               adds is in the last question.",
    }
}

/// The loss of speed in percent, below 0 for a gain, and its verdict.
fn loss(comparison: &Comparison, metric: &str, sandbox: &str) -> Option<(f64, Verdict)> {
    let (ratio, verdict) = comparison.measured(metric, sandbox)?.against_base?;
    // A rate falls by the part that is lost; a time grows by its inverse.
    let speed = if metric == "memory.bandwidth" { ratio.value } else { 1.0 / ratio.value };
    Some(((1.0 - speed) * 100.0, verdict))
}

fn losses(comparison: &Comparison, sandbox: &str) -> String {
    let names = [
        ("compute.spin", "compute"),
        ("memory.bandwidth", "bandwidth"),
        ("memory.latency", "latency"),
    ];
    let texts: Vec<String> = names
        .iter()
        .filter_map(|(metric, name)| {
            Some(match loss(comparison, metric, sandbox)? {
                (_, Verdict::NoDifferenceShown) => format!("{name}: no difference shown"),
                (_, Verdict::TooFewSamples(ratio)) => {
                    format!("{name}: {}, of too few samples", times(ratio))
                }
                (loss, _) if loss < 0.0 => format!("{name}: {}\u{a0}% gained", digits(-loss)),
                (loss, _) => format!("{name}: {}\u{a0}% lost", digits(loss)),
            })
        })
        .collect();
    if texts.is_empty() { nothing() } else { texts.join("; ") }
}

pub(crate) fn container_speed(comparison: &Comparison) -> Claim {
    Claim {
        subject: "Speed",
        claim: "a container runs at nearly native speed",
        holding: loss(comparison, "compute.spin", "container").map_or(
            Holding::CannotTell,
            |(loss, verdict)| {
                Holding::holds_if(loss.abs() <= 5.0 || verdict == Verdict::NoDifferenceShown)
            },
        ),
        measured: losses(comparison, "container"),
        note: "",
    }
}

pub(crate) fn microvm_speed(comparison: &Comparison) -> Claim {
    Claim {
        subject: "Speed",
        claim: "a virtual machine loses about half of it",
        holding: match loss(comparison, "compute.spin", "microvm") {
            None => Holding::CannotTell,
            Some((_, Verdict::NoDifferenceShown)) => Holding::NotWhatWeMeasured,
            Some((loss, _)) if (35.0..=65.0).contains(&loss) => Holding::Holds,
            Some((loss, Verdict::More(_))) if loss >= 5.0 => Holding::InDirection,
            Some(_) => Holding::NotWhatWeMeasured,
        },
        measured: losses(comparison, "microvm"),
        note: "Half is what an untuned guest of 2014 lost at linear algebra, and 2\u{a0}% a tuned one \
               (Felter et al.). What a guest does seldom costs it little; page faults and trips to \
               the host cost it much: see the rows on memory and crossing.",
    }
}

pub(crate) fn disk(comparison: &Comparison) -> Claim {
    let container = comparison.measured("footprint.disk", "container").map(|cell| cell.median);
    let microvm = comparison.measured("footprint.disk", "microvm").map(|cell| cell.median);
    let text = |name, bytes: Option<f64>| Some(format!("{name} {}", told(bytes?, Unit::Bytes)));
    Claim {
        subject: "Disk",
        claim: "a container needs KB of disk, a virtual machine GB",
        holding: match (container, microvm) {
            (Some(container), Some(microvm)) => {
                let (small, large) = (container < 1_048_576.0, microvm >= 0.5e9);
                match (small && large, microvm > container * 1.05) {
                    (true, _) => Holding::Holds,
                    (_, true) => Holding::InDirection,
                    _ => Holding::NotWhatWeMeasured,
                }
            }
            _ => Holding::CannotTell,
        },
        measured: joined([text("container", container), text("microVM", microvm)]),
        note: "Size comes with what is put inside, not with the wall: here both hold one small \
               program. A distribution's image is tens or hundreds of MB on either side.",
    }
}

pub(crate) fn density(comparison: &Comparison) -> Claim {
    let count = |sandbox| comparison.measured("density.count", sandbox).map(|cell| cell.median);
    let (container, microvm) = (count("container"), count("microvm"));
    let text = |name, count: Option<f64>| {
        Some(format!("{} {name} alive at once", told(count?, Unit::Count)))
    };
    Claim {
        subject: "Density",
        claim: "hundreds to thousands of containers on a host, tens of virtual machines",
        holding: match (container, microvm) {
            (Some(_), Some(microvm)) if microvm >= 100.0 => Holding::NotWhatWeMeasured,
            (Some(container), Some(microvm)) if container >= 100.0 && microvm < container * 0.5 => {
                Holding::Holds
            }
            // So few of either only say that no more were asked for.
            _ => Holding::CannotTell,
        },
        measured: joined([text("containers", container), text("microVMs", microvm)]),
        note: "All idle, and no more than this run asked for: not the most that are possible.",
    }
}

pub(crate) fn isolation(comparison: &Comparison) -> Claim {
    let probes = |sandbox: &str| {
        let of: Vec<_> = comparison.probes.iter().filter(|p| p.sandbox == sandbox).collect();
        let kernel = of.iter().find(|probe| probe.probe == "kernel").map(|probe| probe.exposed);
        (of.len(), of.iter().filter(|probe| probe.exposed).count(), kernel)
    };
    let text = |name, (all, exposed, _): (usize, usize, Option<bool>)| {
        (all > 0).then(|| format!("{name}: {exposed} of {all} probes show the host"))
    };
    let (container, microvm) = (probes("container"), probes("microvm"));
    Claim {
        subject: "Isolation",
        claim: "a container isolates processes; a virtual machine has a hypervisor's boundary",
        holding: match (container.2, microvm.2) {
            (Some(container), Some(microvm)) => Holding::holds_if(container && !microvm),
            _ => Holding::CannotTell,
        },
        measured: joined([text("container", container), text("microVM", microvm)]),
        note: "The container shares the host's kernel, the microVM does not. Probes show what is \
               visible from inside; they do not show what an attacker could break.",
    }
}

pub(crate) fn tenths(comparison: &Comparison) -> Claim {
    let slice = |metric| {
        let mut cells = comparison.find(metric)?.cells.iter();
        cells.find_map(|cell| cell.measured()).map(|cell| cell.median)
    };
    let (real_time, normal) = (slice("slices.rr.slice"), slice("slices.normal.slice"));
    let tenth = |time: f64| (0.08..=0.12).contains(&(time / NANOSECONDS_PER_SECOND));
    let text = |name, time: Option<f64>| Some(format!("{} {name}", told(time?, Unit::Nanoseconds)));
    Claim {
        subject: "CPU time",
        claim: "one second is cut into ten tenths, one for each of ten programs",
        holding: match (real_time, normal) {
            (_, Some(normal)) if tenth(normal) => Holding::Holds,
            (Some(real_time), _) if tenth(real_time) => Holding::InDirection,
            (_, Some(_)) => Holding::NotWhatWeMeasured,
            _ => Holding::CannotTell,
        },
        measured: joined([
            text("a turn under SCHED_RR", real_time),
            text("for normal programs", normal),
        ]),
        note: "Literally so for SCHED_RR, whose turn is 100 ms. Normal programs get the same \
               tenth of the time in much smaller pieces.",
    }
}

pub(crate) fn shared_out(comparison: &Comparison) -> Claim {
    let names =
        ["slices.quota10", "slices.quota50", "slices.weight1", "slices.weight2", "slices.weight4"];
    let shares: Vec<(f64, f64)> = names
        .into_iter()
        .filter_map(|name| {
            let row = comparison.find(name)?;
            let cell = row.cells.iter().find_map(|cell| cell.measured())?;
            Some((cell.median, row.expected?))
        })
        .collect();
    let off = shares.iter().map(|(share, asked)| (share / asked - 1.0).abs()).fold(0.0, f64::max);
    let texts: Vec<String> = shares
        .iter()
        .map(|(share, asked)| format!("{:.1} of {:.1}\u{a0}%", share * 100.0, asked * 100.0))
        .collect();
    Claim {
        subject: "CPU time",
        claim: "cgroups share it out as they are told",
        holding: match shares.is_empty() {
            true => Holding::CannotTell,
            false => Holding::holds_if(off <= 0.15),
        },
        measured: if texts.is_empty() { nothing() } else { texts.join("; ") },
        note: "Measured share of the share that was asked for: quotas of 10 and 50 %, weights 1:2:4.",
    }
}

fn nothing() -> String {
    "not measured in this run".to_owned()
}

fn joined<const N: usize>(texts: [Option<String>; N]) -> String {
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    if texts.is_empty() { nothing() } else { texts.join(", ") }
}
