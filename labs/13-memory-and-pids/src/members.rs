//! The processes of the group: victims that want too much memory, and one that wants too many
//! children.

use std::io::{self, PipeWriter, Read, Write};

use lab::program::{Host, Trouble};
use nix::{
    errno::Errno,
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, getpid, pause},
};

use crate::{Answer, Group};

/// Makes a process that fills `bytes` of memory, and waits until it is dead or has survived. Two
/// points to be looked at: before, and then.
pub(crate) fn victim(
    host: &Host,
    answer: &Answer,
    group: &Group,
    bytes: usize,
    points: Option<[&str; 2]>,
) -> Result<(), Trouble> {
    let work = |tell: &mut PipeWriter| {
        if let Some([before, _]) = points {
            host.say("victim", getpid());
            host.meet(before);
        }
        let memory = (answer.fill)(bytes);
        tell.write_all(b"s")?;
        // It stands by, to be looked at.
        pause();
        drop(std::hint::black_box(memory));
        Ok(())
    };
    let (victim, survived) = in_group(host, answer, group, work)?;
    let wait = || host.step("wait for the victim", || waitpid(victim, None)).map(drop);
    if !survived {
        wait()?;
    }
    if let Some([_, after]) = points {
        host.meet(after);
    }
    if survived {
        host.step("end the victim", || kill(victim, Signal::SIGKILL))?;
        wait()?;
    }
    Ok(())
}

/// Makes a process that makes others until it may not.
pub(crate) fn breeder(
    host: &Host,
    answer: &Answer,
    group: &Group,
    most: u64,
) -> Result<(), Trouble> {
    let work = |_: &mut PipeWriter| {
        let mut children = Vec::new();
        // A few more than there may be, not without end.
        let refusal = loop {
            if children.len() as u64 > most + 8 {
                break Errno::UnknownErrno;
            }
            // SAFETY: the process has a single thread, so the child may do whatever it could do.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    set_pdeathsig(Signal::SIGKILL)?;
                    loop {
                        pause();
                    }
                }
                Ok(ForkResult::Parent { child }) => children.push(child),
                Err(errno) => break errno,
            }
        };
        host.say("forks", children.len());
        host.say("refusal", refusal);
        host.meet("full");
        for child in children {
            kill(child, Signal::SIGKILL)?;
            waitpid(child, None)?;
        }
        Ok(())
    };
    let (breeder, _) = in_group(host, answer, group, work)?;
    host.step("wait for the breeder", || waitpid(breeder, None)).map(drop)
}

/// Lets the student's function make a process that does `work`, and waits until that has ended or
/// told something; says which.
fn in_group(
    host: &Host,
    answer: &Answer,
    group: &Group,
    work: impl Fn(&mut PipeWriter) -> io::Result<()>,
) -> Result<(Pid, bool), Trouble> {
    host.step("spawn_in", || {
        let (mut hear, mut tell) = io::pipe()?;
        let work = move || {
            let begun = tell.write_all(b"i").and_then(|()| Ok(set_pdeathsig(Signal::SIGKILL)?));
            i32::from(begun.and_then(|()| work(&mut tell)).is_err())
        };
        let pid = (answer.spawn_in)(group, Box::new(work))?;
        let mut word = [0];
        if hear.read(&mut word)? == 0 {
            return Err(io::Error::other("the process ended before it started its work"));
        }
        Ok((pid, hear.read(&mut word)? > 0))
    })
}
