use std::fs;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::{Method, Order, Sample, Series, Subject, Unit, example, metric, write_report};

/// A report whose records are whole.
fn report() -> (TempDir, Records) {
    let mut records = example::records();
    let host = &mut records.provenance;
    host.isolab = "1.2.3".into();
    host.method = Some(Method {
        processes: 5,
        rounds: 8,
        warm_up: 1,
        order: Order::Balanced,
        measured_twice: true,
    });
    let command = vec!["docker".to_owned(), "run".to_owned()];
    host.subjects.insert("docker".into(), Subject { version: "29.1".into(), command });
    let sample =
        |(index, value): (u32, f64)| Sample { value, process: index % 5, round: index / 5 };
    let values = (0..10).map(|index| 4.0e8 + 1.0e6 * f64::from(index));
    records.series.push(Series {
        metric: metric::STARTUP_COLD_FIRST_BYTE.into(),
        sandbox: "docker".into(),
        unit: Unit::Nanoseconds,
        caveat: None,
        samples: (0..).zip(values).map(sample).collect(),
        seconds: Vec::new(),
    });
    let folder = tempdir().unwrap();
    write_report(&records, folder.path()).unwrap();
    (folder, records)
}

fn faults(folder: &TempDir) -> Vec<(String, String)> {
    verify(folder.path()).unwrap().faults
}

fn replace_in(folder: &TempDir, name: &str, from: &str, to: &str) {
    let path = folder.path().join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{name} has no {from:?}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_report_of_ones_own_follows_from_its_records() {
    let (folder, _) = report();
    let found = verify(folder.path()).unwrap();
    assert!(found.faults.is_empty(), "{:#?}", found.faults);
    assert!(found.figures > 150, "{}", found.figures);
}

#[test]
fn samples_divided_by_three_are_found() {
    let (folder, mut records) = report();
    for series in &mut records.series {
        series.samples.iter_mut().for_each(|sample| sample.value /= 3.0);
    }
    records.write(folder.path()).unwrap();
    let faults = faults(&folder);
    for place in [PAGE, README] {
        let of_place =
            |words: &str| faults.iter().any(|(at, fault)| at == place && fault.contains(words));
        assert!(of_place("digest differs"), "{faults:#?}");
        assert!(of_place("startup.created of process: 1") && of_place("the samples give"));
    }
    // Even where somebody has put the new digest into the page.
    let new = digest(&fs::read(folder.path().join(NAME)).unwrap());
    let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
    let old = page::digest(&page).unwrap().to_owned();
    replace_in(&folder, PAGE, &old, &new);
    let left = verify(folder.path()).unwrap().faults;
    assert!(left.iter().any(|(at, fault)| at == PAGE && fault.contains("the samples give")));
}

#[test]
fn one_series_that_was_scaled_is_named() {
    let (folder, mut records) = report();
    let spin = |it: &&mut Series| it.metric == metric::COMPUTE_SPIN && it.sandbox == "microvm";
    let series = records.series.iter_mut().find(spin).unwrap();
    series.samples.iter_mut().for_each(|sample| sample.value /= 3.0);
    records.write(folder.path()).unwrap();
    let named = format!("{} of microvm", metric::COMPUTE_SPIN);
    let faults = faults(&folder);
    let of_figures = faults.iter().filter(|(_, fault)| fault.contains("the samples give"));
    assert!(of_figures.clone().count() >= 2);
    of_figures.for_each(|(_, fault)| assert!(fault.starts_with(&named), "{fault}"));
}

#[test]
fn a_figure_verdict_or_sentence_that_was_changed_is_found() {
    for (name, from, to) in [
        (
            PAGE,
            "<b><span data-figure=\"ratio\" data-shows=\"difference\">",
            "<b><span data-figure=\"ratio\" data-shows=\"difference\">9",
        ),
        (PAGE, "data-figure=\"spread\">±", "data-figure=\"spread\">±4"),
        (PAGE, "✓ holds", "≠ measured: nothing"),
        (README, "Rounds are interleaved", "Rounds are not interleaved"),
        (README, "| walls up | 1", "| walls up | 2"),
        (README, "×", "0×"),
    ] {
        let (folder, _) = report();
        replace_in(&folder, name, from, to);
        let faults = faults(&folder);
        assert!(faults.iter().any(|(place, _)| place == name), "{from}: {faults:?}");
    }
    let (folder, _) = report();
    replace_in(&folder, "lesson.svg", "</svg>", "<g/></svg>");
    assert_eq!(faults(&folder)[0].0, "lesson.svg");
}

#[test]
fn a_damaged_file_is_an_error_and_a_missing_page_a_fault() {
    let (folder, _) = report();
    fs::remove_file(folder.path().join(PAGE)).unwrap();
    assert_eq!(faults(&folder)[0].0, PAGE);
    let path = folder.path().join(NAME);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(matches!(verify(folder.path()), Err(RecordsError::Damaged { .. })));
}

#[test]
fn a_lost_round_and_a_lost_process_are_found() {
    let lost: [fn(&Sample) -> bool; 2] =
        [|it| it.process != 2, |it| (it.process, it.round) != (1, 3)];
    for kept in lost {
        let (folder, mut records) = report();
        records.series[0].samples.retain(kept);
        write_report(&records, folder.path()).unwrap();
        let faults = faults(&folder);
        assert!(
            faults.iter().any(|(place, fault)| place == NAME && fault.contains("has no sample"))
        );
    }
}

#[test]
fn provenance_that_a_bench_left_empty_is_found() {
    let (folder, mut records) = report();
    records.provenance = crate::Provenance::default();
    write_report(&records, folder.path()).unwrap();
    let faults = faults(&folder);
    for words in ["no command", "no commit", "how long", "host's cpu", "no method"] {
        assert!(faults.iter().any(|(_, fault)| fault.contains(words)), "{words}: {faults:?}");
    }
}

#[test]
fn the_report_that_the_repository_shows_follows_from_its_records() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/example");
    let found = verify(&folder).unwrap();
    assert!(found.faults.is_empty(), "{:#?}", found.faults);
}
