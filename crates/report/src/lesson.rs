//! The claims of the lesson one by one, each held against the numbers.
//!
//! Each claim is judged by [`Evidence`] of all that it speaks of. Where a part alone refutes or proves
//! it, that part is evidence enough, and it says so by `all_true` or `or`.

use crate::{
    Comparison, Unit, Verdict,
    bootstrap::FEWEST,
    catalogue::PROBES,
    claim::{Claim, Conclusion},
    comparison::{BASE, Evidence, Lack, Look, counted},
    format::{digits, in_sentence, times},
    metric,
};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// The start that a user sees, and the one that a program sees.
const COLD: (&str, &str) = (metric::STARTUP_COLD_FIRST_BYTE, "whole command, to the first byte");
const WARM: (&str, &str) = (metric::STARTUP_FIRST_BYTE, "warm, to the first byte");

/// A median and the number of its samples.
type Median = Evidence<(f64, usize)>;

/// What was measured in words, with the number of samples where it is small.
fn measured<'a>(parts: impl IntoIterator<Item = (&'a Median, String)>) -> String {
    let (mut texts, mut counts) = (Vec::new(), Vec::new());
    for (median, text) in parts {
        if let Ok((_, count)) = median.get() {
            texts.push(text);
            counts.push(*count);
        }
    }
    match counts.iter().min() {
        Some(&fewest) if fewest < FEWEST => {
            let count = match counts.len() {
                1 => counted(fewest),
                _ => format!("at least {} each", counted(fewest)),
            };
            format!("{} ({count})", texts.join(", "))
        }
        _ => texts.join(", "),
    }
}

/// The value of a median in words; empty if there is none.
fn value(median: &Median, unit: Unit) -> String {
    median.get().map_or(String::new(), |(value, _)| in_sentence(*value, unit))
}

/// The first of the starts that there is.
fn start_text(starts: &[(&Median, &str)]) -> String {
    let there = starts.iter().find(|(median, _)| median.get().is_ok());
    there.map_or(String::new(), |(median, what)| {
        measured([(*median, format!("{} ({what})", value(median, Unit::Nanoseconds)))])
    })
}

pub(crate) fn container_startup(comparison: &Comparison) -> Claim {
    let [cold, warm] = [COLD, WARM].map(|(metric, _)| comparison.median(metric, "container"));
    Claim {
        subject: "Start-up",
        claim: "a container starts in seconds",
        measured: start_text(&[(&cold, COLD.1), (&warm, WARM.1)]),
        conclusion: cold.or(warm).map(|(time, _)| {
            Conclusion::holds_if((0.5..60.0).contains(&(time / NANOSECONDS_PER_SECOND)))
        }),
        note: "No image is pulled and no daemon is asked: this is the kernel's part of the work.",
    }
}

pub(crate) fn microvm_startup(comparison: &Comparison) -> Claim {
    let [cold, warm] = [COLD, WARM].map(|(metric, _)| comparison.median(metric, "microvm"));
    let judged = |metric: &str, median: &Median| {
        let slower = comparison.difference(metric, "microvm", "container");
        median.clone().and(slower).map(|((time, _), ratio)| match ratio {
            _ if time >= 60.0 * NANOSECONDS_PER_SECOND => Conclusion::Holds,
            Some(1.0..) => Conclusion::InDirection,
            _ => Conclusion::NotWhatWeMeasured,
        })
    };
    let (by_cold, by_warm) = (judged(COLD.0, &cold), judged(WARM.0, &warm));
    // The start by which it is judged is the one to name.
    let only_warm = by_cold.get().is_err() && by_warm.get().is_ok();
    let starts = [(&cold, COLD.1), (&warm, WARM.1)];
    Claim {
        subject: "Start-up",
        claim: "a virtual machine starts in minutes",
        measured: start_text(if only_warm { &starts[1..] } else { &starts }),
        conclusion: by_cold.or(by_warm),
        note: "This microVM boots no kernel: the program runs bare in it. What a kernel of its own \
               adds is in the last question.",
    }
}

/// The loss of speed in percent that a ratio to the base is, below 0 for a gain.
fn loss(metric: &str, ratio: f64) -> f64 {
    // A rate falls by the part that is lost; a time grows by its inverse.
    let speed = if metric == metric::MEMORY_BANDWIDTH { ratio } else { 1.0 / ratio };
    (1.0 - speed) * 100.0
}

fn losses(comparison: &Comparison, sandbox: &str) -> String {
    let names = [
        (metric::COMPUTE_SPIN, "compute"),
        (metric::MEMORY_BANDWIDTH, "bandwidth"),
        (metric::MEMORY_LATENCY, "latency"),
    ];
    let verdict = |metric| Some(comparison.measured(metric, sandbox)?.against_base?.1);
    if names.iter().all(|(metric, _)| verdict(metric).is_none()) {
        return String::new();
    }
    let texts = names.map(|(metric, name)| match verdict(metric) {
        None => format!("{name}: no ratio"),
        Some(Verdict::NoDifferenceShown) => format!("{name}: no difference shown"),
        Some(Verdict::TooFewSamples(ratio)) => format!("{name}: {}, too little data", times(ratio)),
        Some(Verdict::Less(ratio) | Verdict::More(ratio)) => match loss(metric, ratio) {
            loss if loss < 0.0 => format!("{name}: {}\u{a0}% gained", digits(-loss)),
            loss => format!("{name}: {}\u{a0}% lost", digits(loss)),
        },
    });
    texts.join("; ")
}

pub(crate) fn container_speed(comparison: &Comparison) -> Claim {
    let ratio = comparison.difference(metric::COMPUTE_SPIN, "container", BASE);
    Claim {
        subject: "Speed",
        claim: "a container runs at nearly native speed",
        measured: losses(comparison, "container"),
        conclusion: ratio.map(|ratio| {
            let near = |ratio| loss(metric::COMPUTE_SPIN, ratio).abs() <= 5.0;
            Conclusion::holds_if(ratio.is_none_or(near))
        }),
        note: "Judged by computing alone; memory stands beside it.",
    }
}

pub(crate) fn microvm_speed(comparison: &Comparison) -> Claim {
    let ratio = comparison.difference(metric::COMPUTE_SPIN, "microvm", BASE);
    Claim {
        subject: "Speed",
        claim: "a virtual machine loses about half of it",
        measured: losses(comparison, "microvm"),
        conclusion: ratio.map(|ratio| match ratio.map(|ratio| loss(metric::COMPUTE_SPIN, ratio)) {
            Some(35.0..=65.0) => Conclusion::Holds,
            Some(5.0..) => Conclusion::InDirection,
            _ => Conclusion::NotWhatWeMeasured,
        }),
        note: "Judged by computing alone. Half is what an untuned guest of 2014 lost at linear algebra, and 2\u{a0}% a tuned one \
               (Felter et al.). What a guest does seldom costs it little; page faults and VM \
               exits cost it much: see the rows on memory and crossing.",
    }
}

pub(crate) fn disk(comparison: &Comparison) -> Claim {
    let [container, microvm] =
        ["container", "microvm"].map(|sandbox| comparison.median(metric::FOOTPRINT_DISK, sandbox));
    Claim {
        subject: "Disk",
        claim: "a container needs KB of disk, a virtual machine GB",
        measured: measured([
            (&container, format!("container {}", value(&container, Unit::Bytes))),
            (&microvm, format!("microVM {}", value(&microvm, Unit::Bytes))),
        ]),
        conclusion: container.and(microvm).map(|((container, _), (microvm, _))| {
            let (small, large) = (container < 1_048_576.0, microvm >= 0.5e9);
            match (small && large, microvm > container * 1.05) {
                (true, _) => Conclusion::Holds,
                (_, true) => Conclusion::InDirection,
                _ => Conclusion::NotWhatWeMeasured,
            }
        }),
        note: "Size comes with what is put inside, not with the wall: here both hold one small \
               program. A distribution's image is tens or hundreds of MB on either side.",
    }
}

pub(crate) fn density(comparison: &Comparison) -> Claim {
    // That so many were alive at once is shown by the one time that they were.
    let [containers, microvms] =
        ["container", "microvm"].map(|sandbox| comparison.largest(metric::DENSITY_COUNT, sandbox));
    let fewer_than_hundreds = |sandbox: &'static str| {
        move |&(count, _): &(f64, usize)| {
            let why = format!("only {} were started", in_sentence(count, Unit::Count));
            let (what, sandbox) = ("a hundred alive at once".to_owned(), sandbox.to_owned());
            (count < 100.0).then_some(Lack { what, sandbox, why })
        }
    };
    let hundreds = containers.clone().unless(fewer_than_hundreds("container"));
    let refuted = microvms.clone().unless(fewer_than_hundreds("microvm"));
    let compared = hundreds.and(microvms.clone()).map(|((containers, _), (microvms, _))| {
        let half = microvms < containers * 0.5;
        if half { Conclusion::Holds } else { Conclusion::InDirection }
    });
    Claim {
        subject: "Density",
        claim: "hundreds to thousands of containers on a host, tens of virtual machines",
        measured: measured([
            (&containers, format!("{} containers alive at once", value(&containers, Unit::Count))),
            (&microvms, format!("{} microVMs alive at once", value(&microvms, Unit::Count))),
        ]),
        conclusion: refuted.map(|_| Conclusion::NotWhatWeMeasured).or(compared),
        note: "All idle, and no more than this run asked for: not the most that are possible.",
    }
}

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
        conclusion: Evidence::all_true(container.into_iter().chain(microvm))
            .map(Conclusion::holds_if),
        note: "The container shares the host's kernel, the microVM does not. Probes show what is \
               visible from inside; they do not show what an attacker could break.",
    }
}

pub(crate) fn tenths(comparison: &Comparison) -> Claim {
    let [real_time, normal] = [metric::SLICES_RR_SLICE, metric::SLICES_NORMAL_SLICE]
        .map(|metric| comparison.median(metric, BASE));
    let tenth = |time: f64| (0.08..=0.12).contains(&(time / NANOSECONDS_PER_SECOND));
    Claim {
        subject: "CPU time",
        claim: "one second is cut into ten tenths, one for each of ten programs",
        measured: measured([
            (&real_time, format!("{} a turn under SCHED_RR", value(&real_time, Unit::Nanoseconds))),
            (&normal, format!("{} for normal programs", value(&normal, Unit::Nanoseconds))),
        ]),
        conclusion: real_time.and(normal).map(|((real_time, _), (normal, _))| {
            match (tenth(real_time), tenth(normal)) {
                (_, true) => Conclusion::Holds,
                (true, _) => Conclusion::InDirection,
                _ => Conclusion::NotWhatWeMeasured,
            }
        }),
        note: "Literally so for SCHED_RR, whose turn is 100 ms. Normal programs get the same \
               tenth of the time in much smaller pieces.",
    }
}

pub(crate) fn shared_out(comparison: &Comparison) -> Claim {
    // The sandbox that keeps limits.
    let shares = [
        (metric::SLICES_QUOTA10, 0.1),
        (metric::SLICES_QUOTA50, 0.5),
        (metric::SLICES_WEIGHT1, 1.0 / 7.0),
        (metric::SLICES_WEIGHT2, 2.0 / 7.0),
        (metric::SLICES_WEIGHT4, 4.0 / 7.0),
    ]
    .map(|(metric, asked)| (comparison.median(metric, "container"), asked));
    let text = |(share, asked): &(Median, f64)| {
        let share = share.get().map_or(String::new(), |(share, _)| format!("{:.1}", share * 100.0));
        format!("{share} of {:.1}\u{a0}%", asked * 100.0)
    };
    Claim {
        subject: "CPU time",
        claim: "cgroups share it out as they are told",
        measured: measured(shares.iter().map(|share| (&share.0, text(share)))),
        conclusion: Evidence::all(
            shares
                .map(|(share, asked)| share.map(|(share, _)| (share / asked - 1.0).abs() <= 0.15)),
        )
        .map(|kept| Conclusion::holds_if(kept.iter().all(|kept| *kept))),
        note: "Measured share of the share that was asked for: quotas of 10 and 50 %, weights 1:2:4.",
    }
}
