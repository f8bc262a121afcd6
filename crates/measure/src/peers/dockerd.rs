//! Docker's own daemon, started for a comparison where none serves: its own network, mounts, images
//! and cgroup, so that nothing of it is left on the host.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use sandbox::{Claim, Ledger, LedgerEntry, Resource};

use super::definition::on_path;
use crate::Error;

/// How to have one.
pub(super) const START: &str = "start dockerd, or name its socket: DOCKER_HOST=unix:///PATH";
/// It serves after a second or two; its containerd comes first.
const LONGEST_START: Duration = Duration::from_secs(30);
/// It ends what it has started, and then itself.
const LONGEST_END: Duration = Duration::from_secs(15);

/// Where it listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// The daemon; it ends with this.
#[derive(Debug)]
pub struct StartedDockerd {
    process: Child,
    socket: PathBuf,
    cgroups: Vec<PathBuf>,
    /// Removed from the ledger once its cgroups are gone.
    _claim: Claim,
}

impl StartedDockerd {
    /// Why no daemon can be asked here and none can be started, where nobody says that it is
    /// elsewhere; `Ok` says whether one has to be started.
    ///
    /// # Errors
    ///
    /// When there is neither.
    pub fn is_needed() -> Result<bool, Error> {
        if env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty()) {
            return Ok(false);
        }
        let Err(error) = UnixStream::connect(SOCKET) else { return Ok(false) };
        let lacks = |program: &&&str| on_path(program).is_none();
        let why = match ["dockerd", "setpriv", "unshare"].iter().find(lacks) {
            Some(program) => format!("{program}, to start one, is not installed"),
            None if !Uid::effective().is_root() => "only root can start one".into(),
            None => return Ok(true),
        };
        let reason = format!("no daemon answers at {SOCKET}: {error}; and {why}");
        Err(Error { reason, fix: START.into() })
    }

    /// Starts it with all of its files in `folder`.
    ///
    /// # Errors
    ///
    /// When it does not serve: in its own words.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let path = |name: &str| folder.join(name);
        let cgroup = format!("isolab-dockerd-{}", process::id());
        let cgroups: Vec<_> = cgroup_mounts()?.iter().map(|mount| mount.join(&cgroup)).collect();
        let resources = cgroups.iter().cloned().map(Resource::Cgroup).collect();
        let entry = LedgerEntry::new(cgroup.clone(), "compare", vec!["dockerd".into()]);
        let claim = Ledger::open()
            .and_then(|ledger| ledger.claim(LedgerEntry { resources, ..entry }))
            .map_err(|error| Error::new(sandbox::chain(&error)))?;
        fs::create_dir_all(folder)?;
        // The host's own settings are of another daemon.
        fs::write(path("daemon.json"), "{}")?;
        let socket = path("socket");
        let mut command = Command::new("setpriv");
        // It ends with the process that compares, however that ends.
        command.args(["--pdeathsig", "TERM", "--", "unshare", "--net", "--mount", "--", "dockerd"]);
        command.arg(format!("--host=unix://{}", socket.display()));
        for (option, name) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "data"),
            ("--exec-root", "state"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(path(name));
        }
        command.args(["--bridge=none", "--iptables=false", "--ip-forward=false"]);
        command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        command.arg(format!("--cgroup-parent=/{cgroup}"));
        let log = File::create(path("log"))?;
        // Of a group of its own: a key that interrupts the comparison lets it end what it has started.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn()?;
        let mut started = Self { process, socket, cgroups, _claim: claim };
        started.await_socket(&path("log"))?;
        Ok(started)
    }

    fn await_socket(&mut self, log: &Path) -> Result<(), Error> {
        let began = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(status) = self.process.try_wait()? {
                let written = fs::read_to_string(log)?;
                let last = written.lines().last().unwrap_or_default();
                return Err(Error::of_command("dockerd", status, last.as_bytes()));
            }
            if began.elapsed() > LONGEST_START {
                return Err(Error::new(format!("dockerd does not serve within {LONGEST_START:?}")));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The variable of the environment by which clients find it.
    pub fn variable(&self) -> (&'static str, String) {
        ("DOCKER_HOST", format!("unix://{}", self.socket.display()))
    }
}

impl Drop for StartedDockerd {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        // Reaped below, so that no other process can have its number yet.
        let _ = kill(pid, Signal::SIGTERM);
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if began.elapsed() > LONGEST_END {
                let _ = self.process.kill();
                let _ = self.process.wait();
            }
            sleep(Duration::from_millis(10));
        }
        for cgroup in &self.cgroups {
            // What is left is said by `isolab clean`.
            let _ = container::cgroup::remove(cgroup);
        }
    }
}

/// Where cgroup hierarchies are mounted (proc_mounts(5)).
fn cgroup_mounts() -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let of_line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        kind.starts_with("cgroup").then(|| PathBuf::from(point))
    };
    Ok(mounts.lines().filter_map(of_line).collect())
}
