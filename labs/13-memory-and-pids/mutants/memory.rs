//! The limit is written in KiB.

use std::{fs, io, process::ExitCode};

use container::cgroup;
use memory_and_pids::{Answer, Group};
use sandbox::Limits;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    let limits = Limits { memory_bytes: Some(bytes / 1024), ..Limits::default() };
    for (file, value) in cgroup::files(&limits, group.version) {
        let path = group.memory.join(file);
        // A kernel that does not count swap has one file only.
        if path.exists() {
            fs::write(path, value)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_memory, ..solution::ANSWER })
}
