//! Lab 13: limits that kill and limits that refuse. The part that leads the student's functions.

mod gate;
mod members;
mod model;
mod written;

use std::{fs, io, path::PathBuf, process::ExitCode};

use container::cgroup;
use lab::program::{CgroupParents, Host, Trouble, run};
use nix::unistd::{Pid, getpid};

use members::{breeder, victim};
use model::Model;

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
/// What is filled outside of the group, where it does no harm.
const HARMLESS: usize = 24 << 20;

/// The program: each function by itself, on the group and on its models; then two processes that want
/// too much memory, and one that wants too many children.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let owned = Owned::make(&host.cgroup_parents()?, host)?;
        let group = &owned.0;
        let models = host.step("build models of a group", || {
            (0..model::KINDS.len()).map(Model::build).collect::<io::Result<Vec<Model>>>()
        })?;
        let limit = host.number("memory", 32 << 20);
        let most = host.number("pids", 8);
        limits(host, answer, group, &models, (limit, most))?;
        passage(host, answer)?;
        filled(host, answer);

        let wanted = (limit + TOO_MUCH) as usize;
        victim(host, answer, group, wanted, Some(["inside", "first victim"]))?;
        for model in &models {
            counted_in_a_model(host, answer, model)?;
        }

        let mut done = Ok(());
        let mut events = || {
            done = victim(host, answer, group, wanted, None)
                .and_then(|()| breeder(host, answer, group, most));
        };
        let during = host.step("events_during", || (answer.events_during)(group, &mut events))?;
        done?;
        say_events(host, "during", during);
        let all = host.step("read_events", || (answer.read_events)(group))?;
        say_events(host, "all", all);
        host.meet("counted");
        Ok(())
    })
}

/// Both limits, of the group and of each model.
fn limits(
    host: &Host,
    answer: &Answer,
    group: &Group,
    models: &[Model],
    (limit, most): (u64, u64),
) -> Result<(), Trouble> {
    let models = || models.iter().map(|model| (&model.group, Some(&model.root)));
    for (group, root) in [(group, None)].into_iter().chain(models()) {
        introduce(host, group, root);
        let watch = host.step("watch the group's files", || written::watch(&group.memory))?;
        let done = host.step("set_memory", || (answer.set_memory)(group, limit));
        host.say("written", written::names(&watch).join(" "));
        done?;
        host.meet("memory");
    }
    for (group, root) in [(group, None)].into_iter().chain(models()) {
        introduce(host, group, root);
        host.step("set_pids", || (answer.set_pids)(group, most))?;
        host.meet("pids");
    }
    Ok(())
}

fn introduce(host: &Host, group: &Group, root: Option<&PathBuf>) {
    host.say("version", group.version);
    host.say("model", root.map_or("-".to_owned(), |root| root.display().to_string()));
}

/// A process on its way into a group.
fn passage(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let passed = host.step("spawn_in", || gate::pass(answer.spawn_in))?;
    host.say("begins", if passed.is_early { "early" } else { "then" });
    host.say("joined", passed.joined.join(" "));
    host.say("worker", passed.worker);
    host.say("returned", passed.returned);
    host.say("code", passed.code);
    host.meet("passed");
    Ok(())
}

/// Memory that is given outside of the group.
fn filled(host: &Host, answer: &Answer) {
    host.meet("before it is filled");
    let memory = (answer.fill)(HARMLESS);
    host.say("wanted", HARMLESS);
    host.say("length", memory.len());
    host.say("address", memory.as_ptr() as usize);
    host.meet("filled");
    drop(std::hint::black_box(memory));
}

/// What the functions read where others count.
fn counted_in_a_model(host: &Host, answer: &Answer, model: &Model) -> Result<(), Trouble> {
    introduce(host, &model.group, Some(&model.root));
    let seed = host.number("seed", 4711);
    let events =
        |factor: u64| Events { kills: factor + seed % 90, refusals: 7 * factor + seed % 70 };
    let set = |factor, reversed| {
        host.step("set the model's counters", || model.count(events(factor), reversed))
    };
    for (step, reversed) in [("read_events", false), (IN_ANOTHER_ORDER, true)] {
        set(100, reversed)?;
        let read = host.step(step, || (answer.read_events)(&model.group))?;
        say_events(host, "read", read);
        host.meet("read");
    }
    set(100, false)?;
    let (mut calls, mut changed) = (0, Ok(()));
    let mut work = || {
        calls += 1;
        changed = set(100 + 10 * calls, false);
    };
    let during = host.step("events_during", || (answer.events_during)(&model.group, &mut work))?;
    changed?;
    host.say("calls", calls);
    say_events(host, "during", during);
    host.meet("done meanwhile");
    Ok(())
}

/// The step in which the lines are not where today's kernels have them.
const IN_ANOTHER_ORDER: &str = "read_events, with the lines in another order";

fn say_events(host: &Host, when: &str, events: Events) {
    host.say(&format!("kills-{when}"), events.kills);
    host.say(&format!("refusals-{when}"), events.refusals);
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
