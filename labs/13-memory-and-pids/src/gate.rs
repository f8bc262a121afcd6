//! Two pipes in place of `cgroup.procs`: whoever joins waits there until it is let in, so it is seen
//! whether the work waits as well.

use std::{
    fs, io,
    io::{PipeReader, PipeWriter, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        stat::Mode,
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, getpid, mkfifo},
};

use crate::{Group, Work};

/// How long work that does not wait for the gate takes to begin, generously.
const EARLY: u16 = 60;
/// How long it takes to begin at most.
const LATE: u16 = 2000;

/// What was seen at the gate.
pub(crate) struct Passage {
    /// The work began while nobody could have joined.
    pub(crate) is_early: bool,
    /// What was written into the file of each directory, and `-` for nothing.
    pub(crate) joined: [String; 2],
    /// The process that worked, and the one that was told.
    pub(crate) worker: i32,
    pub(crate) returned: Pid,
    /// Its exit code, which should be [`CODE`].
    pub(crate) code: i32,
}

/// What the work returns.
const CODE: i32 = 7;

/// Has `spawn_in` make a process that joins a group of two directories, and looks.
///
/// # Errors
///
/// The function's own; and when it comes back in the new process.
pub(crate) fn pass(spawn_in: fn(&Group, Work) -> io::Result<Pid>) -> io::Result<Passage> {
    let gate = Gate::build()?;
    let own = getpid();
    let (begun, mut tell_begun) = io::pipe()?;
    let (mut report, tell) = io::pipe()?;
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    let keeper = match unsafe { fork() }? {
        ForkResult::Child => {
            drop(tell_begun);
            std::process::exit(i32::from(gate.keep(begun, tell).is_err()));
        }
        ForkResult::Parent { child } => child,
    };
    drop((begun, tell));
    let work = || {
        let told = tell_begun.write_all(&getpid().as_raw().to_ne_bytes());
        if told.is_ok() { CODE } else { 1 }
    };
    let returned = spawn_in(&gate.group(), Box::new(work));
    if getpid() != own {
        std::mem::forget(gate);
        return Err(io::Error::other("it came back"));
    }
    drop(tell_begun);
    let mut text = String::new();
    report.read_to_string(&mut text)?;
    waitpid(keeper, None)?;
    let returned = returned?;
    let mut words = text.split(' ').map(ToOwned::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let is_early = word() == "early";
    let worker = word().parse().unwrap_or(0);
    let code = match (worker, waitpid(Pid::from_raw(worker), None)) {
        (1.., Ok(WaitStatus::Exited(_, code))) if worker != own.as_raw() => code,
        _ => -1,
    };
    Ok(Passage { is_early, joined: [word(), word()], worker, returned, code })
}

struct Gate {
    root: PathBuf,
}

impl Gate {
    fn build() -> io::Result<Self> {
        let gate = Self { root: PathBuf::from(format!("/tmp/lab13-{}-gate", getpid())) };
        for directory in [gate.group().memory, gate.group().pids] {
            fs::create_dir_all(&directory)?;
            mkfifo(&directory.join("cgroup.procs"), Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(gate)
    }

    fn group(&self) -> Group {
        let [memory, pids] = ["memory", "pids"].map(|name| self.root.join(name));
        Group { version: 1, memory, pids }
    }

    /// Opens the gate when the work has begun too early, or could have and has not.
    fn keep(&self, mut begun: PipeReader, mut tell: PipeWriter) -> io::Result<()> {
        let is_early = is_ready(&begun, EARLY)?;
        let open = |directory: PathBuf| {
            let mut options = fs::File::options();
            options.read(true).custom_flags(libc::O_NONBLOCK).open(directory.join("cgroup.procs"))
        };
        let group = self.group();
        let mut files = [open(group.memory)?, open(group.pids)?];
        let mut worker = [0; 4];
        if is_ready(&begun, LATE)? {
            begun.read_exact(&mut worker)?;
        }
        if is_early {
            // Who joins too late has still to do it.
            std::thread::sleep(std::time::Duration::from_millis(u64::from(EARLY)));
        }
        let mut joined = ["-".to_owned(), "-".to_owned()];
        for (file, joined) in files.iter_mut().zip(&mut joined) {
            let mut text = [0; 64];
            match file.read(&mut text) {
                Ok(0) => {}
                Ok(count) => *joined = String::from_utf8_lossy(&text[..count]).trim().to_owned(),
                Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => {}
                Err(error) => return Err(error),
            }
        }
        let when = if is_early { "early" } else { "then" };
        let [memory, pids] = joined.map(|text| text.replace(' ', "_"));
        write!(tell, "{when} {} {memory} {pids}", i32::from_ne_bytes(worker))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn is_ready(pipe: &PipeReader, milliseconds: u16) -> nix::Result<bool> {
    let mut one = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut one, PollTimeout::from(milliseconds))?;
    Ok(one[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
}
