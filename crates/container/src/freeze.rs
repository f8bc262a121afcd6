//! Question 2, the extreme case: a paused container consumes no CPU time.
//!
//! Version 2 has a file for it in every cgroup, `cgroup.freeze`
//! (Documentation/admin-guide/cgroup-v2.rst). Version 1 has a hierarchy of its own for it, in which a
//! container that was never paused has no directory: one is made, the processes are moved into it
//! and frozen together (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::errno::Errno;
use sandbox::{Ledger, LedgerEntry, Resource};

use crate::{
    Error,
    cgroup_layout::{Layout, Version},
    error::{self, Result},
    life::State,
    observe,
};

/// How long freezing may take; a process in uninterruptible sleep delays it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The freezer of a container.
enum Freezer {
    /// Version 2: its own directory.
    Own(PathBuf),
    /// Version 1: a directory for freezing, which may not exist yet.
    Apart(PathBuf),
}

impl Freezer {
    fn of(entry: &LedgerEntry) -> Result<Self, Error> {
        if let Some(own) = observe::cgroups(entry).find(|path| path.join("cgroup.freeze").exists())
        {
            return Ok(Self::Own(own.to_owned()));
        }
        if let Some(apart) = apart(entry) {
            return Ok(Self::Apart(apart.to_owned()));
        }
        let lacking = |why: &str| Error::NoController { controller: "freezer", why: why.into() };
        if observe::cgroups(entry).next().is_none() {
            return Err(lacking(
                "the container has no cgroup, by which all its processes could be found",
            ));
        }
        let layout = Layout::of(entry.launcher.pid)?;
        let has = |controllers: &[String]| controllers.iter().any(|name| name == "freezer");
        let mut all = layout.hierarchies.iter();
        let found = all.find(|found| found.version == Version::V1 && has(&found.controllers));
        let found = found.ok_or_else(|| lacking("it is not mounted"))?;
        Ok(Self::Apart(found.own.join(format!("isolab-{}", entry.name))))
    }
}

/// The directory of version 1, if the entry has one.
fn apart(entry: &LedgerEntry) -> Option<&Path> {
    observe::cgroups(entry).find(|path| path.join("freezer.state").exists())
}

/// Whether the container is frozen.
pub fn is_frozen(entry: &LedgerEntry) -> bool {
    observe::cgroups(entry).any(|path| {
        says(&path.join("cgroup.freeze"), "1") || says(&path.join("freezer.state"), "FROZEN")
    })
}

/// Whether the file at `path` contains that word.
fn says(path: &Path, word: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == word)
}

/// Freezes the container.
///
/// # Errors
///
/// When it has no cgroup, its cgroup cannot freeze, or the caller may not change it.
pub fn freeze(ledger: &Ledger, entry: &LedgerEntry) -> Result<()> {
    match Freezer::of(entry)? {
        Freezer::Own(path) => Ok(freeze_own(&path)?),
        Freezer::Apart(path) => {
            match fs::create_dir(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error::file("create the cgroup", &path)(error).into());
                }
                _ => {}
            }
            // In the ledger before any process is in it, so that `isolab clean` finds it.
            let resource = Resource::Cgroup(path.clone());
            let note = |entry: &mut LedgerEntry| {
                if !entry.resources.contains(&resource) {
                    entry.resources.push(resource);
                }
            };
            ledger.amend(&entry.name, note).map_err(Error::from)?;
            let frozen = freeze_apart(entry, &path);
            if frozen.is_err() {
                let _ = thaw(ledger, entry); // the first failure is reported
            }
            Ok(frozen?)
        }
    }
}

impl State {
    /// Freezes a container whose cgroup is in every hierarchy.
    ///
    /// # Errors
    ///
    /// When none of its cgroups can freeze, or the caller may not change it.
    pub fn freeze(&self) -> Result<()> {
        match self.freezer() {
            Some(path) if path.join("cgroup.freeze").exists() => Ok(freeze_own(path)?),
            Some(path) => Ok(hold(&path.join("freezer.state"))?),
            None => {
                let why = "the container has no cgroup that can".into();
                Err(Error::NoController { controller: "freezer", why }.into())
            }
        }
    }

    /// Thaws it.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn thaw(&self) -> Result<()> {
        match self.freezer() {
            Some(path) if path.join("cgroup.freeze").exists() => {
                Ok(write(&path.join("cgroup.freeze"), "0")?)
            }
            Some(path) => Ok(write(&path.join("freezer.state"), "THAWED")?),
            None => Ok(()),
        }
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_some_and(|path| {
            says(&path.join("cgroup.freeze"), "1") || says(&path.join("freezer.state"), "FROZEN")
        })
    }

    /// Version 1 has a hierarchy for it, version 2 a file in each cgroup but the root.
    fn freezer(&self) -> Option<&Path> {
        let has = |name: &str| self.cgroups().find(|path| path.join(name).exists());
        has("freezer.state").or_else(|| has("cgroup.freeze"))
    }
}

/// Freezes a cgroup of version 2. One that cannot be frozen goes on as a whole: the kernel's own threads, such
/// as KVM's for a guest, are never frozen, and those that are would be so for ever.
fn freeze_own(path: &Path) -> Result<(), Error> {
    write(&path.join("cgroup.freeze"), "1")?;
    let frozen = until_frozen(&path.join("cgroup.events"));
    if frozen.is_err() {
        let _ = write(&path.join("cgroup.freeze"), "0"); // the first failure is reported
    }
    frozen
}

/// Moves the container's processes into `path` and freezes them. A new child is in the directory of
/// its parent.
fn freeze_apart(entry: &LedgerEntry, path: &Path) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let inside = observe::members(path);
        let outside = observe::processes(entry).into_iter().filter(|pid| !inside.contains(pid));
        let outside: Vec<u32> = outside.collect();
        for pid in &outside {
            move_into(path, *pid)?;
        }
        if outside.is_empty() {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(error::file("gather all processes in", path)(Errno::EBUSY.into()));
        }
    }
    hold(&path.join("freezer.state"))
}

/// Version 1 may stay at FREEZING while processes fork: the request is repeated, with a thaw now
/// and then, as in runc.
fn hold(state: &Path) -> Result<(), Error> {
    let began = Instant::now();
    for attempt in 1_u32.. {
        write(state, "FROZEN")?;
        if says(state, "FROZEN") {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(error::file("wait for FROZEN in", state)(Errno::ETIMEDOUT.into()));
        }
        if attempt % 50 == 0 {
            write(state, "THAWED")?;
            sleep(Duration::from_millis(10));
        } else {
            sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Thaws a container; without effect if it is not frozen.
///
/// # Errors
///
/// When the caller may not change its cgroup.
pub fn thaw(ledger: &Ledger, entry: &LedgerEntry) -> Result<()> {
    // From the current entry: another process may have frozen it.
    let entry = ledger.find(&entry.name).map_err(Error::from)?.unwrap_or_else(|| entry.clone());
    for path in observe::cgroups(&entry).filter(|path| path.join("cgroup.freeze").exists()) {
        write(&path.join("cgroup.freeze"), "0")?;
    }
    let Some(path) = apart(&entry) else { return Ok(()) };
    write(&path.join("freezer.state"), "THAWED")?;
    let parent = path.parent().unwrap_or(path);
    let began = Instant::now();
    loop {
        for pid in observe::members(path) {
            move_into(parent, pid)?;
        }
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {}
            removed => break removed.map_err(error::file("remove the cgroup", path))?,
        }
        if began.elapsed() > PATIENCE {
            return Err(error::file("empty the cgroup", path)(Errno::EBUSY.into()).into());
        }
    }
    let gone = Resource::Cgroup(path.to_owned());
    let note = |entry: &mut LedgerEntry| entry.resources.retain(|resource| *resource != gone);
    ledger.amend(&entry.name, note).map_err(Error::from)?;
    Ok(())
}

/// A process that has ended meanwhile needs no move.
fn move_into(cgroup: &Path, pid: u32) -> Result<(), Error> {
    let procs = cgroup.join("cgroup.procs");
    match fs::write(&procs, pid.to_string()) {
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(()),
        written => written.map_err(error::file("move a process into", procs)),
    }
}

fn write(path: &Path, word: &str) -> Result<(), Error> {
    fs::write(path, word).map_err(error::file("write", path))
}

/// Waits until version 2 reports that all processes are frozen.
fn until_frozen(events: &Path) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(events).map_err(error::file("read", events))?;
        if text.lines().any(|line| line == "frozen 1") {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(error::file("wait for", events)(Errno::ETIMEDOUT.into()));
        }
        sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use sandbox::Process;

    use super::*;

    /// A directory in each hierarchy that can freeze, if the caller may make one.
    fn places(name: &str) -> Vec<PathBuf> {
        let layout = Layout::of_this_process().unwrap();
        let has = |controllers: &[String]| controllers.iter().any(|name| name == "freezer");
        let able = layout
            .hierarchies
            .iter()
            .filter(|it| it.version == Version::V2 || has(&it.controllers));
        able.map(|it| it.own.join(name)).filter(|path| fs::create_dir(path).is_ok()).collect()
    }

    #[test]
    fn both_versions_freeze_and_let_go() {
        let name = format!("isolab-freeze-test-{}", std::process::id());
        let places = places(&name);
        if places.is_empty() {
            println!("skipped: no cgroup that can be frozen may be made here");
        }
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(directory.path().join("ledger")).unwrap();
        for place in places {
            let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
            move_into(&place, child.id()).unwrap();
            let first = Process::of(child.id());
            let resources = vec![Resource::Cgroup(place.clone())];
            let entry = LedgerEntry {
                first,
                resources,
                ..LedgerEntry::new(name.clone(), "container", vec![])
            };
            let claim = ledger.claim(entry.clone()).unwrap();
            assert!(!is_frozen(&entry), "{place:?}");
            freeze(&ledger, &entry).unwrap();
            assert!(is_frozen(&entry), "{place:?}");
            let spent = || observe::process_facts(child.id()).unwrap().cpu_time;
            let before = spent();
            sleep(Duration::from_millis(200));
            assert_eq!(spent(), before, "{place:?}: it continues");
            thaw(&ledger, &entry).unwrap();
            assert!(!is_frozen(&entry), "{place:?}");
            let began = Instant::now();
            while spent() == before {
                assert!(began.elapsed() < PATIENCE, "{place:?}: it does not continue");
                sleep(Duration::from_millis(10));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            drop(claim);
            crate::cgroup::remove(&place).unwrap();
        }
    }
}
