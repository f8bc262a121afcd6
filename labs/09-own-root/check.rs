//! What must be true of lab 09, look after look.

use std::{collections::BTreeSet, fs, io, process::ExitCode};

use lab::check::{Bench, Capability, Checked, Process, Setup, ensure, fail, kernel::Mount};

fn main() -> ExitCode {
    lab::check::main("09", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let token = bench.token();
    let mut student = bench.start(
        Setup::root(&[Capability::SysAdmin, Capability::SysChroot])
            .with_namespaces()
            .argument("token", &token),
    )?;
    let host = student.host();
    student.meet("ready")?;
    let before = lines(&host.mounts()?);
    student.go()?;

    // What is denied below is there to be seen: mounts spread to the host unless somebody sees to
    // it that they do not, the host's root has what the new one has not, and its /proc others.
    student.meet("armed")?;
    let spread = new_mount(host, &before)?;
    bench.saw(host.path("mountinfo").display(), format!("{spread:?} from a copy of the mounts"));
    let outside = |process: Process| process.path("root/run/lab/program").exists();
    let others = pids(host)?;
    if spread.is_none() || !outside(host) || others.len() < 2 {
        return Err(io::Error::other("there is nothing to hide").into());
    }
    student.go()?;

    // Before the new root: it is a mount, and nobody else has seen it being made.
    student.meet("mounted")?;
    let root = student.said("root")?.to_owned();
    let child = student.only_child()?;
    let mounts = child.mounts()?;
    let shared = |point: &str| {
        mounts.iter().any(|mount| mount.point == point && mount.propagation.contains("shared:"))
    };
    let still: Vec<&str> = ["/", "/tmp"].into_iter().filter(|point| shared(point)).collect();
    let leaked = new_mount(host, &before)?;
    bench.saw(child.path("mountinfo").display(), format!("of / and /tmp shared: {still:?}"));
    bench.saw(host.path("mountinfo").display(), format!("new: {leaked:?}"));
    let mount = leaked.clone().unwrap_or_else(|| "nothing yet".into());
    ensure(still != ["/tmp"], || fail("L09-not-recursive").fact("mount", &mount))?;
    ensure(still.is_empty() && leaked.is_none(), || fail("L09-leak").fact("mount", &mount))?;
    let bound = mounts.iter().find(|mount| mount.point == root);
    bench.saw(child.path("mountinfo").display(), bound.map_or("no new root", |mount| &mount.line));
    ensure(bound.is_some(), || fail("L09-no-mount-point").fact("root", &root))?;
    student.go()?;

    // In the new root: it is the only one, and /proc is its own.
    student.meet("inside").map_err(|finding| match finding.is_refusal("detach_old", "EBUSY") {
        true => fail("L09-busy"),
        false => finding,
    })?;
    let mounts = child.mounts()?;
    bench.saw(child.path("mountinfo").display(), lines(&mounts).join("\n"));
    let old = mounts.iter().filter(|mount| !["/", "/proc"].contains(&&*mount.point)).count();
    ensure(old == 0 && mounts.iter().filter(|mount| mount.point == "/").count() == 1, || {
        fail("L09-old-root").fact("mounts", mounts.len())
    })?;
    let found = fs::read_to_string(child.path("root/token")).unwrap_or_default();
    bench.saw(child.path("root/token").display(), &found);
    ensure(found == token, || fail("L09-other-root").fact("root", &root))?;
    let proc = mounts.iter().find(|mount| mount.point == "/proc" && mount.kind == "proc");
    ensure(proc.is_some(), || fail("L09-no-proc"))?;
    let seen = pids(child)?;
    bench.saw(child.path("root/proc").display(), format!("{seen:?}; on the host {others:?}"));
    ensure(seen == BTreeSet::from([child.inner_pid()?]), || {
        fail("L09-host-proc").fact("seen", format!("{seen:?}")).fact("own", "{1}")
    })?;
    student.go()?;

    // And there is no way out.
    student.meet("probed")?;
    let out = outside(child);
    let file = child.path("root/run/lab/program");
    bench.saw(file.display(), if out { "is there: the host's root" } else { "is not there" });
    ensure(!out, || fail("L09-breakout").fact("file", "/run/lab/program"))?;
    let after = lines(&host.mounts()?);
    bench.saw(host.path("mountinfo").display(), format!("{} mounts, as before", after.len()));
    let gone = before.iter().find(|line| !after.contains(line)).cloned();
    let other = new_mount(host, &before)?.or(gone);
    ensure(after == before, || fail("L09-leak").fact("mount", other.unwrap_or_default()))?;
    student.go()?;
    student.finish()
}

fn lines(mounts: &[Mount]) -> Vec<String> {
    mounts.iter().map(|mount| mount.line.clone()).collect()
}

/// Where something is mounted on the host that was not there before.
fn new_mount(host: Process, before: &[String]) -> io::Result<Option<String>> {
    let mounts = host.mounts()?;
    Ok(mounts.into_iter().find(|mount| !before.contains(&mount.line)).map(|mount| mount.point))
}

/// The processes that the `/proc` of `process` lists, as seen from outside.
fn pids(process: Process) -> io::Result<BTreeSet<u32>> {
    let listing = fs::read_dir(process.path("root/proc"))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
}
