//! What the kernel's refusals mean, step by step.

use lab::check::{Finding, fail};

/// The message for a step that ended in an error; any other finding stays as it is.
pub fn explain(finding: Finding) -> Finding {
    let is = |step: &str, error: &str| finding.is_refusal(step, error);
    let id = if is("delete_file", "EPERM") {
        "L14-device-number"
    } else if is("delete_file", "") {
        "L14-delete-refused"
    } else if is("mount_overlay", "EINVAL") {
        "L14-options-refused"
    } else if is("mount_overlay", "ENODEV") {
        "L14-other-type"
    } else if is("mount_overlay", "") {
        "L14-mount-refused"
    } else if is("changes", "") {
        "L14-changes-refused"
    } else {
        return finding;
    };
    fail(id).fact("error", finding.get("error"))
}
