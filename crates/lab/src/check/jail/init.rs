//! Process 1 of the program's host: it starts the program, buries what that leaves, and answers the
//! check.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
};

use container::netlink::Netlink;
use nix::{
    mount::{MsFlags, mount},
    sys::{
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, sethostname},
};
use rustix::process::set_parent_process_death_signal;

use super::{
    ORDINARY, ORDINARY_GROUP, Orders, PROGRAM, Setup, at, filter,
    look::{Proc, has_veth},
    messages::{InitMessage, InitRequest, Line, say},
    power::bound_to,
    root,
};

/// The index of `lo`, the first link of every network namespace.
const LOOPBACK: i32 = 1;

/// Process 1 of the program's host. It does not come back.
pub(super) fn init(
    orders: &Orders,
    program: &[u8],
    line: &Line,
    asked: BufReader<UnixStream>,
) -> ! {
    let done = settle(orders, program).and_then(|()| serve(orders, line, asked));
    if let Err(error) = done {
        let _ = say(line, &InitMessage::SetupFailed(error.to_string()));
    }
    // Process 1 ends, and with it everybody in its namespace.
    std::process::exit(0)
}

fn settle(orders: &Orders, program: &[u8]) -> io::Result<()> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let none = None::<&str>;
    root::enter(orders, program)?;
    // As systemd leaves them: what is mounted in a namespace made from here shows up here, unless
    // the program sees to it that it does not.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)
        .map_err(at("make mounts shared"))?;
    sethostname(&orders.host_name).map_err(at("sethostname"))?;
    if orders.setup.loopback {
        let raised = Netlink::open().and_then(|mut links| links.set_up(LOOPBACK));
        raised
            .map_err(|error| io::Error::other(format!("set lo up: {}", sandbox::chain(&error))))?;
    }
    std::env::set_current_dir("/tmp").map_err(at("enter /tmp"))
}

/// Answers the check until it is gone.
fn serve(orders: &Orders, line: &Line, asked: BufReader<UnixStream>) -> io::Result<()> {
    let (mut program, proc) = (None, Proc::open()?);
    say(line, &InitMessage::Ready)?;
    for words in asked.lines() {
        let Ok(asked) = serde_json::from_str(&words?) else { continue };
        let answer = match asked {
            InitRequest::Mapped => continue,
            InitRequest::Start => {
                program = Some(start(orders, line)?);
                continue;
            }
            InitRequest::Tell(words) => {
                if let Some(program) = &program {
                    // It may be gone already; that is told by the one who buries it.
                    let _ = writeln!(&*program, "{words}");
                }
                continue;
            }
            InitRequest::Kill(pid) => {
                let done = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                done.map(|()| String::new()).map_err(io::Error::from)
            }
            InitRequest::HostName(pid) => proc.host_name(pid),
            InitRequest::NetworkFile(pid, file) => proc.network_file(pid, &file),
            InitRequest::Link(pid, name) => proc.link(pid, name),
            InitRequest::Addresses(pid) => proc.addresses(pid),
            InitRequest::Veth => Ok(has_veth().to_string()),
            InitRequest::Datagram(pid, to, text) => proc.send(pid, to, text),
            InitRequest::Segments(pid) => proc.segments(pid),
        };
        say(line, &InitMessage::Answer(answer.map_err(|error| error.to_string())))?;
    }
    Ok(())
}

/// Starts the program in a thread of its own: a thread's capabilities and filters are what it hands
/// on, and init keeps what it needs to answer the check.
fn spawn(mut command: Command, setup: Setup) -> io::Result<u32> {
    let thread = std::thread::Builder::new().spawn(move || {
        bound_to(&setup.capabilities)?;
        filter::install(&setup)?;
        Ok(command.spawn().map_err(at("start the program"))?.id())
    })?;
    thread.join().map_err(|_| io::Error::other("the thread that starts the program panicked"))?
}

/// Starts the program; gives the line to it.
fn start(orders: &Orders, line: &Line) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(PROGRAM);
    command.args(&orders.setup.arguments);
    // Nothing is found by its name alone.
    command.env_clear().env("PATH", "").env("RUST_BACKTRACE", "0").current_dir("/tmp");
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    if !orders.setup.root && orders.root {
        command.uid(ORDINARY).gid(ORDINARY_GROUP);
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
            if say(&heard, &InitMessage::ProgramLine(word)).is_err() {
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
                if say(&line, &InitMessage::ProgramEnded(how)).is_err() {
                    break;
                }
            }
        }
    })?;
    let pid = spawn(command, orders.setup.clone())?;
    // The kernel takes it first when memory is short; its children inherit that.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "1000");
    say(line, &InitMessage::ProgramStarted(pid))?;
    let _ = started.set(pid);
    Ok(ours)
}
