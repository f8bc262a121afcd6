//! When an instance has come to rest, so that what it holds stays what it is.

use std::{fs, path::Path, time::Duration};

use host::ProcessStat;
use sandbox::{Instance, Milestone};

/// The state of a process or a thread as a letter (proc_pid_stat(5)); `X` of one that is gone.
fn state(folder: &Path) -> char {
    ProcessStat::read(folder.join("stat")).ok().and_then(|stat| stat.state()).unwrap_or('X')
}

/// The states of the processes inside; none of a machine.
fn states(instance: &dyn Instance) -> Vec<char> {
    let processes = instance.processes().into_iter();
    processes.map(|pid| state(Path::new(&format!("/proc/{pid}")))).collect()
}

/// A process that has ended is a zombie until it is waited for; a machine says itself that its
/// program has come to its end.
pub(crate) fn is_alive(instance: &dyn Instance) -> bool {
    match &states(instance)[..] {
        [] => instance.timeline().since_start(Milestone::Exited).is_none(),
        states => states.iter().any(|state| !matches!(state, 'Z' | 'X')),
    }
}

/// Waits until its program has said all that it says, and touched all the memory that it touches.
pub(crate) fn let_settle(instance: &dyn Instance) {
    let is_idle = || match &states(instance)[..] {
        [] => {
            let spoke = instance.timeline().since_start(Milestone::FirstByte).is_some();
            spoke && are_asleep(std::process::id(), Some(std::process::id()))
        }
        states => states.iter().all(|&state| state == 'S'),
    };
    while is_alive(instance) && !is_idle() {
        std::thread::sleep(PAUSE);
    }
}

/// Waits until it has ended, and its machine is gone, if it was one: the thread of its processor
/// closes it a moment after the program's end. `others` live on.
pub(crate) fn let_end(instance: &dyn Instance, others: usize) {
    let processors = || {
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = threads.map(|thread| fs::read_to_string(thread.path().join("comm")));
        names.flatten().filter(|name| name.trim() == "vcpu0").count()
    };
    while is_alive(instance) || processors() > others {
        std::thread::sleep(PAUSE);
    }
}

/// Waits until all threads of process `pid` sleep: it has nothing more to do, and touches no page.
pub(crate) fn let_fall_asleep(pid: u32) {
    while !are_asleep(pid, None) {
        std::thread::sleep(PAUSE);
    }
}

const PAUSE: Duration = Duration::from_micros(200);

/// Whether all threads of process `pid` sleep, but for the one with the number `except`.
fn are_asleep(pid: u32, except: Option<u32>) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let except = except.map(|thread| thread.to_string());
    let mut others = threads.filter(|thread| thread.file_name().to_str() != except.as_deref());
    others.all(|thread| matches!(state(&thread.path()), 'S' | 'X'))
}
