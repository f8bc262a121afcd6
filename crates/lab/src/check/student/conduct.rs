//! How the program behaves: who does its work, what it takes, and why it does not come.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use super::Student;
use crate::check::{
    cgroups::Cgroups,
    finding::{Checked, Finding, ensure, fail},
    jail::PROCESSES,
    kernel::Process,
};

impl Student {
    /// Whether every process runs the student's own program, or one that is allowed.
    pub(super) fn no_delegation(&self) -> Checked<()> {
        for process in self.processes() {
            // One that ends at this moment has no program.
            let Ok(program) = process.link("exe") else { continue };
            let allowed = self.is_own(process)
                || is_builtin(process)
                || self.allowed.iter().any(|allowed| is_the_file(process, allowed));
            ensure(allowed, || {
                fail("delegated").fact("pid", process.pid).fact("program", program)
            })?;
        }
        Ok(())
    }

    /// Whether `process` runs the student's program, or a copy of it wherever the program has put
    /// one: a name proves nothing, so the bytes are compared, of each file once.
    fn is_own(&self, process: Process) -> bool {
        let exe = process.path("exe");
        // One that ends at this moment has no program.
        let Ok(found) = fs::metadata(&exe) else { return true };
        let file = (found.dev(), found.ino());
        if self.own_files.borrow().contains(&file) {
            return true;
        }
        let own = found.len() == self.program.len() as u64
            && fs::read(exe).is_ok_and(|bytes| bytes == self.program);
        if own {
            self.own_files.borrow_mut().push(file);
        }
        own
    }

    pub(super) fn no_bomb(&self) -> Checked<()> {
        let (kills, refusals) = self.cgroups.as_ref().map_or((0, 0), Cgroups::kills_and_refusals);
        let processes = self.processes().len();
        if refusals > 0 || processes as u64 >= PROCESSES {
            return Err(fail("too-many-processes").fact("processes", PROCESSES));
        }
        let lines = self.output.lines();
        let wanted = lines.iter().any(|line| line.starts_with("memory allocation of"));
        if kills > 0 || wanted {
            return Err(fail("too-much-memory").fact("limit", "1 GiB"));
        }
        Ok(())
    }

    pub(super) fn ended_by_panic(&self, panic: &str) -> Finding {
        self.no_bomb().err().unwrap_or_else(|| fail("panicked").fact("panic", panic))
    }

    pub(super) fn ended_early(&self, point: &str, how: &str) -> Finding {
        let ended = || fail("ended-early").fact("point", point).fact("status", how);
        self.no_bomb().err().unwrap_or_else(ended)
    }

    pub(super) fn too_slow(&self, point: &str, timeout: Duration) -> Finding {
        if let Err(finding) = self.no_bomb() {
            return finding;
        }
        if let Err(finding) = self.no_delegation() {
            return finding;
        }
        let processes = self.processes();
        let described = |process: &Process| {
            let state = process.status("State").unwrap_or_default();
            format!("{} {state}", process.pid)
        };
        let list: Vec<String> = processes.iter().take(5).map(described).collect();
        // proc_pid_wchan(5) says 0 of one that does not wait.
        let wait_channel = processes.first().and_then(|process| process.read("wchan").ok());
        fail("too-slow")
            .fact("point", point)
            .fact("seconds", timeout.as_secs())
            .fact("processes", list.join(", "))
            .fact("where", wait_channel.unwrap_or_default())
    }
}

/// Whether `process` runs that very file of this host, and not another one of the same name.
fn is_the_file(process: Process, file: &Path) -> bool {
    let seen = (fs::metadata(process.path("exe")), fs::metadata(file));
    matches!(seen, (Ok(one), Ok(two)) if (one.dev(), one.ino()) == (two.dev(), two.ino()))
}

/// Whether `process` runs one of the library's built-in programs, from memory as the library does:
/// a lab's own part may start them, and there is nothing that they could do in the student's place.
fn is_builtin(process: Process) -> bool {
    // Its name is read anew: a moment ago it may not have executed it yet; and one that has ended
    // since then has no program.
    let Ok(program) = process.link("exe") else { return true };
    let same = |program: Vec<u8>| {
        sandbox::Builtin::ALL.iter().any(|builtin| builtin.linux_elf() == program)
    };
    program.starts_with("/memfd:isolab-program")
        && fs::read(process.path("exe")).map_or_else(|_| !process.is_alive(), same)
}
