//! What the kernel's refusals mean, step by step.

use lab::check::{Finding, Student, fail};

const ENOENT: &str = "os error 2)";
const EEXIST: &str = "os error 17)";
const EINVAL: &str = "os error 22)";
const ERANGE: &str = "os error 34)";

/// The message for a step that ended in an error; any other finding stays as it is.
pub fn explain(student: &Student, finding: Finding) -> Finding {
    if finding.id() != "refused" {
        return finding;
    }
    let (step, error) = (finding.get("step"), finding.get("error"));
    let is = |code: &str| error.contains(code);
    // Nobody can make a file in a group: one that is not there is the other version's.
    let is_other = [ENOENT, "os error 1)", "os error 13)"].into_iter().any(is);
    let id = match step {
        "create" if is(EEXIST) => "L12-created-twice",
        "create" if is_other && !is(ENOENT) => "L12-other-version",
        "create" => "L12-create-refused",
        "attach" => "L12-attach-refused",
        "set_quota" if is(EINVAL) => "L12-units",
        "set_weight" if is(EINVAL) || is(ERANGE) => "L12-weight-refused",
        "set_quota" | "set_weight" | "stats" if is_other => "L12-other-version",
        "stats" => "L12-stats-refused",
        "stats, with the lines in another order" => "L12-line-order",
        "remove" if is(ENOENT) => "L12-removed-twice",
        "remove" => "L12-remove-refused",
        _ => return finding,
    };
    let version = student.said("version").unwrap_or("?").to_owned();
    let explained = fail(id).fact("error", error).fact("seen", error);
    explained.fact("step", step).fact("version", version)
}
