//! What the lesson says of disk, memory and density.

use super::{LINUX, Median, machine, measured, value};
use crate::{
    Comparison, Unit,
    claim::{Claim, Conclusion},
    comparison::{Evidence, Lack},
    format::in_sentence,
    metric, spelling,
};

const MEBIBYTE: f64 = 1_048_576.0;

fn name_of(guest: &str) -> &str {
    if guest == LINUX { "Linux guest" } else { spelling::name(guest) }
}

pub(crate) fn disk(comparison: &Comparison) -> Claim {
    let has_range = |metric, guest| comparison.range(metric, guest).get().is_ok();
    let (metric, guest) =
        machine(comparison, &[metric::LINUX_DISK], &[metric::FOOTPRINT_DISK], has_range);
    let [container, microvm] =
        ["container", "microvm"].map(|sandbox| comparison.median(metric::FOOTPRINT_DISK, sandbox));
    let whole = comparison.median(metric, guest);
    let ranges =
        comparison.range(metric::FOOTPRINT_DISK, "container").and(comparison.range(metric, guest));
    Claim {
        subject: "Disk",
        claim: "a container needs KB of disk, a virtual machine GB",
        measured: measured([
            (&container, format!("container {}", value(&container, Unit::Bytes))),
            (&whole, format!("{} {}", name_of(guest), value(&whole, Unit::Bytes))),
            (&microvm, format!("microVM without a kernel {}", value(&microvm, Unit::Bytes))),
        ]),
        distance: match whole.get() {
            Ok((bytes, _)) => format!("the machine {}", in_sentence(*bytes, Unit::Bytes)),
            Err(_) => String::new(),
        },
        conclusion: ranges.map(|(container, machine)| {
            let (small, large) = (container.high < MEBIBYTE, machine.low >= 0.5e9);
            match (small && large, machine.low > container.high * 1.05) {
                (true, _) => Conclusion::Holds,
                (_, true) => Conclusion::InDirection,
                _ => Conclusion::Otherwise,
            }
        }),
        note: "Size comes with what is put inside, not with the wall: here each holds one small \
               program, and the Linux guest its kernel too. A distribution's image is tens or \
               hundreds of MB on either side.",
    }
}

pub(crate) fn memory(comparison: &Comparison) -> Claim {
    let has_range = |metric, guest| comparison.range(metric, guest).get().is_ok();
    let (metric, guest) =
        machine(comparison, &[metric::LINUX_MEMORY], &[metric::FOOTPRINT_MEMORY], has_range);
    let container = comparison.median(metric::FOOTPRINT_MEMORY, "container");
    let whole = comparison.median(metric, guest);
    let ranges = comparison
        .range(metric::FOOTPRINT_MEMORY, "container")
        .and(comparison.range(metric, guest));
    Claim {
        subject: "Memory",
        claim: "a container needs fewer resources than a virtual machine",
        measured: measured([
            (&container, format!("container {}", value(&container, Unit::Bytes))),
            (&whole, format!("{} {}", name_of(guest), value(&whole, Unit::Bytes))),
        ]),
        distance: match (container.get(), whole.get()) {
            (Ok((container, _)), Ok((whole, _))) if container > whole => {
                "a container needs more".to_owned()
            }
            _ => "no difference shown".to_owned(),
        },
        conclusion: ranges
            .map(|(container, machine)| Conclusion::holds_if(container.high < machine.low)),
        note: "Memory of one idle instance. Of a Linux guest it is its RAM as far as the host had \
               to find it; its monitor comes on top.",
    }
}

/// How many were alive at once.
#[derive(Debug, Clone, Copy)]
struct Alive {
    count: f64,
    /// Whether the run ended the starts before the host did: more may be possible.
    at_least: bool,
}

pub(crate) fn density(comparison: &Comparison) -> Claim {
    let (_, guest) =
        machine(comparison, &[metric::DENSITY_COUNT], &[metric::DENSITY_COUNT], |_, _| false);
    // That so many were alive at once is shown by the one time that they were.
    let [containers, machines, microvms] = ["container", guest, "microvm"].map(|sandbox| {
        let largest = comparison.largest(metric::DENSITY_COUNT, sandbox);
        let at_least = comparison.ended_by_its_budget(sandbox);
        (largest.clone(), largest.map(|(count, _)| Alive { count, at_least }))
    });
    let known = |alive: &Evidence<Alive>, sandbox: &str| {
        let sandbox = sandbox.to_owned();
        alive.clone().unless(move |alive| {
            let why = format!(
                "only {} were started, and more may be possible",
                in_sentence(alive.count, Unit::Count)
            );
            let what = "a hundred alive at once".to_owned();
            (alive.at_least && alive.count < 100.0).then_some(Lack { what, sandbox, why })
        })
    };
    let many = |alive: Alive| alive.count >= 100.0;
    let refuted = known(&machines.1, guest);
    let both = known(&containers.1, "container").and(refuted.clone());
    let compared = both.map(|(containers, machines)| match (many(containers), many(machines)) {
        (true, false) if machines.count < containers.count * 0.5 => Conclusion::Holds,
        (true, false) => Conclusion::InDirection,
        _ => Conclusion::Otherwise,
    });
    // Hundreds of machines are not tens, whatever else was measured.
    let hundreds = refuted.unless(|machines| {
        let (what, sandbox) = ("a hundred alive at once".to_owned(), guest.to_owned());
        let why = format!("{} were", in_sentence(machines.count, Unit::Count));
        (!many(*machines)).then_some(Lack { what, sandbox, why })
    });
    let text = |(largest, alive): &(Median, Evidence<Alive>), what: &str| {
        let bound = alive.get().is_ok_and(|alive| alive.at_least);
        format!("{}{} {what}", if bound { "at least " } else { "" }, value(largest, Unit::Count))
    };
    Claim {
        subject: "Density",
        claim: "hundreds to thousands of containers on a host, tens of virtual machines",
        measured: measured([
            (&containers.0, text(&containers, "containers alive at once")),
            (&machines.0, text(&machines, &format!("of {} alive at once", name_of(guest)))),
            (&microvms.0, text(&microvms, "microVMs without a kernel alive at once")),
        ]),
        distance: match (machines.0.get(), containers.0.get()) {
            (Ok(_), _) if hundreds.get().is_ok() => text(&machines, "virtual machines"),
            (_, Ok(_)) => text(&containers, "containers"),
            _ => String::new(),
        },
        conclusion: hundreds.map(|_| Conclusion::Otherwise).or(compared),
        note: "All idle. A count that the run's own budget ended is a lower bound, and is judged \
               as one; only a host that refused one more says how many are possible.",
    }
}
