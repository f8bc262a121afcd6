//! The claims of the lesson one by one, each held against the numbers.
//!
//! A claim is judged by all that it speaks of, or by what decides it alone: one number that is not
//! as it says refutes it, whatever else is missing. What is missing is named beside the rest.

use crate::{
    Comparison, Unit, Verdict,
    claims::{Claim, Holding},
    comparison::Look,
    format::{digits, times, told},
};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// What a claim needs of a run: what is there, in words, and what is not.
struct Evidence<'a> {
    comparison: &'a Comparison<'a>,
    found: Vec<String>,
    missing: Vec<String>,
}

impl<'a> Evidence<'a> {
    fn of(comparison: &'a Comparison<'a>) -> Self {
        Self { comparison, found: Vec::new(), missing: Vec::new() }
    }

    /// The median of a metric in a sandbox.
    fn median(&mut self, metric: &str, sandbox: &str) -> Option<f64> {
        let found = self.comparison.measured(metric, sandbox).map(|measured| measured.median);
        if found.is_none() {
            self.lacks(metric, sandbox);
        }
        found
    }

    /// The median of a metric in the first sandbox that has it.
    fn median_anywhere(&mut self, metric: &str) -> Option<f64> {
        let found = self.comparison.find(metric).and_then(|row| {
            row.cells.iter().find_map(|cell| cell.measured()).map(|measured| measured.median)
        });
        if found.is_none() {
            self.lacks(metric, "");
        }
        found
    }

    /// Whether the host showed through to a probe.
    fn exposed(&mut self, probe: &str, sandbox: &str) -> Option<bool> {
        let look = self.comparison.look(probe, sandbox);
        if look.exposed().is_none() {
            let why = match look {
                Look::Failed(gap) => format!(" ({})", gap.reason),
                _ => String::new(),
            };
            self.missing.push(format!("the probe \u{201c}{probe}\u{201d} in the {sandbox}{why}"));
        }
        look.exposed()
    }

    /// Notes that this was not measured, and why if that is known.
    fn lacks(&mut self, metric: &str, sandbox: &str) {
        let known = crate::catalogue::find(metric).map(|(_, metric)| metric.title);
        let place = if sandbox.is_empty() { String::new() } else { format!(" in the {sandbox}") };
        let anywhere = || self.comparison.sandboxes.iter().copied();
        let gap = std::iter::once(sandbox)
            .chain(anywhere().filter(|_| sandbox.is_empty()))
            .find_map(|sandbox| self.comparison.gap(metric, sandbox));
        let why = gap.map_or(String::new(), |gap| format!(" ({})", gap.reason));
        self.missing.push(format!("{}{place}{why}", known.unwrap_or(metric)));
    }

    fn says(&mut self, text: impl Into<String>) {
        self.found.push(text.into());
    }

    /// The claim. Without a judgement this run cannot tell.
    fn claim(
        self,
        (subject, claim): (&'static str, &'static str),
        judged: Option<Holding>,
        note: &'static str,
    ) -> Claim {
        let mut measured = self.found;
        if !self.missing.is_empty() {
            measured.push(format!("not measured: {}", self.missing.join(", ")));
        }
        if measured.is_empty() {
            measured.push("not measured in this run".to_owned());
        }
        let holding = judged.unwrap_or(Holding::CannotTell);
        Claim { subject, claim, measured: measured.join("; "), holding, note }
    }
}

/// The starts that there are: first that which a user sees, then that which a program sees.
const STARTS: [(&str, &str); 2] = [
    ("startup.cold.first_byte", "whole command, to the first byte"),
    ("startup.first_byte", "warm, to the first byte"),
];

impl Evidence<'_> {
    /// The start of a sandbox by the first metric that all of `sandboxes` have, or else by the first
    /// that it has itself: the metric, and how long it takes.
    fn start(&mut self, sandbox: &str, sandboxes: &[&str]) -> Option<(&'static str, f64)> {
        let comparison = self.comparison;
        let has = |metric: &str, sandbox: &str| comparison.measured(metric, sandbox).is_some();
        let in_all =
            STARTS.iter().find(|(metric, _)| sandboxes.iter().all(|sandbox| has(metric, sandbox)));
        let (metric, what) =
            in_all.or(STARTS.iter().find(|(metric, _)| has(metric, sandbox))).unwrap_or(&STARTS[0]);
        for lacking in sandboxes.iter().filter(|sandbox| !has(metric, sandbox)) {
            self.lacks(metric, lacking);
        }
        let time = comparison.measured(metric, sandbox)?.median;
        self.says(format!("{} ({what})", told(time, Unit::Nanoseconds)));
        Some((metric, time))
    }
}

pub(crate) fn container_startup(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let start = evidence.start("container", &["container"]);
    let judged = start
        .map(|(_, time)| Holding::holds_if((0.5..60.0).contains(&(time / NANOSECONDS_PER_SECOND))));
    evidence.claim(
        ("Start-up", "a container starts in seconds"),
        judged,
        "No image is pulled and no daemon is asked: this is the kernel's part of the work.",
    )
}

pub(crate) fn microvm_startup(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let start = evidence.start("microvm", &["microvm", "container"]);
    let judged = start.and_then(|(metric, time)| {
        if time >= 60.0 * NANOSECONDS_PER_SECOND {
            return Some(Holding::Holds);
        }
        let ratio = comparison.ratio(metric, "microvm", "container")?;
        match Verdict::of(&ratio, None) {
            Verdict::More(_) => Some(Holding::InDirection),
            Verdict::Less(_) | Verdict::NoDifferenceShown => Some(Holding::NotWhatWeMeasured),
            Verdict::TooFewSamples(_) => None,
        }
    });
    evidence.claim(
        ("Start-up", "a virtual machine starts in minutes"),
        judged,
        "This microVM boots no kernel: the program runs bare in it. What a kernel of its own adds \
         is in the last question.",
    )
}

/// The loss of speed in percent, below 0 for a gain, and its verdict.
fn loss(comparison: &Comparison, metric: &str, sandbox: &str) -> Option<(f64, Verdict)> {
    let (ratio, verdict) = comparison.measured(metric, sandbox)?.against_base?;
    // A rate falls by the part that is lost; a time grows by its inverse.
    let speed = if metric == "memory.bandwidth" { ratio.value } else { 1.0 / ratio.value };
    speed.is_finite().then_some(((1.0 - speed) * 100.0, verdict))
}

impl Evidence<'_> {
    /// Says what was lost of each kind of speed, and gives the loss of that of computing.
    fn losses(&mut self, sandbox: &str) -> Option<(f64, Verdict)> {
        for (metric, name) in [
            ("compute.spin", "compute"),
            ("memory.bandwidth", "bandwidth"),
            ("memory.latency", "latency"),
        ] {
            let text = match loss(self.comparison, metric, sandbox) {
                None => continue,
                Some((_, Verdict::NoDifferenceShown)) => format!("{name}: no difference shown"),
                Some((_, Verdict::TooFewSamples(ratio))) => {
                    format!("{name}: {}, of too few samples", times(ratio))
                }
                Some((loss, _)) if loss < 0.0 => {
                    format!("{name}: {}\u{a0}% gained", digits(-loss))
                }
                Some((loss, _)) => format!("{name}: {}\u{a0}% lost", digits(loss)),
            };
            self.says(text);
        }
        let compute = loss(self.comparison, "compute.spin", sandbox);
        if compute.is_none() {
            for sandbox in [sandbox, crate::comparison::BASE] {
                self.median("compute.spin", sandbox);
            }
        }
        compute
    }
}

pub(crate) fn container_speed(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let judged = evidence.losses("container").and_then(|loss| match loss {
        (_, Verdict::TooFewSamples(_)) => None,
        (_, Verdict::NoDifferenceShown) => Some(Holding::Holds),
        (loss, _) => Some(Holding::holds_if(loss.abs() <= 5.0)),
    });
    evidence.claim(("Speed", "a container runs at nearly native speed"), judged, "")
}

pub(crate) fn microvm_speed(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let judged = evidence.losses("microvm").and_then(|loss| match loss {
        (_, Verdict::TooFewSamples(_)) => None,
        (_, Verdict::NoDifferenceShown) => Some(Holding::NotWhatWeMeasured),
        (loss, _) if (35.0..=65.0).contains(&loss) => Some(Holding::Holds),
        (loss, Verdict::More(_)) if loss >= 5.0 => Some(Holding::InDirection),
        _ => Some(Holding::NotWhatWeMeasured),
    });
    evidence.claim(
        ("Speed", "a virtual machine loses about half of it"),
        judged,
        "Half is what an untuned guest of 2014 lost at linear algebra, and 2\u{a0}% a tuned one \
         (Felter et al.). What a guest does seldom costs it little; page faults and trips to the \
         host cost it much: see the rows on memory and crossing.",
    )
}

pub(crate) fn disk(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let [container, microvm] =
        [("container", "container"), ("microvm", "microVM")].map(|(sandbox, name)| {
            let bytes = evidence.median("footprint.disk", sandbox)?;
            evidence.says(format!("{name} {}", told(bytes, Unit::Bytes)));
            Some(bytes)
        });
    let judged = container.zip(microvm).map(|(container, microvm)| {
        let (small, large) = (container < 1_048_576.0, microvm >= 0.5e9);
        match (small && large, microvm > container * 1.05) {
            (true, _) => Holding::Holds,
            (_, true) => Holding::InDirection,
            _ => Holding::NotWhatWeMeasured,
        }
    });
    evidence.claim(
        ("Disk", "a container needs KB of disk, a virtual machine GB"),
        judged,
        "Size comes with what is put inside, not with the wall: here both hold one small program. \
         A distribution's image is tens or hundreds of MB on either side.",
    )
}

pub(crate) fn density(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let [container, microvm] =
        [("container", "containers"), ("microvm", "microVMs")].map(|(sandbox, name)| {
            let count = evidence.median("density.count", sandbox)?;
            evidence.says(format!("{} {name} alive at once", told(count, Unit::Count)));
            Some(count)
        });
    let judged = container.zip(microvm).and_then(|(container, microvm)| match microvm {
        100.0.. => Some(Holding::NotWhatWeMeasured),
        _ if container >= 100.0 && microvm < container * 0.5 => Some(Holding::Holds),
        // So few of either only say that no more were asked for.
        _ => None,
    });
    evidence.claim(
        ("Density", "hundreds to thousands of containers on a host, tens of virtual machines"),
        judged,
        "All idle, and no more than this run asked for: not the most that are possible.",
    )
}

pub(crate) fn isolation(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    for (sandbox, name) in [("container", "container"), ("microvm", "microVM")] {
        let looks: Vec<Option<bool>> = comparison
            .probes()
            .into_iter()
            .map(|probe| comparison.look(probe, sandbox).exposed())
            .collect();
        let made: Vec<bool> = looks.iter().copied().flatten().collect();
        let exposed = made.iter().filter(|exposed| **exposed).count();
        let failed = looks.len() - made.len();
        let rest = if failed > 0 { format!(", {failed} not made") } else { String::new() };
        match made.len() {
            0 => {}
            all => evidence.says(format!("{name}: {exposed} of {all} probes show the host{rest}")),
        }
    }
    // What the claim says of each.
    let expected = [
        ("kernel", "container", true),
        ("pids", "container", false),
        ("kernel", "microvm", false),
        ("pids", "microvm", false),
    ];
    let as_expected = expected
        .map(|(probe, sandbox, exposed)| Some(evidence.exposed(probe, sandbox)? == exposed));
    let judged = match as_expected {
        looks if looks.contains(&Some(false)) => Some(Holding::NotWhatWeMeasured),
        looks if looks.contains(&None) => None,
        _ => Some(Holding::Holds),
    };
    evidence.claim(
        (
            "Isolation",
            "a container isolates processes; a virtual machine has a hypervisor's boundary",
        ),
        judged,
        "The container shares the host's kernel, the microVM does not. Probes show what is visible \
         from inside; they do not show what an attacker could break.",
    )
}

pub(crate) fn tenths(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let [real_time, normal] = [
        ("slices.rr.slice", "a turn under SCHED_RR"),
        ("slices.normal.slice", "for normal programs"),
    ]
    .map(|(metric, name)| {
        let time = evidence.median_anywhere(metric)?;
        evidence.says(format!("{} {name}", told(time, Unit::Nanoseconds)));
        Some(time)
    });
    let tenth = |time: f64| (0.08..=0.12).contains(&(time / NANOSECONDS_PER_SECOND));
    let judged = match (real_time, normal) {
        (_, Some(normal)) if tenth(normal) => Some(Holding::Holds),
        (Some(real_time), Some(_)) if tenth(real_time) => Some(Holding::InDirection),
        (Some(_), Some(_)) => Some(Holding::NotWhatWeMeasured),
        _ => None,
    };
    evidence.claim(
        ("CPU time", "one second is cut into ten tenths, one for each of ten programs"),
        judged,
        "Literally so for SCHED_RR, whose turn is 100 ms. Normal programs get the same tenth of \
         the time in much smaller pieces.",
    )
}

pub(crate) fn shared_out(comparison: &Comparison) -> Claim {
    let mut evidence = Evidence::of(comparison);
    let names =
        ["slices.quota10", "slices.quota50", "slices.weight1", "slices.weight2", "slices.weight4"];
    let shares = names.map(|name| {
        let share = evidence.median_anywhere(name)?;
        let asked = comparison.find(name)?.expected?;
        evidence.says(format!("{:.1} of {:.1}\u{a0}%", share * 100.0, asked * 100.0));
        Some((share / asked - 1.0).abs() <= 0.15)
    });
    let judged = match shares {
        shares if shares.contains(&Some(false)) => Some(Holding::NotWhatWeMeasured),
        shares if shares.contains(&None) => None,
        _ => Some(Holding::Holds),
    };
    evidence.claim(
        ("CPU time", "cgroups share it out as they are told"),
        judged,
        "Measured share of the share that was asked for: quotas of 10 and 50 %, weights 1:2:4.",
    )
}
