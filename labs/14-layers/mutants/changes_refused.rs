//! All that is not a file is taken for a directory.

use std::{fs, io, path::Path, process::ExitCode};

use layers::{Answer, Change, attribute, look::is_whiteout};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn changes(upper: &Path) -> io::Result<Vec<Change>> {
    let mut found = Vec::new();
    walk(upper, Path::new(""), &mut found)?;
    Ok(found)
}

fn walk(upper: &Path, below: &Path, found: &mut Vec<Change>) -> io::Result<()> {
    for entry in fs::read_dir(upper.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if !kind.is_file() && !is_whiteout(&entry.path()) {
            if attribute(&entry.path(), "user.overlay.opaque").is_some_and(|value| value == b"y") {
                found.push(Change::Replaced(path.clone()));
            }
            walk(upper, &path, found)?;
        } else if is_whiteout(&entry.path()) {
            found.push(Change::Deleted(path));
        } else {
            found.push(Change::Written(path));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    layers::program(&Answer { changes, ..solution::ANSWER })
}
