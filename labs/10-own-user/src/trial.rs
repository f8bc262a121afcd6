//! The student's functions at other gates: what they do when the parent is gone, and whether a byte
//! suffices.

use std::{
    io::{self, PipeReader, Read, Write},
    os::fd::AsFd,
    thread::sleep,
    time::Duration,
};

use host::ProcessStat;
use lab::program::{Host, Trouble};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, clone},
    sys::{
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{Answer, Gate};

/// A process that has slept for this many looks in a row waits for something that does not come.
const LOOKS: u32 = 25;
/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A process that has used this many clock ticks (hundredths of a second) does not wait.
const TICKS: u64 = 15;

/// Waits until the process sleeps, at the gate or as far as it comes without; or until it has used
/// so much processor time that it will not.
pub(crate) fn until_it_waits(child: Pid) {
    while let Some(stat) = stat(child) {
        if matches!(stat.state(), None | Some('S' | 'Z')) || stat.cpu_ticks() >= TICKS {
            break;
        }
        sleep(Duration::from_millis(1));
    }
}

/// Tells the check what `wait_at_gate` does at a gate without a parent, and at one with a byte whose
/// parent lives on.
pub(crate) fn try_to_wait(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    if host.is_checked() {
        host.say("at_the_end", host.step("try another gate", || waits(answer, false))?);
        host.say("at_a_byte", host.step("try another gate", || waits(answer, true))?);
        host.meet("tried");
    }
    Ok(())
}

/// Tells the check how many bytes `open_gate` writes, or its error.
pub(crate) fn try_to_open(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    if host.is_checked() {
        let (wait, open) = host.step("make a pipe", io::pipe)?;
        let end = host.step("make a pipe", || wait.try_clone())?;
        let opened = (answer.open_gate)(Gate { wait, open });
        host.say("open_gate", opened.map_or_else(|error| error.to_string(), |()| "ok".into()));
        host.say("bytes", host.step("read what was written", || waiting(end))?);
        host.meet("opened");
    }
    Ok(())
}

/// How many bytes wait at the end of a pipe: none if it is shut, nor if somebody may yet write.
fn waiting(mut end: PipeReader) -> io::Result<usize> {
    let mut ends = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
    poll(&mut ends, PollTimeout::ZERO)?;
    let readable = ends[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN));
    if readable { end.read(&mut [0; 64]) } else { Ok(0) }
}

/// What `wait_at_gate` does in a process of its own: at a gate that ends, or at one with a `byte`.
fn waits(answer: &Answer, byte: bool) -> io::Result<&'static str> {
    let (wait, open) = io::pipe()?;
    let mut of_child = Some(Gate { wait, open });
    let at_gate = || {
        let result = of_child.take().map(|gate| (answer.wait_at_gate)(gate));
        isize::from(!matches!(result, Some(Ok(()))))
    };
    let mut stack = vec![0; 1 << 20];
    let signal = Some(Signal::SIGCHLD as i32);
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and this
    // process has one thread, so nothing is held that the child would wait for.
    #[expect(unsafe_code, reason = "nix marks clone as unsafe for programs with threads")]
    let child = unsafe { clone(Box::new(at_gate), &mut stack, CloneFlags::empty(), signal) }?;
    match &mut of_child {
        Some(gate) if byte => gate.open.write_all(b"x")?,
        _ => of_child = None,
    }
    let ended = until_it_ends(child);
    if !ended {
        kill(child, Signal::SIGKILL)?;
    }
    let status = waitpid(child, None)?;
    drop(of_child);
    Ok(match status {
        _ if !ended => "waits",
        WaitStatus::Exited(_, 0) => "ok",
        WaitStatus::Exited(..) => "error",
        _ => "killed",
    })
}

/// Waits for the end of the process, unless it sleeps on and on, or does not sleep at all.
fn until_it_ends(child: Pid) -> bool {
    let mut asleep = 0;
    while let Some(stat) = stat(child).filter(|stat| !stat.has_ended()) {
        asleep = if stat.state() == Some('S') { asleep + 1 } else { 0 };
        if asleep > LOOKS || stat.cpu_ticks() >= TICKS {
            return false;
        }
        sleep(if asleep == 0 { Duration::from_millis(1) } else { PAUSE });
    }
    true
}

fn stat(child: Pid) -> Option<ProcessStat> {
    ProcessStat::of(child.as_raw().cast_unsigned()).ok()
}
