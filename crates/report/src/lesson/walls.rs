//! What the lesson says of isolation, and of the way out through devices.

use super::{LINUX, machine, measured, value};
use crate::{
    Comparison, Unit,
    catalogue::PROBES,
    claim::{Claim, Conclusion},
    comparison::{BASE, Evidence, Look},
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

pub(crate) fn heavy_io(comparison: &Comparison) -> Claim {
    let rows = [(metric::IO_DISK, "disk"), (metric::IO_NETWORK, "network")];
    let guests = rows.map(|(metric, _)| machine(comparison, &[metric], &[metric], |_, _| false).1);
    let lost = rows.iter().zip(guests).map(|((metric, _), guest)| {
        comparison.difference(metric, guest, BASE).map(|ratio| ratio.map_or(0.0, |it| 1.0 - it))
    });
    let rates = [0, 1].map(|index| {
        let ((metric, what), guest) = (rows[index], guests[index]);
        let rate = comparison.median(metric, guest);
        let name = if guest == LINUX { "Linux guest" } else { spelling::name(guest) };
        let text = format!("{what} of {name} {}", value(&rate, Unit::BytesPerSecond));
        (rate, text)
    });
    Claim {
        subject: "Disk and network",
        claim: "a virtual machine is unfit for heavy I/O, such as a database",
        measured: measured(rates.iter().map(|(rate, text)| (rate, text.clone()))),
        distance: "less than half is lost".to_owned(),
        conclusion: Evidence::all(lost).map(|lost| {
            match (lost.iter().all(|lost| *lost >= 0.5), lost.iter().any(|lost| *lost >= 0.1)) {
                (true, _) => Conclusion::Holds,
                (_, true) => Conclusion::InDirection,
                _ => Conclusion::Otherwise,
            }
        }),
        note: "Judged by the rate of a disk and of a network through the machine's devices, where \
               a run measures them.",
    }
}
