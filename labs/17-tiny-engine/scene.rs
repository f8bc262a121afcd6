//! The program and its daemon, and what the kernel says of them.

mod containers;

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use lab::check::{Bench, Capability, Checked, Finding, Process, Setup, Student, ensure, fail};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, open, openat2, statat};
use tiny_engine::{
    NOT_WHOLE, Order,
    client::{Client, Deadline, Reply},
};

pub use containers::{STARTED, Started};

/// How often something is looked at that takes a moment.
const GLANCE: Duration = Duration::from_millis(2);

/// The program, with the daemon that it starts.
pub struct Scene {
    student: Student,
    timeout: Duration,
    directory: PathBuf,
    marks: PathBuf,
}

impl Scene {
    /// Starts the program, but no daemon.
    pub fn of(bench: &mut Bench) -> Checked<Self> {
        let setup = Setup::root(&[Capability::SysAdmin]).with_namespaces();
        let mut student = bench.start(setup)?;
        student.meet("ready")?;
        let path = |name: &str| student.said(name).map(PathBuf::from);
        let (directory, marks) = (path("directory")?, path("marks")?);
        // What takes long takes milliseconds; a machine that is busy puts the deadline off.
        Ok(Self { student, timeout: bench.timeout() / 5, directory, marks })
    }

    pub fn order(&mut self, order: &Order) -> Checked<()> {
        self.student.go_with(&serde_json::to_string(order).map_err(io::Error::from)?)?;
        self.student.meet("ready")
    }

    /// A finding, unless the program has told of something that explains it.
    pub fn finding(&mut self, finding: Finding) -> Finding {
        self.order(&Order::Meet).err().unwrap_or(finding)
    }

    fn ensure(&mut self, right: bool, finding: impl FnOnce() -> Finding) -> Checked<()> {
        if right { Ok(()) } else { Err(self.finding(finding())) }
    }

    pub fn daemon(&mut self) -> Checked<Process> {
        let pid = self.student.number("daemon")?;
        let found = self.student.outside(pid as u32);
        found.map_err(|_| self.finding(wrong_answer(&format!("kill -0 {pid}"), "ESRCH", 200)))
    }

    /// Whether that process is one of the program's.
    pub fn has(&self, process: Process) -> bool {
        self.student.processes().contains(&process)
    }

    /// The socket.
    fn socket(&self) -> io::Result<OwnedFd> {
        self.open(&self.directory.join("engine.sock"))
    }

    /// A file, in whatever the program calls its root.
    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        let root = self.student.main().path("root");
        let root = open(root, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let resolve =
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        Ok(openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// The socket is there, for its owner and group alone.
    pub fn socket_mode(&mut self, bench: &mut Bench) -> Checked<()> {
        let about = self.socket().and_then(|socket| Ok(statat(socket, "", AtFlags::EMPTY_PATH)?));
        let found = about.ok().filter(|it| FileType::from_raw_mode(it.st_mode) == FileType::Socket);
        let mode = found.map_or("no socket".into(), |it| format!("{:04o}", it.st_mode & 0o7777));
        bench.saw("engine.sock, mode", &mode);
        // The daemon's umask is 0 when it binds.
        let id = if mode == "0777" { "L17-umask" } else { "L17-mode" };
        self.ensure(mode == "0660", || fail(id).fact("mode", &mode))
    }

    pub fn connect(&mut self) -> Checked<Client> {
        let client = self.socket().and_then(|socket| Client::connect(socket.as_fd()));
        client.map_err(|error| self.finding(no_answer("connect(2)", &error)))
    }

    /// Sends a request, and waits for the answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Checked<Reply> {
        let client = self.connect()?;
        client.send(method, path, body);
        self.replied(client.reply(self.timeout), &format!("{method} {path}"))
    }

    /// An answer, or why there is none.
    pub fn replied(&mut self, reply: io::Result<Reply>, request: &str) -> Checked<Reply> {
        match reply {
            Ok(reply) => {
                let message = reply.json()["message"].as_str().map(str::to_owned);
                let part = message.as_deref().and_then(|it| it.strip_prefix(NOT_WHOLE));
                match part {
                    Some(part) => Err(cut(part)),
                    None => Ok(reply),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let finding = self.too_slow(request);
                Err(self.finding(finding))
            }
            Err(error) => Err(self.finding(no_answer(request, &error))),
        }
    }

    /// An answer with this status.
    pub fn expect(&mut self, method: &str, path: &str, body: &str, status: u16) -> Checked<Reply> {
        let reply = self.ask(method, path, body)?;
        self.ensure_status(&format!("{method} {path}"), &reply, status)?;
        Ok(reply)
    }

    fn ensure_status(&mut self, request: &str, reply: &Reply, status: u16) -> Checked<()> {
        self.ensure(reply.status == status, || {
            let answer = format!("{} {}", reply.status, one_line(&reply.text()));
            wrong_answer(request, &answer, status)
        })
    }

    /// The daemon answers another client; otherwise it is `id`, and what the first client did.
    pub fn answers(&mut self, id: &str, first: &str) -> Checked<()> {
        let reply = self.connect().and_then(|client| {
            client.send("GET", "/containers/json", "");
            let reply = client.reply(self.timeout);
            reply.map_err(|error| self.finding(no_answer("GET /containers/json", &error)))
        });
        reply.map(drop).map_err(|finding| match finding.id() {
            "L17-answer" => fail(id).fact("first", first).fact("error", finding.get("answer")),
            _ if finding.is_refusal("serve", "") => {
                fail(id).fact("first", first).fact("error", finding.get("error"))
            }
            _ => finding,
        })
    }

    /// No child of the daemon waits to be reaped.
    pub fn no_zombie(&mut self) -> Checked<()> {
        let daemon = self.daemon()?;
        let mut deadline = Deadline::after(self.timeout / 2);
        while let Some(zombie) = zombie_of(daemon) {
            ensure(!deadline.has_passed(), || {
                fail("L17-zombie").fact("pid", zombie.pid).fact("daemon", daemon.pid)
            })?;
            sleep(GLANCE);
        }
        Ok(())
    }

    /// Ends it all: nothing is left, on disk or of processes.
    pub fn finish(&mut self) -> Checked<()> {
        let left = self.files().into_keys().next();
        ensure(left.is_none(), || {
            fail("L17-left-behind").fact("file", left.unwrap_or_default().display())
        })?;
        self.student.go()?;
        self.student.finish()
    }

    /// Where a container's files are, as the program says it.
    pub fn directory_of(&self, id: &str) -> PathBuf {
        self.directory.join("containers").join(id)
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn too_slow(&self, point: &str) -> Finding {
        let processes = self.student.processes();
        let list: Vec<String> = processes.iter().take(9).map(|it| it.pid.to_string()).collect();
        let wait_channel = processes.first().and_then(|process| process.read("wchan").ok());
        fail("too-slow")
            .fact("point", point)
            .fact("seconds", self.timeout.as_secs())
            .fact("processes", list.join(", "))
            .fact("where", wait_channel.unwrap_or_default())
    }
}

fn zombie_of(daemon: Process) -> Option<Process> {
    let names = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let zombie = |process: &Process| {
        let parent = process.status("PPid").ok().and_then(|pid| pid.parse().ok());
        parent == Some(daemon.pid) && !process.is_alive()
    };
    names.map(|pid| Process { pid }).find(zombie)
}

/// A state of which only a part is there.
pub fn cut(state: &str) -> Finding {
    fail("L17-cut").fact("state", one_line(state))
}

fn no_answer(request: &str, error: &io::Error) -> Finding {
    wrong_answer(request, &error.to_string(), 200)
}

fn wrong_answer(request: &str, answer: &str, expected: u16) -> Finding {
    fail("L17-answer").fact("request", request).fact("answer", answer).fact("expected", expected)
}

/// A text of several lines in one.
pub fn one_line(text: &str) -> String {
    match text.trim_end() {
        "" => "(nothing)".into(),
        text => text.replace('\n', " / "),
    }
}
