//! The difference taken from what is seen, which is everything, and not from the upper layer.

use std::{io, path::Path, process::ExitCode};

use layers::{Answer, Change};
use solution::walk;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn changes(upper: &Path) -> io::Result<Vec<Change>> {
    let mut found = Vec::new();
    walk(&upper.with_file_name("merged"), Path::new(""), &mut found)?;
    Ok(found)
}

fn main() -> ExitCode {
    layers::program(&Answer { changes, ..solution::ANSWER })
}
