//! What must be true of lab 09, look after look.

#[path = "check/mounts.rs"]
mod mounts;
#[path = "check/refusals.rs"]
mod refusals;

use std::{collections::BTreeSet, fs, io, os::unix::fs::MetadataExt, process::ExitCode};

use lab::check::{Bench, Capability, Checked, Process, Setup, Student, ensure, fail};
use mounts::{Tree, lines, new_mount};

fn main() -> ExitCode {
    lab::check::main("09", check)
}

/// A file that the host's root has, and the new one has not.
const OUTSIDE: &str = "root/run/lab/program";

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let token = bench.token();
    let setup = Setup::root(&[Capability::SysAdmin, Capability::SysChroot]).with_namespaces();
    let mut student = bench.start(setup.argument("token", &token))?;
    let host = student.host();
    student.meet("ready")?;
    let before = lines(&host.mounts()?);
    student.go()?;

    // What is denied below is there to be seen: mounts spread to the host unless somebody sees to
    // it that they do not, the host's root has what the new one has not, and its /proc others.
    student.meet("armed")?;
    let spread = new_mount(host, &before)?;
    let says =
        spread.as_ref().map(|mount| format!("{} came from a copy of the mounts", mount.point));
    bench.saw(host.path("mountinfo").display(), says.as_deref().unwrap_or("nothing new"));
    let others = pids(host, "root/proc")?;
    if spread.is_none() || !host.path(OUTSIDE).exists() || others.len() < 2 {
        return Err(io::Error::other("there is nothing to hide").into());
    }
    student.go()?;

    // Step by step: a step that is not written yet does not hide what is wrong with those before.
    arrive(&mut student, "private")?;
    let child = student.only_child()?;
    mounts::judge_private(bench, host, child, &before)?;
    student.go()?;

    arrive(&mut student, "bound")?;
    let tree = Tree::of(&student, child)?;
    tree.judge_mount(bench)?;
    student.go()?;

    arrive(&mut student, "proc")?;
    tree.judge_proc(bench)?;
    judge_pids(bench, child, &format!("root{}/proc", tree.path), &others)?;
    tree.judge_proc_flags()?;
    student.go()?;

    arrive(&mut student, "pivoted")?;
    let is_pivoted = tree.judge_root(bench)?;
    let not_pivoted = || fail("L09-not-pivoted").fact("root", &tree.path);
    student.go()?;

    // In the new root: it is the only one, and nothing of the process is outside.
    let came = arrive(&mut student, "inside");
    came.map_err(|finding| if is_pivoted { finding } else { not_pivoted() })?;
    if is_pivoted {
        mounts::judge_last(bench, child)?;
        judge_pids(bench, child, "root/proc", &others)?;
        judge_ways_back(bench, child)?;
    }
    student.go()?;

    // And there is no way out.
    student.meet("probed")?;
    let out = child.path(OUTSIDE).exists();
    let says = if out { "is there: the host's root" } else { "is not there" };
    bench.saw(child.path(OUTSIDE).display(), says);
    ensure(!out, || fail("L09-breakout").fact("path", "/run/lab/program"))?;
    ensure(is_pivoted, not_pivoted)?;
    let after = lines(&host.mounts()?);
    bench.saw(host.path("mountinfo").display(), format!("{} mounts", after.len()));
    let gone = before.iter().find(|line| !after.contains(line)).cloned();
    let other = new_mount(host, &before)?.map(|mount| mount.line).or(gone);
    ensure(after == before, || fail("left-mount").fact("mount", other.unwrap_or_default()))?;
    student.go()?;
    student.finish()
}

/// Waits for the program at `point`; a refusal on the way is explained by the step that it ends.
fn arrive(student: &mut Student, point: &str) -> Checked<()> {
    student.meet(point).map_err(refusals::explain)
}

/// The processes that a `/proc` of `child` lists: itself alone.
fn judge_pids(
    bench: &mut Bench,
    child: Process,
    proc: &str,
    others: &BTreeSet<u32>,
) -> Checked<()> {
    let seen = pids(child, proc)?;
    let says = format!("{}; on the host {}", list(&seen), list(others));
    bench.saw(child.path(proc).display(), says);
    ensure(seen == BTreeSet::from([child.inner_pid()?]), || {
        fail("L09-host-proc").fact("seen", list(&seen))
    })
}

/// The processes that a `/proc` lists, as seen from outside.
fn pids(process: Process, proc: &str) -> io::Result<BTreeSet<u32>> {
    let listing = fs::read_dir(process.path(proc))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
}

fn list(pids: &BTreeSet<u32>) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    if pids.is_empty() { "-".to_owned() } else { pids.join(", ") }
}

/// What else of a process can be outside its root: its working directory, and what it has open.
fn judge_ways_back(bench: &mut Bench, child: Process) -> Checked<()> {
    let place = |name: &str| fs::metadata(child.path(name)).map(|it| (it.dev(), it.ino()));
    let is_root = place("cwd")? == place("root")?;
    bench.saw(child.path("cwd").display(), if is_root { "/" } else { "not the new root" });
    ensure(is_root, || fail("L09-working-directory").fact("directory", link(child, "cwd")))?;
    let own: BTreeSet<u64> = child.mounts()?.iter().map(mounts::id).collect();
    for (number, target) in child.descriptors()? {
        // A pipe or a socket is in no directory.
        if !target.starts_with('/') {
            continue;
        }
        // proc_pid_fdinfo(5): the mount through which it was opened.
        let about = child.read(&format!("fdinfo/{number}")).unwrap_or_default();
        let mount =
            about.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        let outside = mount.is_some_and(|mount| !own.contains(&mount));
        ensure(!outside, || {
            fail("L09-open-descriptor").fact("descriptor", number).fact("target", &target)
        })?;
    }
    Ok(())
}

fn link(child: Process, name: &str) -> String {
    child.link(name).unwrap_or_else(|error| error.to_string())
}
