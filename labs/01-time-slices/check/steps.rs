//! Steps 1 and 2: on which processors a process may run, and by which policy.

use lab::check::{Bench, Checked, Finding, Process, Student, ensure, fail};
use nix::errno::Errno;

use super::{NORMAL, ROUND_ROBIN};

const FIFO: u64 = 1;
/// As `round_robin` is to give.
const PRIORITY: u64 = 1;

/// `pin` has worked on one processor, on another, and not on one that is not there.
pub fn pin(bench: &mut Bench, student: &mut Student, [cpu, other]: [usize; 2]) -> Checked<()> {
    let refused = |finding: Finding| match finding.get("step") {
        "pin" => fail("L01-pin-refused").fact("error", finding.get("error")),
        _ => finding,
    };
    student.meet("pinned-elsewhere").map_err(refused)?;
    let child = first_child(student)?;
    is_pinned(bench, child, other, "L01-not-pinned")?;
    student.go()?;
    student.meet("pinned").map_err(refused)?;
    is_pinned(bench, child, cpu, "L01-not-pinned")?;
    student.go()?;
    student.meet("nowhere")?;
    let said = student.said("pinned-nowhere")?;
    bench.saw("`pin`, a processor that is not there", said);
    ensure(said != "yes", || fail("L01-pin-unchecked"))?;
    student.go()
}

pub fn first_child(student: &Student) -> Checked<Process> {
    student.only_child().map_err(|_| fail("wrong-words").fact("said", "`pinned`"))
}

/// The list has this processor in it and no other.
pub fn is_pinned(bench: &mut Bench, process: Process, cpu: usize, id: &str) -> Checked<()> {
    let allowed = process.status("Cpus_allowed_list")?;
    bench.saw(format!("{}, Cpus_allowed_list", process.path("status").display()), &allowed);
    ensure(allowed == cpu.to_string(), || {
        fail(id).fact("pid", process.pid).fact("cpu", cpu).fact("allowed", &allowed)
    })
}

/// `round_robin` returns the kernel's reason where there is no such process.
pub fn refusal(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("nobody")?;
    let (said, own) = (student.said("nobody")?, student.main());
    bench.saw("`round_robin`, a process that is not there", said);
    let (number, words) = said.split_once(' ').unwrap_or((said, ""));
    let callers = own.stat(41)?;
    // For itself the caller may be refused by another error, or not at all.
    let is_own = callers != NORMAL || number == text(Errno::EPERM);
    let caller = || fail("L01-caller").fact("caller", own.pid).fact("callers", callers);
    ensure(!is_own, || caller().fact("said", said))?;
    ensure(said != "yes", || fail("L01-refusal-ignored"))?;
    ensure(number != text(Errno::EINVAL), || fail("L01-priority").fact("error", words))?;
    ensure(number == text(Errno::ESRCH), || {
        fail("L01-refusal-lost").fact("number", number).fact("words", words)
    })?;
    student.go()
}

/// It has given its policy to the process that it was told, or says that it may not.
pub fn policy(bench: &mut Bench, student: &mut Student, is_served: bool) -> Checked<()> {
    student.meet("policy")?;
    let child = first_child(student)?;
    let (policy, priority) = (child.stat(41)?, child.stat(40)?);
    bench.saw(
        format!("{}, fields 40 and 41", child.path("stat").display()),
        format!("priority {priority}, policy {policy}"),
    );
    let said = student.said("served-in-turn")?;
    let (number, words) = said.split_once(' ').unwrap_or((said, ""));
    let fact = |id| {
        let finding = fail(id).fact("pid", child.pid).fact("policy", policy);
        finding.fact("priority", priority).fact("said", said).fact("error", words)
    };
    ensure(number != text(Errno::EINVAL), || fact("L01-priority"))?;
    let is_forbidden = number == text(Errno::EPERM);
    ensure(!(is_served && is_forbidden), || fact("L01-high-priority"))?;
    if said == "yes" {
        ensure(policy != FIFO, || fact("L01-fifo"))?;
        ensure(policy == ROUND_ROBIN, || fact("L01-policy"))?;
        ensure(priority == PRIORITY, || fact("L01-high-priority"))?;
    } else {
        ensure(!is_served && is_forbidden, || {
            fail("refused").fact("step", "round_robin").fact("error", said)
        })?;
    }
    student.go()
}

fn text(error: Errno) -> String {
    (error as i32).to_string()
}
