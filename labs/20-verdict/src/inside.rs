//! What can be seen from inside: this very program, put into a container, looks around.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use container::{Container, Namespace, Namespaces, Root};
use host::ProcessStat;
use microvm::MicroVm;
use sandbox::{Builtin, Sandbox, Workload};
use serde::{Deserialize, Serialize};

use crate::{chain, measure::let_settle};

/// What somebody sees, each in his place; `None` where there is nothing to be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibleState {
    /// The release of the kernel that answers system calls.
    pub kernel: Option<String>,
    /// The host name.
    pub name: Option<String>,
    /// The launcher among the processes: its number and when it was started.
    pub launcher: Option<String>,
    /// What is in the host's file.
    pub marker: Option<String>,
}

impl VisibleState {
    /// What this process sees.
    pub fn here(launcher: u32, marker: &Path) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned())
        };
        let started = |stat: ProcessStat| {
            // No two processes have the start time and the pid in common.
            Some(format!("{launcher} started {}", stat.start_time()?))
        };
        Self {
            kernel: line("/proc/sys/kernel/osrelease"),
            name: line("/proc/sys/kernel/hostname"),
            launcher: ProcessStat::of(launcher).ok().and_then(started),
            marker: fs::read_to_string(marker).ok(),
        }
    }
}

/// The arguments of one that looks around: where the host's file may be, and the launcher.
pub(crate) fn asked_to_look() -> Option<(PathBuf, u32)> {
    let argument =
        |name: &str| std::env::args().find_map(|word| Some(word.strip_prefix(name)?.to_owned()));
    Some((argument("look=")?.into(), argument("launcher=")?.parse().ok()?))
}

/// Looks around, and stays until its input ends.
pub(crate) fn look((marker, launcher): &(PathBuf, u32)) -> ExitCode {
    match serde_json::to_string(&VisibleState::here(*launcher, marker)) {
        Ok(text) => println!("{text}"),
        Err(_) => return ExitCode::FAILURE,
    }
    let _ = io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

/// A file of the host's, and a root directory for containers with this program in it.
pub(crate) struct ContainerRoot {
    around: PathBuf,
    marker: PathBuf,
}

impl ContainerRoot {
    pub(crate) fn make(content: &str) -> io::Result<Self> {
        let around = std::env::temp_dir().join(format!("lab20-root-{}", std::process::id()));
        let made = Self { marker: around.join("marker"), around };
        fs::create_dir_all(made.root())?;
        fs::write(&made.marker, if content.is_empty() { "of the host" } else { content })?;
        let program = made.root().join("program");
        fs::copy("/proc/self/exe", &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(made)
    }

    pub(crate) fn marker(&self) -> &Path {
        &self.marker
    }

    fn root(&self) -> PathBuf {
        self.around.join("root")
    }

    /// What is seen in a container that shares with the host what `shares` names: `name`,
    /// `launcher` (the pid namespace), `marker`. `meanwhile` is done while it is there.
    pub(crate) fn container(
        &self,
        shares: &str,
        meanwhile: impl FnOnce(),
    ) -> io::Result<VisibleState> {
        let shared = |what: &str| shares.split(',').any(|word| word == what);
        let inside = self.root().join("marker");
        if shared("marker") {
            // A second name for the same file, as a volume would be.
            fs::hard_link(&self.marker, &inside)?;
        }
        let own = |what: &str| Namespace::new_if(!shared(what));
        let namespaces =
            Namespaces { uts: own("name"), pid: own("launcher"), ..Namespaces::default() };
        let root = Root::Directory(self.root());
        let container = Container::default().namespaces(namespaces).root(root).init(false);
        let launcher = format!("launcher={}", std::process::id());
        let workload = Workload::command(["/program", "look=/marker", &launcher]);
        let instance = container.spawn(&workload).map_err(|error| chain(&error))?;
        // It has looked around, and waits.
        let_settle(&*instance);
        meanwhile();
        instance.control().stop();
        let outcome = instance.wait().map_err(|error| chain(&error))?;
        let errors = String::from_utf8_lossy(&outcome.errors).into_owned();
        serde_json::from_slice(&outcome.output)
            .map_err(|error| io::Error::other(format!("{:?}: {error} {errors}", outcome.status)))
    }
}

impl Drop for ContainerRoot {
    fn drop(&mut self) {
        // It was made here; what cannot be removed is the next boot's, as all temporary files are.
        let _ = fs::remove_dir_all(&self.around);
    }
}

/// What is seen in a bare machine: it has no kernel that could be asked, and no process, name or
/// file. `meanwhile` is done while it is there.
pub(crate) fn machine(meanwhile: impl FnOnce()) -> io::Result<VisibleState> {
    let instance = MicroVm::default().spawn(&Workload::builtin(Builtin::Idle, &[]));
    let instance = instance.map_err(|error| chain(&error))?;
    let_settle(&*instance);
    meanwhile();
    instance.control().stop();
    instance.wait().map_err(|error| chain(&error))?;
    Ok(VisibleState::default())
}
