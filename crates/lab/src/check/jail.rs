//! A host of its own for the student's program, so that this one is not harmed, whatever it does.
//!
//! ```text
//!   check      judges; a process of the real host, which the program cannot see
//!    `- warden   makes every mount read-only, then enters new namespaces: user, mount, uts, ipc,
//!        |       net, pid; everything below is in them
//!        `- init   process 1 there; starts the program, buries what it leaves, answers the check
//!            `- the student's program, root of a host that consists of namespaces
//! ```
//!
//! Mounts are made read-only *before* the user namespace, so root inside may not undo it
//! (mount_namespaces(7): such mounts are locked). Its ids are nobody's outside. When the check ends,
//! however it ends, init reads the end of its input and leaves, and the kernel takes away all that
//! was inside: processes, mounts, links, segments. Only cgroups outlive it; they are in the ledger.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Mutex},
};

use container::netlink::{Link, Netlink};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::{
        resource::{Resource, setrlimit},
        signal::{Signal, kill},
        stat::{Mode, SFlag, makedev, mknod},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Pid, Uid, fork, gethostname, sethostname, setresgid, setresuid},
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::kernel::Process;

/// What a program needs of its host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Setup {
    /// Its arguments: `name=value`.
    pub arguments: Vec<String>,
    /// Whether it is an ordinary user, number 1000, and not root of its host.
    pub ordinary: bool,
    /// Whether it may make cgroups, with limits of CPU, memory and processes.
    pub cgroups: bool,
    /// Whether it needs `/dev/kvm`.
    pub kvm: bool,
    /// Whether it may ask to be served in real time (sched(7)).
    pub realtime: bool,
    /// Programs of the host that it may start; no others, but itself.
    pub allowed: Vec<PathBuf>,
}

impl Setup {
    /// Root of its host.
    pub fn root() -> Self {
        Self::default()
    }

    /// An ordinary user of its host.
    pub fn ordinary() -> Self {
        Self { ordinary: true, ..Self::default() }
    }

    /// With an argument.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arguments.push(format!("{name}={value}"));
        self
    }

    /// With `/dev/kvm`.
    #[must_use]
    pub fn with_kvm(self) -> Self {
        Self { kvm: true, ..self }
    }

    /// With cgroups of its own.
    #[must_use]
    pub fn with_cgroups(self) -> Self {
        Self { cgroups: true, ..self }
    }

    /// With real-time scheduling.
    #[must_use]
    pub fn with_realtime(self) -> Self {
        Self { realtime: true, ..self }
    }

    /// Allowed to start a program of the host.
    #[must_use]
    pub fn allowing(mut self, program: impl Into<PathBuf>) -> Self {
        self.allowed.push(program.into());
        self
    }
}

/// What the check tells the warden.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) setup: Setup,
    pub(super) program: PathBuf,
    pub(super) host_name: String,
    /// Whether the real host's root asks: then ids are mapped to nobody's.
    pub(super) root: bool,
    /// Whether the warden that is not root has entered its first user namespace already.
    #[serde(default)]
    pub(super) entered: bool,
    /// Files into which 0 is written to join a cgroup.
    pub(super) join: Vec<PathBuf>,
    /// Directories that stay writable.
    pub(super) writable: Vec<PathBuf>,
}

/// Where the student's program is, inside.
pub(super) const PROGRAM: &str = "/run/lab/program";
/// The ids that root of the real host gives to the ones inside.
pub(super) const FIRST_ID: u32 = 100_000;
const IDS: u32 = 65_536;
/// An ordinary user's number.
const ORDINARY: u32 = 1000;
/// What one program may have at most; a lab needs a fraction of it.
pub(super) const PROCESSES: u64 = 256;
/// The same of memory, with the program's own virtual machines in it.
pub(super) const MEMORY_BYTES: u64 = 1 << 30;

fn at<E: std::fmt::Display>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("{step}: {error}"))
}

/// The warden's and init's whole life.
pub(super) fn warden(orders: &str) -> ExitCode {
    let told = serde_json::from_str(orders).map_err(io::Error::from);
    match told.and_then(|orders: Orders| lock_up(&orders)) {
        Ok(code) => code,
        Err(error) => {
            // The check reads this line where it waits for init to be ready.
            let _ = say(&Line::output(), &Said::Lacking(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// The line to the check: the warden's standard input, a socket.
#[derive(Clone)]
struct Line(Arc<Mutex<UnixStream>>);

impl Line {
    fn output() -> Self {
        let own = io::stdin().as_fd().try_clone_to_owned();
        let own = own.expect("a check starts a warden with a socket as its standard input");
        Self(Arc::new(Mutex::new(UnixStream::from(own))))
    }
}

/// What init says to the check.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// The warden waits for its ids to be mapped, to what the check writes in its place.
    MapMe,
    /// The host is there.
    Ready,
    /// It could not be made.
    Lacking(String),
    /// The program has this number inside.
    Started(u32),
    /// A line of the program's.
    Word(String),
    /// How the program ended: an exit code, or 128 and a signal.
    Ended(String),
    /// An answer to a question.
    Answer(Result<String, String>),
}

/// What the check asks of init.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// Go on; the ids are mapped.
    Mapped,
    /// Start the program.
    Start,
    /// Pass a line on to it.
    Tell(String),
    /// The host name in the namespace of the process with that number inside.
    HostName(u32),
    /// The content of a file, as seen in the network namespace of that process.
    NetworkFile(u32, String),
    /// Index, flags and other end of a link of that process's network namespace; nothing when there
    /// is no such link.
    Link(u32, String),
    /// Whether this kernel has veth.
    Veth,
    /// Send a datagram to an address from the network namespace of that process.
    Datagram(u32, SocketAddr, String),
    /// The number of System V segments in the IPC namespace of that process.
    Segments(u32),
    /// End a process inside, and all that it has started.
    Kill(u32),
}

fn say(line: &Line, said: &Said) -> io::Result<()> {
    let mut text = serde_json::to_vec(said)?;
    text.push(b'\n');
    line.0.lock().map_err(|_| io::ErrorKind::BrokenPipe)?.write_all(&text)
}

fn lock_up(orders: &Orders) -> io::Result<ExitCode> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    for file in orders.join.iter().filter(|_| !orders.entered) {
        fs::write(file, "0").map_err(at(format!("join {}", file.display())))?;
    }
    let line = Line::output();
    let mut asked = BufReader::new(io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)?);
    if orders.root {
        unshare(CloneFlags::CLONE_NEWNS).map_err(at("unshare mount"))?;
    } else if !orders.entered {
        // Not root: a first user namespace, so that mounts can be changed at all. It is executed
        // anew there: the memory of a process belongs to the namespace in which it was executed.
        let (user, group) = (Uid::current(), Gid::current());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .map_err(at("unshare user and mount"))?;
        map_own_ids(user.as_raw(), group.as_raw(), 0)?;
        let orders = serde_json::to_string(&Orders { entered: true, ..orders.clone() })?;
        return Err(Command::new("/proc/self/exe").args(["--warden", &orders]).exec());
    }
    furnish(orders)?;
    limit(orders)?;

    // From here on root is root of nothing but what follows.
    unshare(CloneFlags::CLONE_NEWUSER).map_err(at("unshare user"))?;
    if orders.root {
        say(&line, &Said::MapMe)?;
        let mut mapped = String::new();
        asked.read_line(&mut mapped)?;
        let root = (Uid::from_raw(0), Gid::from_raw(0));
        setresgid(root.1, root.1, root.1).map_err(at("setresgid 0"))?;
        setresuid(root.0, root.0, root.0).map_err(at("setresuid 0"))?;
    } else {
        map_own_ids(0, 0, if orders.setup.ordinary { ORDINARY } else { 0 })?;
    }
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID;
    unshare(all).map_err(at("unshare mount, uts, ipc, net and pid"))?;
    // The child does not execute anything: it keeps this memory, which belongs to a namespace that
    // root inside, the student, is not root of. So the student may neither look into it nor trace
    // it (ptrace(2), "access mode checking").
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    #[expect(unsafe_code, reason = "nix marks fork as unsafe for programs with threads")]
    match unsafe { fork() }.map_err(at("fork"))? {
        ForkResult::Child => init(orders, &line, asked),
        ForkResult::Parent { child } => {
            drop(line);
            drop(asked);
            loop {
                match waitpid(child, None) {
                    Err(nix::errno::Errno::EINTR) => {}
                    Ok(WaitStatus::Exited(_, 0)) => return Ok(ExitCode::SUCCESS),
                    _ => return Ok(ExitCode::FAILURE),
                }
            }
        }
    }
}

/// Maps the one id that this process has outside to `inside` (user_namespaces(7)).
fn map_own_ids(user: u32, group: u32, inside: u32) -> io::Result<()> {
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{inside} {user} 1")),
        ("gid_map", format!("{inside} {group} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), text).map_err(at(format!("write {file}")))?;
    }
    Ok(())
}

/// The maps that the check writes for a warden whom root has started.
pub(super) fn map_ids(warden: Process) -> io::Result<()> {
    let map = format!("0 {FIRST_ID} {IDS}");
    fs::write(warden.path("uid_map"), &map).map_err(at("write uid_map"))?;
    fs::write(warden.path("gid_map"), &map).map_err(at("write gid_map"))
}

/// Makes the file systems: all of the real host's read-only, fresh ones where a program writes.
fn furnish(orders: &Orders) -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(at("make mounts private"))?;
    for directory in &orders.writable {
        mount(Some(directory), directory, none, MsFlags::MS_BIND, none)
            .map_err(at(format!("bind {}", directory.display())))?;
    }
    let own = Process { pid: std::process::id() };
    for point in own.mounts()? {
        // procfs and sysfs are guarded by their own permissions, and a read-only one could not be
        // mounted anew inside.
        let kernels =
            ["/proc", "/sys"].iter().any(|part| Path::new(&point.point).starts_with(part));
        let cgroups = point.kind.starts_with("cgroup");
        let kept = orders.writable.iter().any(|kept| kept == Path::new(&point.point));
        if kept || (kernels && !cgroups) {
            continue;
        }
        read_only(&point)?;
    }
    // It may lie below one of the directories that are about to be covered.
    let program =
        fs::read(&orders.program).map_err(at(format!("read {}", orders.program.display())))?;
    // Kept from what the host's services put there, sockets above all.
    for directory in ["/tmp", "/run", "/dev/shm", "/var/tmp"] {
        if !Path::new(directory).is_dir() {
            continue;
        }
        let flags = MsFlags::MS_NOSUID;
        mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some("mode=1777,size=256m"))
            .map_err(at(format!("mount a tmpfs on {directory}")))?;
    }
    if orders.setup.kvm {
        offer_kvm(orders.root)?;
    }
    fs::create_dir("/run/lab").map_err(at("create /run/lab"))?;
    fs::write(PROGRAM, program).map_err(at(format!("write {PROGRAM}")))?;
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Remounts `point` read-only with the flags that it has.
fn read_only(point: &super::kernel::Mount) -> io::Result<()> {
    let options = point.line.split(' ').nth(5).unwrap_or_default();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    for option in options.split(',') {
        flags |= match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    let path = point.point.replace("\\040", " ");
    let done = mount(None::<&str>, &*path, None::<&str>, flags, None::<&str>);
    match done {
        // Covered by another mount, or out of reach: then nobody inside reaches it either.
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT | nix::errno::Errno::EACCES) => {
            Ok(())
        }
        done => done.map_err(at(format!("make {path} read-only"))),
    }
}

/// `/dev/kvm` for the program's user, who is nobody to the real one's permissions.
fn offer_kvm(root: bool) -> io::Result<()> {
    let real = fs::metadata("/dev/kvm").map_err(at("look at /dev/kvm"))?;
    if !root || real.permissions().mode() & 0o006 == 0o006 {
        return Ok(());
    }
    let number = std::os::unix::fs::MetadataExt::rdev(&real);
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    // In a file system that nobody finds afterwards, and not removed from it: what is open would be
    // called "/dev/kvm (deleted)" in /proc/PID/fd.
    let place = "/dev/shm";
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID, None::<&str>)
        .map_err(at("mount a tmpfs for /dev/kvm"))?;
    let node = "/dev/shm/kvm";
    let mode = Mode::from_bits_truncate(0o666);
    mknod(node, SFlag::S_IFCHR, mode, makedev(major, minor)).map_err(at("mknod for /dev/kvm"))?;
    fs::set_permissions(node, fs::Permissions::from_mode(0o666))?;
    mount(Some(node), "/dev/kvm", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(at("bind /dev/kvm"))?;
    umount2(place, MntFlags::MNT_DETACH).map_err(at("hide the tmpfs for /dev/kvm"))
}

/// Limits that hold without a cgroup too.
fn limit(orders: &Orders) -> io::Result<()> {
    if orders.setup.realtime {
        setrlimit(Resource::RLIMIT_RTPRIO, 1, 1)
            .map_err(at("allow real-time scheduling, which takes root,"))?;
    }
    // Addresses are not memory; where no cgroup counts memory, they have to stand for it.
    let address_space = if orders.join.is_empty() { 2 } else { 8 } * MEMORY_BYTES;
    setrlimit(Resource::RLIMIT_AS, address_space, address_space).map_err(at("limit memory"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(at("limit core files"))?;
    let most = 4 * PROCESSES;
    setrlimit(Resource::RLIMIT_NPROC, most, most).map_err(at("limit processes"))
}

/// Process 1 of the program's host. It does not come back.
fn init(orders: &Orders, line: &Line, asked: BufReader<UnixStream>) -> ! {
    let done = settle(orders).and_then(|()| serve(orders, line, asked));
    if let Err(error) = done {
        let _ = say(line, &Said::Lacking(error.to_string()));
    }
    // Process 1 ends, and with it everybody in its namespace.
    std::process::exit(0)
}

fn settle(orders: &Orders) -> io::Result<()> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let none = None::<&str>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).map_err(at("mount proc"))?;
    // As systemd leaves them: what is mounted in a namespace made from here shows up here, unless
    // the program sees to it that it does not.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)
        .map_err(at("make mounts shared"))?;
    sethostname(&orders.host_name).map_err(at("sethostname"))?;
    std::env::set_current_dir("/tmp").map_err(at("enter /tmp"))
}

/// Answers the check until it is gone.
fn serve(orders: &Orders, line: &Line, asked: BufReader<UnixStream>) -> io::Result<()> {
    let mut program = None;
    say(line, &Said::Ready)?;
    for words in asked.lines() {
        let Ok(asked) = serde_json::from_str(&words?) else { continue };
        let answer = match asked {
            Asked::Mapped => continue,
            Asked::Start => {
                program = Some(start(orders, line)?);
                continue;
            }
            Asked::Tell(words) => {
                if let Some(program) = &program {
                    // It may be gone already; that is told by the one who buries it.
                    let _ = writeln!(&*program, "{words}");
                }
                continue;
            }
            Asked::Kill(pid) => {
                let done = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                done.map(|()| String::new()).map_err(io::Error::from)
            }
            Asked::HostName(pid) => within(pid, "uts", CloneFlags::CLONE_NEWUTS, || {
                Ok(gethostname()?.to_string_lossy().into_owned())
            }),
            Asked::NetworkFile(pid, file) => {
                within(pid, "net", CloneFlags::CLONE_NEWNET, move || {
                    // /proc/net is that of the thread that reads it, which is not the process's first.
                    let file = file.replace("/proc/net", "/proc/thread-self/net");
                    fs::read_to_string(file)
                })
            }
            Asked::Link(pid, name) => {
                within(pid, "net", CloneFlags::CLONE_NEWNET, move || link(&name))
            }
            Asked::Veth => Ok(has_veth().to_string()),
            Asked::Datagram(pid, to, text) => {
                within(pid, "net", CloneFlags::CLONE_NEWNET, move || {
                    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                    socket.send_to(text.as_bytes(), to).map(|_| String::new())
                })
            }
            Asked::Segments(pid) => within(pid, "ipc", CloneFlags::CLONE_NEWIPC, || {
                let table = fs::read_to_string("/proc/sysvipc/shm")?;
                Ok(table.lines().skip(1).count().to_string())
            }),
        };
        say(line, &Said::Answer(answer.map_err(|error| error.to_string())))?;
    }
    Ok(())
}

fn link(name: &str) -> io::Result<String> {
    match Netlink::open().and_then(|mut netlink| netlink.link(name)) {
        Ok(Link { index, flags, other }) => Ok(format!("{index} {flags} {other}")),
        Err(container::Error::Call { errno: nix::errno::Errno::ENODEV, .. }) => Ok(String::new()),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn has_veth() -> bool {
    let (name, peer, own) = ("probe0", "probe1", std::process::id().cast_signed());
    let made = Netlink::open().and_then(|mut netlink| {
        netlink.create_veth(name, peer, own)?;
        netlink.delete(name)
    });
    made.is_ok()
}

/// Does something in a namespace of the process `pid`, in a thread that enters it (setns(2)).
fn within(
    pid: u32,
    kind: &str,
    flag: CloneFlags,
    look: impl FnOnce() -> io::Result<String> + Send + 'static,
) -> io::Result<String> {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/{kind}"))?;
    let thread = std::thread::Builder::new().spawn(move || {
        setns(namespace.as_fd(), flag)?;
        look()
    })?;
    thread.join().map_err(|_| io::Error::other("the thread that looked panicked"))?
}

/// Starts the program; gives the line to it.
fn start(orders: &Orders, line: &Line) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(PROGRAM);
    command.args(&orders.setup.arguments);
    // Nothing is found by its name alone.
    command.env_clear().env("PATH", "").env("RUST_BACKTRACE", "0").current_dir("/tmp");
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    if orders.setup.ordinary && orders.root {
        command.uid(ORDINARY).gid(ORDINARY);
    }
    let program = command.spawn().map_err(at("start the program"))?;
    let pid = program.id();
    // The kernel takes it first when memory is short; its children inherit that.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "1000");
    say(line, &Said::Started(pid))?;
    let (words, heard) = (ours.try_clone()?, line.clone());
    let listener = std::thread::spawn(move || {
        // A line of a length without end is cut where nobody would read on.
        let mut words = BufReader::new(words);
        loop {
            let mut word = Vec::new();
            match (&mut words).take(4096).read_until(b'\n', &mut word) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let word = String::from_utf8_lossy(&word).trim_end().to_owned();
            if say(&heard, &Said::Word(word)).is_err() {
                break;
            }
        }
    });
    let line = line.clone();
    let control = ours.try_clone()?;
    std::thread::spawn(move || {
        // Process 1 buries everybody whose parent is gone, and this program.
        loop {
            let status = match waitpid(None, None) {
                Ok(status) => status,
                Err(nix::errno::Errno::EINTR) => continue,
                // Nobody is there now; an orphan may yet come.
                Err(_) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    continue;
                }
            };
            let (ended, how) = match status {
                WaitStatus::Exited(pid, code) => (pid, format!("exit code {code}")),
                WaitStatus::Signaled(pid, signal, _) => (pid, signal.as_str().to_owned()),
                _ => continue,
            };
            if ended.as_raw() == pid.cast_signed() {
                // What it said before is told first, unless its children hold the line.
                let _ = control.shutdown(std::net::Shutdown::Write);
                for _ in 0..50 {
                    if listener.is_finished() {
                        break;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                if say(&line, &Said::Ended(how)).is_err() {
                    break;
                }
            }
        }
    });
    Ok(ours)
}
