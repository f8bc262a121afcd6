//! What another process needs to know of a container to act on it: plain data, in a file.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use sandbox::{Process, Resource};
use serde::{Deserialize, Serialize};

use crate::{
    cgroup::{self, CgroupFile},
    devices::DeviceRule,
    error::{self, Error, call},
    observe, pidfd,
    spec::{self, Spec, hooks::Hooks},
};

/// What another process needs to know of a container to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The first process.
    pub first: Process,
    /// What outlives it, in the order in which it was made.
    pub resources: Vec<Resource>,
    /// What its programs may do; a second one that joins has the same power.
    pub power: spec::Power,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// The FIFO that the first process waits at.
    pub start: Option<PathBuf>,
    /// Programs of the caller that run when it is started and deleted.
    #[serde(default)]
    pub hooks: Hooks,
}

impl State {
    pub(crate) fn new(first: Process, resources: &[Resource], spec: &Spec) -> Self {
        Self {
            first,
            resources: resources.to_vec(),
            power: spec.power.clone(),
            environment: spec.way_out.environment.clone(),
            directory: spec.way_out.directory.clone(),
            start: None,
            hooks: spec.way_out.hooks.clone(),
        }
    }

    /// Reads the state in the file `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not contain a state.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read(path).map_err(error::file("read", path))?;
        serde_json::from_slice(&text).map_err(|source| Error::State { path: path.into(), source })
    }

    /// Writes it to the file `path`, atomically.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec(self);
        let text = text.map_err(|source| Error::State { path: path.into(), source })?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&draft).and_then(|mut file| file.write_all(&text));
        written.map_err(error::file("write", &draft))?;
        fs::rename(&draft, path).map_err(error::file("rename", &draft))
    }

    /// The directories of its cgroup.
    pub fn cgroups(&self) -> impl Iterator<Item = &Path> {
        self.resources.iter().filter_map(Resource::cgroup)
    }

    /// All processes in its cgroup, or the first one if it has none.
    pub fn processes(&self) -> Vec<u32> {
        match self.cgroups().next() {
            Some(path) => observe::members(path),
            None => self.is_alive().then_some(self.first.pid).into_iter().collect(),
        }
    }

    /// Sends `signal` to the first process, unless it has ended.
    pub fn kill(&self, signal: i32) {
        if let Some(pidfd) = pidfd::open(&self.first) {
            pidfd::signal(pidfd.as_fd(), signal);
        }
    }

    /// Writes files of its cgroup, as in an update of its limits.
    ///
    /// # Errors
    ///
    /// When none of its directories has a file, or the kernel refuses a value.
    pub fn write_cgroup(&self, files: &[CgroupFile]) -> error::Result<()> {
        let paths: Vec<&Path> = self.cgroups().collect();
        Ok(cgroup::write_all(&paths, files)?)
    }

    /// The content of a file of its cgroup; `None` if none of its directories has it.
    pub fn read_cgroup(&self, name: &str) -> Option<String> {
        let mut paths = self.cgroups().map(|path| path.join(name));
        paths.find_map(|path| fs::read_to_string(path).ok())
    }

    /// Lets it use the devices of the rules `new` and no others, where those of `old` were in force.
    ///
    /// # Errors
    ///
    /// When it has no cgroup for devices, or the kernel refuses the rules.
    pub fn set_devices(&self, old: &[DeviceRule], new: &[DeviceRule]) -> error::Result<()> {
        let paths: Vec<&Path> = self.cgroups().collect();
        Ok(cgroup::change_devices(&paths, old, new)?)
    }

    /// Whether its first process is in the pid namespace of the caller.
    pub fn shares_pids(&self) -> bool {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        of("self").is_some_and(|own| of(&self.first.pid.to_string()) == Some(own))
    }

    /// Sends `signal` to all processes in its cgroup. Those that begin meanwhile get it too, if it is
    /// SIGKILL.
    pub fn kill_all(&self, signal: i32) {
        // A fork bomb that is faster than this ends with its first process or at `delete`.
        const ROUNDS: usize = 100;
        let rounds = if signal == libc::SIGKILL { ROUNDS } else { 1 };
        for _ in 0..rounds {
            let all = self.processes();
            if all.is_empty() {
                return;
            }
            for process in all.into_iter().filter_map(Process::of) {
                let Some(opened) = pidfd::open(&process) else { continue };
                // Looked up again by the descriptor's process: the number may be another's by now.
                if self.processes().contains(&process.pid) {
                    pidfd::signal(opened.as_fd(), signal);
                }
            }
        }
    }

    /// Whether the first process lives.
    pub fn is_alive(&self) -> bool {
        self.first.is_alive()
    }

    /// Waits until the first process has ended. Only its parent learns how it ended (wait(2)).
    ///
    /// # Errors
    ///
    /// Those of poll(2).
    pub fn wait(&self) -> Result<(), Error> {
        let Some(pidfd) = pidfd::open(&self.first) else { return Ok(()) };
        let mut watched = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                done => return done.map(drop).map_err(call("poll the first process")),
            }
        }
    }
}
