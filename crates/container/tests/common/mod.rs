//! What the tests of containers share.
#![allow(dead_code, reason = "each test binary uses its part of it")]

use std::{fs, path::Path, time::Duration};

use container::Container;
use sandbox::{CpuQuota, Limits, Outcome, Sandbox as _, Workload};

/// Whether the test may run; says why not. `ISOLAB_REQUIRE=container` makes that a failure.
pub fn ready() -> bool {
    let reason = match container::available() {
        Err(error) => error.to_string(),
        Ok(()) if !container::host().root => "this test needs root".into(),
        Ok(()) => return true,
    };
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("container"), "container required: {reason}");
    println!("skipped: {reason}");
    false
}

pub fn shell(script: &str) -> Workload {
    Workload::command(["/bin/sh", "-c", script]).deadline(Duration::from_secs(20))
}

pub fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.output).trim().to_owned()
}

pub fn run(container: &Container, script: &str) -> Outcome {
    container.run(&shell(script)).unwrap_or_else(|error| {
        use std::error::Error as _;
        panic!("{error}: {:?}", error.source().map(ToString::to_string))
    })
}

pub fn inside(script: &str) -> String {
    text(&run(&Container::default(), script))
}

pub fn limited() -> Limits {
    Limits {
        memory_bytes: Some(32 << 20),
        cpu_quota: Some(CpuQuota::cpus(0.5).unwrap()),
        cpu_weight: Some(50),
        pids: Some(8),
        vcpus: None,
    }
}

/// Names of cgroups that this process has made and not removed.
pub fn cgroups_left(marker: &str) -> Vec<String> {
    fn walk(directory: &Path, marker: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(marker) {
                    found.push(entry.path().display().to_string());
                }
                walk(&entry.path(), marker, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), marker, &mut found);
    found
}
