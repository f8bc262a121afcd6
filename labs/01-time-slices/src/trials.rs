//! What is tried before the race: the first two steps on a process that does nothing else, readings
//! that the check makes up, and calls that the kernel refuses.

use std::{
    cell::Cell,
    fmt::Display,
    io::{self, Read, Write, pipe},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use lab::program::{Host, Trouble};
use nix::{
    sys::{
        resource::{Resource, setrlimit},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{Answer, Policy, Start, child, in_words};

/// No process has this number: the kernel gives out none above 2^22 (proc_sys_kernel(5), `pid_max`).
const NOBODY: u32 = i32::MAX.cast_unsigned();

/// One process pins itself, and another one has it served in turn; whether the kernel let it.
pub(super) fn alone(host: &Host, answer: &Answer, cpu: usize) -> Result<bool, Trouble> {
    let (mut pinned, pins) = host.step("pipe", pipe)?;
    let (mut over, ends) = host.step("pipe", pipe)?;
    let life = || {
        if let Err(trouble) = pin_thrice(host, answer, cpu) {
            host.fail(&trouble);
            return 1;
        }
        // If the parent is gone nobody needs to know.
        let _ = (&pins).write_all(b"p");
        // A word, because the child itself keeps the pipe open.
        let _ = over.read(&mut [0]);
        0
    };
    let child = host.step("fork", || child(life))?;
    drop(pins);
    if pinned.read_exact(&mut [0]).is_err() {
        let _ = host.step("wait for the child", || waitpid(child, None))?;
        return host.step("the first process", || Err("it did not get as far as step 2"));
    }
    if host.is_checked() {
        let nobodys = (answer.round_robin)(NOBODY);
        host.say("nobody", outcome(&nobodys));
        host.meet("nobody");
    }
    let done = (answer.round_robin)(child.as_raw().cast_unsigned());
    host.say("served-in-turn", outcome(&done));
    host.meet("policy");
    let _ = (&ends).write_all(b"o");
    host.step("wait for the child", || waitpid(child, None))?;
    Ok(done.is_ok())
}

/// On two processors one after the other, and on one that is not there.
fn pin_thrice(host: &Host, answer: &Answer, cpu: usize) -> Result<(), Trouble> {
    if host.is_checked() {
        let other = host.number("other", 0) as usize;
        host.step("pin", || (answer.pin)(other))?;
        host.meet("pinned-elsewhere");
    }
    host.step("pin", || (answer.pin)(cpu))?;
    host.meet("pinned");
    if host.is_checked() {
        let nowhere = (answer.pin)(host.number("nowhere", 1023) as usize);
        host.say("pinned-nowhere", outcome(&nowhere.map_err(io::Error::from)));
        host.meet("nowhere");
    }
    Ok(())
}

/// `yes`, or the number of the kernel's error and its words.
fn outcome(done: &io::Result<()>) -> impl Display {
    match done {
        Ok(()) => "yes".to_owned(),
        Err(error) => format!("{} {error}", error.raw_os_error().unwrap_or(0)),
    }
}

/// Readings that the check makes up, of which it knows the slices; and none at all.
pub(super) fn drill(host: &Host, answer: &Answer) {
    let words = host.meet("drill");
    let readings: Vec<Duration> =
        words.split(' ').filter_map(|word| word.parse().ok()).map(Duration::from_micros).collect();
    if !readings.is_empty() {
        let slices = (answer.find_slices)(&readings);
        host.say("drill-count", slices.len());
        host.say("drill-slices", in_words(&slices));
        host.meet("drill-over");
        host.say("drill-none", (answer.find_slices)(&[]).len());
    }
}

/// Nobody can line up whom the kernel refuses what it takes: `cpu` is one that is not there, or the
/// process may not ask for a real-time policy.
pub(super) fn refused(
    host: &Host,
    answer: &Answer,
    (name, cpu, policy): (&str, usize, Policy),
) -> Result<(), Trouble> {
    let (mut ready, starters) = host.step("pipe", pipe)?;
    let (opener, gate) = host.step("socketpair", UnixStream::pair)?;
    let start = Start { ready: starters, gate, is_ready: Cell::new(false) };
    let life = || {
        // With a limit of 0 nobody may ask for it (getrlimit(2)); lowering a limit is allowed.
        let _ = setrlimit(Resource::RLIMIT_RTPRIO, 0, 0);
        let lined_up = (answer.line_up)(cpu, policy, &start);
        // If the parent is gone nobody needs to know.
        let _ = start.say_ready(if lined_up.is_ok() { b'r' } else { b'!' });
        i32::from(lined_up.is_err())
    };
    let pid = host.step("fork", || child(life))?;
    drop(start);
    let mut word = [0];
    host.step("wait for its word", || ready.read_exact(&mut word))?;
    host.say("refused-pid", pid);
    host.say("refused-lined-up", word[0] == b'r');
    host.meet(name);
    host.step("open the gate", || opener.shutdown(Shutdown::Write))?;
    let status = wait(host, pid)?;
    host.say("refused-returned", if status == 0 { "success" } else { "the error" });
    host.meet(&format!("{name}-over"));
    Ok(())
}

/// The exit code of a process, once it has one.
fn wait(host: &Host, pid: Pid) -> Result<i32, Trouble> {
    match host.step("wait for a child", || waitpid(pid, None))? {
        WaitStatus::Exited(_, code) => Ok(code),
        status => host.step("a child", || Err(format!("it did not end by itself: {status:?}"))),
    }
}
