//! `isolab report` from outside: drawn, checked, compared with another, exported, in a series.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use common::isolab;
use tempfile::{TempDir, tempdir};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/example")
}

/// The example's records, drawn into a directory of their own.
fn drawn() -> TempDir {
    let folder = tempdir().unwrap();
    fs::copy(example().join("records.json"), folder.path().join("records.json")).unwrap();
    let output = report(&[folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn report(arguments: &[&str]) -> Output {
    isolab(&[&["report"], arguments].concat()).output().unwrap()
}

fn verified(folder: &Path) -> (Option<i32>, String) {
    let output = report(&["verify", folder.to_str().unwrap()]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Divides every sample of the records by three.
fn scale(folder: &Path) {
    let path = folder.join("records.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut records: serde_json::Value = serde_json::from_str(&text).unwrap();
    for series in records["series"].as_array_mut().unwrap() {
        for sample in series["samples"].as_array_mut().unwrap() {
            sample["value"] = (sample["value"].as_f64().unwrap() / 3.0).into();
        }
    }
    fs::write(path, records.to_string()).unwrap();
}

#[test]
fn a_report_that_was_drawn_from_its_records_is_verified() {
    let (code, text) = verified(drawn().path());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("all of it follows from the records"), "{text}");
}

#[test]
fn samples_divided_by_three_are_found() {
    let folder = drawn();
    scale(folder.path());
    let (code, text) = verified(folder.path());
    assert_eq!(code, Some(1), "{text}");
    for place in ["index.html: ", "README.md: "] {
        assert!(text.contains(place), "{text}");
    }
    assert!(text.contains("the samples give") && text.contains("the digest differs"), "{text}");
}

#[test]
fn damaged_records_fail_with_a_line_and_a_column() {
    let folder = drawn();
    let path = folder.path().join("records.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 100]).unwrap();
    let output = report(&["verify", folder.path().to_str().unwrap()]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("damaged at line 1, column"), "{errors}");
}

#[test]
fn the_report_of_the_repository_follows_from_its_records() {
    let (code, text) = verified(&example());
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn two_runs_are_compared_and_a_series_is_drawn() {
    let (first, second) = (drawn(), drawn());
    scale(second.path());
    let paths = [&first, &second].map(|folder| folder.path().to_str().unwrap());
    let output = report(&["diff", paths[0], paths[1]]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("first byte, container"), "{text}");
    assert!(text.contains("0.33×"), "{text}");

    let series = tempdir().unwrap();
    for (name, run) in [("1", &first), ("2", &second)] {
        let folder = series.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(run.path().join("records.json"), folder.join("records.json")).unwrap();
    }
    let output = report(&["history", series.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(series.path().join("history.html").is_file());
}

#[test]
fn figures_are_exported_in_one_format_at_a_time() {
    let folder = example();
    let path = folder.to_str().unwrap();
    let csv = report(&["export", path, "--csv"]);
    assert!(csv.status.success() && csv.stdout.starts_with(b"metric,sandbox,unit,median"));
    let json = report(&["export", path, "--json"]);
    let lines: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(lines.as_array().unwrap().len() > 50);
    assert!(report(&["export", path, "--markdown"]).stdout.starts_with(b"| Metric |"));
    assert!(!report(&["export", path]).status.success());
    assert!(!report(&["export", path, "--csv", "--json"]).status.success());
}
