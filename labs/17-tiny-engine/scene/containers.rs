//! Containers, as clients make them and as the kernel sees them.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use lab::check::{
    Bench, Checked, Finding, Process, ensure, fail,
    kernel::{Node, tree},
};
use rustix::fs::fstat;
use serde_json::json;
use tiny_engine::{
    Container, Order, State,
    client::{Deadline, Reply},
};

use super::{GLANCE, Scene, one_line, wrong_answer};

/// What may have ended a container.
pub const STARTED: &str = "POST /containers/ID/start";

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

impl Created {
    /// All that it prints from its start to its end.
    pub fn whole_log(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

impl std::ops::Deref for Started {
    type Target = Created;

    fn deref(&self) -> &Created {
        &self.created
    }
}

impl Scene {
    /// All that is below the directory of containers; nothing if that is gone.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Node> {
        self.tree(&self.directory.join("containers"))
    }

    /// All that is below a directory. A file that is renamed or removed meanwhile is looked for again.
    fn tree(&self, path: &Path) -> BTreeMap<PathBuf, Node> {
        const LOOKS: usize = 20;
        for _ in 0..LOOKS {
            if let Ok(found) = tree(self.student.main(), path) {
                return found;
            }
            sleep(GLANCE);
        }
        BTreeMap::new()
    }

    /// What is in the state file of a container.
    pub fn state_text(&self, id: &str) -> Option<String> {
        match self.files().remove(&Path::new(id).join("state.json")) {
            Some(Node::File { content, .. }) => Some(String::from_utf8_lossy(&content).into()),
            _ => None,
        }
    }

    pub fn state(&self, id: &str) -> Option<Container> {
        serde_json::from_str(&self.state_text(id)?).ok()
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
        let cmd = [
            self.payload()?,
            "payload".into(),
            format!("print={first}"),
            format!("mark={}", created.printed[0].display()),
            format!("await={}", created.second.display()),
            format!("print={second}"),
            format!("mark={}", created.printed[1].display()),
            format!("await={}", created.last.display()),
            format!("exit={}", created.code),
        ];
        created.id = self.create_of(&cmd)?;
        Ok(created)
    }

    /// The program for containers.
    pub fn payload(&self) -> Checked<String> {
        self.student.said("payload").map(str::to_owned)
    }

    /// Creates a container of a command; gives its id.
    pub fn create_of(&mut self, cmd: &[String]) -> Checked<String> {
        let body = json!({ "Cmd": cmd }).to_string();
        let reply = self.expect("POST", "/containers/create", &body, 201)?;
        Ok(reply.json()["Id"].as_str().unwrap_or_default().to_owned())
    }

    /// Starts a container; gives what its state says, if that is true.
    pub fn start(&mut self, created: Created) -> Checked<Started> {
        let path = format!("/containers/{}/start", created.id);
        let client = self.connect()?;
        client.send("POST", &path, "");
        let reply = client.reply(self.timeout);
        let state = self.state(&created.id).map(|container| container.state);
        if let (Err(error), Some(State::Running { pid, .. })) = (&reply, &state)
            && error.kind() == io::ErrorKind::TimedOut
        {
            let seconds = self.timeout.as_secs();
            return Err(self.finding(fail("L17-silent").fact("pid", pid).fact("seconds", seconds)));
        }
        let reply = self.replied(reply, &format!("POST {path}"))?;
        self.ensure(reply.status != 500, || {
            fail("L17-start-failed").fact("answer", one_line(&reply.text()))
        })?;
        self.ensure(reply.status == 204, || {
            wrong_answer(&format!("POST {path}"), &reply.status.to_string(), 204)
        })?;
        let state = self.state(&created.id).map(|container| container.state);
        let Some(State::Running { pid, start_time }) = state else {
            let state = json!(state).to_string();
            return Err(self.finding(fail("L17-not-recorded").fact("state", state)));
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

    /// Its parent.
    pub fn shim(&self, container: &Started) -> Checked<Process> {
        Ok(Process { pid: self.look(container, |process| process.stat(4))? as u32 })
    }

    /// The file with its state. As long as it is held, no other file has its number.
    pub fn state_file(&self, id: &str) -> Option<OwnedFd> {
        self.open(&self.directory_of(id).join("state.json")).ok()
    }

    /// Whether its state is now another file than that.
    pub fn is_replaced(&self, id: &str, earlier: Option<OwnedFd>) -> Checked<()> {
        let number = |file: Option<OwnedFd>| Some(fstat(file?).ok()?.st_ino);
        let now = number(self.state_file(id));
        let is_same = now.is_some() && number(earlier) == now;
        ensure(!is_same, || fail("L17-copied").fact("inode", now.unwrap_or_default()))
    }

    /// Whether it is alive, and the same process.
    pub fn is_alive(&self, container: &Started) -> bool {
        container.process.stat(22).is_ok_and(|started| started == container.start_time)
            && container.process.is_alive()
    }

    pub fn lives(&self, container: &Started, after: &str) -> Checked<()> {
        ensure(self.is_alive(container), || died(container.pid, after))
    }

    /// Waits until a container has printed its line.
    pub fn printed(&mut self, container: &Started, line: usize, after: &str) -> Checked<()> {
        let mark = container.printed[line].file_name().unwrap_or_default().to_owned();
        let mut deadline = Deadline::after(self.timeout * 2);
        loop {
            if self.tree(&self.marks).contains_key(Path::new(&mark)) {
                return Ok(());
            }
            self.lives(container, after)?;
            if deadline.has_passed() {
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

    /// The same, when that is in it, or has not come.
    pub fn log_with(&mut self, container: &Started, line: &str) -> Checked<String> {
        let mut deadline = Deadline::after(self.timeout / 2);
        loop {
            let log = self.log(container)?;
            if log.contains(line) || deadline.has_passed() {
                return Ok(log);
            }
            sleep(GLANCE);
        }
    }

    /// Lets a container go on to its end.
    pub fn let_end(&mut self, container: &Started) -> Checked<()> {
        self.order(&Order::Mark(container.second.clone()))?;
        self.order(&Order::Mark(container.last.clone()))
    }

    /// Waits until a process has ended; false if that does not happen.
    pub fn has_ended(&self, process: Process, timeout: Duration) -> bool {
        let mut deadline = Deadline::after(timeout);
        while process.is_alive() {
            if deadline.has_passed() {
                return false;
            }
            sleep(GLANCE);
        }
        true
    }

    /// The same of a container that was let go on.
    pub fn ended(&mut self, container: &Started) -> Checked<()> {
        if self.has_ended(container.process, self.timeout * 2) {
            return Ok(());
        }
        Err(self.too_slow("exit"))
    }

    /// What `wait` answers.
    pub fn code(&mut self, id: &str) -> Checked<u64> {
        let client = self.connect()?;
        let path = format!("/containers/{id}/wait");
        client.send("POST", &path, "");
        self.code_of(client.reply(self.timeout), &path)
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
        let path = format!("/containers/{id}{query}");
        let reply = self.ask("DELETE", &path, "")?;
        self.is_removed(id, &format!("DELETE {path}"), &reply)
    }

    /// The answer says that it is removed, and so it is.
    pub fn is_removed(&mut self, id: &str, request: &str, reply: &Reply) -> Checked<()> {
        self.ensure_status(request, reply, 204)?;
        let left = self.files().into_keys().find(|path| path.starts_with(id));
        ensure(left.is_none(), || {
            fail("L17-left-behind").fact("file", left.unwrap_or_default().display())
        })
    }

    pub fn kill(&self, container: &Started) -> Checked<()> {
        self.student.kill(container.process).map_err(|_| died(container.pid, STARTED))
    }
}

fn died(pid: u32, after: &str) -> Finding {
    fail("L17-died").fact("pid", pid).fact("after", after)
}
