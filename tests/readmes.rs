//! The READMEs: every crate has one, and what they point to is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn crates() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The folders of the labs: `NN-name`.
fn labs() -> Vec<PathBuf> {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
    let all = fs::read_dir(labs).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.join("Cargo.toml").exists()).collect()
}

/// The targets of Markdown's `[words](target)` that are files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_crate_says_what_it_answers_where_and_how_to_see_it() {
    for folder in crates() {
        let path = folder.join("README.md");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for part in ["It answers: **", "](src/", "```console\n$ "] {
            assert!(text.contains(part), "{} lacks {part:?}", path.display());
        }
    }
}

#[test]
fn links_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = [
        "README.md",
        "README.zh.md",
        "CONTRIBUTING.md",
        "labs/README.md",
        "labs/README.zh.md",
        "labs/TEACHING.md",
        "labs/TEACHING.zh.md",
        "reports/README.md",
        "reports/floor.md",
    ];
    let others = others.iter().map(|name| root.join(name));
    let in_crates = crates().into_iter().map(|folder| folder.join("README.md"));
    let in_labs = labs()
        .into_iter()
        .flat_map(|folder| ["README.md", "README.zh.md"].map(|name| folder.join(name)));
    for path in in_crates.chain(in_labs).chain(others) {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&text) {
            let target = path.with_file_name(link);
            assert!(target.exists(), "{} leads to {link}, which is not there", path.display());
        }
    }
}

/// That the files exist is held by `links_lead_to_files`.
#[test]
fn a_request_has_a_way_of_five_lines_with_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let (_, section) = text.split_once("## A request's way\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let ways: Vec<&str> = section.split("\nA new ").skip(1).collect();
    assert_eq!(ways.len(), 3);
    for way in ways {
        let numbers: Vec<&str> = way
            .lines()
            .filter_map(|line| line.split_once(". "))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(numbers, ["1", "2", "3", "4", "5"], "{way}");
        assert!(links(way).count() >= 4, "{way}");
    }
}
