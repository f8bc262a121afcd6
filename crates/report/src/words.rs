//! What the page and the README say in words: the result, the method, and what could make it wrong.

use crate::{
    Comparison, Unit, Verdict,
    comparison::{BASE, Question, Row},
    format::{date, told},
};

/// The title of every report.
pub(crate) const TITLE: &str = "A process, a container and a microVM, measured";

/// The five questions that every wall must answer: question, microVM, container.
pub(crate) const FIVE_QUESTIONS: [[&str; 3]; 5] = [
    [
        "What separates it from the host?",
        "a virtual machine: its own page tables and CPU state (KVM_CREATE_VM)",
        "namespaces: its own names for things of the same kernel (clone3)",
    ],
    [
        "What may it consume?",
        "the memory that the monitor gave it, and the monitor's CPU time",
        "what its cgroup allows: CPU, memory, processes",
    ],
    [
        "What does it find inside?",
        "a program in bare memory, no kernel and no files",
        "a root file system of its own, on the host's kernel",
    ],
    [
        "With what power does it start?",
        "ring 3 of the virtual CPU, with the registers that the loader set",
        "few capabilities, mapped ids, a seccomp filter",
    ],
    [
        "How does it reach the host?",
        "by exits: a port, a page, a halt that KVM hands to the monitor",
        "by system calls, those that the filter lets through",
    ],
];

/// How the numbers were made.
pub(crate) const METHOD: [&str; 6] = [
    "The same programs ran in every sandbox, with the same limits, on the same machine, and were \
     timed by the same clock (CLOCK_MONOTONIC).",
    "Rounds are interleaved: one of each sandbox, in an order that the seed shuffles, so that what \
     disturbs the machine disturbs all of them. They are spread over several fresh processes, and \
     the warm-up was fixed beforehand.",
    "A value is the median of all samples. Its interval is a bootstrap of 95 % with 2000 draws in \
     two levels: whole processes first, then rounds within them. Fewer than six samples have no \
     interval.",
    "A ratio is that of the medians. Where both sides have the same rounds, the same rounds are \
     drawn on both sides.",
    "The process was measured twice under two names. The farther end of the interval of that \
     ratio is the noise floor of the row: a smaller difference is nothing.",
    "A ratio whose interval spans 1, or that is within the noise floor, is printed as ≈: no \
     difference shown. That does not say that there is none.",
];

/// The result in a sentence or two.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let mut sentences = Vec::new();
    let values = |metric: &str| -> Option<String> {
        let row = comparison.find(metric)?;
        let named = row.cells.iter().zip(&comparison.sandboxes).filter_map(|(cell, sandbox)| {
            Some(format!("{} in a {sandbox}", told(cell.measured()?.median, row.unit?)))
        });
        listed(named.collect())
    };
    let cold = values("startup.cold.first_byte");
    if let Some(times) = cold {
        sentences.push(format!("From the command to the first byte it takes {times}."));
    } else if let Some(times) = values("startup.first_byte") {
        sentences.push(format!("From the call to the first byte it takes {times}."));
    }
    sentences.extend(slowdown(comparison));
    if let Some(costs) = values("crossing") {
        sentences.push(format!("One trip to the host costs {costs}."));
    }
    sentences.join(" ")
}

fn slowdown(comparison: &Comparison) -> Option<String> {
    let (mut different, mut alike) = (Vec::new(), Vec::new());
    for sandbox in comparison.sandboxes.iter().filter(|sandbox| **sandbox != BASE) {
        let Some((ratio, verdict)) =
            comparison.measured("compute.spin", sandbox).and_then(|cell| cell.against_base)
        else {
            continue;
        };
        let percent = (ratio.value - 1.0) * 100.0;
        match verdict {
            Verdict::More(_) => {
                different.push(format!("{percent:.1}\u{a0}% slower in a {sandbox}"));
            }
            Verdict::Less(_) => {
                different.push(format!("{:.1}\u{a0}% faster in a {sandbox}", -percent));
            }
            Verdict::NoDifferenceShown => alike.push(format!("in a {sandbox}")),
            // Of too few samples nothing is said.
            Verdict::TooFewSamples(_) => {}
        }
    }
    let alike = listed(alike).map(|alike| format!("no slower {alike}, as far as this run shows"));
    different.extend(alike);
    Some(format!("A loop of integer work is {}.", listed(different)?))
}

fn listed(mut items: Vec<String>) -> Option<String> {
    let last = items.pop()?;
    Some(if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) })
}

/// What could make the numbers wrong, as far as the records tell.
pub(crate) fn reservations(comparison: &Comparison) -> Vec<String> {
    let mut reservations = Vec::new();
    let host = &comparison.provenance.host;
    if comparison.provenance.command.contains("--quick") {
        reservations.push("This was a quick run: few rounds. The full one is surer.".to_owned());
    }
    let microvm = comparison.has("microvm");
    let kvm = host.iter().filter(|(name, _)| microvm && name.starts_with("kvm"));
    for (name, fact) in kvm {
        reservations.push(format!("The microVM is that of this KVM only ({name}: {fact})."));
    }
    let busy = ["load before", "load after", "steal"];
    let busy = busy.iter().filter_map(|name| Some(format!("{name}: {}", host.get(*name)?)));
    if let Some(busy) = listed(busy.collect()) {
        reservations.push(format!("What else the machine had to do: {busy}."));
    }
    if let Some(governor) = host.get("governor") {
        reservations.push(format!("How fast the processor's clock ran: {governor}."));
    }
    let rows = || comparison.questions.iter().flat_map(|question| &question.rows);
    let floor = |row: &&Row| row.noise_floor.unwrap_or(1.0);
    if let Some(worst) = rows().max_by(|a, b| floor(a).total_cmp(&floor(b)))
        && let Some(floor) = worst.noise_floor
    {
        reservations.push(format!(
            "Two measurements of the same process may differ by {:.0}\u{a0}% at worst ({}).",
            (floor - 1.0) * 100.0,
            worst.title
        ));
    }
    let few: Vec<&str> = rows().filter(|row| too_few(row)).map(|row| row.title).collect();
    if !few.is_empty() {
        reservations.push(format!("Too few samples for an interval: {}.", few.join(", ")));
    }
    if microvm && comparison.has("container") {
        reservations.push(
            "The microVM boots no kernel and has no devices but one; the container pulls no image \
             and asks no daemon. Both are the least that gives the wall, not what a product does."
                .to_owned(),
        );
    }
    reservations.push(
        "One machine, one kernel, one day. Ratios travel better than times, and neither travels \
         far: measure on yours."
            .to_owned(),
    );
    reservations
}

fn too_few(row: &Row) -> bool {
    row.cells
        .iter()
        .filter_map(|cell| cell.measured())
        .any(|measured| measured.interval.is_none() && row.unit != Some(Unit::Count))
}

/// Facts about the host that explain a metric of this question rather than the machine.
pub(crate) fn notes<'a>(
    comparison: &'a Comparison,
    question: &'a Question,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let facts = comparison.provenance.host.iter();
    facts.filter(|(name, _)| belongs(name, question.group.name)).map(|(name, fact)| {
        let own = name.split_once('.').map_or(name.as_str(), |(_, own)| own);
        let title = comparison.find(name).map_or(own, |row| row.title);
        (title, fact.as_str())
    })
}

/// The facts about the machine itself.
fn machine<'a>(comparison: &'a Comparison) -> impl Iterator<Item = (&'a str, &'a str)> {
    let facts = comparison.provenance.host.iter();
    let of_a_question =
        |name: &str| comparison.questions.iter().any(|question| belongs(name, question.group.name));
    facts
        .filter(move |(name, _)| !of_a_question(name))
        .map(|(name, fact)| (name.as_str(), fact.as_str()))
}

fn belongs(fact: &str, group: &str) -> bool {
    fact.split_once('.').is_some_and(|(start, _)| start == group)
}

/// The gaps of the columns that are shown, those with the same reason in one line: sandbox,
/// metrics, reason, fix.
pub(crate) fn gaps<'a>(comparison: &'a Comparison) -> Vec<(&'a str, String, &'a str, &'a str)> {
    type Key<'a> = (&'a str, &'a str, &'a str);
    let mut grouped: Vec<(Key, Vec<&str>)> = Vec::new();
    let rows = comparison.questions.iter().flat_map(|question| &question.rows);
    for (row, cell, sandbox) in rows.flat_map(|row| {
        row.cells.iter().zip(&comparison.sandboxes).map(move |(cell, name)| (row, cell, *name))
    }) {
        let (reason, fix) = match cell {
            crate::comparison::Cell::Gap(gap) => (gap.reason.as_str(), gap.fix.as_str()),
            crate::comparison::Cell::Absent => {
                ("this run did not measure it, and does not say why", "")
            }
            crate::comparison::Cell::Measured(_) => continue,
        };
        let key = (sandbox, reason, fix);
        match grouped.iter_mut().find(|(known, _)| *known == key) {
            Some((_, titles)) => titles.push(row.title),
            None => grouped.push((key, vec![row.title])),
        }
    }
    for (probe, gap) in comparison.failed_probes() {
        let key = (gap.sandbox.as_str(), gap.reason.as_str(), gap.fix.as_str());
        match grouped.iter_mut().find(|(known, _)| *known == key) {
            Some((_, titles)) => titles.push(probe),
            None => grouped.push((key, vec![probe])),
        }
    }
    grouped
        .into_iter()
        .map(|((sandbox, reason, fix), titles)| (sandbox, titles.join(", "), reason, fix))
        .collect()
}

/// Where, when and how it was measured, as names and facts.
pub(crate) fn provenance(comparison: &Comparison) -> Vec<(String, String)> {
    let provenance = comparison.provenance;
    let commit = match provenance.commit.as_str() {
        "" => "unknown",
        commit => commit,
    };
    let mut facts: Vec<(String, String)> = [
        ("command", provenance.command.clone()),
        ("began", date(provenance.began_unix_seconds)),
        ("took", format!("{:.1} s", provenance.took_seconds)),
        ("isolab", commit.to_owned()),
        ("seed", provenance.seed.to_string()),
    ]
    .map(|(name, fact)| (name.to_owned(), fact))
    .into();
    facts.extend(machine(comparison).map(|(name, fact)| (name.to_owned(), fact.to_owned())));
    facts
}
