//! What the kernel's refusals mean, step by step.

use lab::check::{Finding, fail};

/// The message for a step that ended in an error; any other finding stays as it is.
pub fn explain(finding: Finding) -> Finding {
    let busy = finding.get("error").contains("EBUSY");
    let id = match (finding.id(), finding.get("step")) {
        ("refused", "make_private") => "L09-private-refused",
        ("refused", "bind_self") => "L09-bind-refused",
        ("refused", "mount_proc") => "L09-proc-refused",
        ("refused", "pivot") if busy => "L09-pivot-busy",
        ("refused", "pivot") => "L09-pivot-refused",
        ("refused", "detach_old") if busy => "L09-busy",
        ("refused", "detach_old") => "L09-detach-refused",
        _ => return finding,
    };
    fail(id).fact("error", finding.get("error"))
}
