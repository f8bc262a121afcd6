//! Process 1 of the program's host: it starts the program, buries what that leaves, and answers the
//! check.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
};

use container::netlink::{Link, Netlink};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns},
    sys::{
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, gethostname, sethostname},
};
use rustix::process::set_parent_process_death_signal;

use super::{
    ORDINARY, Orders, PROGRAM, at,
    words::{Asked, Line, Said, say},
};

/// Process 1 of the program's host. It does not come back.
pub(super) fn init(orders: &Orders, line: &Line, asked: BufReader<UnixStream>) -> ! {
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
    // The threads are there before the program: one that forks without end leaves room for none.
    let started = Arc::new(OnceLock::new());
    let (words, heard, is_started) = (ours.try_clone()?, line.clone(), Arc::clone(&started));
    let listener = std::thread::Builder::new().spawn(move || {
        // What it says is told after its number.
        is_started.wait();
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
    })?;
    let (heard, is_started) = (line.clone(), Arc::clone(&started));
    let control = ours.try_clone()?;
    std::thread::Builder::new().spawn(move || {
        let (line, pid): (_, u32) = (heard, *is_started.wait());
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
    })?;
    let pid = command.spawn().map_err(at("start the program"))?.id();
    // The kernel takes it first when memory is short; its children inherit that.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "1000");
    say(line, &Said::Started(pid))?;
    let _ = started.set(pid);
    Ok(ours)
}
