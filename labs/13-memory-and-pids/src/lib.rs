//! Lab 13: limits that kill and limits that refuse. The part that leads the student's functions.

use std::{
    fs,
    io::{self, PipeWriter, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use container::cgroup;
use lab::program::{CgroupParents, Host, Trouble, run};
use nix::{
    errno::Errno,
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, getpid, pause},
};

/// A cgroup: its directory, or on version 1 its two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// 1 or 2.
    pub version: u8,
    /// Where the limit of memory is.
    pub memory: PathBuf,
    /// Where the limit of processes is: on version 2 the same directory.
    pub pids: PathBuf,
}

/// What happened in a group for want of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// How many processes were killed for want of memory.
    pub kills: u64,
    /// How often a new process was refused.
    pub refusals: u64,
}

/// What a process does, from when it is in its group to its exit code.
pub type Work<'a> = Box<dyn FnMut() -> i32 + 'a>;

/// The student's functions.
pub struct Answer {
    /// Limits memory, and swap with it.
    pub set_memory: fn(&Group, u64) -> io::Result<()>,
    /// Limits the number of processes.
    pub set_pids: fn(&Group, u64) -> io::Result<()>,
    /// Makes a process that is in the group before it does its work.
    pub spawn_in: fn(&Group, Work) -> io::Result<Pid>,
    /// Gives memory that is really there.
    pub fill: fn(usize) -> Vec<u8>,
    /// What has happened since the group was created.
    pub read_events: fn(&Group) -> io::Result<Events>,
    /// What happens while something is done.
    pub events_during: fn(&Group, &mut dyn FnMut()) -> io::Result<Events>,
}

/// So much more than its limit a victim wants.
const TOO_MUCH: u64 = 32 << 20;

/// The program: two processes that want too much memory, and one that wants too many children.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let owned = Owned::make(&host.cgroup_parents()?, host)?;
        let group = &owned.0;
        let limit = host.number("memory", 32 << 20);
        let most = host.number("pids", 8);
        host.step("set_memory", || (answer.set_memory)(group, limit))?;
        host.step("set_pids", || (answer.set_pids)(group, most))?;
        host.meet("limited");

        let wanted = (limit + TOO_MUCH) as usize;
        victim(host, answer, group, wanted, Some(["inside", "first victim"]))?;

        let mut done = Ok(());
        let mut events = || {
            done = victim(host, answer, group, wanted, None)
                .and_then(|()| breeder(host, answer, group, most));
        };
        let during = host.step("events_during", || (answer.events_during)(group, &mut events))?;
        done?;
        let all = host.step("read_events", || (answer.read_events)(group))?;
        for (when, events) in [("during", during), ("all", all)] {
            host.say(&format!("kills-{when}"), events.kills);
            host.say(&format!("refusals-{when}"), events.refusals);
        }
        host.meet("counted");
        Ok(())
    })
}

/// Makes a process that fills `bytes` of memory, and waits until it is dead or has survived. Two
/// points to be looked at: before, and then.
fn victim(
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
fn breeder(host: &Host, answer: &Answer, group: &Group, most: u64) -> Result<(), Trouble> {
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

/// The group; it goes with its owner, and all that is in it.
struct Owned(Group);

impl Owned {
    /// What lab 12 is about.
    fn make(parents: &CgroupParents, host: &Host) -> Result<Self, Trouble> {
        let name = match host.argument("name") {
            "" => format!("lab13-{}", getpid()),
            name => name.to_owned(),
        };
        let CgroupParents { version, memory, pids, .. } = parents;
        let owned =
            Self(Group { version: *version, memory: memory.join(&name), pids: pids.join(&name) });
        host.step("make a group", || {
            if *version == 2 {
                fs::write(memory.join("cgroup.subtree_control"), "+memory +pids")?;
            } else if memory != pids {
                fs::create_dir(&owned.0.pids)?;
            }
            fs::create_dir(&owned.0.memory)
        })?;
        Ok(owned)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        for path in [&self.0.memory, &self.0.pids] {
            // One that stays is seen by the check.
            let _ = cgroup::remove(path);
        }
    }
}
