//! The options of `isolab run` that only a container has.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use container::{Container, Namespaces, Root, Upper};
use sandbox::Limits;

use super::mounts;
use crate::{
    failure::Failure,
    units::{self, Pids},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for containers, and the first for Linux guests")]
pub(super) struct ContainerArguments {
    /// Directory to use as its root file system. A container changes it; a Linux guest gets a copy
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "overlay")]
    pub(super) root: Option<PathBuf>,
    /// Directories to stack as its root by overlayfs, the first uppermost
    /// [default: the host's /]; its changes are discarded on exit. A colon in a name is written \\:.
    /// May be repeated for lower layers
    #[arg(long, value_name = "LOWER[:LOWER...]")]
    pub(super) overlay: Vec<OsString>,
    /// Keep its changes in this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "root")]
    pub(super) upper: Option<PathBuf>,
    /// Limit on changes that are discarded on exit
    /// [default: a quarter of the host's memory]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true,
        conflicts_with_all = ["root", "upper"])]
    pub(super) upper_size: Option<u64>,
    /// The same in Docker's form
    #[arg(long, value_name = "size=SIZE", value_parser = units::storage_size,
        conflicts_with_all = ["root", "upper", "upper_size"])]
    pub(super) storage_opt: Option<u64>,
    /// Share these namespaces with the host
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub(super) no_ns: Vec<Namespace>,
    /// Run an init as process 1 that reaps orphans and forwards signals; without it, the command is
    /// process 1 itself
    #[arg(long, overrides_with = "no_init")]
    pub(super) init: bool,
    /// Run no init (the default)
    #[arg(long, overrides_with = "init")]
    pub(super) no_init: bool,
    /// Size of /dev/shm [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    pub(super) shm_size: Option<u64>,
    /// NIS domain name
    #[arg(long, value_name = "NAME")]
    pub(super) domainname: Option<String>,
    /// PID namespace: `host` or `private`
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) pid: Option<Whose>,
    /// IPC namespace: `host` or `private`
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) ipc: Option<Whose>,
    /// UTS namespace (host name): `host` or `private`
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) uts: Option<Whose>,
    /// Cgroup namespace: `host` or `private`
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) cgroupns: Option<Whose>,
    /// Create only these namespaces
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", conflicts_with = "no_ns")]
    pub(super) namespaces: Vec<Namespace>,
}

/// Whose table of the kernel's a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Whose {
    /// The host's
    Host,
    /// Its own
    #[value(alias = "shareable")]
    Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Namespace {
    Mount,
    Uts,
    Ipc,
    Pid,
    Net,
    User,
    Cgroup,
}

impl ContainerArguments {
    pub(super) fn container(
        &self,
        name: String,
        limits: Limits,
        pids: Option<Pids>,
    ) -> Result<Container, Failure> {
        let mut container = Container::default()
            .named(name)
            .limits(limits)
            .root(self.root()?)
            .namespaces(self.namespaces())
            .init(self.init);
        container.spec.inside.upper_bytes = self.upper_size.or(self.storage_opt);
        container.spec.boundary.domainname.clone_from(&self.domainname);
        if let Some(bytes) = self.shm_size {
            let mounts = &mut container.spec.inside.mounts;
            let shm = mounts.iter_mut().find(|mount| mount.destination == Path::new("/dev/shm"));
            let options = &mut shm.expect("every container has one").options;
            options.retain(|option| !option.starts_with("size="));
            options.push(format!("size={bytes}"));
        }
        if pids == Some(Pids::Unlimited) {
            container.spec.budget.usual_pids = None;
        }
        Ok(container)
    }

    /// What `--pid` and the like say of a namespace.
    fn shared_by_option(&self, namespace: Namespace) -> bool {
        let whose = match namespace {
            Namespace::Pid => self.pid,
            Namespace::Ipc => self.ipc,
            Namespace::Uts => self.uts,
            Namespace::Cgroup => self.cgroupns,
            Namespace::Mount | Namespace::Net | Namespace::User => None,
        };
        whose == Some(Whose::Host)
    }

    fn root(&self) -> Result<Root, Failure> {
        if let Some(directory) = &self.root {
            return Ok(Root::Directory(directory.clone()));
        }
        if self.overlay.is_empty() && self.upper.is_none() {
            return Ok(Root::Host);
        }
        let lowers: Vec<PathBuf> = match self.overlay.as_slice() {
            [] => vec!["/".into()],
            lists => lists.iter().flat_map(|list| mounts::split(list)).map(Into::into).collect(),
        };
        if lowers.iter().any(|lower| lower.as_os_str().is_empty()) {
            return Err(Failure::usage("--overlay contains an empty directory name"));
        }
        let upper = self.upper.clone().map_or(Upper::ThrowAway, Upper::Kept);
        Ok(Root::Overlay { lowers, upper })
    }

    /// These layers of an image below what it writes.
    pub(super) fn over(&self, lowers: &[PathBuf]) -> Root {
        let upper = self.upper.clone().map_or(Upper::ThrowAway, Upper::Kept);
        Root::Overlay { lowers: lowers.to_vec(), upper }
    }

    pub(super) fn namespaces(&self) -> Namespaces {
        let usual = Namespaces::default();
        let is_on = |namespace, usual: container::Namespace| {
            container::Namespace::new_if(match self.namespaces.as_slice() {
                [] => {
                    usual.is_new()
                        && !self.no_ns.contains(&namespace)
                        && !self.shared_by_option(namespace)
                }
                just => just.contains(&namespace),
            })
        };
        Namespaces {
            mount: is_on(Namespace::Mount, usual.mount),
            uts: is_on(Namespace::Uts, usual.uts),
            ipc: is_on(Namespace::Ipc, usual.ipc),
            pid: is_on(Namespace::Pid, usual.pid),
            net: is_on(Namespace::Net, usual.net),
            user: is_on(Namespace::User, usual.user),
            cgroup: is_on(Namespace::Cgroup, usual.cgroup),
            time: usual.time,
        }
    }
}
