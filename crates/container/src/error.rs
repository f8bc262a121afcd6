//! Why a container could not be made.

use std::{io, path::PathBuf};

use nix::errno::Errno;
use sandbox::{LedgerError, Written};

/// A result of the contract, or with an error of this crate.
pub(crate) type Result<T, E = sandbox::Error> = std::result::Result<T, E>;

/// The name of this sandbox in tables and messages.
pub(crate) const NAME: &str = "container";

/// A step of a container that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of the child failed, between `clone3` and `execve`.
    #[error("inside the container: {step}")]
    Child {
        /// The call and its operands.
        step: String,
        /// Why it failed.
        #[source]
        errno: Errno,
    },
    /// What the child found was not what it had made or opened.
    #[error("inside the container: check failed: {check}")]
    Refused {
        /// What should hold.
        check: String,
    },
    /// The child was killed before it executed its program.
    #[error(
        "the container was killed during: {step}; if it has a memory limit, it is too small to start in"
    )]
    KilledInside {
        /// The step it was killed in.
        step: String,
    },
    /// A memory limit in which a child that waits for its launcher may not start.
    #[error("a memory limit of {bytes} bytes is too small with a user namespace or links")]
    TooLittleMemory {
        /// The limit.
        bytes: u64,
    },
    /// A system call of the launcher failed.
    #[error("{step}")]
    Call {
        /// The call and its operands.
        step: String,
        /// Why it failed.
        #[source]
        errno: Errno,
    },
    /// A file could not be read or written.
    #[error("{action} {path:?}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A limit needs a controller that no writable cgroup hierarchy has.
    #[error("no writable cgroup hierarchy has the controller {controller:?}: {why}")]
    NoController {
        /// The controller.
        controller: &'static str,
        /// What was found instead.
        why: String,
    },
    /// A resource with an invalid value, or one that this version of cgroups does not have.
    #[error("--{option}: {why}")]
    Resource {
        /// The option.
        option: &'static str,
        /// Why not.
        why: String,
    },
    /// More than the parent cgroup has.
    #[error("{file}={wanted} is more than the parent cgroup {above:?} has: {available}")]
    BeyondParent {
        /// The file with the limit.
        file: &'static str,
        /// The value that was to be written.
        wanted: String,
        /// The cgroup above.
        above: PathBuf,
        /// The value of the parent cgroup.
        available: String,
    },
    /// The kernel was built or started without a part of a controller.
    #[error("the cgroup controller {controller:?} of this kernel has no {file}")]
    NoCgroupFile {
        /// The controller.
        controller: &'static str,
        /// The file.
        file: &'static str,
    },
    /// The root directory is not a directory.
    #[error("the root {path:?} is not an accessible directory")]
    NoRoot {
        /// The directory.
        path: PathBuf,
        /// Why it cannot be entered.
        #[source]
        source: io::Error,
    },
    /// A string for the kernel contains a null byte.
    #[error("{text:?} has a null character inside, which no path or argument may have")]
    NulInside {
        /// The string.
        text: String,
    },
    /// A file that is not a namespace of that kind.
    #[error("{path:?} is not a {kind} namespace: give a file such as /proc/PID/ns/{kind}")]
    NotNamespace {
        /// The file.
        path: PathBuf,
        /// The kind of namespace.
        kind: &'static str,
    },
    /// A process whose namespace was to be joined.
    #[error("the process {pid}, whose namespace was to be joined, has ended")]
    ProcessEnded {
        /// Its number.
        pid: u32,
    },
    /// A limit of processes that the kernel does not have.
    #[error("unknown resource limit {name:?}: see getrlimit(2) for their names, such as nofile")]
    UnknownRlimit {
        /// The name.
        name: String,
    },
    /// A user or group by a name that the root does not know.
    #[error("unknown {kind} {name:?}: not in {file} of the root")]
    UnknownName {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The file that has the names.
        file: &'static str,
    },
    /// A number that is no id of a user or group.
    #[error("{word} is not an id of a user or group: they are 0 to 4294967294")]
    IdOutOfRange {
        /// The number.
        word: String,
    },
    /// More groups than a process can have.
    #[error("the user is in {groups} groups, and a process can be in 65536 (setgroups(2))")]
    TooManyGroups {
        /// How many.
        groups: usize,
    },
    /// A kernel setting that would change the host.
    #[error(
        "the sysctl {key:?} is not the container's own: with a net or ipc namespace of its own it may set those below net. and fs.mqueue., kernel.shm* and kernel.msg*"
    )]
    SharedSysctl {
        /// The setting.
        key: String,
    },
    /// An invalid destination of a mount.
    #[error("the mount destination {path:?} is not an absolute path below the root")]
    Destination {
        /// The path.
        path: PathBuf,
    },
    /// A directory of the host as standard input, output or error: every file can be reached from it.
    #[error("{stream} is a directory of the host, from which a container could reach every file")]
    OpenDirectory {
        /// Which of the three.
        stream: &'static str,
    },
    /// The state of a container could not be read.
    #[error("{path:?} is not the state of a container")]
    State {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A name for a cgroup that could lead elsewhere, or that `isolab clean` would not remove.
    #[error("invalid cgroup name {name:?}: it must begin with isolab- and have no slash")]
    CgroupName {
        /// The name.
        name: String,
    },
    /// A file of a cgroup that no hierarchy has.
    #[error("the cgroup controller {controller:?} is not available: {why}")]
    NoControllerFile {
        /// Its name.
        controller: String,
        /// What is missing.
        why: String,
    },
    /// A given cgroup in which something runs.
    #[error("the cgroup {path:?} is not empty: another container's processes are in it")]
    CgroupInUse {
        /// Its directory.
        path: PathBuf,
    },
    /// A hook that did not end with 0.
    #[error("the hook {path:?} did not succeed: {ended}")]
    HookFailed {
        /// The program.
        path: PathBuf,
        /// How it ended.
        ended: String,
    },
    /// The container was started before, or has ended.
    #[error("the container is not waiting to be started: it was already started, or has ended")]
    NotWaiting,
    /// An overlay without layers.
    #[error("an overlay needs at least one lower directory")]
    NoLowers,
    /// A mount whose files cannot have other owners.
    #[error("mount {path:?} with the owners that a user namespace has for its files")]
    IdMappedMount {
        /// What is mounted.
        path: PathBuf,
        /// Why it cannot be.
        #[source]
        errno: Errno,
    },
    /// An option that a mount cannot have.
    #[error("the mount at {path:?} cannot have the option {option:?}: {why}")]
    MountOption {
        /// Where it is mounted.
        path: PathBuf,
        /// The option.
        option: String,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// A directory that cannot be copied into a new tmpfs.
    #[error("copy what the root has at {path:?} into a new tmpfs: {why}")]
    CopyUp {
        /// Where it is mounted.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// An overlay of more layers than the kernel takes.
    #[error("an overlay has at most 500 lower directories, not {count}: merge some of them first")]
    TooManyLowers {
        /// How many there are.
        count: usize,
    },
    /// The ledger refused.
    #[error("record the container in the ledger")]
    Ledger(#[from] LedgerError),
    /// There is no running container of that name.
    #[error("there is no running container {name:?}: `isolab ps` lists them")]
    NotRunning {
        /// The name.
        name: String,
    },
    /// The ledger does not have what is needed to join a running container.
    #[error("the ledger has no state for a second process in the container {name:?}")]
    NoState {
        /// The name.
        name: String,
    },
    /// No free network was found for a pair of links.
    #[error(
        "no private network is free for the link to the container: this host has routes to {routes}"
    )]
    NoAddress {
        /// The routes that cover all of 10/8, 172.16/12, 192.168/16 and 100.64/10.
        routes: String,
    },
    /// An invalid host name.
    #[error(
        "{name:?} is not a host name: up to 64 letters, digits, dashes, dots and underscores, a letter or digit first"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// The host has no address that a container without a link to it could use.
    #[error("host-gateway is the host's end of a link, and this container has no link")]
    NoGateway,
    /// A port is to be published, but the container has no link to the host.
    #[error("publishing a port needs a link between the host and the container")]
    NoLinkForPorts,
    /// Links into bridges, but no network namespace to put them in.
    #[error("links into bridges need a new network namespace and the network `Bridge`")]
    NoNetworkForLinks,
    /// A link into a bridge that cannot be made.
    #[error("the link {name:?} cannot be made: {why}")]
    Link {
        /// Its name inside.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A link of the host has the name of a bridge, and is something else.
    #[error("the link {name} of the host is not a bridge")]
    NotBridge {
        /// Its name.
        name: String,
    },
    /// cgroup version 1 cannot express this device rule.
    #[error("cgroup version 1 cannot take the devices {rule:?} out of {wider:?}")]
    DeviceRule {
        /// The rule.
        rule: String,
        /// The rule before it.
        wider: String,
    },
    /// The kernel rejected the BPF program with the device rules.
    #[error("give the device rules to the kernel as a BPF program: {log}")]
    DeviceProgram {
        /// The message of its verifier.
        log: String,
        /// Why it refused.
        #[source]
        errno: Errno,
    },
    /// A rule of a seccomp profile looks at an argument that no system call has.
    #[error("the seccomp profile looks at argument {index} of {name}: arguments are 0 to 5")]
    SeccompArgument {
        /// The first call of the rule.
        name: String,
        /// The argument.
        index: u8,
    },
    /// A file that is not a seccomp profile.
    #[error("the seccomp profile cannot be used: {why}")]
    SeccompProfile {
        /// What is wrong with it.
        why: String,
    },
    /// A seccomp profile that is too long for the kernel.
    #[error("the seccomp profile takes {instructions} BPF instructions, and the kernel 4096")]
    SeccompTooLong {
        /// Its length, compiled.
        instructions: usize,
    },
    /// The kernel's answer on a netlink socket was not understood.
    #[error("unexpected answer from the kernel to the request to {request}")]
    Netlink {
        /// The request.
        request: &'static str,
    },
}

/// Turns a failed call of the launcher into its error.
pub(crate) fn call(step: impl Into<String>) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Call { step: step.into(), errno }
}

/// Turns a failed file operation into its error.
pub(crate) fn file(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { action, path: path.into(), source }
}

/// How to fix a root that changes while it is being set up.
const CHANGED: &str = "another mount is in the way, or a process is changing the root: do not \
                       change it while the container starts";

impl Error {
    fn errno(&self) -> Option<Errno> {
        match self {
            Self::Child { errno, .. }
            | Self::Call { errno, .. }
            | Self::DeviceProgram { errno, .. } => Some(*errno),
            Self::File { source, .. } => source.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    fn fix(&self) -> Option<String> {
        Some(
            match (self, self.errno()) {
                (Self::Child { step, .. }, Some(Errno::ELOOP | Errno::ENOTDIR))
                    if step.contains("within the root") =>
                {
                    "the root has a symbolic link or a file there; /proc, /sys and /dev must be \
                     directories of their own, and no path may lead out of the root or through /proc"
                }
                (Self::Child { step, .. }, Some(Errno::EINVAL | Errno::ENOTDIR))
                    if step.starts_with("move_mount onto") =>
                {
                    "a file can be mounted only on a file, and a directory only on a directory"
                }
                (Self::Refused { .. }, _) => CHANGED,
                (Self::Child { step, .. }, Some(Errno::EAGAIN))
                    if step.contains("within the root") =>
                {
                    CHANGED
                }
                (Self::UnknownName { kind, file, .. }, _) => {
                    return Some(format!(
                        "give the {kind} as a number, which need not be in the file, or add it to {file}"
                    ));
                }
                (Self::TooManyGroups { .. }, _) => "name the group too, as in --user NAME:GROUP",
                (Self::Child { step, .. } | Self::Call { step, .. }, Some(Errno::EACCES))
                    if step.contains("oom_score_adj") =>
                {
                    "lowering it needs CAP_SYS_RESOURCE on the host: run as root, or use at least the value \
                     in /proc/self/oom_score_adj"
                }
                (Self::Child { step, .. }, Some(Errno::EPERM))
                    if step.starts_with("sched_setattr") =>
                {
                    "real-time policies and negative nice values need CAP_SYS_NICE on the host, and where \
                     cgroup version 1 has cpu.rt_runtime_us, real-time policies a runtime there too"
                }
                (Self::BeyondParent { .. }, _) => {
                    "ask for less, or start isolab in a cgroup that has more"
                }
                (Self::NoCgroupFile { controller: "memory", .. }, _) => {
                    "start the kernel with swapaccount=1, or omit --memory-swap"
                }
                (Self::NoCgroupFile { .. }, _) => {
                    "omit the weight, or use an I/O scheduler with weights for the disk: \
                     modprobe bfq; echo bfq > /sys/block/DISK/queue/scheduler"
                }
                (Self::Call { step, .. }, Some(Errno::ENOSYS)) if step.starts_with("clone3") => {
                    "the container in which isolab runs denies this call: `isolab doctor` shows how to start it"
                }
                (Self::OpenDirectory { .. }, _) => "redirect a file, a pipe or /dev/null instead",
                (Self::NoController { .. } | Self::NoControllerFile { .. }, _) => {
                    "omit the limit, run as root, or run below a delegated cgroup: \
                 systemd-run --user --scope -p Delegate=yes isolab ..."
                }
                (
                    Self::Child { .. } | Self::Call { .. } | Self::DeviceProgram { .. },
                    Some(Errno::EPERM | Errno::EACCES),
                ) => "run as root, or see `isolab doctor` for what this host lets a user do",
                (Self::Child { .. } | Self::Call { .. }, Some(Errno::EMFILE)) => {
                    "raise the limit of open files, for example: ulimit -n 256"
                }
                (Self::File { source, .. }, _)
                    if source.raw_os_error() == Some(Errno::EFBIG as i32) =>
                {
                    "raise the limit of file sizes, which isolab is not allowed to: ulimit -f unlimited"
                }
                (Self::Ledger(error), _) if error.is_too_large() => {
                    "raise the limit of file sizes, which isolab is not allowed to: ulimit -f unlimited"
                }
                (Self::NoState { .. }, _) => {
                    "it was started under a low limit of file sizes: start it with ulimit -f unlimited"
                }
                (Self::Call { .. }, Some(Errno::ENOSPC)) => {
                    "a limit of namespaces is reached: see /proc/sys/user/max_*_namespaces"
                }
                (Self::IdMappedMount { .. }, _) => {
                    "its file system, or one mounted below it, does not map ids on this kernel \
                     (mount_setattr(2), NOTES): omit --userns auto, or mount it without those below it: \
                     --mount type=bind,..,bind-recursive=disabled"
                }
                (Self::NoRoot { .. }, _) => "give an existing directory with the program in it",
                (Self::Child { .. }, Some(Errno::ENOMEM)) => "raise --memory",
                (Self::TooLittleMemory { .. }, _) => "use at least --memory 4M",
                (Self::KilledInside { .. }, _) => "raise --memory",
                (Self::DeviceRule { .. }, _) => {
                    "list the allowed devices instead, or use a host with cgroup version 2"
                }
                (Self::NoAddress { .. }, _) => {
                    "use --network none or host, or disconnect the VPN with these routes (`ip route`)"
                }
                (Self::NoGateway | Self::NoLinkForPorts, _) => "use --network veth",
                (Self::SeccompTooLong { .. }, _) => "give the profile fewer rules with arguments",
                _ => return None,
            }
            .to_owned(),
        )
    }
}

impl From<Error> for sandbox::Error {
    fn from(error: Error) -> Self {
        let fix = error.fix();
        Self::Failed { sandbox: NAME, source: Box::new(error), fix, written: Written::default() }
    }
}
