//! Lengths as `ls -l` shows them: a hole of gigabytes counts in full.

use std::{collections::HashSet, fs, io, os::unix::fs::MetadataExt, path::Path, process::ExitCode};

use footprint::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn unique_disk_bytes(tree: &Path) -> io::Result<u64> {
    let mut seen = HashSet::new();
    blocks(tree, &mut seen).map(|blocks| blocks * 512)
}

/// The blocks of what was not `seen` before.
fn blocks(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Of the name itself, also when it is a symbolic link.
        let found = entry.metadata()?;
        if seen.insert((found.dev(), found.ino())) {
            sum += found.len().div_ceil(512);
        }
        if found.is_dir() {
            sum += blocks(&entry.path(), seen)?;
        }
    }
    Ok(sum)
}

fn main() -> ExitCode {
    footprint::program(&Answer { unique_disk_bytes, ..solution::ANSWER })
}
