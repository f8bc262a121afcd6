//! The names of metrics: each is written once, in `report::metric`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All Rust files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The string literals that are the names of metrics, quotes included.
fn names(definitions: &str) -> Vec<String> {
    let quoted = |line: &str| Some(format!("\"{}\"", line.split('"').nth(1)?));
    definitions.lines().filter(|line| line.starts_with("pub const ")).filter_map(quoted).collect()
}

#[test]
fn every_name_of_a_metric_is_written_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definitions = root.join("crates/report/src/metric.rs");
    let names = names(&fs::read_to_string(&definitions).unwrap());
    assert!(names.contains(&"\"startup.first_byte\"".to_owned()), "{names:?}");
    let mut found = Vec::new();
    for path in
        ["crates", "labs", "benches", "tests"].iter().flat_map(|name| sources(&root.join(name)))
    {
        if path.ends_with("tests/metrics.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for name in &names {
            let allowed = usize::from(path == definitions);
            if text.matches(name.as_str()).count() > allowed {
                found.push(format!("{name} in {}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "use the constants of report::metric: {found:#?}");
}
