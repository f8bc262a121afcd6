//! Docker's own daemon, started where none serves, and what is left of it: nothing.

use std::{fs, os::unix::net::UnixStream, path::Path};

use measure::peers::StartedDockerd;

/// Everything in `folder`, and below it to that depth, whose name holds `part`.
fn named(folder: &Path, part: &str, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(part) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(named(&entry.path(), part, depth - 1));
        }
    }
    found
}

#[test]
fn it_serves_and_leaves_nothing() {
    match StartedDockerd::is_needed() {
        Ok(true) => {}
        Ok(false) => return println!("skipped: a dockerd serves here already"),
        Err(error) => return println!("skipped: {error}"),
    }
    let folder = tempfile::tempdir().unwrap();
    let started = match StartedDockerd::start(&folder.path().join("dockerd")) {
        Ok(started) => started,
        // Its own needs, such as a file system for images, are not isolab's.
        Err(error) => return println!("skipped: {error}"),
    };
    let (name, value) = started.variable();
    let socket = value.strip_prefix("unix://").unwrap().to_owned();
    assert_eq!(name, "DOCKER_HOST");
    assert!(UnixStream::connect(&socket).is_ok());
    drop(started);
    assert!(UnixStream::connect(&socket).is_err());
    let own = format!("isolab-dockerd-{}", std::process::id());
    assert!(named(Path::new("/sys/fs/cgroup"), &own, 2).is_empty());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*folder.path().to_string_lossy()), "{mounts}");
}
