//! Records with holes: whatever is missing, nothing is said of it.
//!
//! Samples, rounds, series, probes, questions and sandboxes are taken out of whole records at random,
//! or fail, or give what no measurement gives. Then every verdict, cell and number of the texts is held
//! against an [`Oracle`], which works out anew what the records still hold.

mod dig;
mod oracle;

use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;

use crate::{
    Comparison, Records, Unit, Verdict,
    catalogue::{PROBES, measured_twice},
    chart::charts,
    claims::{Claim, Conclusion, claims},
    comparison::Row,
    example,
    format::{human, times},
    markdown, metric, page, spelling, table, words, write_report,
};
use dig::{Holes, holes};
use oracle::{AGAIN, COLD, Oracle, SHARES, WARM, quantities};

fn check(records: &Records) -> Result<(), TestCaseError> {
    let oracle = Oracle(records);
    let comparison = Comparison::of(records);
    check_claims(&oracle, &claims(&comparison))?;
    let illustrations = page::Illustrations::default();
    let markdown = markdown::markdown(&comparison, &illustrations, &[]);
    check_cells(&oracle, &comparison, &markdown)?;
    let page = page::page(&comparison, &illustrations);
    let (_, page) = page.split_once("</style>").unwrap();
    // What others have published is in none of these records.
    let page =
        page.split("<table class=\"published").enumerate().map(|(index, part)| match index {
            0 => part,
            _ => part.split_once("</table>").unwrap().1,
        });
    let page = &page.collect::<String>();
    let terminal = table(records, 80, false);
    let allowed = oracle.quantities();
    for text in [&terminal, &markdown, page] {
        check_words(text, &allowed)?;
    }
    for line in terminal.lines() {
        prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
    }
    check_headline(&oracle, &words::headline(&comparison))?;
    check_charts(&oracle, &comparison, allowed)?;
    if records.validate().is_ok() {
        let folder = tempfile::tempdir().unwrap();
        prop_assert!(write_report(records, folder.path()).is_ok());
    }
    Ok(())
}

fn check_claims(oracle: &Oracle, claims: &[Claim]) -> Result<(), TestCaseError> {
    for claim in claims {
        let judged = claim.concluded().is_some();
        prop_assert_eq!(judged, oracle.judges(claim), "{:?}", claim);
        let names_reason = claim.basis().contains("missing: ") && claim.basis().contains(" (");
        prop_assert_eq!(!judged, names_reason, "{:?}", claim);
    }
    let of = |words: &str| claims.iter().find(|claim| claim.claim.contains(words)).unwrap();
    // How many probes looked is counted of those that did.
    let isolation = of("isolates processes");
    for (sandbox, name) in [("container", "container"), ("microvm", "microVM")] {
        let looks: Vec<bool> =
            PROBES.iter().filter_map(|probe| oracle.probe(probe, sandbox)).collect();
        let exposed = looks.iter().filter(|exposed| **exposed).count();
        let count = match looks.len() {
            6 => format!("{name}: {exposed} of 6 probes show the host"),
            some => format!("{name}: {some} of 6 probes could look, and {exposed} of them show"),
        };
        prop_assert_eq!(isolation.measured.contains(&count), !looks.is_empty(), "{:?}", isolation);
        let numbers = isolation.measured.matches(&format!("{name}: ")).count();
        prop_assert!(numbers <= 1, "{isolation:?}");
        if looks.is_empty() {
            prop_assert!(!isolation.measured.contains(&format!("{name}: 0")), "{isolation:?}");
        }
    }
    for (metric, asked) in SHARES {
        let share =
            oracle.median(metric, "container").filter(|_| oracle.complete(metric, "container"));
        let asked = format!("of {:.1}\u{a0}%", asked * 100.0);
        let text = share.map(|share| format!("{:.1} {asked}", share * 100.0));
        let measured = &of("as they are told").measured;
        prop_assert!(
            measured.contains(text.as_ref().unwrap_or(&asked)) == text.is_some(),
            "{measured}"
        );
    }
    for (sandbox, name) in [("container", "containers"), ("microvm", "microVMs without a kernel")] {
        let measured = &of("hundreds").measured;
        let counted = measured.contains(&format!(" {name} alive"));
        prop_assert_eq!(counted, oracle.complete(metric::DENSITY_COUNT, sandbox), "{}", measured);
    }
    Ok(())
}

/// Every cell of the table has the median of its samples, and a ratio only where both sides are
/// complete.
fn check_cells(
    oracle: &Oracle,
    comparison: &Comparison,
    markdown: &str,
) -> Result<(), TestCaseError> {
    let (_, table) = markdown.split_once("\n|---|---:|").unwrap();
    let mut lines = table.split("\n\n").next().unwrap().lines().skip(1);
    for question in &comparison.questions {
        lines.next();
        for row in &question.rows {
            let line = lines.next().unwrap().replace("&lt;", "<");
            let cells: Vec<&str> = line.split('|').skip(2).map(str::trim).collect();
            for (cell, sandbox) in cells.into_iter().zip(&comparison.sandboxes) {
                let cell_name = format!("{} {sandbox}: {cell}", row.metric);
                let median = oracle.median(row.metric, sandbox);
                let value = median.zip(oracle.unit(row.metric, sandbox));
                let value = value.map_or("–".into(), |(median, unit)| human(median, unit));
                prop_assert!(cell.starts_with(&value), "{cell_name}, not {value}");
                let failed = median.is_some() && oracle.failed(row.metric, sandbox);
                prop_assert_eq!(cell.contains('…'), failed, "{}", cell_name);
                let ratio = oracle.printed_ratio(row.metric, sandbox);
                if let Some((_, shown)) = cell.rsplit_once(' ').filter(|(_, it)| it.ends_with('×'))
                {
                    prop_assert_eq!(Some(shown.to_owned()), ratio.map(times), "{}", cell_name);
                } else {
                    prop_assert_eq!(cell.contains('≈'), ratio.is_some(), "{}", cell_name);
                }
                let known = |name: &str| oracle.known(row.metric, name);
                let floor = !measured_twice(row.metric) || known(AGAIN);
                let judged = known(sandbox) && known("process") && floor;
                prop_assert!(judged || !cell.contains('≈'), "{cell_name}");
                let shown = page_shows(row, sandbox, comparison);
                prop_assert!(judged || !shown, "{cell_name} is bold");
            }
        }
    }
    Ok(())
}

/// Whether the ratio of this cell is printed as a difference that is shown.
fn page_shows(row: &Row, sandbox: &str, comparison: &Comparison) -> bool {
    let column = comparison.sandboxes.iter().position(|name| *name == sandbox).unwrap();
    let verdict = row.cells[column].measured().and_then(|it| it.against_base);
    matches!(verdict, Some((_, Verdict::Less(_) | Verdict::More(_))))
}

fn check_words(text: &str, allowed: &BTreeSet<String>) -> Result<(), TestCaseError> {
    for quantity in quantities(text) {
        prop_assert!(allowed.contains(&quantity), "{quantity:?} is in no record: {text}");
    }
    for word in text.split(|letter: char| !letter.is_alphanumeric()) {
        prop_assert!(!["NaN", "inf", "infinity"].contains(&word), "{word}: {text}");
    }
    for words in ["0 of 0", "-0.0", "of 0 samples", "None"] {
        prop_assert!(!text.contains(words), "{words:?} in {text}");
    }
    Ok(())
}

fn check_headline(oracle: &Oracle, headline: &str) -> Result<(), TestCaseError> {
    for sandbox in ["process", "container", "microvm"] {
        let metrics = [COLD, WARM, metric::COMPUTE_SPIN, metric::CROSSING];
        let any = metrics.iter().any(|metric| oracle.complete(metric, sandbox));
        let mentions = headline.contains(&format!("in a {}", spelling::name(sandbox)));
        let refuses = headline.contains("no complete measurement");
        prop_assert!(any || !mentions || refuses, "{headline}");
    }
    Ok(())
}

fn check_charts(
    oracle: &Oracle,
    comparison: &Comparison,
    mut allowed: BTreeSet<String>,
) -> Result<(), TestCaseError> {
    for sandbox in &comparison.sandboxes {
        for phase in oracle.phases(sandbox).into_iter().flatten() {
            allowed.extend(quantities(&human(phase, Unit::Nanoseconds)));
        }
    }
    for question in &comparison.questions {
        let charts = charts(comparison, question.group.name).unwrap();
        // What is drawn of traces is not a number of a series.
        let traced = |name: &str| comparison.traces.iter().any(|trace| trace.metric == name);
        for chart in charts.iter().filter(|chart| !traced(&chart.name)) {
            let (_, rest) = chart.wide.split_once("<desc>").unwrap();
            let (description, drawing) = rest.split_once("</desc>").unwrap();
            check_words(description, &allowed)?;
            prop_assert!(!drawing.contains("NaN"), "{drawing}");
        }
    }
    Ok(())
}

/// The made-up run of few samples, so that many can be tried, with machines that boot a distribution.
fn small() -> Records {
    few_samples(example::with_logins(example::records()))
}

/// The run that the repository shows.
fn real() -> Records {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/example");
    Records::read(&folder).unwrap()
}

/// The same with few samples, and with counts that differ from each other.
fn few_samples(mut records: Records) -> Records {
    for series in &mut records.series {
        series.samples.truncate(9);
        if series.metric == metric::DENSITY_COUNT {
            let counts = (0..).map(|index| f64::from(60 + 30 * index));
            let samples = series.samples.iter_mut();
            samples.zip(counts).for_each(|(sample, count)| sample.value = count);
        }
    }
    records
}

#[test]
fn all_of_a_whole_run_is_judged() {
    for records in [example::records(), example::with_logins(example::records()), real()] {
        check(&few_samples(records.clone())).unwrap();
    }
    for claim in claims(&Comparison::of(&example::records())) {
        // Nobody measures a disk or a network in these.
        let asked = claim.subject != "Disk and network";
        assert_eq!(claim.concluded().is_some(), asked, "{claim:?}");
    }
    let real = real();
    let claims = claims(&Comparison::of(&real));
    for words in ["container starts in seconds", "native speed", "about half", "isolates"] {
        let claim = claims.iter().find(|claim| claim.claim.contains(words)).unwrap();
        assert!(claim.concluded().is_some(), "{claim:?}");
    }
}

#[test]
fn a_sandbox_in_which_all_failed_is_judged_by_nobody() {
    for records in [small(), few_samples(real())] {
        let without = Holes { failed: 1 << 2, ..Holes::none() }.in_records(records.clone());
        check(&without).unwrap();
        let (whole, without) = (Comparison::of(&records), Comparison::of(&without));
        for (whole, claim) in claims(&whole).iter().zip(claims(&without)) {
            let about_it = ["about half", "isolates"].iter().any(|it| claim.claim.contains(it));
            let judged = whole.concluded().is_some() && !about_it;
            assert_eq!(claim.concluded().is_some(), judged, "{claim:?}");
            assert_eq!(claim.basis().contains("in the microVM (it failed)"), about_it, "{claim:?}");
        }
    }
}

#[test]
fn a_failed_probe_of_earlier_records_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = small();
    records.provenance.command = "isolab compare".into();
    for probe in records.probes.iter_mut().filter(|probe| probe.sandbox == "microvm") {
        (probe.seen, probe.exposed) = ("not seen: the microvm failed".into(), false);
    }
    records.write(folder.path()).unwrap();
    let records = Records::read(folder.path()).unwrap();
    assert!(records.probes.iter().all(|probe| probe.sandbox != "microvm"));
    check(&records).unwrap();
    let claims = claims(&Comparison::of(&records));
    let claim = claims.iter().find(|claim| claim.subject == "Isolation").unwrap();
    assert_eq!(claim.concluded(), None);
    assert!(claim.measured.contains("microVM: none of 6 probes could look"), "{claim:?}");
    assert!(claim.basis().contains("in the microVM (the microVM failed)"), "{claim:?}");
    let text = table(&records, 80, false);
    assert!(text.contains("– microVM    not seen: the microVM failed"), "{text}");
}

#[test]
fn one_probe_that_refutes_is_enough_and_one_that_agrees_is_not() {
    let mut records = small();
    records.probes.retain(|probe| probe.sandbox != "microvm" || probe.probe == "devices");
    let conclusion = |records: &Records| {
        let claims = claims(&Comparison::of(records));
        let claim = claims.into_iter().find(|claim| claim.subject == "Isolation").unwrap();
        assert!(claim.measured.contains("microVM: 1 of 6 probes could look"), "{claim:?}");
        claim.concluded()
    };
    assert_eq!(conclusion(&records), None);
    records.probes.iter_mut().filter(|it| it.sandbox == "microvm").for_each(|it| it.exposed = true);
    assert_eq!(conclusion(&records), Some(Conclusion::Otherwise));
}

#[test]
fn a_single_round_is_measured_and_shows_no_difference() {
    let mut records = small();
    records.series.iter_mut().for_each(|series| series.samples.truncate(1));
    check(&records).unwrap();
    let claims = claims(&Comparison::of(&records));
    let of = |words: &str| claims.iter().find(|claim| claim.claim.contains(words)).unwrap();
    assert_eq!(of("native speed").concluded(), None);
    assert!(of("native speed").basis().contains("1 sample of 1 process, and an interval takes 5"));
    assert!(of("in seconds").measured.ends_with("(1 sample)"), "{:?}", of("in seconds"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_is_said_of_what_is_missing(holes in holes(), made_up in any::<bool>()) {
        let records = if made_up { small() } else { few_samples(real()) };
        check(&holes.in_records(records))?;
    }

    #[test]
    fn what_cannot_be_told_cannot_be_told_from_less(
        first in holes(), second in holes(), made_up in any::<bool>()
    ) {
        let records = if made_up { small() } else { few_samples(real()) };
        let more = first.in_records(records);
        let less = second.in_records(more.clone());
        let (more, less) = (Comparison::of(&more), Comparison::of(&less));
        for (more, less) in claims(&more).iter().zip(claims(&less)) {
            let concluded = more.concluded().is_some();
            prop_assert!(concluded || less.concluded().is_none(), "{more:?} {less:?}");
        }
    }
}
