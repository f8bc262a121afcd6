//! What must be true of lab 19, look after look.

mod outside;

use std::{io, process::ExitCode};

use lab::check::{Bench, Checked, Process, Setup, Student, ensure, fail};
use outside::{Disk, Memory, kib};

fn main() -> ExitCode {
    lab::check::main("19", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let budget = (240 + bench.random(80)) << 10;
    let setup = Setup::ordinary().with_namespaces().with_kvm();
    let setup = setup.argument("mebibytes", 6 + bench.random(10)).argument("budget", budget);
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
    seen.ensure_agrees(student.number("pss")?, &family)?;
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
    ensure(!within.agrees(said) || seen.agrees(said), || {
        let finding = fail("L19-launcher-forgotten").fact("said", kib(said)).fact("kind", kind);
        finding.fact("seen", kib(seen.pss)).fact("inside", inside.len())
    })?;
    seen.ensure_agrees(said, &all)?;
    student.go()
}

/// The disk that the tree needs, and what the usual mistakes make of it.
fn tree(bench: &mut Bench, student: &Student) -> Checked<()> {
    let path = student.main().path("root").join(student.said("tree")?.trim_start_matches('/'));
    let mut disk = Disk::default();
    disk.add(&path)?;
    let Disk { unique, lengths, twice, seen } = disk;
    bench.saw(path.display(), format!("{} files, {unique} bytes of blocks", seen.len()));
    bench.saw("the same, lengths of all names", lengths);
    bench.saw("the same, blocks of all names", twice);
    if unique >= twice || twice >= lengths {
        return Err(io::Error::other("the tree has no hole or no second name").into());
    }
    let said = student.number("disk")?;
    let id = match said {
        said if said == unique => return Ok(()),
        // A hole is far larger than all the rest.
        said if said > lengths / 2 => "L19-apparent-size",
        said if said == twice => "L19-links-twice",
        said if said == unique * 8 || said == twice * 8 => "L19-block-size",
        _ => "L19-disk",
    };
    let finding = fail(id).fact("said", said).fact("seen", unique).fact("lengths", lengths);
    Err(finding.fact("twice", twice))
}

/// A hall that the budget has filled.
fn many_instances(b: &mut Bench, student: &mut Student, kind: &str, budget: u64) -> Checked<()> {
    student.meet(&format!("none-{kind}"))?;
    let main = student.main();
    let before = Memory::of(&[main])?;
    student.go()?;
    // Some fifty starts, where the whole processor may be emulated.
    student.meet_within(&format!("many-{kind}"), b.timeout() * 6)?;
    let alive = instances(main, kind)? as u64;
    let family: Vec<Process> = [main].into_iter().chain(main.descendants()).collect();
    let grown = Memory::of(&family)?.pss.saturating_sub(before.pss);
    b.saw(format!("{kind}s of process {}", main.pid), format!("{alive} alive, {}", kib(grown)));
    b.measured(&format!("{kind}s"), alive as f64);
    let (said, started) =
        (student.number(&format!("{kind}.count"))?, student.number(&format!("{kind}.started"))?);
    let not = |id: &str| {
        let finding = fail(id).fact("said", said).fact("alive", alive).fact("started", started);
        finding.fact("kind", kind).fact("grown", kib(grown)).fact("budget", kib(budget))
    };
    ensure(said <= started, || not("L19-extrapolated"))?;
    ensure(said <= alive, || not("L19-dead-counted"))?;
    ensure(said == alive, || not("L19-miscounted"))?;
    // One more or less is nobody's fault, nor are a few pages that others share meanwhile.
    let (each, slack) = (grown / alive.max(1), budget / 5 + (32 << 10));
    ensure(grown + slack >= budget, || not("L19-stopped-early"))?;
    ensure(grown <= budget + each + slack, || not("L19-beyond-budget"))?;
    student.go()
}

/// The containers that live below `launcher`, or the machines that it has.
fn instances(launcher: Process, kind: &str) -> io::Result<usize> {
    if kind == "microvm" {
        let descriptors = launcher.descriptors()?;
        return Ok(descriptors.iter().filter(|(_, what)| what == "anon_inode:kvm-vm").count());
    }
    let own = launcher.namespace("pid")?;
    let apart = |process: &Process| process.namespace("pid").is_ok_and(|other| other != own);
    Ok(launcher.descendants().into_iter().filter(apart).count())
}
