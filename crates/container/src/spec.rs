//! A container, described as plain data: one section for each question, in the vocabulary of the
//! OCI runtime specification. The default is that of `isolab run` without options.
//!
//! | | section | in `config.json` |
//! |---|---|---|
//! | 1 | [`Boundary`] | `linux.namespaces`, `hostname`, `domainname` |
//! | 2 | [`Budget`] | `linux.resources`, `linux.cgroupsPath` |
//! | 3 | [`Inside`] | `root`, `mounts`, `linux.devices`, `linux.maskedPaths`, `linux.readonlyPaths` |
//! | 4 | [`Power`] | `process.user`, `.capabilities`, `.rlimits`, `.noNewPrivileges`, `linux.seccomp`, `.uidMappings`, `.sysctl` |
//! | 5 | [`WayOut`] | `process.args`, `.env`, `.cwd`, `.terminal`, `hooks` |

pub(crate) mod device_nodes;
pub(crate) mod filter;
pub(crate) mod hooks;
pub(crate) mod names;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod power;
pub(crate) mod root;
pub(crate) mod scheduling;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sandbox::{
    Limits, Program, Stdio, Workload,
    environment::{self, Variable},
};
use serde::{Deserialize, Serialize};

use crate::{
    capabilities::Capabilities,
    cgroup::{CgroupFile, Resources},
    devices::{self, DeviceRule},
    error::{Error, NAME},
    mount::{self, Mount, Propagation},
    oom_score,
    seccomp::Seccomp,
};
use device_nodes::Device;
use filter::FilterOptions;
use hooks::Hooks;
use names::NameService;
use namespaces::{Namespace, Namespaces, TimeOffset};
use network::{BridgeLink, Network, Published};
use power::{IdMaps, Rlimit, User};
use root::Root;
use scheduling::{IoPriority, Scheduler};

/// The description of a container, one section for each of the five modules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// 1. What separates it from the host?
    pub boundary: Boundary,
    /// 2. What may it consume?
    pub budget: Budget,
    /// 3. What does it find inside?
    pub inside: Inside,
    /// 4. With what power does it start?
    pub power: Power,
    /// 5. How does it reach the host?
    pub way_out: WayOut,
}

/// Question 1: namespaces and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Which namespaces it has of its own.
    pub namespaces: Namespaces,
    /// The host name inside; only with a uts namespace of its own.
    pub hostname: Option<String>,
    /// The NIS domain name inside; only with a uts namespace of its own.
    pub domainname: Option<String>,
    /// How far its clocks are ahead of the host's; only with a new time namespace.
    pub time_offsets: Vec<TimeOffset>,
}

impl Default for Boundary {
    fn default() -> Self {
        let (namespaces, hostname) = (Namespaces::default(), Some("isolab".into()));
        Self { namespaces, hostname, domainname: None, time_offsets: Vec::new() }
    }
}

/// Question 2: resources and the cgroup that limits them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// CPU time, memory, processes. If one cannot be enforced, the container is not made.
    pub limits: Limits,
    /// Other limits of its cgroup. If one cannot be enforced, the container is not made.
    pub resources: Resources,
    /// The limit on processes if none is given: without one, a fork bomb could fill the host. It
    /// applies only if the caller may make a cgroup for it.
    pub usual_pids: Option<u32>,
    /// The devices that may be used: the last matching rule decides; without rules, all are
    /// allowed. They apply only if the caller is root and may make a cgroup for them.
    pub devices: Vec<DeviceRule>,
    /// The name of its cgroup, below a cgroup where the launcher may make some. Without a name and
    /// without limits there is no cgroup.
    pub cgroup: Option<String>,
    /// The path of its cgroup from the root of every hierarchy, as in config.json (`cgroupsPath`): it
    /// gets a directory in all of them, whatever the limits are. It stands above a name.
    pub cgroup_path: Option<PathBuf>,
    /// Whether there may be processes at that path already: those with which a scope of systemd's begins.
    pub cgroup_has_others: bool,
    /// Files of that cgroup, to be written in this order.
    pub cgroup_files: Vec<CgroupFile>,
    /// Whether a cgroup with a name has the controllers of all limits, also of those that it has not:
    /// they count what is consumed, and a limit can be set later. As far as the caller may have them.
    pub all_controllers: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            resources: Resources::default(),
            usual_pids: Some(4096),
            devices: devices::default_rules(),
            cgroup: None,
            cgroup_path: None,
            cgroup_has_others: false,
            cgroup_files: Vec::new(),
            all_controllers: false,
        }
    }
}

impl Budget {
    /// Lets the container use the devices of `rule` as well. Without any rules it may use all.
    pub fn allow(&mut self, rule: DeviceRule) {
        if !self.devices.is_empty() {
            self.devices.push(rule);
        }
    }
}

/// Question 3: the root file system and all that is mounted in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The root file system.
    pub root: Root,
    /// Whether the root is read-only, except for the mounts in it.
    pub read_only: bool,
    /// Whether files keep their owners in a user namespace: the root and the volumes are mounted
    /// with its ids (mount_setattr(2), "ID-mapped mounts").
    pub keep_owners: bool,
    /// The size of an overlay's temporary upper layer, in bytes; `None` means a quarter of the
    /// host's memory.
    pub upper_bytes: Option<u64>,
    /// Whether the root and the mounts have exactly the attributes that are given, as an OCI runtime
    /// does it (config.md): a bind mount keeps those of what it shows, and an option concerns one
    /// mount unless its recursive form is given. Otherwise device nodes in the root and in volumes do
    /// not work, and what is said of a volume holds for the mounts below it.
    pub exact_attributes: bool,
    /// How the root propagates mounts; `None` means it is private.
    pub propagation: Option<Propagation>,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// The id maps of single bind mounts, by their numbers in `mounts`.
    pub mount_id_maps: BTreeMap<usize, IdMaps>,
    /// Device nodes.
    pub devices: Vec<Device>,
    /// Paths that are hidden: a file reads as empty, a directory is empty. Missing paths are
    /// ignored.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that are read-only; missing paths are ignored.
    pub read_only_paths: Vec<PathBuf>,
}

impl Default for Inside {
    fn default() -> Self {
        Self {
            root: Root::default(),
            read_only: false,
            keep_owners: false,
            upper_bytes: None,
            exact_attributes: false,
            propagation: None,
            mount_id_maps: BTreeMap::new(),
            mounts: mount::usual(),
            devices: device_nodes::usual(),
            masked_paths: root::masked(),
            read_only_paths: root::READ_ONLY.iter().map(PathBuf::from).collect(),
        }
    }
}

impl Inside {
    /// Whether it has a devpts of its own.
    pub(crate) fn has_devpts(&self) -> bool {
        let at_its_place = |mount: &&Mount| mount.destination == Path::new("/dev/pts");
        self.mounts.iter().rfind(at_its_place).is_some_and(|mount| mount.kind == "devpts")
    }

    /// Nothing but `/proc` and an empty `/dev`: for a program that is executed from memory.
    pub fn bare() -> Self {
        Self {
            root: Root::Empty,
            read_only: false,
            keep_owners: false,
            upper_bytes: None,
            exact_attributes: false,
            propagation: None,
            mount_id_maps: BTreeMap::new(),
            mounts: mount::bare(),
            devices: Vec::new(),
            masked_paths: Vec::new(),
            read_only_paths: Vec::new(),
        }
    }
}

/// Question 4: who it is and what that user may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// User and groups of the first program.
    pub user: User,
    /// The maps of a new user namespace; `None` means an unused range of ids if the caller is root,
    /// and otherwise only the caller's own id.
    pub id_maps: Option<IdMaps>,
    /// The five sets of capabilities.
    pub capabilities: Capabilities,
    /// Which system calls are allowed.
    pub seccomp: Seccomp,
    /// How the filter of system calls is installed.
    #[serde(default)]
    pub filter: FilterOptions,
    /// Its `oom_score_adj`: how likely the kernel kills it when the host runs out of memory, from
    /// -1000 (never) to 1000 (first); `None` means the launcher's own.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    /// Limits of a process (getrlimit(2)).
    pub rlimits: Vec<Rlimit>,
    /// How it shares the processors with others; `None` means as the launcher, but never in real time.
    #[serde(default)]
    pub scheduler: Option<Scheduler>,
    /// How it shares the disks with others; `None` means as the launcher.
    #[serde(default)]
    pub io_priority: Option<IoPriority>,
    /// Its execution domain (personality(2)).
    #[serde(default)]
    pub personality: Option<u32>,
    /// The name of its session keyring; `None` means the launcher's.
    #[serde(default)]
    pub keyring: Option<String>,
    /// Whether executing a program can never give it more power (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// Settings below `/proc/sys`: `("net.ipv4.ip_forward", "1")`. Only settings that belong to a
    /// namespace of the container's own.
    pub sysctl: Vec<(String, String)>,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            user: User::default(),
            id_maps: None,
            capabilities: Capabilities::default(),
            seccomp: Seccomp::default(),
            filter: FilterOptions::default(),
            oom_score_adj: None,
            rlimits: Vec::new(),
            scheduler: None,
            io_priority: None,
            personality: None,
            keyring: None,
            no_new_privileges: true,
            sysctl: Vec::new(),
        }
    }
}

/// Question 5: the program, its streams and its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// What is run.
    pub program: Program,
    /// Its complete environment.
    pub environment: Vec<Variable>,
    /// Its working directory, looked up inside.
    pub directory: PathBuf,
    /// Where standard input, output and error are connected.
    pub stdio: Stdio,
    /// How many of the launcher's own descriptors, from number 3 on, the program of a command is to
    /// have under the same numbers.
    pub preserved: u32,
    /// What it sees of the network.
    pub network: Network,
    /// Its links into bridges, with [`Network::Bridge`]; without any, it has only the loopback link.
    pub links: Vec<BridgeLink>,
    /// Published ports: ports of the host that lead inside. They need a link of the container's
    /// own.
    pub published: Vec<Published>,
    /// Names and name servers, as files in `/etc`; `None` leaves those of its root unchanged.
    pub names: Option<NameService>,
    /// Programs of the caller that run at certain points of its life cycle.
    pub hooks: Hooks,
    /// Whether a command runs as the child of a first process that reaps orphans and passes signals
    /// on; otherwise the command is the first process itself. A built-in program always is.
    pub init: bool,
}

impl Default for WayOut {
    fn default() -> Self {
        Self {
            program: Program::Command(vec!["/bin/sh".into()]),
            environment: environment::usual(),
            directory: "/".into(),
            stdio: Stdio::default(),
            preserved: 0,
            network: Network::default(),
            links: Vec::new(),
            published: Vec::new(),
            names: Some(NameService::default()),
            hooks: Hooks::default(),
            init: false,
        }
    }
}

impl Spec {
    /// The same container for the program of `workload`, with its streams, environment and working
    /// directory. A built-in program over the host's root gets an empty root: it needs no file.
    #[must_use]
    pub fn for_workload(&self, workload: &Workload) -> Self {
        let is_builtin = matches!(workload.program, Program::Builtin(..));
        let inside = match &self.inside.root {
            Root::Host if is_builtin => Inside::bare(),
            _ => self.inside.clone(),
        };
        let given = workload.directory.as_deref();
        let mut environment = self.way_out.environment.clone();
        environment::add(&mut environment, &workload.environment);
        let way_out = WayOut {
            program: workload.program.clone(),
            environment,
            directory: given.unwrap_or(Path::new("/")).to_owned(),
            stdio: workload.stdio,
            preserved: self.way_out.preserved,
            network: self.way_out.network,
            links: self.way_out.links.clone(),
            published: self.way_out.published.clone(),
            names: self.way_out.names.clone(),
            hooks: self.way_out.hooks.clone(),
            init: self.way_out.init && !is_builtin,
        };
        let (boundary, budget) = (self.boundary.clone(), self.budget.clone());
        Self { boundary, budget, inside, power: self.power.clone(), way_out }
    }

    /// Checks the spec for contradictions and invalid values; makes nothing.
    pub(crate) fn check(&self) -> Result<(), sandbox::Error> {
        self.budget.limits.check()?;
        self.budget.resources.check(&self.budget.limits)?;
        if self.budget.limits.vcpus.is_some() {
            return Err(sandbox::Error::Unsupported {
                sandbox: NAME,
                what: "have virtual CPUs of its own".into(),
                fix: "limit its CPU time with --cpus, or use --in microvm".into(),
            });
        }
        if let Some(name) = self.budget.cgroup.as_ref().filter(|name| !is_cgroup_name(name)) {
            return Err(Error::CgroupName { name: name.clone() }.into());
        }
        oom_score::check(self.power.oom_score_adj)?;
        let host_name = self.boundary.hostname.as_ref();
        if let Some(name) = host_name.filter(|name| !names::is_host_name(name)) {
            return Err(Error::HostName { name: name.clone() }.into());
        }
        if !self.way_out.published.is_empty() && self.way_out.network != Network::Veth {
            return Err(Error::NoLinkForPorts.into());
        }
        self.check_links()?;
        root::check(&self.inside.root)?;
        for mount in &self.inside.mounts {
            mount.check()?;
        }
        Ok(())
    }

    /// Links need a network namespace that is the container's own, and names that differ.
    fn check_links(&self) -> Result<(), Error> {
        let links = &self.way_out.links;
        let is_new = self.boundary.namespaces.net.is_new();
        let can_have = is_new && self.way_out.network == Network::Bridge;
        if !links.is_empty() && !can_have {
            return Err(Error::NoNetworkForLinks);
        }
        for (number, link) in links.iter().enumerate() {
            let others = &links[..number];
            let is_same =
                |other: &BridgeLink| other.name == link.name || other.host_name == link.host_name;
            let twice = || others.iter().any(is_same).then_some("another link has its name");
            let two_routes = || {
                let routes = links.iter().filter(|link| link.is_default_route).count();
                (routes > 1).then_some("only one link can be the default route")
            };
            if let Some(why) = link.problem().or_else(twice).or_else(two_routes) {
                return Err(Error::Link { name: link.name.clone(), why });
            }
        }
        Ok(())
    }

    /// The namespaces that the caller can get: only root can make any without a user namespace, and
    /// the host's network is shared by not making a network namespace.
    pub(crate) fn effective_namespaces(&self, is_root: bool) -> Namespaces {
        let mut namespaces = self.boundary.namespaces.clone();
        if self.way_out.network == Network::Host && namespaces.net.is_new() {
            namespaces.net = Namespace::Shared;
        }
        if !is_root && namespaces.user == Namespace::Shared {
            namespaces.user = Namespace::New;
        }
        namespaces
    }
}

/// Whether it is a single path component that `isolab clean` recognizes as isolab's.
fn is_cgroup_name(name: &str) -> bool {
    name.starts_with("isolab-") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_cgroup_leads_nowhere_else() {
        for name in ["", "x", "..", "/etc/isolab-x", "isolab-x/../../y", "isolab-\0"] {
            let mut spec = Spec::default();
            spec.budget.cgroup = Some(name.into());
            let message = sandbox::chain(&spec.check().unwrap_err());
            assert!(message.contains("cgroup"), "{name:?}: {message}");
        }
        let mut spec = Spec::default();
        spec.budget.cgroup = Some("isolab-x".into());
        spec.check().unwrap();
    }
}
