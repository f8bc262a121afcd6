//! Lab 12: a share of the CPU. The part that leads the student's functions.

mod model;
mod worker;

use std::{io, path::PathBuf, process::ExitCode, thread::sleep, time::Duration};

pub use lab::program::CgroupParents;
use lab::program::{Host, Trouble, run};
use nix::{
    errno::Errno,
    unistd::{Pid, getpid},
};

use model::{Layout, Model, Order};
use worker::Worker;

/// A cgroup: its directory, or on version 1 its two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// 1 or 2.
    pub version: u8,
    /// Where quota and weight are.
    pub cpu: PathBuf,
    /// Where the CPU time is counted: on version 2 the same directory.
    pub cpuacct: PathBuf,
}

/// What the kernel has counted in a group since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// The CPU time that its processes have had.
    pub usage: Duration,
    /// In how many periods they were stopped, their quota being used up.
    pub throttled: u64,
}

/// The student's functions.
pub struct Answer {
    /// Makes a group.
    pub create: fn(&CgroupParents, &str) -> io::Result<Group>,
    /// Puts a process into it.
    pub attach: fn(&Group, Pid) -> io::Result<()>,
    /// Limits its CPU time in every period.
    pub set_quota: fn(&Group, Duration, Duration) -> io::Result<()>,
    /// Says what it gets of a CPU that others want too; 100 is the usual portion.
    pub set_weight: fn(&Group, u32) -> io::Result<()>,
    /// What the kernel has counted.
    pub stats: fn(&Group) -> io::Result<Stats>,
    /// The share of one CPU that was used between two looks.
    pub share: fn(&Stats, &Stats, Duration) -> f64,
    /// Takes the group away.
    pub remove: fn(&Group) -> io::Result<()>,
}

/// What the group uses before it has a limit.
const BEFORE: Duration = Duration::from_millis(100);
/// How long it is measured.
const MEASURED: Duration = Duration::from_millis(1000);

/// The program: a group on this host and one in each model, then what the limits do.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let parents = host.cgroup_parents()?;
        let name = match host.argument("name") {
            "" => format!("lab12-{}", getpid()),
            name => name.to_owned(),
        };
        let worker = host.step("make a worker", || Worker::start(BEFORE))?;
        let group = one_group(host, answer, &parents, &name, &worker)?;
        shares(host, answer);
        for layout in Layout::ALL {
            in_a_model(host, answer, layout, worker.0)?;
        }
        quota(host, answer, &group, worker)?;
        weights(host, answer, &parents, &name)
    })
}

/// A group on this host, step by step.
fn one_group(
    host: &Host,
    answer: &Answer,
    parents: &CgroupParents,
    name: &str,
    worker: &Worker,
) -> Result<Group, Trouble> {
    let group = created(host, answer, parents, name)?;
    host.meet("created");
    host.say("worker", worker.0);
    host.step("attach", || (answer.attach)(&group, worker.0))?;
    host.meet("attached");
    host.step("let it run without a limit", || worker.run_until_it_stops())?;
    limited(host, answer, &group)?;
    host.meet("limited");
    weighed(host, answer, &group)?;
    host.meet("weighed");
    counted(host, answer, &group, "stats")?;
    host.meet("counted");
    Ok(group)
}

/// The same in a directory of plain files.
fn in_a_model(host: &Host, answer: &Answer, layout: Layout, pid: Pid) -> Result<(), Trouble> {
    let seed = host.number("seed", 4711);
    let model = host.step("build a model of a tree", || Model::build(layout, seed))?;
    host.say("model", model.root.display());
    let name = "group";
    let group = created(host, answer, &model.parents(), name)?;
    host.meet("created in a model");
    host.step("fill the model", || model.fill(name, Order::Usual))?;
    host.step("attach", || (answer.attach)(&group, pid))?;
    host.meet("attached in a model");
    limited(host, answer, &group)?;
    host.meet("limited in a model");
    weighed(host, answer, &group)?;
    host.meet("weighed in a model");
    counted(host, answer, &group, "stats")?;
    host.meet("counted in a model");
    host.step("fill the model", || model.fill(name, Order::Reversed))?;
    counted(host, answer, &group, "stats, with the lines in another order")?;
    host.meet("counted in another order");
    host.step("clear the model", || model.clear(name))?;
    host.step("remove", || (answer.remove)(&group))?;
    host.meet("removed in a model");
    Ok(())
}

fn created(
    host: &Host,
    answer: &Answer,
    parents: &CgroupParents,
    name: &str,
) -> Result<Group, Trouble> {
    host.say("version", parents.version);
    let group = host.step("create", || (answer.create)(parents, name))?;
    let Group { version, cpu, cpuacct } = &group;
    host.say("group", format!("version {version}, {}, {}", cpu.display(), cpuacct.display()));
    Ok(group)
}

fn limited(host: &Host, answer: &Answer, group: &Group) -> Result<(), Trouble> {
    let milliseconds = |name, usual| Duration::from_millis(host.number(name, usual));
    let (quota, period) = (milliseconds("quota", 31), milliseconds("period", 67));
    host.step("set_quota", || (answer.set_quota)(group, quota, period))
}

fn weighed(host: &Host, answer: &Answer, group: &Group) -> Result<(), Trouble> {
    let weight = host.number("weight", 100) as u32;
    host.step("set_weight", || (answer.set_weight)(group, weight))
}

fn counted(host: &Host, answer: &Answer, group: &Group, step: &str) -> Result<(), Trouble> {
    let stats = host.step(step, || (answer.stats)(group))?;
    host.say("usage", stats.usage.as_nanos());
    host.say("throttled", stats.throttled);
    Ok(())
}

/// What `share` makes of made-up readings: of one CPU's, and of several CPUs'.
fn shares(host: &Host, answer: &Answer) {
    let seed = host.number("seed", 4711);
    let wall = Duration::from_millis(1000 + seed % 500);
    let before = Stats { usage: Duration::from_millis(300 + seed % 300), throttled: 3 };
    for (name, used) in [("share", 150 + seed % 300), ("share-of-several", 3000 + seed % 1000)] {
        let usage = before.usage + Duration::from_millis(used);
        let after = Stats { usage, throttled: 9 };
        host.say(name, (answer.share)(&before, &after, wall));
    }
    host.meet("shared");
}

/// What the quota does: for a while the worker runs as it likes.
fn quota(host: &Host, answer: &Answer, group: &Group, worker: Worker) -> Result<(), Trouble> {
    let (quota, period) = (Duration::from_millis(20), Duration::from_millis(100));
    host.step("set_quota", || (answer.set_quota)(group, quota, period))?;
    host.meet("ready");
    counted(host, answer, group, "stats")?;
    host.step("let it run", || worker.go())?;
    sleep(MEASURED);
    host.step("stop it", || worker.halt())?;
    counted(host, answer, group, "stats")?;
    host.meet("measured");
    drop(worker);
    host.step("remove", || patiently(|| (answer.remove)(group)))?;
    host.meet("removed");
    Ok(())
}

fn weights(
    host: &Host,
    answer: &Answer,
    parents: &CgroupParents,
    name: &str,
) -> Result<(), Trouble> {
    let weight = host.number("weight", 100) as u32;
    let mut racers = Vec::new();
    for times in [1, 2, 4] {
        let name = format!("{name}-{times}");
        let group = created(host, answer, parents, &name)?;
        let worker = host.step("make a worker", || Worker::start(Duration::ZERO))?;
        host.step("pin it", || worker.pin())?;
        host.step("set_weight", || (answer.set_weight)(&group, times * weight))?;
        host.step("attach", || (answer.attach)(&group, worker.0))?;
        host.say(&format!("racer-{times}"), worker.0);
        racers.push((group, worker));
    }
    host.meet("three");
    for (_, worker) in &racers {
        host.step("let it run", || worker.go())?;
    }
    // The check ends the race.
    host.meet("racing");
    for (group, worker) in racers {
        drop(worker);
        host.step("remove", || patiently(|| (answer.remove)(&group)))?;
    }
    Ok(())
}

/// A process that has just ended may be in its group for a moment yet.
fn patiently(remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..500 {
        match remove() {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                sleep(Duration::from_millis(1));
            }
            removed => return removed,
        }
    }
    remove()
}
