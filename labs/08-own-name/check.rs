//! What must be true of lab 08, look after look.

#[path = "check/flags.rs"]
mod flags;

use std::{io, process::ExitCode};

use lab::check::{Bench, Capability, Checked, Finding, Process, Setup, Student, ensure, fail};

fn main() -> ExitCode {
    lab::check::main("08", check)
}

/// The exit signal of a process that its parent can wait for: SIGCHLD (signal(7)).
const SIGCHLD: u64 = 17;

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let (name, code) = (format!("lab-{}", bench.token()), 1 + bench.random(100));
    let setup = Setup::root(&[Capability::SysAdmin]).with_namespaces();
    let mut student = bench.start(setup.argument("name", &name).argument("code", code))?;
    let host = student.host();
    let before = student.host_name(host)?;

    // What is denied below is there to be seen: a segment in the host's IPC namespace.
    student.meet("armed")?;
    let segments = student.segments(host)?;
    bench.saw("/proc/sysvipc/shm, host", format!("{segments} segment(s)"));
    if segments != 1 {
        return Err(io::Error::other("the segment to hide does not exist").into());
    }
    student.go()?;

    student.meet("flags")?;
    let asked = student.said("flags")?.replace(' ', " | ");
    bench.saw("clone_flags()", &asked);
    flags::judge(&asked)?;
    let parent = ParentState::of(&student)?;
    student.go()?;

    // A process, and what the kernel says of it before it does anything.
    student.meet("cloned").map_err(|finding| no_new_process(&student, finding, &asked))?;
    let child = new_process(&student)?;
    let uts = child.namespace("uts")?;
    flags::judge_namespaces(bench, host, child, &asked)?;
    let now = ParentState::of(&student)?;
    let main = student.inside(student.main())?.to_ne_bytes();
    ensure(now.mark != main, || fail("L08-run-twice"))?;
    let shared = now.changes(&parent);
    bench.saw("what parent and child share", if shared.is_empty() { "-" } else { &shared });
    ensure(shared.is_empty(), || fail("L08-shared-with-parent").fact("flags", &shared))?;
    let after = student.host_name(host)?;
    bench.saw("uname(2) in the host's UTS namespace", &after);
    let renamed = |name: String| fail("L08-host-renamed").fact("name", name);
    ensure(after == before, || renamed(after).fact("before", &before))?;
    // proc_pid_stat(5): field 38 is what the parent is sent at the end.
    let signal = child.stat(38)?;
    bench.saw(format!("{}, field 38", child.path("stat").display()), signal);
    ensure(signal == SIGCHLD, || fail("L08-no-signal").fact("signal", signal))?;
    student.go()?;

    // Its name.
    student.meet("inside").map_err(|finding| match finding.get("step") {
        _ if finding.get("said") == "`meet cloned`" => fail("L08-run-twice"),
        "set_host_name" => fail("L08-not-set").fact("error", finding.get("error")),
        _ => finding,
    })?;
    let now = child.namespace("uts")?;
    ensure(now == uts, || fail("L08-another-uts").fact("first", &uts).fact("now", &now))?;
    let own = student.host_name(child)?;
    bench.saw("uname(2) in the child's UTS namespace", &own);
    let facts = |finding: Finding| finding.fact("name", &own).fact("wanted", &name);
    ensure(own != before, || facts(fail("L08-not-renamed")))?;
    ensure(own == name, || facts(fail("L08-other-name")))?;
    let after = student.host_name(host)?;
    ensure(after == before, || renamed(after).fact("before", &before))?;
    bench.saw("/proc/sysvipc/shm, child", format!("{} segment(s)", student.segments(child)?));
    let inner = student.inside(child)?;
    student.go()?;

    // Its end, which the parent has not taken notice of yet.
    student.meet("exited").map_err(|finding| match &finding {
        _ if finding.is_refusal("exit in the new process", "") => fail("L08-came-back"),
        _ if finding.is_refusal("wait for the child", "ECHILD") => fail("L08-waited"),
        _ => finding,
    })?;
    // proc_pid_stat(5): field 52 is the exit code, in the form of waitpid(2).
    let status = child.stat(52)?;
    bench.saw(format!("{}, field 52", child.path("stat").display()), status);
    let other = || fail("L08-exit-code").fact("seen", status >> 8).fact("wanted", code);
    ensure(status == code << 8, other)?;
    let returned = student.said("returned")?;
    bench.saw("spawn_isolated()", returned);
    let other = || fail("L08-other-pid").fact("seen", returned).fact("wanted", inner);
    ensure(returned == inner.to_string(), other)?;
    student.go()?;
    student.finish()
}

/// Why no process has come to be looked at.
fn no_new_process(student: &Student, finding: Finding, asked: &str) -> Finding {
    if finding.is_refusal("wait for the child", "") {
        return no_child(student);
    }
    if finding.is_refusal("spawn_isolated", "EINVAL") {
        return fail("L08-refused").fact("flags", asked);
    }
    // Where memory is shared, whatever it was told is garbage.
    let how = match finding.id() {
        "ended-early" => finding.get("status"),
        "refused" if finding.get("step") == "run in the new process" => finding.get("error"),
        "wrong-words" if finding.get("said") == "`meet exited`" => {
            return match is_alone(student) {
                true => fail("L08-not-run"),
                false => fail("L08-no-child-of-its-own"),
            };
        }
        "wrong-words" => "-",
        _ => return finding,
    };
    fail("L08-crashed").fact("how", how)
}

/// Why the program's first process has no child: there is no new process, or another one has it.
fn no_child(student: &Student) -> Finding {
    match is_alone(student) {
        true => fail("L08-no-fork").fact("children", 0),
        false => fail("L08-no-child-of-its-own"),
    }
}

fn is_alone(student: &Student) -> bool {
    student.processes().iter().all(|process| *process == student.main())
}

/// The one process that the program has created.
fn new_process(student: &Student) -> Checked<Process> {
    let children = student.main().descendants();
    match children[..] {
        [child] => Ok(child),
        [] => Err(no_child(student)),
        _ => Err(fail("L08-more-processes").fact("children", children.len())),
    }
}

/// What a child changes for its parent when they share it.
struct ParentState {
    mark: Vec<u8>,
    files: usize,
    directory: String,
}

impl ParentState {
    fn of(student: &Student) -> Checked<Self> {
        let main = student.main();
        Ok(Self {
            mark: main.memory(student.number("mark")?, 4)?,
            files: main.descriptors()?.len(),
            directory: main.link("cwd")?,
        })
    }

    /// The flags of clone(2) with which this has become of `before`.
    fn changes(&self, before: &Self) -> String {
        let changed = [
            (self.mark != before.mark, "CLONE_VM"),
            (self.files != before.files, "CLONE_FILES"),
            (self.directory != before.directory, "CLONE_FS"),
        ];
        let flags = changed.into_iter().filter_map(|(is_shared, flag)| is_shared.then_some(flag));
        flags.collect::<Vec<_>>().join(" | ")
    }
}
