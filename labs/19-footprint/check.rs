//! What must be true of lab 19, look after look.

#[path = "check/density.rs"]
mod density;
#[path = "check/outside.rs"]
mod outside;
#[path = "check/tree.rs"]
mod tree;

use std::{io, process::ExitCode};

use density::many_instances;
use lab::check::{Bench, Checked, Process, Setup, Student};
use outside::{Memory, kib};
use tree::tree;

fn main() -> ExitCode {
    lab::check::main("19", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let budget = (240 + bench.random(80)) << 10;
    let setup = Setup::ordinary().with_namespaces().with_kvm();
    let setup = setup.argument("mebibytes", 16 + bench.random(12)).argument("budget", budget);
    let setup =
        setup.argument("files", 3 + bench.random(9)).argument("mortal", 3 + bench.random(3));
    let setup = setup.argument("hole", (2 + bench.random(30)) << 30);
    let setup = setup.argument("written", (100 + bench.random(500)) << 10);
    let mut student = bench.start(setup)?;

    // Pages that three have in common: PSS adds up to what is there, RSS to three times that.
    student.meet("shared")?;
    let family = student.main().descendants();
    let seen = Memory::of(&family)?;
    bench.saw(format!("smaps_rollup of {} children", family.len()), &seen);
    if family.len() != 3 || seen.rss < 2 * seen.pss {
        return Err(io::Error::other(format!("no pages in common: {seen}")).into());
    }
    ensure_family(student.number("pss")?, &seen, &Memory::of(&[student.main()])?, &family)?;
    student.go()?;
    student.meet("family")?;
    ensure_footprint(student.number("family.footprint")?, &family, Memory::agrees_closely)?;
    student.go()?;

    for kind in ["container", "microvm"] {
        one_instance(bench, &mut student, kind)?;
    }

    student.meet("tree")?;
    tree(bench, &student)?;
    student.go()?;

    for kind in ["container", "microvm"] {
        many_instances(bench, &mut student, kind, budget)?;
    }
    student.finish()
}

/// Three processes with pages in common, and what the usual mistakes make of them.
fn ensure_family(said: u64, seen: &Memory, main: &Memory, family: &[Process]) -> Checked<()> {
    let times = family.len() as u64;
    let is_near = |value: u64, part: u64| said.abs_diff(value) <= value / part;
    let id = match said {
        said if seen.agrees_closely(said) => return Ok(()),
        said if seen.is_rss(said) => "L19-rss",
        _ if is_near(seen.pss / 1024, 50) || is_near(seen.pss / 1024 * 1000, 100) => "L19-unit",
        _ if is_near(main.pss * times, 4) => "L19-other-process",
        _ => "L19-memory",
    };
    Err(seen.finding(id, said, family))
}

/// A launcher with one idle instance, and what of it is where.
fn one_instance(bench: &mut Bench, student: &mut Student, kind: &str) -> Checked<()> {
    student.meet(&format!("one-{kind}"))?;
    let all = student.main().descendants();
    let (launcher, inside) = all.split_first().ok_or_else(|| io::Error::other("no launcher"))?;
    // It is what it is called: a process in namespaces, or a machine of KVM.
    if instances(*launcher, kind)? != 1 {
        return Err(io::Error::other(format!("there is no {kind}")).into());
    }
    let (seen, within) = (Memory::of(&all)?, Memory::of(inside)?);
    bench.saw(format!("smaps_rollup of launcher {}", launcher.pid), Memory::of(&[*launcher])?);
    bench.saw(format!("smaps_rollup of {} inside the {kind}", inside.len()), &within);
    bench.measured(&format!("{kind}-kib"), seen.pss as f64 / 1024.0);
    let said = student.number(&format!("{kind}.footprint"))?;
    ensure_footprint(said, &all, Memory::agrees)?;
    student.go()
}

/// The memory of a launcher, the first of `all`, and of those inside.
fn ensure_footprint(said: u64, all: &[Process], agrees: fn(&Memory, u64) -> bool) -> Checked<()> {
    let (launcher, inside) = all.split_at(1.min(all.len()));
    let [seen, holder, within] = [all, launcher, inside].map(Memory::of);
    let (seen, holder, within) = (seen?, holder?, within?);
    let id = match said {
        said if agrees(&seen, said) => return Ok(()),
        said if agrees(&within, said) => "L19-launcher-forgotten",
        said if agrees(&holder, said) => "L19-inside-forgotten",
        said if seen.is_rss(said) => "L19-rss",
        _ => "L19-footprint",
    };
    let finding = seen.finding(id, said, all).fact("inside", inside.len());
    Err(finding.fact("holder", kib(holder.pss)))
}

/// The containers that live below `launcher`, or the machines that it has.
pub fn instances(launcher: Process, kind: &str) -> io::Result<usize> {
    if kind == "microvm" {
        let descriptors = launcher.descriptors()?;
        return Ok(descriptors.iter().filter(|(_, what)| what == "anon_inode:kvm-vm").count());
    }
    let own = launcher.namespace("pid")?;
    let apart = |process: &Process| process.namespace("pid").is_ok_and(|other| other != own);
    Ok(launcher.descendants().into_iter().filter(apart).count())
}
