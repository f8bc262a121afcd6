//! Blocks taken for those of the file system, 4096 bytes, and not for those of stat(2), 512.

use std::{collections::HashSet, io, path::Path, process::ExitCode};

use footprint::Answer;
use solution::blocks;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn unique_disk_bytes(tree: &Path) -> io::Result<u64> {
    let mut seen = HashSet::new();
    blocks(tree, &mut seen).map(|blocks| blocks * 4096)
}

fn main() -> ExitCode {
    footprint::program(&Answer { unique_disk_bytes, ..solution::ANSWER })
}
