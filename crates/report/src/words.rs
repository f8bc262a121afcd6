//! What the page and the README say in words: the result, the method, and what could make it wrong.

use std::borrow::Cow;

use crate::{
    Comparison, Unit, catalogue,
    comparison::{BASE, Question, Row, counted},
    format::{date, in_sentence},
    metric,
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
pub(crate) const METHOD: [&str; 7] = [
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
    "A claim is judged by complete data only. Where a measurement that it speaks of failed or was \
     not made, this run cannot tell, and names what is missing; unless what is there refutes the \
     claim alone.",
];

/// The sandboxes that a run sets out to compare; the others are asked of in one question only.
pub(crate) const COMPARED: [&str; 3] = [BASE, "container", "microvm"];

/// What has to be known to read the columns beside each other.
pub(crate) const LEAST: &str = "The microVM boots no kernel and has no devices but one; the container pulls no image and asks \
     no daemon, except in the start-up rows that name one. Both are the least that gives the wall, not what a product does.";

/// The result in a sentence or two.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let values = |metric: &str| -> Option<String> {
        let row = comparison.find(metric)?;
        let (mut measured, mut missing) = (Vec::new(), Vec::new());
        for sandbox in &comparison.sandboxes {
            match comparison.median(metric, sandbox).get() {
                Ok((median, _)) => {
                    measured.push(format!("{} in a {sandbox}", in_sentence(*median, row.unit?)));
                }
                Err(_) if COMPARED.contains(sandbox) => missing.push(format!("in a {sandbox}")),
                Err(_) => {}
            }
        }
        let missing = listed(missing, "or")
            .map(|where_not| format!(" (no complete measurement {where_not})"));
        Some(listed(measured, "and")? + &missing.unwrap_or_default())
    };
    let start = match values(metric::STARTUP_COLD_FIRST_BYTE) {
        Some(times) => Some(format!("From the command to the first byte it takes {times}.")),
        None => values(metric::STARTUP_FIRST_BYTE)
            .map(|times| format!("From the call to the first byte it takes {times}.")),
    };
    let crossing =
        values(metric::CROSSING).map(|costs| format!("One boundary crossing costs {costs}."));
    let sentences = [start, slowdown(comparison), crossing];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn slowdown(comparison: &Comparison) -> Option<String> {
    let (mut found, mut alike, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for sandbox in comparison.sandboxes.iter().filter(|sandbox| **sandbox != BASE) {
        match comparison.difference(metric::COMPUTE_SPIN, sandbox, BASE).get() {
            Ok(Some(ratio)) => {
                let percent = (ratio - 1.0) * 100.0;
                let order = if percent > 0.0 { "slower" } else { "faster" };
                found.push(format!("{:.1}\u{a0}% {order} in a {sandbox}", percent.abs()));
            }
            Ok(None) => alike.push(format!("in a {sandbox}")),
            Err(_) if COMPARED.contains(sandbox) => unknown.push(format!("a {sandbox}")),
            Err(_) => {}
        }
    }
    let alike = listed(alike, "and");
    found.extend(alike.map(|alike| format!("no slower {alike}, as far as this run shows")));
    let unknown = listed(unknown, "or").map(|of| format!(" This run cannot tell about {of}."));
    let found = listed(found, "and")?;
    Some(format!("A loop of integer work is {found}.{}", unknown.unwrap_or_default()))
}

/// `a, b and c`; `None` of nothing.
fn listed(mut items: Vec<String>, word: &str) -> Option<String> {
    let last = items.pop()?;
    Some(if items.is_empty() { last } else { format!("{} {word} {last}", items.join(", ")) })
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
    if let Some(busy) = listed(busy.collect(), "and") {
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
    let once =
        rows().filter(|row| row.noise_floor.is_none() && catalogue::measured_twice(row.metric));
    let once: Vec<&str> = once.filter(|row| has_ratio(row)).map(|row| row.title).collect();
    if !once.is_empty() {
        reservations.push(format!(
            "No noise floor, for want of two complete runs of the process, and so no difference \
             shown: {}.",
            once.join(", ")
        ));
    }
    reservations.extend(unusable(comparison));
    if microvm && comparison.has("container") {
        reservations.push(LEAST.to_owned());
    }
    reservations.push(
        "One machine, one kernel, one day. Ratios travel better than times, and neither travels \
         far: measure on yours."
            .to_owned(),
    );
    reservations
}

fn has_ratio(row: &Row) -> bool {
    row.cells.iter().filter_map(|cell| cell.measured()).any(|it| it.against_base.is_some())
}

/// The samples that were left out, in a sentence.
fn unusable(comparison: &Comparison) -> Option<String> {
    let mut left_out = Vec::new();
    for row in comparison.questions.iter().flat_map(|question| &question.rows) {
        for (cell, sandbox) in row.cells.iter().zip(&comparison.sandboxes) {
            if let Some(count) = cell.measured().map(|it| it.unusable).filter(|count| *count > 0) {
                left_out.push(format!("{} of {} in a {sandbox}", counted(count), row.title));
            }
        }
    }
    let left_out = listed(left_out, "and")?;
    Some(format!("Left out, as no measurement gives such a number: {left_out}."))
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
pub(crate) fn gaps<'a>(
    comparison: &'a Comparison,
) -> Vec<(&'a str, String, Cow<'a, str>, &'a str)> {
    type Key<'a> = (&'a str, Cow<'a, str>, &'a str);
    let mut grouped: Vec<(Key, Vec<&str>)> = Vec::new();
    let rows = comparison.questions.iter().flat_map(|question| &question.rows);
    for (row, cell, sandbox) in rows.flat_map(|row| {
        row.cells.iter().zip(&comparison.sandboxes).map(move |(cell, name)| (row, cell, *name))
    }) {
        let Some((reason, fix)) = cell.why_not() else { continue };
        let key = (sandbox, reason, fix);
        match grouped.iter_mut().find(|(known, _)| *known == key) {
            Some((_, titles)) => titles.push(row.title),
            None => grouped.push((key, vec![row.title])),
        }
    }
    for (probe, gap) in comparison.failed_probes() {
        let key = (gap.sandbox.as_str(), gap.reason.as_str().into(), gap.fix.as_str());
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
