//! What the kernel's refusals mean, step by step.

use lab::check::{Checked, Student, cannot_tell, fail};

/// Waits for the program; a kernel without veth is not its mistake.
pub fn meet(student: &mut Student, point: &str) -> Checked<()> {
    let Err(finding) = student.meet(point) else { return Ok(()) };
    if finding.id() != "refused" {
        return Err(finding);
    }
    let id = match finding.get("step") {
        "create_pair" if !student.has_veth()? => {
            return Err(cannot_tell("lacking").fact("error", finding.get("error")));
        }
        // It has ended, and has not said why.
        "wait for the child" => return Err(fail("L11-not-run").fact("children", 0)),
        "run in a new process" => "L11-no-fork",
        "create_pair" => "L11-create-refused",
        "add_address" => "L11-address-refused",
        "set_up" => "L11-up-refused",
        "prepare_inside" => "L11-inside-refused",
        "remove" => "L11-remove-refused",
        _ => return Err(finding),
    };
    Err(fail(id).fact("error", finding.get("error")))
}
