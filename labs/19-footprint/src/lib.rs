//! Lab 19: memory, disk and density, measured. The part that makes what is to be measured, and
//! leads the student's four functions over it.

mod density;
mod disk;
mod launcher;
mod settled;
mod shared;

use std::{io, path::Path, process::ExitCode};

use container::Container;
use lab::program::{Host, Trouble, run};
use microvm::MicroVm;
use sandbox::Sandbox;

pub use density::{Hall, MOST};
pub use disk::BESIDE;

/// The student's functions.
pub struct Answer {
    /// The memory of a process.
    pub pss: fn(u32) -> io::Result<u64>,
    /// The memory of one instance: of what holds it, and of the processes inside.
    pub footprint: fn(launcher: u32, inside: &[u32]) -> io::Result<u64>,
    /// The disk that a tree needs.
    pub unique_disk_bytes: fn(&Path) -> io::Result<u64>,
    /// How many idle instances live at once in so many bytes.
    pub how_many: fn(&mut Hall, budget: u64) -> io::Result<usize>,
}

/// Both kinds, in the order in which they are measured.
pub const KINDS: [&str; 2] = ["container", "microvm"];

/// A sandbox by its name. Neither has limits: the measured thing is the wall, not the budget.
fn sandbox(kind: &str) -> Box<dyn Sandbox> {
    if kind == "microvm" {
        return Box::new(MicroVm::default());
    }
    Box::new(Container::default())
}

/// The program: four measurements, each looked at while what it measures is still there.
pub fn program(answer: &Answer) -> ExitCode {
    // Or a daemon of the kernel's, khugepaged, may at any moment make 512 pages of one that somebody
    // has touched, and memory grows while nobody does anything (PR_SET_THP_DISABLE(2const)). Where
    // it cannot be switched off there is no such daemon.
    let _ = nix::sys::prctl::set_thp_disable(true);
    // The same program holds one instance, for the second measurement.
    if let Some(kind) =
        std::env::args().find_map(|word| Some(word.strip_prefix("hold=")?.to_owned()))
    {
        return launcher::hold(&*sandbox(&kind));
    }
    run(|host| {
        memory_that_is_shared(host, answer)?;
        for kind in KINDS {
            one_instance(host, answer, kind)?;
        }
        tree(host, answer)?;
        for kind in KINDS {
            many_instances(host, answer, kind)?;
        }
        Ok(())
    })
}

/// Three processes that have the same pages: what do they hold together?
fn memory_that_is_shared(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let mebibytes = host.number("mebibytes", 8) as usize;
    let children = host.step("fork", || shared::Family::of_three(mebibytes << 20))?;
    // A child has the pages of a file only once it has run there.
    children.pids().into_iter().for_each(settled::let_fall_asleep);
    let sum = || children.pids().into_iter().map(answer.pss).sum::<io::Result<u64>>();
    let sum = host.step("pss", sum)?;
    host.say("pss", sum);
    host.meet("shared");
    // As if one of them were the launcher of the others.
    let [launcher, inside @ ..] = &children.pids()[..] else { return Ok(()) };
    let bytes = host.step("footprint", || (answer.footprint)(*launcher, inside))?;
    host.say("family.footprint", bytes);
    host.meet("family");
    host.step("wait for the children", || children.end())
}

/// A launcher with one idle instance.
fn one_instance(host: &Host, answer: &Answer, kind: &str) -> Result<(), Trouble> {
    let step = format!("start an idle {kind}");
    let holder = host.step(&step, || launcher::Holder::of(kind))?;
    let bytes = host.step("footprint", || (answer.footprint)(holder.pid(), holder.inside()))?;
    host.say(&format!("{kind}.footprint"), bytes);
    host.meet(&format!("one-{kind}"));
    host.step(&step, || holder.end())
}

/// A tree with holes and with second names.
fn tree(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let size = disk::TreeSize {
        files: host.number("files", 5),
        hole_bytes: host.number("hole", 3 << 30),
        written_bytes: host.number("written", 200 << 10),
    };
    let tree = host.step("make the tree", || disk::Tree::make(&size))?;
    host.say("tree", tree.path().display());
    let bytes = host.step("unique_disk_bytes", || (answer.unique_disk_bytes)(tree.path()))?;
    host.say("disk", bytes);
    host.meet("tree");
    Ok(())
}

/// Idle instances, as many as the budget holds. Some end as soon as they have begun.
fn many_instances(host: &Host, answer: &Answer, kind: &str) -> Result<(), Trouble> {
    let budget = host.number("budget", 280 << 10);
    let sandbox = sandbox(kind);
    let mut hall = Hall::new(&*sandbox, host.number("mortal", 4));
    host.step(&format!("start a first {kind}"), || hall.warm_up())?;
    host.meet(&format!("none-{kind}"));
    let count = host.step("how_many", || (answer.how_many)(&mut hall, budget))?;
    host.say(&format!("{kind}.count"), count);
    host.say(&format!("{kind}.started"), hall.started());
    host.meet(&format!("many-{kind}"));
    host.step(&format!("end all {kind}s"), || hall.end())
}

/// An error with all that it came of.
fn chain(error: &dyn std::error::Error) -> io::Error {
    io::Error::other(sandbox::chain(error))
}
