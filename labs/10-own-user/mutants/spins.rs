//! The child looks again and again whether there is a map, and uses a processor for it.

use std::{fs, io, process::ExitCode};

use own_user::{Answer, Gate};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait_at_gate(_gate: Gate) -> io::Result<()> {
    while fs::read_to_string("/proc/self/gid_map")?.is_empty() {}
    Ok(())
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, ..solution::ANSWER })
}
