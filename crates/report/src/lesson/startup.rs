//! What the lesson says of starting and of speed.

use super::{
    LINUX, Median, NANOSECONDS_PER_SECOND, lies_within, machine, measured, times_faster, value,
};
use crate::{
    Comparison, Unit, Verdict,
    claim::{Claim, Conclusion},
    comparison::{BASE, Evidence},
    format::{digits, times},
    metric, spelling,
};

/// The start that a user sees, and the one that a program sees.
const COLD: (&str, &str) = (metric::STARTUP_COLD_FIRST_BYTE, "whole command, to the first byte");
const WARM: (&str, &str) = (metric::STARTUP_FIRST_BYTE, "warm, to the first byte");

const SECOND: f64 = NANOSECONDS_PER_SECOND;
const MINUTE: f64 = 60.0 * NANOSECONDS_PER_SECOND;

/// The first of the starts that there is.
fn start_text(starts: &[(&Median, &str)]) -> String {
    let there = starts.iter().find(|(median, _)| median.get().is_ok());
    there.map_or(String::new(), |(median, what)| {
        measured([(*median, format!("{} ({what})", value(median, Unit::Nanoseconds)))])
    })
}

pub(crate) fn container_startup(comparison: &Comparison) -> Claim {
    let [cold, warm] = [COLD, WARM].map(|(metric, _)| comparison.median(metric, "container"));
    let [by_cold, by_warm] = [COLD, WARM].map(|(metric, what)| {
        let range = comparison.range(metric, "container");
        lies_within(range, (0.5 * SECOND, MINUTE), (what, "container"))
    });
    let only_warm = by_cold.get().is_err() && by_warm.get().is_ok();
    let starts = [(&cold, COLD.1), (&warm, WARM.1)];
    let starts = if only_warm { &starts[1..] } else { &starts };
    let judged = starts.iter().find_map(|(median, _)| median.get().ok().map(|(time, _)| *time));
    Claim {
        subject: "Start-up",
        claim: "a container starts in seconds",
        measured: start_text(starts),
        distance: judged.map_or(String::new(), |time| times_faster(time, SECOND, "a second")),
        conclusion: by_cold.or(by_warm).map(Conclusion::holds_if),
        note: "No image is pulled and no daemon is asked: this is the kernel's part of the work.",
    }
}

/// Machines that boot a whole distribution, as the lesson's does: a real one, and an emulated one, which
/// is shown and never judged.
const LOGIN: &str = "qemu-kvm-login";
const EMULATED_LOGIN: &str = "qemu-tcg-login";
/// The machine with a kernel whose processor is emulated.
const EMULATED: &str = "qemu-tcg";

pub(crate) fn machine_startup(comparison: &Comparison) -> Claim {
    let logins = [LOGIN, EMULATED_LOGIN];
    let logins = logins.map(|peer| comparison.median(metric::STARTUP_LOGIN, peer));
    let by_login = judged_by_login(comparison);
    let KernelStart { name, time, is_emulated, conclusion: by_kernel } = kernel_start(comparison);
    let is_login = by_login.get().is_ok();
    let conclusion = match by_kernel.get().is_err() && logins[0].get().is_ok() {
        // What that row lacks is what this run lacks.
        true => by_login,
        false => by_login.or(by_kernel),
    };
    let bare = comparison.median(COLD.0, "microvm");
    let beside = ["container", "docker"].map(|sandbox| {
        // Beside a machine that starts no program, this says what it is compared with.
        let start = comparison.median(COLD.0, sandbox);
        let any = logins.iter().any(|login| login.get().is_ok());
        (start.clone(), any.then(|| value(&start, Unit::Nanoseconds)))
    });
    let [login, emulated] = logins.each_ref().map(|login| value(login, Unit::Nanoseconds));
    let to_prompt = "to the login prompt of a distribution";
    let mut parts = vec![
        (&logins[0], format!("QEMU/KVM {login} {to_prompt}")),
        (&logins[1], format!("QEMU/TCG {emulated} {to_prompt}, emulated")),
    ];
    for ((start, shown), name) in beside.iter().zip(["a container", "Docker"]) {
        parts.extend(shown.iter().map(|time| (start, format!("{name} {time} to the first byte"))));
    }
    let mark = if is_emulated { ", emulated" } else { "" };
    let shown = value(&time, Unit::Nanoseconds);
    parts.push((&time, format!("{name} {shown} to the first byte{mark}")));
    let shown = value(&bare, Unit::Nanoseconds);
    parts.push((&bare, format!("a microVM without a kernel {shown}")));
    let (judged, mark) = if is_login { (&logins[0], "") } else { (&time, mark) };
    Claim {
        subject: "Start-up",
        claim: "a virtual machine starts in minutes",
        distance: match judged.get() {
            Ok((time, _)) => times_faster(*time, MINUTE, "a minute") + mark,
            Err(_) => String::new(),
        },
        measured: measured(parts),
        conclusion,
        note: match is_login {
            true => {
                "The lesson's machine has an operating system: one that boots a distribution is \
                 judged, from the start of QEMU to the login prompt, against a container from its \
                 command to the first byte."
            }
            false => {
                "The lesson's machine has an operating system, so a machine with one is judged. A \
                 microVM that boots no kernel stands beside it and is not."
            }
        },
    }
}

/// By a machine that boots a whole distribution, beside the container's whole command.
fn judged_by_login(comparison: &Comparison) -> Evidence<Conclusion> {
    let login = comparison.range(metric::STARTUP_LOGIN, LOGIN);
    let container = comparison.range(COLD.0, "container");
    login.and(container).map(|(login, container)| match login.low > container.high {
        _ if login.low >= MINUTE => Conclusion::Holds,
        true => Conclusion::InDirection,
        false => Conclusion::Otherwise,
    })
}

/// A machine with a kernel that starts one program.
struct KernelStart<'a> {
    name: &'a str,
    time: Median,
    is_emulated: bool,
    conclusion: Evidence<Conclusion>,
}

fn kernel_start<'a>(comparison: &Comparison) -> KernelStart<'a> {
    let of_peers = [metric::STARTUP_COLD_FIRST_BYTE, metric::STARTUP_IMAGE_FIRST_BYTE];
    let evidence = |metric, guest| {
        let slower = comparison.difference(metric, guest, "container");
        comparison.range(metric, guest).and(slower)
    };
    let can_be_judged = |metric, guest| evidence(metric, guest).get().is_ok();
    let of_linux = [COLD.0, metric::LINUX_FIRST_BYTE];
    let (metric, guest) = machine(comparison, &of_linux, &of_peers, can_be_judged);
    KernelStart {
        name: if guest == LINUX { "a Linux guest" } else { spelling::name(guest) },
        time: comparison.median(metric, guest),
        is_emulated: guest == EMULATED,
        conclusion: evidence(metric, guest).map(|(time, ratio)| match ratio {
            _ if time.low >= MINUTE => Conclusion::Holds,
            Some(1.0..) => Conclusion::InDirection,
            _ => Conclusion::Otherwise,
        }),
    }
}

/// The loss of speed in percent that a ratio to the base is, below 0 for a gain.
fn loss(metric: &str, ratio: f64) -> f64 {
    // A rate falls by the part that is lost; a time grows by its inverse.
    let speed = if metric == metric::MEMORY_BANDWIDTH { ratio } else { 1.0 / ratio };
    (1.0 - speed) * 100.0
}

fn loss_text(metric: &str, ratio: f64) -> String {
    match loss(metric, ratio) {
        loss if loss < 0.0 => format!("{}\u{a0}% gained", digits(-loss)),
        loss => format!("{}\u{a0}% lost", digits(loss)),
    }
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
        Some(Verdict::Less(ratio) | Verdict::More(ratio)) => {
            format!("{name}: {}", loss_text(metric, ratio))
        }
    });
    texts.join("; ")
}

pub(crate) fn container_speed(comparison: &Comparison) -> Claim {
    let ratio = comparison.difference(metric::COMPUTE_SPIN, "container", BASE);
    Claim {
        subject: "Speed",
        claim: "a container runs at nearly native speed",
        measured: losses(comparison, "container"),
        distance: distance(ratio.get().ok().copied()),
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
        distance: distance(ratio.get().ok().copied()),
        conclusion: ratio.map(|ratio| match ratio.map(|ratio| loss(metric::COMPUTE_SPIN, ratio)) {
            Some(35.0..=65.0) => Conclusion::Holds,
            Some(5.0..) => Conclusion::InDirection,
            _ => Conclusion::Otherwise,
        }),
        note: "Judged by computing alone. Half is what an untuned guest of 2014 lost at linear algebra, and 2\u{a0}% a tuned one \
               (Felter et al.). What a guest does seldom costs it little; page faults and VM \
               exits cost it much: see the rows on memory and crossing.",
    }
}

/// What was measured of computing instead.
fn distance(ratio: Option<Option<f64>>) -> String {
    match ratio {
        Some(Some(ratio)) => loss_text(metric::COMPUTE_SPIN, ratio),
        Some(None) => "no loss shown".to_owned(),
        None => String::new(),
    }
}
