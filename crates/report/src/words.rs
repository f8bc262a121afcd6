//! What the page and the README say in words: the result, the method, and what could make it wrong.

use std::borrow::Cow;

use crate::{
    Comparison,
    catalogue::{BENCHES, OTHER},
    comparison::{BASE, Question, Row},
    format::{date, in_sentence},
    metric,
    spelling::name,
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

/// The sandboxes that a run sets out to compare; the others are asked of in one question only.
pub(crate) const COMPARED: [&str; 3] = [BASE, "container", "microvm"];

/// What has to be known to read the columns beside each other.
pub(crate) const LEAST: &str = "The microVM boots no kernel and has no devices but one; the container pulls no image and asks \
     no daemon, except in the start-up rows that name one. Both are the least that gives the wall, not what a product does.";

pub(crate) const LEAST_ZH: &str = "microVM 不启动内核，只有一个设备；容器不拉取镜像，也不经过守护进程（写明守护进程的几行启动时间除外）。\
     两者都是构成隔离所需的最少部分，而不是产品的做法。";

/// The result in a sentence or two.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let values = |metric: &str| -> Option<String> {
        let row = comparison.find(metric)?;
        let (mut measured, mut missing) = (Vec::new(), Vec::new());
        for sandbox in &comparison.sandboxes {
            match comparison.median(metric, sandbox).get() {
                Ok((median, _)) => {
                    let value = in_sentence(*median, row.unit?);
                    measured.push(format!("{value} in a {}", name(sandbox)));
                }
                Err(_) if COMPARED.contains(sandbox) => {
                    missing.push(format!("in a {}", name(sandbox)));
                }
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
                let sandbox = name(sandbox);
                found.push(format!("{:.1}\u{a0}% {order} in a {sandbox}", percent.abs()));
            }
            Ok(None) => alike.push(format!("in a {}", name(sandbox))),
            Err(_) if COMPARED.contains(sandbox) => unknown.push(format!("a {}", name(sandbox))),
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
pub(crate) fn listed(mut items: Vec<String>, word: &str) -> Option<String> {
    let last = items.pop()?;
    Some(if items.is_empty() { last } else { format!("{} {word} {last}", items.join(", ")) })
}

/// How the rows of a question were measured: the catalogue's words where a comparison measured them,
/// else no more than what each row is, for nobody knows how another program came by it.
pub(crate) fn group_method(comparison: &Comparison, question: &Question) -> String {
    let provenance = comparison.provenance;
    let compared = provenance.method.is_some() || provenance.command.starts_with("isolab compare");
    if compared || [&BENCHES, &OTHER].contains(&question.group) {
        return question.group.method.to_owned();
    }
    let known = question.rows.iter().filter(|row| !row.explanation.is_empty());
    let rows = known.map(|row| format!("{}: {}", row.title, row.explanation));
    format!(
        "How these were measured is not in the records, only what they are. {}.",
        rows.collect::<Vec<_>>().join("; ")
    )
}

/// What holds for a whole row rather than for one of its numbers.
pub(crate) fn row_notes(row: &Row) -> Vec<String> {
    let derived = row.derived.map(|formula| format!("derived, not measured: {formula}"));
    let busy = row.disturbed.as_ref();
    let busy = busy.map(|words| format!("no verdict, for the host was busy: {words}"));
    let caveat = row.common_caveat().map(str::to_owned);
    [derived, busy, caveat].into_iter().flatten().collect()
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
        let key =
            (gap.sandbox.as_str(), crate::spelling::prose(&gap.reason).into(), gap.fix.as_str());
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
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let mut facts: Vec<(String, String)> = [
        ("command", provenance.command.clone()),
        ("began", date(provenance.began_unix_seconds)),
        ("took", format!("{:.1} s", provenance.took_seconds)),
        ("isolab", known(&provenance.isolab)),
        ("commit", known(&provenance.commit)),
        ("records", format!("version {} of the format", comparison.version)),
        ("seed", provenance.seed.to_string()),
    ]
    .map(|(name, fact)| (name.to_owned(), fact))
    .into();
    facts.extend(machine(comparison).map(|(name, fact)| (name.to_owned(), fact.to_owned())));
    facts
}
