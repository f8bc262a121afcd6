//! The program and its daemon, and what the kernel says of them.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{
    Bench, Capability, Checked, Finding, Process, Setup, Student, ensure, fail,
    kernel::{Node, tree},
};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, open, openat2, statat};
use serde_json::json;
use tiny_engine::{
    Container, Order, State,
    client::{Client, Reply},
};

/// How often something is looked at that takes a moment.
const GLANCE: Duration = Duration::from_millis(2);

/// What may have ended a container.
pub const STARTED: &str = "POST /containers/ID/start";

/// The program, with the daemon that it starts.
pub struct Scene {
    student: Student,
    timeout: Duration,
    directory: PathBuf,
    marks: PathBuf,
}

/// A container that has been created.
pub struct Created {
    pub id: String,
    /// What it prints, line by line, and the files that it creates thereafter.
    pub lines: [String; 2],
    pub printed: [PathBuf; 2],
    /// The files that it waits for: before the second line, and before its end.
    pub second: PathBuf,
    pub last: PathBuf,
    /// What it exits with.
    pub code: u64,
}

/// A container that has been started.
pub struct Started {
    created: Created,
    /// Its process, and that process's number inside.
    pub process: Process,
    pub pid: u32,
    pub start_time: u64,
}

impl std::ops::Deref for Started {
    type Target = Created;

    fn deref(&self) -> &Created {
        &self.created
    }
}

impl Scene {
    /// Starts the program, but no daemon.
    pub fn of(bench: &mut Bench) -> Checked<Self> {
        let setup = Setup::root(&[Capability::SysAdmin]).with_namespaces();
        let mut student = bench.start(setup)?;
        student.meet("ready")?;
        let path = |name: &str| student.said(name).map(PathBuf::from);
        let (directory, marks) = (path("directory")?, path("marks")?);
        Ok(Self { student, timeout: bench.timeout(), directory, marks })
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

    pub fn daemon(&self) -> Checked<Process> {
        self.student.outside(self.student.number("daemon")? as u32)
    }

    /// Whether number 1 of the program's host is that process.
    pub fn is_init(&self, pid: u32) -> bool {
        self.student.host().pid == pid
    }

    /// The socket, wherever the program believes to be.
    fn socket(&self) -> io::Result<OwnedFd> {
        let root = self.student.main().path("root");
        let root = open(root, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let resolve =
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        let path = self.directory.join("engine.sock");
        Ok(openat2(root, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// The socket is there, for its owner and group alone.
    pub fn socket_mode(&mut self, bench: &mut Bench) -> Checked<()> {
        let about = self.socket().and_then(|socket| Ok(statat(socket, "", AtFlags::EMPTY_PATH)?));
        let found = about.ok().filter(|it| FileType::from_raw_mode(it.st_mode) == FileType::Socket);
        let mode = found.map_or("no socket".into(), |it| format!("{:04o}", it.st_mode & 0o7777));
        bench.saw("engine.sock, mode", &mode);
        self.ensure(mode == "0660", || fail("L17-mode").fact("mode", &mode))
    }

    pub fn connect(&mut self) -> Checked<Client> {
        let client = self.socket().and_then(|socket| Client::connect(socket.as_fd()));
        client.map_err(|error| self.finding(no_answer("a connection", &error)))
    }

    /// Sends a request, and waits for the answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Checked<Reply> {
        let client = self.connect()?;
        let reply = client.send(method, path, body).and_then(|()| client.reply(self.timeout));
        self.replied(reply, &format!("{method} {path}"))
    }

    /// An answer, or why there is none.
    pub fn replied(&mut self, reply: io::Result<Reply>, request: &str) -> Checked<Reply> {
        match reply {
            Ok(reply) => Ok(reply),
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
        self.ensure(reply.status == status, || {
            fail("L17-answer")
                .fact("request", format!("{method} {path}"))
                .fact("answer", format!("{} {}", reply.status, one_line(&reply.text())))
                .fact("expected", status)
        })?;
        Ok(reply)
    }

    /// The daemon answers another client; otherwise it is `id`, and what the first client did.
    pub fn answers(&mut self, id: &str, first: &str) -> Checked<()> {
        let reply = self.connect().and_then(|client| {
            let sent = client.send("GET", "/containers/json", "");
            let reply = sent.and_then(|()| client.reply(self.timeout / 2));
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

    /// All that is below the directory of containers.
    fn files(&self) -> Checked<std::collections::BTreeMap<PathBuf, Node>> {
        Ok(tree(self.student.main(), &self.directory.join("containers"))?)
    }

    /// What is in the state file of a container.
    pub fn state_text(&self, id: &str) -> Checked<Option<String>> {
        Ok(match self.files()?.remove(&Path::new(id).join("state.json")) {
            Some(Node::File { content, .. }) => Some(String::from_utf8_lossy(&content).into()),
            _ => None,
        })
    }

    pub fn state(&self, id: &str) -> Checked<Option<Container>> {
        Ok(self.state_text(id)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    pub fn create(&mut self, bench: &Bench) -> Checked<Created> {
        let mark = |name: &str| self.marks.join(format!("{name}-{}", bench.token()));
        let mut created = Created {
            id: String::new(),
            lines: [bench.token(), bench.token()],
            printed: [mark("first"), mark("second")],
            second: mark("go-on"),
            last: mark("end"),
            code: 1 + bench.random(99),
        };
        let [first, second] = &created.lines;
        let payload = self.student.said("payload")?;
        let cmd = [
            payload.to_owned(),
            "payload".into(),
            format!("print={first}"),
            format!("mark={}", created.printed[0].display()),
            format!("await={}", created.second.display()),
            format!("print={second}"),
            format!("mark={}", created.printed[1].display()),
            format!("await={}", created.last.display()),
            format!("exit={}", created.code),
        ];
        let body = json!({ "Cmd": cmd }).to_string();
        let reply = self.expect("POST", "/containers/create", &body, 201)?;
        created.id = reply.json()["Id"].as_str().unwrap_or_default().to_owned();
        Ok(created)
    }

    /// Starts a container; gives what its state says, if that is true.
    pub fn start(&mut self, created: Created) -> Checked<Started> {
        self.expect("POST", &format!("/containers/{}/start", created.id), "", 204)?;
        let text = self.state_text(&created.id)?.unwrap_or("nothing".into());
        let state = serde_json::from_str(&text).map(|found: Container| found.state);
        let Ok(State::Running { pid, start_time }) = state else {
            return Err(self.finding(fail("L17-not-recorded").fact("state", one_line(&text))));
        };
        let process = self.student.outside(pid);
        let process = process.map_err(|_| died(pid, STARTED))?;
        Ok(Started { created, process, pid, start_time })
    }

    /// Creates and starts one, and waits for its first line.
    pub fn run(&mut self, bench: &Bench) -> Checked<Started> {
        let created = self.create(bench)?;
        let started = self.start(created)?;
        self.printed(&started, 0, STARTED)?;
        Ok(started)
    }

    /// What the kernel says of a container's process.
    pub fn look<T>(
        &self,
        container: &Started,
        look: impl FnOnce(Process) -> io::Result<T>,
    ) -> Checked<T> {
        look(container.process).map_err(|error| match self.is_alive(container) {
            true => error.into(),
            false => died(container.pid, STARTED),
        })
    }

    /// Whether it is alive, and the same process.
    pub fn is_alive(&self, container: &Started) -> bool {
        container.process.is_alive()
    }

    pub fn lives(&self, container: &Started, after: &str) -> Checked<()> {
        ensure(self.is_alive(container), || died(container.pid, after))
    }

    /// Waits until a container has printed its line.
    pub fn printed(&mut self, container: &Started, line: usize, after: &str) -> Checked<()> {
        let mark = container.printed[line].file_name().unwrap_or_default().to_owned();
        let deadline = Instant::now() + self.timeout;
        loop {
            if tree(self.student.main(), &self.marks)?.contains_key(Path::new(&mark)) {
                return Ok(());
            }
            self.lives(container, after)?;
            if Instant::now() >= deadline {
                let finding = self.too_slow("print");
                return Err(self.finding(finding));
            }
            sleep(GLANCE);
        }
    }

    /// The daemon says that it runs, with the number that it had.
    pub fn is_running(&mut self, container: &Started, after: &str) -> Checked<()> {
        let path = format!("/containers/{}/json", container.id);
        let reply = self.ask("GET", &path, "")?;
        let state = &reply.json()["State"];
        self.lives(container, after)?;
        let (status, pid) = (state["Status"].as_str(), state["Pid"].as_u64());
        let right = status == Some("running") && pid == Some(container.pid.into());
        self.ensure(right, || {
            fail("L17-not-adopted").fact("pid", container.pid).fact("state", state)
        })
    }

    pub fn log(&mut self, container: &Started) -> Checked<String> {
        let path = format!("/containers/{}/logs", container.id);
        Ok(self.expect("GET", &path, "", 200)?.text())
    }

    /// Lets a container go on to its end.
    pub fn let_end(&mut self, container: &Started) -> Checked<()> {
        self.order(&Order::Mark(container.second.clone()))?;
        self.order(&Order::Mark(container.last.clone()))
    }

    /// Waits until a process has ended; false if that does not happen.
    pub fn has_ended(&self, process: Process, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while process.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(GLANCE);
        }
        true
    }

    /// The same of a container that was let go on.
    pub fn ended(&mut self, container: &Started) -> Checked<()> {
        if self.has_ended(container.process, self.timeout) {
            return Ok(());
        }
        Err(self.too_slow("exit"))
    }

    /// What `wait` answers.
    pub fn code(&mut self, id: &str) -> Checked<u64> {
        let client = self.connect()?;
        let path = format!("/containers/{id}/wait");
        let reply = client.send("POST", &path, "").and_then(|()| client.reply(self.timeout));
        self.code_of(reply, &path)
    }

    pub fn code_of(&mut self, reply: io::Result<Reply>, path: &str) -> Checked<u64> {
        if reply.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            let seconds = self.timeout.as_secs();
            return Err(self.finding(fail("L17-wait-forever").fact("seconds", seconds)));
        }
        let reply = self.replied(reply, &format!("POST {path}"))?;
        let code = reply.json()["StatusCode"].as_u64();
        let answer = format!("{} {}", reply.status, one_line(&reply.text()));
        code.ok_or_else(|| self.finding(wrong_answer(&format!("POST {path}"), &answer, 200)))
    }

    /// Removes a container: nothing of it is left on disk.
    pub fn remove(&mut self, id: &str, force: bool) -> Checked<()> {
        let query = if force { "?force=1" } else { "" };
        self.expect("DELETE", &format!("/containers/{id}{query}"), "", 204)?;
        let left = self.files()?.into_keys().find(|path| path.starts_with(id));
        ensure(left.is_none(), || {
            fail("L17-left-behind").fact("file", left.unwrap_or_default().display())
        })
    }

    pub fn kill(&self, container: &Started) -> Checked<()> {
        self.student.kill(container.process)
    }

    /// No child of the daemon waits to be reaped.
    pub fn no_zombie(&self) -> Checked<()> {
        let daemon = self.daemon()?;
        let deadline = Instant::now() + self.timeout / 4;
        while let Some(zombie) = zombie_of(daemon) {
            ensure(Instant::now() < deadline, || {
                fail("L17-zombie").fact("pid", zombie.pid).fact("daemon", daemon.pid)
            })?;
            sleep(GLANCE);
        }
        Ok(())
    }

    /// Ends it all: nothing is left, on disk or of processes.
    pub fn finish(&mut self) -> Checked<()> {
        let left = self.files()?.into_keys().next();
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
        let wait_channel = self.daemon().ok().and_then(|daemon| daemon.read("wchan").ok());
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

fn died(pid: u32, after: &str) -> Finding {
    fail("L17-died").fact("pid", pid).fact("after", after)
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
