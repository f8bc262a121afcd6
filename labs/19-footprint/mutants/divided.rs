//! Each name counts for its part: the other one may be elsewhere.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, process::ExitCode};

use footprint::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn unique_disk_bytes(tree: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_dir() {
            sum += unique_disk_bytes(&entry.path())?;
        } else {
            sum += found.blocks() * 512 / found.nlink();
        }
    }
    Ok(sum)
}

fn main() -> ExitCode {
    footprint::program(&Answer { unique_disk_bytes, ..solution::ANSWER })
}
