//! A bundle as a microVM: its program runs on a Linux kernel of its own.
//!
//! ```text
//!   containerd ── create ──> monitor: the pod's cgroup and network namespace
//!                               └─ /dev/kvm: kernel, memory, a root made of the bundle's root
//!                                    └─ the program, as the configuration's user
//! ```
//!
//! The process that the engine sees is the monitor. A signal for it is passed on to the program, its
//! exit code is the program's, its streams are the program's. What of the configuration is about a
//! shared kernel (namespaces inside, capabilities, seccomp, masked paths) the guest's own kernel takes
//! the place of; what a guest cannot have is refused.

mod cable;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use container::{
    Namespace, Network, Spec,
    privileges::{Capabilities, CapabilitySet},
    seccomp::Seccomp,
};
use microvm::{
    HeldSignals, LinuxVm,
    cell::{self, Role, Walls},
    kernels,
    linux::{self, GuestRoot, GuestUser, Share},
    monitor_request,
};
use sandbox::{Limits, Program, Sandbox as _, Stdio, Trace, Workload};

use crate::{
    bundle::Bundle,
    config::{Config, Process},
    error::{Error, Result, file, property},
    record::Record,
    systemd::Unit,
    translate,
};

/// The annotation that asks for one.
const ANNOTATION: &str = "org.isolab.sandbox";
/// The name of the program that makes nothing else.
const NAME: &str = "isolab-vm";
/// No file of names is longer.
const LONGEST: u64 = 1 << 20;
/// A guest that is not up by then never will be.
const START_UP: Duration = Duration::from_secs(120);

/// Whether the bundle is to be a microVM: by the name that this program was called by, or by its
/// annotation.
pub(crate) fn is_asked_for(annotations: &BTreeMap<String, String>) -> Result<bool> {
    match annotations.get(ANNOTATION).map(String::as_str) {
        Some("microvm") => return Ok(true),
        Some("container") => return Ok(false),
        Some(other) => {
            let why = format!("{other:?} is neither container nor microvm");
            return Err(property(format!("annotations.{ANNOTATION}"), why));
        }
        None => {}
    }
    // What holds the namespaces of a pod is no program of the user's: its machine would take the
    // network from those that are.
    let kinds = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
    if kinds.iter().any(|kind| annotations.get(*kind).is_some_and(|it| it == "sandbox")) {
        return Ok(false);
    }
    let called = env::args_os().next().unwrap_or_default();
    Ok(Path::new(&called).file_name().is_some_and(|name| name == NAME))
}

/// Checks that this host can run Linux guests.
pub(crate) fn available() -> Result<()> {
    linux::available().map_err(|error| {
        let mut why = sandbox::chain_with_help(&error, error.fix());
        why += "; without the annotation, or as isolab-oci, the bundle runs as a container";
        Error::NoMachine { why }
    })
}

/// The monitor as a container without walls of its own: it makes itself a cell before the guest runs.
pub(crate) fn monitor_spec(
    bundle: &Bundle,
    id: &str,
    directory: &Path,
    unit: Option<&Unit>,
) -> Result<Spec> {
    let config = &bundle.config;
    check(config)?;
    let mut spec = translate::spec(bundle, id, unit)?;
    let own = Spec::default();
    let net = match &spec.boundary.namespaces.net {
        // The guest has a network of its own; the monitor needs none.
        Namespace::New | Namespace::Shared => Namespace::Shared,
        joined => joined.clone(),
    };
    spec.boundary.namespaces = container::Namespaces { net, ..container::Namespaces::shared() };
    (spec.boundary.hostname, spec.boundary.domainname) = (None, None);
    spec.inside = own.inside;
    // The machine is the limit: it has no more memory than it was given.
    spec.budget.cgroup_files.retain(|file| !file.name.starts_with("memory."));
    spec.budget.devices.clear();
    let all = CapabilitySet(u64::MAX);
    spec.power = container::spec::Power {
        capabilities: Capabilities {
            bounding: all,
            effective: all,
            permitted: all,
            ..Capabilities::default()
        },
        seccomp: Seccomp::Unconfined,
        no_new_privileges: false,
        oom_score_adj: spec.power.oom_score_adj,
        ..own.power
    };
    let mut words = own_words()?;
    words.extend(["monitor".into(), directory.into()]);
    spec.way_out.program = Program::Command(words);
    spec.way_out.environment = env::vars_os().collect();
    spec.way_out.directory = "/".into();
    spec.way_out.network = Network::Host;
    Ok(spec)
}

/// How this program is called from another process: alone, or as a part of `isolab`.
pub(crate) fn own_words() -> Result<Vec<OsString>> {
    let program = env::current_exe().map_err(file("find", "/proc/self/exe"))?;
    let is_part = program.file_name().is_some_and(|name| name == "isolab");
    let mut words = vec![program.into_os_string()];
    words.extend(is_part.then(|| "oci".into()));
    Ok(words)
}

/// What a guest cannot have.
fn check(config: &Config) -> Result<()> {
    let process = config.process.as_ref().ok_or_else(|| property("process", "it is missing"))?;
    translate::words(process)?;
    // Those of a pod for System V IPC and the host name have the guest's own in their place.
    for kind in ["pid", "mount", "user"] {
        if joins(config, kind) {
            let why = format!("a microVM has a kernel of its own and joins no {kind} namespace");
            return Err(property("linux.namespaces", why));
        }
    }
    if !config.hooks.create_container.is_empty() || !config.hooks.start_container.is_empty() {
        return Err(property("hooks", "a microVM runs no hooks inside"));
    }
    Ok(())
}

/// Whether the configuration names an existing namespace of that kind.
fn joins(config: &Config, kind: &str) -> bool {
    config.linux.namespaces.iter().any(|entry| {
        entry.kind == kind && entry.path.as_ref().is_some_and(|path| !path.as_os_str().is_empty())
    })
}

/// The first process: boots the guest, and waits for the end of its program.
pub(crate) fn monitor(directory: &Path) -> Result<u8> {
    let _ = nix::sys::prctl::set_name(c"isolab-microvm");
    let held = HeldSignals::hold().map_err(file("hold the signals of", "/proc/self"))?;
    let record = Record::load(directory)?;
    let bundle = Bundle::of_copy(directory, record.bundle)?;
    let opened = File::open(directory).map_err(file("open", directory))?;
    // Nobody else may enter the directory.
    let listener = UnixListener::bind(socket_in(&opened));
    let listener = listener.map_err(file("listen in", directory))?;
    let (machine, workload) = machine(&bundle)?;
    let machine = LinuxVm { control: Some(Arc::new(listener)), ..machine };
    // While this process has one thread.
    cell::enter_process(&machine.limits, Walls::All, &mut Trace::default())
        .map_err(sandbox::Error::from)?;
    let instance = machine.spawn(&workload)?;
    let has_terminal = workload.stdio == Stdio::Terminal;
    held.pass_on(instance.control(), has_terminal)
        .map_err(file("start a thread of", "/proc/self"))?;
    cell::enter(Role::Monitor, &mut Trace::default()).map_err(sandbox::Error::from)?;
    Ok(instance.wait()?.status.code())
}

/// The machine, and what runs in it.
fn machine(bundle: &Bundle) -> Result<(LinuxVm, Workload)> {
    let config = &bundle.config;
    let process = config.process.as_ref().ok_or_else(|| property("process", "it is missing"))?;
    let kernel =
        kernels::chosen().map_err(|error| Error::NoMachine { why: sandbox::chain(&error) })?;
    let machine = LinuxVm {
        limits: limits(config),
        root: GuestRoot::Directory(bundle.rootfs()?),
        user: user(process),
        shares: shares(bundle)?,
        hostname: config.hostname.clone().unwrap_or_default(),
        etc: files_of_etc(bundle)?,
        network: if joins(config, "network") { cable::card()? } else { None },
        start_up: Some(START_UP),
        ..LinuxVm::of(&kernel)
    };
    let mut workload = Workload::command(translate::words(process)?);
    workload.environment = translate::environment(process);
    workload.directory = Some(process.cwd.clone()).filter(|path| path != Path::new("/"));
    let stdio = if process.terminal { Stdio::Terminal } else { Stdio::Inherit };
    Ok((machine, workload.stdio(stdio)))
}

fn user(process: &Process) -> GuestUser {
    let user = &process.user;
    GuestUser { uid: user.uid, gid: user.gid, groups: user.additional_gids.clone() }
}

/// Memory, and as many processors as the quota can keep busy.
fn limits(config: &Config) -> Limits {
    let resources = config.linux.resources.clone().unwrap_or_default();
    let limit = resources.memory.and_then(|memory| memory.limit).filter(|limit| *limit > 0);
    let cpu = resources.cpu.unwrap_or_default();
    let quota = cpu.quota.filter(|quota| *quota > 0);
    let vcpus = quota.map(|quota| {
        let period = cpu.period.filter(|period| *period > 0).unwrap_or(100_000);
        (quota as u64).div_ceil(period).clamp(1, 255) as u32
    });
    Limits { memory_bytes: limit.map(i64::unsigned_abs), vcpus, ..Limits::default() }
}

/// Engines write names and name servers into files beside the bundle, and bind them into `/etc`: the
/// guest gets a copy.
fn files_of_etc(bundle: &Bundle) -> Result<Vec<(&'static str, String)>> {
    const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];
    let mut files = Vec::new();
    for mount in bundle.config.mounts.iter().filter(|mount| mount.is_bind()) {
        let name = mount.destination.strip_prefix("/etc").ok().and_then(Path::to_str);
        let Some(name) = FILES.into_iter().find(|file| Some(*file) == name) else { continue };
        let source = bundle.path(mount.source.as_deref().unwrap_or(Path::new("")));
        let mut text = String::new();
        let opened = File::open(&source).and_then(|it| it.take(LONGEST).read_to_string(&mut text));
        opened.map_err(file("read", &source))?;
        files.push((name, text));
    }
    Ok(files)
}

/// Bind mounts are directories of the host's that the guest reads; the kernel's own file systems it
/// mounts itself.
fn shares(bundle: &Bundle) -> Result<Vec<Share>> {
    let mut shares = Vec::new();
    for (number, mount) in bundle.config.mounts.iter().enumerate() {
        let own = ["/dev", "/sys", "/proc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
        let is_own = own.iter().any(|place| mount.destination.starts_with(place));
        let Some(source) = mount.source.as_ref().filter(|_| mount.is_bind() && !is_own) else {
            continue;
        };
        let source: PathBuf = bundle.path(source);
        let refused = |why: &str| Err(property(format!("mounts[{number}]"), why));
        if !source.is_dir() {
            return refused("a microVM is given directories of the host, and no files");
        }
        if !mount.options.iter().any(|it| it == "ro" || it == "rro") {
            return refused(
                "a microVM reads the host's directories and does not write to them; add `ro`",
            );
        }
        shares.push(Share {
            source,
            target: mount.destination.clone(),
            with_mounts: true,
            options: vec!["nosuid", "nodev"],
        });
    }
    Ok(shares)
}

/// Asks the monitor of a running guest for `exec`, `pause` or `resume`; gives the connection, on which after
/// `exec` a session follows.
pub(crate) fn ask(directory: &Path, request: &str) -> Result<UnixStream> {
    let opened = File::open(directory).map_err(file("open", directory))?;
    let connected = UnixStream::connect(socket_in(&opened));
    let stream = connected.map_err(file("connect to the monitor in", directory))?;
    let answer = monitor_request::ask(&stream, request, &[]);
    let answer = answer.map_err(file("ask the monitor in", directory))?;
    match answer["error"].as_str() {
        None => Ok(stream),
        Some(why) => Err(file("ask the monitor in", directory)(io::Error::other(why.to_owned()))),
    }
}

/// Where the monitor listens, below the open directory of the state: the path of a socket has at most
/// 107 bytes (unix(7)), and that of the directory may be longer.
fn socket_in(directory: &File) -> PathBuf {
    format!("/proc/self/fd/{}/control.socket", directory.as_raw_fd()).into()
}
