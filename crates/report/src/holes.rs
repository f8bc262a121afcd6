//! Records with holes: whatever is missing, nothing is said of it.
//!
//! Series and probes are taken out of whole records at random, or emptied, or replaced by the gap that
//! a failed measurement leaves. Then every claim is held against a table of what it speaks of, and
//! every text against what is left.

use std::path::Path;

use proptest::prelude::*;

use crate::{
    Comparison, Gap, PROBE, Records,
    claims::{Claim, Holding, claims},
    example, markdown, page, table,
};

/// What a claim speaks of: each of `(metric, sandbox)`, or of the alternatives in a list; `*` is any
/// sandbox, and a probe is a metric that begins with [`PROBE`].
type Needs = &'static [&'static [(&'static str, &'static str)]];

const COLD: &str = "startup.cold.first_byte";
const WARM: &str = "startup.first_byte";

/// By the words of each claim, what it speaks of.
const CLAIMS: [(&str, Needs); 9] = [
    ("a container starts in seconds", &[&[(COLD, "container"), (WARM, "container")]]),
    (
        "a virtual machine starts in minutes",
        &[&[(COLD, "microvm"), (WARM, "microvm")], &[(COLD, "container"), (WARM, "container")]],
    ),
    (
        "a container runs at nearly native speed",
        &[&[("compute.spin", "container")], &[("compute.spin", "process")]],
    ),
    (
        "a virtual machine loses about half of it",
        &[&[("compute.spin", "microvm")], &[("compute.spin", "process")]],
    ),
    (
        "a container needs KB of disk, a virtual machine GB",
        &[&[("footprint.disk", "container")], &[("footprint.disk", "microvm")]],
    ),
    (
        "hundreds to thousands of containers on a host, tens of virtual machines",
        &[&[("density.count", "container")], &[("density.count", "microvm")]],
    ),
    (
        "a container isolates processes; a virtual machine has a hypervisor's boundary",
        &[
            &[("probe.kernel", "container")],
            &[("probe.pids", "container")],
            &[("probe.kernel", "microvm")],
            &[("probe.pids", "microvm")],
        ],
    ),
    (
        "one second is cut into ten tenths, one for each of ten programs",
        &[&[("slices.rr.slice", "*")], &[("slices.normal.slice", "*")]],
    ),
    (
        "cgroups share it out as they are told",
        &[
            &[("slices.quota10", "*")],
            &[("slices.quota50", "*")],
            &[("slices.weight1", "*")],
            &[("slices.weight2", "*")],
            &[("slices.weight4", "*")],
        ],
    ),
];

fn is_there(records: &Records, (metric, sandbox): (&str, &str)) -> bool {
    let of = |name: &str| sandbox == "*" || name == sandbox;
    match metric.strip_prefix(PROBE) {
        Some(name) => records.probes.iter().any(|it| it.probe == name && of(&it.sandbox)),
        None => records
            .series
            .iter()
            .any(|it| it.metric == metric && of(&it.sandbox) && !it.samples.is_empty()),
    }
}

/// What becomes of a series or a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Stays,
    Vanishes,
    Fails,
    /// Of a series: it has no samples.
    IsEmpty,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        4 => Just(Fate::Stays),
        1 => Just(Fate::Vanishes),
        1 => Just(Fate::Fails),
        1 => Just(Fate::IsEmpty),
    ];
    // Sometimes little is missing and sometimes nearly all.
    prop_oneof![
        prop::collection::vec(fate.clone(), 256),
        prop::collection::vec(prop_oneof![6 => Just(Fate::Vanishes), 1 => fate], 256),
    ]
}

/// The sandboxes in which everything failed, by a bit each.
fn failed_sandbox(bits: u8, sandbox: &str) -> bool {
    let bit = ["process", "container", "microvm"].iter().position(|name| sandbox.starts_with(name));
    bit.is_some_and(|bit| bits & 1 << bit != 0)
}

/// The records with holes.
fn with_holes(mut records: Records, fates: &[Fate], failed: u8) -> Records {
    let mut fates = fates.iter().copied().cycle();
    let mut next = |sandbox: &str| {
        let fate = fates.next().unwrap();
        if failed_sandbox(failed, sandbox) { Fate::Fails } else { fate }
    };
    let gap = |metric: String, sandbox: &str| Gap {
        metric,
        sandbox: sandbox.to_owned(),
        reason: "it failed".into(),
        fix: String::new(),
    };
    let mut gaps = Vec::new();
    records.series.retain_mut(|series| match next(&series.sandbox) {
        Fate::Stays => true,
        Fate::Vanishes => false,
        Fate::IsEmpty => {
            series.samples.clear();
            true
        }
        Fate::Fails => {
            gaps.push(gap(series.metric.clone(), &series.sandbox));
            false
        }
    });
    records.probes.retain(|probe| match next(&probe.sandbox) {
        Fate::Stays => true,
        Fate::Fails => {
            gaps.push(gap(format!("{PROBE}{}", probe.probe), &probe.sandbox));
            false
        }
        Fate::Vanishes | Fate::IsEmpty => false,
    });
    records.gaps.extend(gaps);
    records
}

/// Whether one thing that is there refutes the claim, whatever the rest is, or proves it.
fn decided(claim: &Claim) -> bool {
    match claim.holding {
        // One probe or share that is not as the claim says refutes it.
        Holding::NotWhatWeMeasured => {
            ["isolates processes", "as they are told"].iter().any(|text| claim.claim.contains(text))
        }
        // Normal programs with slices of a tenth are what it says, and so is a start of minutes.
        Holding::Holds => {
            ["ten tenths", "in minutes"].iter().any(|text| claim.claim.contains(text))
        }
        Holding::InDirection | Holding::CannotTell => false,
    }
}

fn check(records: &Records) -> Result<(), TestCaseError> {
    let comparison = Comparison::of(records);
    let claims = claims(&comparison);
    prop_assert_eq!(claims.len(), CLAIMS.len());
    for claim in &claims {
        let (_, needs) = CLAIMS.iter().find(|(words, _)| *words == claim.claim).unwrap();
        let has_all = needs.iter().all(|any| any.iter().any(|one| is_there(records, *one)));
        let judged = claim.holding != Holding::CannotTell;
        prop_assert!(!judged || has_all || decided(claim), "{claim:?}");
        let has_none = !needs.iter().flat_map(|any| any.iter()).any(|one| is_there(records, *one));
        prop_assert!(!has_none || claim.measured.contains("not measured"), "{claim:?}");
    }
    // A ratio of too few samples is a ratio and no verdict.
    for sandbox in ["container", "microvm"] {
        let of = if sandbox == "container" { "native speed" } else { "about half" };
        let claim = claims.iter().find(|claim| claim.claim.contains(of)).unwrap();
        let ratio = comparison.measured("compute.spin", sandbox).and_then(|it| it.against_base);
        let too_few = ratio.is_some_and(|(ratio, _)| ratio.interval.is_none());
        prop_assert!(!too_few || claim.holding == Holding::CannotTell, "{claim:?}");
    }
    // How many probes were made is counted of those that were.
    let isolation = claims.iter().find(|claim| claim.subject == "Isolation").unwrap();
    for (sandbox, name) in [("container", "container"), ("microvm", "microVM")] {
        let made = records.probes.iter().filter(|probe| probe.sandbox == sandbox);
        let exposed = made.clone().filter(|probe| probe.exposed).count();
        let text = format!("{name}: {exposed} of {} probes show the host", made.clone().count());
        prop_assert_eq!(isolation.measured.contains(&text), made.count() > 0, "{:?}", isolation);
        let any = format!("{name}: ");
        let counted = isolation.measured.matches(&any).count();
        prop_assert!(counted <= 1, "{isolation:?}");
    }
    // A cell has a number if, and only if, there are samples, and a ratio only with a base.
    for row in comparison.questions.iter().flat_map(|question| &question.rows) {
        for (cell, sandbox) in row.cells.iter().zip(&comparison.sandboxes) {
            let there = is_there(records, (row.metric, sandbox));
            prop_assert_eq!(cell.measured().is_some(), there, "{} {}", row.metric, sandbox);
            let based = there && is_there(records, (row.metric, "process"));
            let ratio = cell.measured().and_then(|measured| measured.against_base);
            prop_assert!(ratio.is_none() || based, "{} {sandbox}", row.metric);
            prop_assert!(ratio.is_none_or(|(ratio, _)| ratio.value.is_finite()));
        }
    }
    let texts = [
        table(records, 80, false),
        markdown::markdown(&comparison, &[], &[]),
        page::page(&comparison, &[]),
    ];
    for text in &texts {
        for word in ["NaN", " inf", "0 of 0", "-0.0"] {
            prop_assert!(!text.contains(word), "{word:?} in {text}");
        }
    }
    let microvm = records.series.iter().any(|it| it.sandbox == "microvm" && !it.samples.is_empty());
    let first = texts[1].split("\n\n").nth(1).unwrap();
    prop_assert!(microvm || !first.contains("in a microvm"), "{first}");
    prop_assert!(microvm || !texts[1].contains("The microVM is that of this KVM"), "{}", texts[1]);
    Ok(())
}

/// A whole run of few samples, so that many can be tried.
fn small() -> Records {
    let mut records = example::records();
    for (number, series) in records.series.iter_mut().enumerate() {
        series.samples.truncate(if number % 5 == 0 { 3 } else { 7 });
    }
    records
}

/// The run that the repository shows.
fn real() -> Records {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/example");
    Records::read(&folder).unwrap()
}

#[test]
fn all_of_a_whole_run_is_judged() {
    for records in [example::records(), real()] {
        check(&records).unwrap();
        let comparison = Comparison::of(&records);
        for claim in claims(&comparison) {
            assert!(claim.holding != Holding::CannotTell, "{claim:?}");
            assert!(!claim.measured.contains("not measured"), "{claim:?}");
        }
    }
}

#[test]
fn a_sandbox_in_which_all_failed_is_judged_by_nobody() {
    for records in [example::records(), real()] {
        let without = with_holes(records, &[Fate::Stays], 1 << 2);
        check(&without).unwrap();
        let comparison = Comparison::of(&without);
        for claim in claims(&comparison) {
            let about_it = claim.claim.contains("virtual machine");
            assert_eq!(claim.holding == Holding::CannotTell, about_it, "{claim:?}");
            assert_eq!(claim.measured.contains("(it failed)"), about_it, "{claim:?}");
        }
    }
}

#[test]
fn a_failed_probe_of_earlier_records_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = example::records();
    for probe in records.probes.iter_mut().filter(|probe| probe.sandbox == "microvm") {
        (probe.seen, probe.exposed) = ("not seen: the microvm failed".into(), false);
    }
    records.write(folder.path()).unwrap();
    let records = Records::read(folder.path()).unwrap();
    assert!(records.probes.iter().all(|probe| probe.sandbox != "microvm"));
    let comparison = Comparison::of(&records);
    let claims = claims(&comparison);
    let claim = claims.iter().find(|claim| claim.subject == "Isolation").unwrap();
    assert_eq!(claim.holding, Holding::CannotTell);
    assert!(claim.measured.contains("in the microvm (the microvm failed)"), "{claim:?}");
    let text = table(&records, 80, false);
    assert!(text.contains("– microvm    not seen: the microvm failed"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_is_said_of_what_is_missing(fates in fates(), failed in 0_u8..8) {
        check(&with_holes(small(), &fates, failed))?;
    }

    #[test]
    fn what_cannot_be_told_cannot_be_told_from_less(
        first in fates(), second in fates(), failed in 0_u8..8
    ) {
        let more = with_holes(small(), &first, 0);
        let less = with_holes(more.clone(), &second, failed);
        let (more, less) = (Comparison::of(&more), Comparison::of(&less));
        for (more, less) in claims(&more).iter().zip(claims(&less)) {
            let told = more.holding != Holding::CannotTell;
            prop_assert!(told || less.holding == Holding::CannotTell, "{more:?} {less:?}");
        }
    }
}
