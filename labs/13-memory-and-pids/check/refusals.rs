//! What the kernel's refusals mean, step by step.

use lab::check::{Finding, Student, fail};

/// The message for a step that ended in an error; any other finding stays as it is.
pub fn explain(student: &Student, finding: Finding) -> Finding {
    if finding.id() != "refused" {
        return finding;
    }
    let (step, error) = (finding.get("step"), finding.get("error"));
    let is = |number: &str| error.contains(&format!("os error {number})"));
    // Nobody can make a file in a group: one that is not there is the other version's.
    let is_other = ["1", "2", "13"].into_iter().any(is);
    let version = student.said("version").unwrap_or("?").to_owned();
    let written: Vec<&str> = student.said("written").unwrap_or("").split(' ').collect();
    let limit = if version == "1" { "memory.limit_in_bytes" } else { "memory.max" };
    let id = match step {
        "set_memory" if is_other && written[0] == limit => "L13-no-swap-file",
        "set_memory" if is("22") && written[0].contains("memsw") => "L13-order",
        "set_memory" | "set_pids" | "read_events" | "events_during" if is_other => {
            "L13-other-version"
        }
        "set_memory" => "L13-memory-refused",
        "set_pids" => "L13-pids-refused",
        "spawn_in" if error.contains("came back") => "L13-came-back",
        "read_events" => "L13-events-refused",
        "read_events, with the lines in another order" => "L13-line-order",
        _ => return finding,
    };
    fail(id).fact("step", step).fact("error", error).fact("version", version)
}
