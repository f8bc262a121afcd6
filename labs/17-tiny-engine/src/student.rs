//! Lab 17: a container engine of one file: a daemon that can be killed.
//!
//! Write the nine functions. `isolab lab check 17` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixListener, process::ExitStatusExt},
    },
    path::Path,
    process::{ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid},
};
use tiny_engine::{Answer, Container, Engine, Refusal, State, isolated};

/// Makes the daemon's socket at `path`, with mode 0660: for its owner and group, and nobody else.
///
/// bind(2) gives it what umask leaves of 0777, and it is not known what umask the daemon was started
/// with; see `fs::set_permissions`. A daemon that was killed has left its socket behind, and bind(2)
/// takes no name that exists: remove it.
fn listen(path: &Path) -> io::Result<UnixListener> {
    todo!("lab 17, step 1: remove, bind, set the mode")
}

/// Serves clients until the process is killed: accepts a client, has `engine.answer(&client)` read its
/// request and answer it, and accepts the next.
///
/// A client that has sent half a request, or waits for a container, does not keep the daemon from
/// answering another one. A client that is gone, for which `answer` returns an error, does not end
/// the daemon. An `Engine` can be cloned.
fn serve(engine: &Engine, listener: &UnixListener) -> io::Result<()> {
    todo!("lab 17, step 2: a loop, and a thread for each client")
}

/// Writes a container's state as JSON (`serde_json::to_vec`) to `engine.state_file(&container.id)`.
///
/// Whoever writes can be killed in the middle of it, and what was there must not be lost then: the file
/// has the old state or the new one, whole. So it is `engine.draft(..)` that is written, and then
/// renamed (rename(2)).
fn save(engine: &Engine, container: &Container) -> io::Result<()> {
    todo!("lab 17, step 3: write the draft, rename it")
}

/// Starts a container, in the daemon. `engine.current(id)` gives its state, if there is such a
/// container; if not, it is `Refusal::Unknown`. If it runs, it is `Refusal::AlreadyStarted`, and nothing
/// is started. One that has ended is started again.
///
/// The container is not to be a child of the daemon. `engine.shim_command(id)` is a command that runs
/// this program again, as a process of its own which calls `shim` below. Start it with its output in a
/// pipe (`.stdout(Stdio::piped())`) and read the line that it prints when the container runs. If the
/// line is not a number, the shim has failed, and the line says why: return it as an error
/// (`io::Error::other`).
///
/// The shim ends later than this function, and may not become a zombie for as long as the daemon lives:
/// somebody has to wait for it, such as a thread.
fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    todo!("lab 17, step 4: current, shim_command, read_line, wait for it in a thread")
}

/// What the shim does: it is the container's parent, and outlives the daemon.
///
/// 1. It leaves the daemon's session, and so its process group, which a terminal sends signals to
///    (setsid(2)).
/// 2. It opens `engine.log(&container.id)`, for appending, and starts the container: `isolated(&container,
///    log)`. All that it prints goes there; no daemon stands between.
/// 3. It saves the state `Running`, with the process's `.pid()` and start time (`engine.start_time(pid)`).
/// 4. It prints the pid as a line, for `start`. Use `writeln!(io::stdout(), ..)?`.
/// 5. It waits for the process (`.wait()`), and saves the state `Exited`. The exit code of a process that
///    was killed by a signal is 128 and the signal's number, as in a shell.
fn shim(engine: &Engine, mut container: Container) -> io::Result<()> {
    todo!("lab 17, step 5: setsid, isolated, save, print, wait, save")
}

/// When a process was started: field 22 of `/proc/PID/stat`, in ticks since the host was started
/// (proc_pid_stat(5)).
///
/// Field 2 is the program's name in parentheses, and may have spaces and parentheses in it. After the
/// last `)` of the line comes field 3.
fn start_time(pid: u32) -> io::Result<u64> {
    todo!("lab 17, step 6: read, split, parse")
}

/// A descriptor of the process with the number `pid` (pidfd_open(2)), if it was started at
/// `start_time`. None if there is no such process, or if the number is another one's by now.
///
/// `engine.start_time(pid)` says when the process was started that has the number now. Asked after the
/// descriptor was opened, it speaks of the descriptor's process, which is always the same.
fn adopt(engine: &Engine, pid: u32, start_time: u64) -> Option<OwnedFd> {
    todo!("lab 17, step 7: pidfd_open, compare")
}

/// Waits until a container has ended, and gives its exit code. `Refusal::Unknown` if there is no such
/// container.
///
/// `engine.current(id)` says what is true now; also of a container that another daemon has started, and
/// of one whose end nobody has recorded. Ask it again and again, with a pause
/// between, or better: wait for the descriptor that `engine.adopt` gives to become readable (poll(2)),
/// which it does when the process has ended, and ask then.
fn wait(engine: &Engine, id: &str) -> Result<i32, Refusal> {
    todo!("lab 17, step 8: a loop until it is Exited")
}

/// Removes a container with all its files, which are in the directory `engine.container(id)`.
///
/// `Refusal::Unknown` if there is no such container; `Refusal::Conflict` if it runs. With `force` one that
/// runs is killed: by the descriptor that `engine.adopt` gives, for a number can be another process's.
/// Its shim then records its end in that very directory, and who removes that meanwhile may find it not
/// empty: `engine.wait(id)` waits until it is done.
fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), Refusal> {
    todo!("lab 17, step 9: current, pidfd_send_signal, wait, remove_dir_all")
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer {
        listen,
        serve,
        save,
        start,
        shim,
        start_time,
        adopt,
        wait,
        remove,
    })
}
