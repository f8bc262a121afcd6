//! What the kernel refuses: by a mistake, or because the program asks for what it must refuse.

use lab::check::{Bench, Checked, Finding, Student, cannot_tell, ensure, fail};

/// Waits for the program; a kernel without veth is not its mistake.
pub fn meet(student: &mut Student, point: &str) -> Checked<()> {
    match student.meet(point) {
        Err(finding) if finding.is_refusal("create_pair", "") && !student.has_veth()? => {
            Err(cannot_tell("lacking").fact("error", finding.get("error")))
        }
        met => met.map_err(explain),
    }
}

/// The lab's own message for what typical mistakes are refused with.
pub fn explain(finding: Finding) -> Finding {
    if finding.id() != "refused" {
        return finding;
    }
    let error = finding.get("error").to_owned();
    let has = |names: &[&str]| names.iter().any(|name| error.contains(name));
    let id = match finding.get("step") {
        "spawn" => "L11-spawn-refused",
        "exit in the new process" => "L11-came-back",
        "wait for the child" => "L11-child-ended",
        "create_pair" if has(&["ENODEV"]) => "L11-create-flags",
        "create_pair" if has(&["EEXIST"]) => "L11-create-exists",
        "create_pair" if has(&["ESRCH"]) => "L11-create-pid",
        "create_pair" if has(&["EOPNOTSUPP"]) => "L11-create-kind",
        "create_pair" if has(&["EINVAL", "ERANGE"]) => "L11-create-attribute",
        "create_pair" if has(&["ENOTCONN"]) => {
            return fail("L11-up-early").fact("link", "an end of the pair").fact("error", error);
        }
        "add_address" if has(&["ENODEV"]) => "L11-address-index",
        "add_address" if has(&["EEXIST"]) => "L11-address-exists",
        "add_address" if has(&["EOPNOTSUPP"]) => "L11-address-family",
        "add_address" if has(&["EINVAL", "ERANGE"]) => "L11-address-body",
        "set_up" if has(&["EEXIST"]) => "L11-up-exists",
        "set_up" => "L11-up-refused",
        "prepare_inside" => "L11-inside-refused",
        "remove" => "L11-remove-refused",
        _ => return finding,
    };
    fail(id).fact("error", error)
}

/// What the program asks for now must be refused, with `error`, and its function must return that.
pub fn judge_refusal(
    bench: &mut Bench,
    student: &mut Student,
    id: &str,
    error: &str,
) -> Checked<()> {
    meet(student, "refused")?;
    let answer = student.said("answer")?;
    bench.saw(format!("the answer to what must be refused ({id})"), answer);
    let right = answer != "no error" && answer.contains(error);
    ensure(right, || fail(id).fact("answer", answer))?;
    student.go()
}
