//! The new process: what it shares with the host, and what its parent knows of it.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Finding, Process, Student, ensure, fail};

use super::refusals::{explain, meet};

/// The exit signal of a process that its parent can wait for: SIGCHLD (signal(7)).
const SIGCHLD: u64 = 17;
/// How often a parent that does not come is looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// Looks at the new process before it does anything, and at what `spawn` has returned.
pub fn judge(bench: &mut Bench, student: &mut Student) -> Checked<Process> {
    meet(student, "cloned").map_err(|finding| no_new_process(student, finding))?;
    let host = student.host();
    let child = match student.main().descendants()[..] {
        [child] => child,
        [] => return Err(no_child(student)),
        ref children => return Err(fail("L11-more-processes").fact("children", children.len())),
    };
    let (own, hosts) = (child.namespace("net")?, host.namespace("net")?);
    let parents = student.main().namespace("net")?;
    bench.saw(child.path("ns/net").display(), format!("{own}; host {hosts}"));
    ensure(parents == hosts, || fail("L11-parent-moved").fact("pid", student.main().pid))?;
    ensure(own != hosts, || fail("L11-shared").fact("pid", child.pid).fact("namespace", &own))?;
    let more = other_namespaces(host, child)?;
    ensure(more.is_empty(), || fail("L11-more-namespaces").fact("more", more.join(", ")))?;
    // proc_pid_stat(5): field 38 is what the parent is sent at the end.
    let signal = child.stat(38)?;
    bench.saw(format!("{}, field 38", child.path("stat").display()), signal);
    ensure(signal == SIGCHLD, || fail("L11-no-signal").fact("signal", signal))?;
    let inner = student.inside(child)?.to_string();
    student.go()?;

    until_spawn_returns(student, bench.timeout())
        .map_err(|finding| no_new_process(student, finding))?;
    let returned = student.said("returned")?;
    bench.saw("spawn()", returned);
    ensure(returned == inner, || {
        fail("L11-other-pid").fact("seen", returned).fact("wanted", &inner)
    })?;
    Ok(child)
}

/// Waits for the parent, unless it waits for the child itself: the kernel says what it waits in
/// (proc_pid_wchan(5)).
fn until_spawn_returns(student: &mut Student, timeout: Duration) -> Checked<()> {
    let began = Instant::now();
    loop {
        let Err(finding) = student.meet_within("spawned", GLANCE) else { return Ok(()) };
        if finding.id() != "too-slow" || began.elapsed() > timeout {
            return Err(explain(finding));
        }
        let waits =
            |process: Process| process.read("wchan").is_ok_and(|at| at.starts_with("do_wait"));
        ensure(!waits(student.main()), || fail("L11-waited"))?;
    }
}

/// The namespaces besides the network's that the child does not share with the host.
fn other_namespaces(host: Process, child: Process) -> io::Result<Vec<String>> {
    let listing = fs::read_dir(host.path("ns"))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut more = Vec::new();
    for kind in names.filter(|name| name != "net" && !name.ends_with("_for_children")) {
        if child.namespace(&kind)? != host.namespace(&kind)? {
            more.push(kind);
        }
    }
    Ok(more)
}

/// Why no process has come to be looked at.
fn no_new_process(student: &Student, finding: Finding) -> Finding {
    if !finding.is_refusal("run in the new process", "") {
        return finding;
    }
    match finding.get("error") {
        how if how.starts_with("exit code") => fail("L11-not-run").fact("how", how),
        how if how.contains("ECHILD") => no_child(student),
        how => fail("L11-crashed").fact("how", how),
    }
}

/// Why the program's first process has no child: it runs `inside` itself, or another one has it.
fn no_child(student: &Student) -> Finding {
    let others = student.processes().into_iter().filter(|process| *process != student.main());
    fail("L11-no-fork").fact("others", others.count())
}
