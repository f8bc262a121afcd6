//! Docker's own daemon, started for a comparison where none serves: its own network, mounts, images
//! and cgroup, so that nothing of it is left on the host.

use std::{
    env,
    fs::{self, File},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    time::Duration,
};

use nix::unistd::Uid;
use sandbox::{Claim, Ledger, LedgerEntry, Resource, chain};

use super::definition::on_path;
use crate::{
    Error,
    engine::{DaemonProcess, SOCKET, START},
    error::last_line,
};

/// It serves after a second or two; its containerd comes first.
const LONGEST_START: Duration = Duration::from_secs(30);
/// It ends what it has started, and then itself.
const LONGEST_END: Duration = Duration::from_secs(15);

/// The daemon; it ends with this.
#[derive(Debug)]
pub struct StartedDockerd {
    process: DaemonProcess,
    cgroups: Vec<PathBuf>,
    /// Its entry in the ledger, removed once its cgroups are gone.
    claim: Option<Claim>,
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
        let hierarchies =
            container::cgroup::hierarchies().map_err(|error| Error::new(chain(&error)))?;
        let cgroups: Vec<_> = hierarchies.iter().map(|point| point.join(&cgroup)).collect();
        let resources = cgroups.iter().cloned().map(Resource::Cgroup).collect();
        let entry = LedgerEntry::new(cgroup.clone(), "compare", vec!["dockerd".into()]);
        let claim = Ledger::open()
            .and_then(|ledger| ledger.claim(LedgerEntry { resources, ..entry }))
            .map_err(|error| Error::new(chain(&error)))?;
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
        let process = DaemonProcess::start(&mut command, socket, LONGEST_END)?;
        let mut started = Self { process, cgroups, claim: Some(claim) };
        started.process.await_socket("dockerd", LONGEST_START, || {
            Ok(last_line(&fs::read(path("log"))?).unwrap_or_default().into_bytes())
        })?;
        Ok(started)
    }

    /// The variable of the environment by which clients find it.
    pub fn variable(&self) -> (&'static str, String) {
        ("DOCKER_HOST", format!("unix://{}", self.process.socket().display()))
    }
}

impl Drop for StartedDockerd {
    fn drop(&mut self) {
        self.process.end();
        let removed = self.cgroups.iter().map(|cgroup| container::cgroup::remove(cgroup));
        let is_gone = removed.fold(true, |all, removed| all & removed.is_ok());
        if let Some(claim) = self.claim.take().filter(|_| !is_gone) {
            // `isolab clean` tries again, and reports the error.
            claim.keep();
        }
    }
}
