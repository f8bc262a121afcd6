//! What must be true of lab 08, look after look.

use std::process::ExitCode;

use lab::check::{Bench, Capability, Checked, Setup, ensure, fail};

fn main() -> ExitCode {
    lab::check::main("08", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let name = format!("lab-{}", bench.token());
    let mut student = bench
        .start(Setup::root(&[Capability::SysAdmin]).with_namespaces().argument("name", &name))?;
    let host = student.host();
    let before = student.host_name(host)?;

    // What is denied below is there to be seen: a segment in the host's IPC namespace.
    student.meet("armed")?;
    let segments = student.segments(host)?;
    bench.saw("/proc/sysvipc/shm, host", format!("{segments} segment(s)"));
    if segments != 1 {
        return Err(std::io::Error::other("the segment to hide does not exist").into());
    }
    student.go()?;
    student.meet("inside")?;

    let after = student.host_name(host)?;
    bench.saw("uname(2) in the host's UTS namespace", &after);
    let children = student.main().descendants();
    let [child] = children[..] else {
        return Err(fail("L08-no-fork").fact("children", children.len()));
    };
    // The two namespaces that the new process shares with the host, if any, before their effects.
    let mut namespace = |kind: &str| -> Checked<(String, bool)> {
        let (own, hosts) = (child.namespace(kind)?, host.namespace(kind)?);
        bench.saw(child.path(&format!("ns/{kind}")).display(), format!("{own}; host {hosts}"));
        Ok((own.clone(), own != hosts))
    };
    let (uts, own_uts) = namespace("uts")?;
    ensure(own_uts, || fail("L08-shared-uts").fact("pid", child.pid).fact("namespace", &uts))?;
    ensure(after == before, || {
        fail("L08-host-renamed").fact("name", &after).fact("before", &before)
    })?;
    let (pid, own_pid) = namespace("pid")?;
    let seen = student.number("pid")?;
    ensure(own_pid, || {
        let finding = fail("L08-no-pid-namespace").fact("pid", child.pid);
        finding.fact("namespace", &pid).fact("seen", seen)
    })?;
    let (ipc, own_ipc) = namespace("ipc")?;
    ensure(own_ipc, || fail("L08-shared-ipc").fact("pid", child.pid).fact("namespace", &ipc))?;

    // The effects.
    let numbers = child.status("NSpid")?;
    bench.saw(format!("{}, NSpid", child.path("status").display()), &numbers);
    ensure(child.inner_pid()? == 1, || fail("L08-no-pid-namespace").fact("seen", &numbers))?;
    let own = student.host_name(child)?;
    bench.saw("uname(2) in the child's UTS namespace", &own);
    ensure(own == name, || fail("L08-not-renamed").fact("name", own).fact("wanted", &name))?;
    let hidden = student.segments(child)?;
    bench.saw("/proc/sysvipc/shm, child", format!("{hidden} segment(s)"));
    ensure(hidden == 0, || fail("L08-shared-ipc").fact("pid", child.pid).fact("namespace", ipc))?;

    student.go()?;
    student.finish()
}
