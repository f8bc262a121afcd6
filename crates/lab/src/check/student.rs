//! The student's program in its host, while it runs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Child,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use container::netlink::Link;

use super::{
    CgroupDirectory,
    cgroups::Cgroups,
    finding::{Checked, Finding, cannot_tell, ensure, fail},
    jail::{Asked, PROCESSES, Said},
    kernel::{Mount, Process},
};
use crate::program::Place;

/// A program that runs in a host of its own. Dropping it takes the whole host away.
#[derive(Debug)]
pub struct Student {
    // The order of dropping: init sees the end of its line and leaves; then the warden is buried,
    // then the cgroups go.
    line: UnixStream,
    heard: mpsc::Receiver<Said>,
    /// What was heard while an answer was waited for.
    kept: RefCell<VecDeque<Said>>,
    _warden: Warden,
    init: Process,
    cgroups: Option<Cgroups>,
    main: Option<Process>,
    said: BTreeMap<String, String>,
    before: Before,
    ended: Option<String>,
    patience: Duration,
    pub(super) output: Tail,
    /// The program's bytes, and the files that are known to have them.
    program: Vec<u8>,
    own_files: RefCell<Vec<(u64, u64)>>,
    /// Other programs that it may start.
    pub(super) allowed: Vec<PathBuf>,
}

/// The process between the check and the program's host.
#[derive(Debug)]
struct Warden(Child);

impl Drop for Warden {
    fn drop(&mut self) {
        // Init ends by itself, and the warden with it, a moment after the line is closed.
        for _ in 0..200 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program's host was like before the program.
#[derive(Debug, Default)]
struct Before {
    mounts: Vec<Mount>,
    links: Vec<String>,
    host_name: String,
}

/// The last bytes that a program wrote itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    const MOST: usize = 4096;

    /// Takes all that comes out of `source`.
    pub(super) fn follow(&self, mut source: impl Read + Send + 'static) -> JoinHandle<()> {
        let tail = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = source.read(&mut buffer) {
                let Ok(mut kept) = tail.0.lock() else { break };
                kept.extend(&buffer[..read]);
                let over = kept.len().saturating_sub(Self::MOST);
                kept.drain(..over);
            }
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let Ok(kept) = self.0.lock() else { return Vec::new() };
        let bytes: Vec<u8> = kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(|line| line.replace(|letter: char| letter.is_control(), " "));
        let lines: Vec<String> = lines.collect();
        lines[lines.len().saturating_sub(10)..].to_vec()
    }
}

/// How often a program that is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(500);

impl Student {
    /// Takes over a warden whose init is ready, or says why there is none.
    pub(super) fn of(
        warden: Child,
        line: UnixStream,
        cgroups: Option<Cgroups>,
        patience: Duration,
        output: Tail,
        program: Vec<u8>,
    ) -> Checked<Self> {
        let (tell, heard) = mpsc::channel();
        let words = BufReader::new(line.try_clone()?);
        std::thread::spawn(move || {
            for line in words.lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line);
                if said.is_ok_and(|said: Said| tell.send(said).is_err()) {
                    break;
                }
            }
        });
        let own = Process { pid: warden.id() };
        let mut student = Self {
            line,
            heard,
            kept: RefCell::default(),
            _warden: Warden(warden),
            init: own,
            cgroups,
            main: None,
            said: BTreeMap::new(),
            before: Before::default(),
            ended: None,
            patience,
            output,
            program,
            own_files: RefCell::default(),
            allowed: Vec::new(),
        };
        loop {
            match student.hear(Instant::now() + patience) {
                Some(Said::MapMe) => {
                    super::jail::map_ids(own)?;
                    student.ask(&Asked::Mapped)?;
                }
                Some(Said::Ready) => break,
                Some(Said::Lacking(error)) => {
                    return Err(cannot_tell("no-namespaces").fact("error", error));
                }
                _ => {
                    let error = "the warden ended without a word";
                    return Err(cannot_tell("no-namespaces").fact("error", error));
                }
            }
        }
        let init = own.descendants().into_iter().next();
        student.init = init.ok_or_else(|| std::io::Error::other("there is no init"))?;
        student.before = Before {
            mounts: student.init.mounts()?,
            links: student.links(student.init)?,
            host_name: student.host_name(student.init)?,
        };
        Ok(student)
    }

    pub(super) fn begin(&mut self) -> Checked<()> {
        self.ask(&Asked::Start)?;
        match self.hear(self.deadline()) {
            Some(Said::Started(pid)) => {
                // One that has ended already is told of at the first meeting.
                self.main = self.outside(pid).ok();
                Ok(())
            }
            Some(Said::Lacking(error)) => Err(cannot_tell("lacking").fact("error", error)),
            other => Err(std::io::Error::other(format!("init said {other:?}")).into()),
        }
    }

    /// The process that stands for the host: number 1, in the namespaces that are the program's
    /// host's.
    pub fn host(&self) -> Process {
        self.init
    }

    /// The program's first process.
    pub fn main(&self) -> Process {
        self.main.unwrap_or(self.init)
    }

    /// What the program has said under this name.
    ///
    /// # Errors
    ///
    /// `wrong-words` when it has not.
    pub fn said(&self, name: &str) -> Checked<&str> {
        let none = || fail("wrong-words").fact("said", format!("nothing of `{name}`"));
        self.said.get(name).map(String::as_str).ok_or_else(none)
    }

    /// What it has said under this name, as a number.
    ///
    /// # Errors
    ///
    /// `wrong-words` when it has not said one.
    pub fn number(&self, name: &str) -> Checked<u64> {
        let text = self.said(name)?;
        let wrong = || fail("wrong-words").fact("said", format!("`{name} {text}`"));
        text.parse().map_err(|_| wrong())
    }

    /// Waits until the program is at `point`.
    ///
    /// # Errors
    ///
    /// The finding that tells what it did instead: `not-written`, `panicked`, `refused`,
    /// `ended-early`, `too-slow`, `too-much-memory`, `too-many-processes`, `wrong-words`.
    pub fn meet(&mut self, point: &str) -> Checked<()> {
        self.meet_within(point, self.patience)
    }

    /// The same with more patience, of what takes long.
    ///
    /// # Errors
    ///
    /// Those of [`Student::meet`].
    pub fn meet_within(&mut self, point: &str, patience: Duration) -> Checked<()> {
        let deadline = Instant::now() + patience;
        loop {
            let now = Instant::now();
            match self.hear(deadline.min(now + GLANCE)) {
                // Some things need not be waited for to the end.
                None if now < deadline => {
                    self.no_delegation()?;
                    self.no_bomb()?;
                }
                Some(Said::Word(word)) => match word.split_once(' ').unwrap_or((&word, "")) {
                    ("say", rest) => {
                        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                        self.said.insert(name.to_owned(), value.to_owned());
                    }
                    ("meet", at) if at == point => return self.no_delegation(),
                    ("done", _) if point == "the end" => {}
                    ("todo", todo) => return Err(fail("not-written").fact("todo", todo)),
                    ("panic", panic) => return Err(self.ended_by_panic(panic)),
                    ("error", rest) => {
                        let (step, error) = rest.split_once('\t').unwrap_or(("?", rest));
                        self.no_bomb()?;
                        return Err(fail("refused").fact("step", step).fact("error", error));
                    }
                    _ => return Err(fail("wrong-words").fact("said", format!("`{word}`"))),
                },
                Some(Said::Ended(how)) => {
                    self.ended = Some(how.clone());
                    if point == "the end" {
                        return Ok(());
                    }
                    return Err(self.ended_early(point, &how));
                }
                Some(_) => {}
                None => return Err(self.too_slow(point, patience)),
            }
        }
    }

    /// Lets the program go on from where it waits.
    ///
    /// # Errors
    ///
    /// When the check's own line is broken.
    pub fn go(&self) -> Checked<()> {
        self.ask(&Asked::Tell("go".into()))
    }

    /// Lets it go on and gives it `words`: [`Host::meet`](crate::program::Host::meet) returns them.
    ///
    /// # Errors
    ///
    /// When the check's own line is broken.
    pub fn go_with(&self, words: &str) -> Checked<()> {
        self.ask(&Asked::Tell(format!("go {words}")))
    }

    /// Waits for the program's end, and sees that nothing is left of it: no process, mount, link or
    /// cgroup, and the host's name as it was.
    ///
    /// # Errors
    ///
    /// Those of [`Student::meet`], and `left-process`, `left-mount`, `left-link`, `left-cgroup`,
    /// `changed-host-name`.
    pub fn finish(&mut self) -> Checked<()> {
        if self.ended.is_none() {
            self.meet("the end")?;
        }
        if let Some(how) = self.ended.clone().filter(|how| how != "exit code 0") {
            return Err(self.ended_early("the end", &how));
        }
        self.nothing_left()
    }

    fn nothing_left(&mut self) -> Checked<()> {
        let name = self.host_name(self.init)?;
        let before = &self.before;
        ensure(name == before.host_name, || {
            fail("changed-host-name").fact("name", &name).fact("before", &before.host_name)
        })?;
        // The dead are buried by init a moment later.
        for attempt in 0.. {
            match self.init.descendants().first() {
                None => break,
                Some(_) if attempt < 100 => std::thread::sleep(Duration::from_millis(3)),
                Some(left) => {
                    let program = left.link("exe").unwrap_or_default();
                    return Err(fail("left-process")
                        .fact("pid", left.pid)
                        .fact("program", program));
                }
            }
        }
        let mounts = self.init.mounts()?;
        let before = &self.before;
        let new = |mount: &&Mount| {
            !before.mounts.iter().any(|old| old.point == mount.point && old.kind == mount.kind)
        };
        if let Some(mount) = mounts.iter().find(new) {
            return Err(fail("left-mount").fact("mount", &mount.point));
        }
        let links = self.links(self.init)?;
        if let Some(link) = links.iter().find(|link| !self.before.links.contains(link)) {
            return Err(fail("left-link").fact("link", link));
        }
        match self.cgroups.as_ref().and_then(Cgroups::left) {
            Some(left) => Err(fail("left-cgroup").fact("cgroup", left.display())),
            None => Ok(()),
        }
    }

    /// All processes of the program, its first one and what came of it; zombies are not among them.
    pub fn processes(&self) -> Vec<Process> {
        self.init.descendants()
    }

    /// The one child of the program's first process.
    ///
    /// # Errors
    ///
    /// `no-child` when there is none or more than one; give the lab's own message under that id by
    /// mapping it.
    pub fn only_child(&self) -> Checked<Process> {
        let children = self.main().descendants();
        match &children[..] {
            [child] => Ok(*child),
            others => Err(fail("no-child").fact("children", others.len())),
        }
    }

    /// The number on the host of the process that has the number `pid` inside.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn outside(&self, pid: u32) -> Checked<Process> {
        let second = |process: &Process| {
            let chain = process.status("NSpid").ok()?;
            let numbers: Vec<&str> = chain.split_whitespace().collect();
            let depth = self.init.status("NSpid").ok()?.split_whitespace().count();
            numbers.get(depth - 1)?.parse::<u32>().ok()
        };
        let all = self.init.descendants();
        let found = all.into_iter().find(|process| second(process) == Some(pid));
        found.ok_or_else(|| std::io::Error::other(format!("no process {pid} inside")).into())
    }

    /// The number that `process` has inside, as the program's host counts.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn inside(&self, process: Process) -> Checked<u32> {
        let depth = self.init.status("NSpid")?.split_whitespace().count();
        let chain = process.status("NSpid")?;
        let number = chain.split_whitespace().nth(depth - 1).and_then(|pid| pid.parse().ok());
        number.ok_or_else(|| {
            std::io::Error::other(format!("process {} is not inside", process.pid)).into()
        })
    }

    /// The host name in the namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn host_name(&self, process: Process) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&Asked::HostName(pid))
    }

    /// The content of a file below `/proc/net`, in the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn network_file(&self, process: Process, file: &str) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&Asked::NetworkFile(pid, file.to_owned()))
    }

    /// The names of the network links of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn links(&self, process: Process) -> Checked<Vec<String>> {
        let table = self.network_file(process, "/proc/net/dev")?;
        let names =
            table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        Ok(names.collect())
    }

    /// The link `name` of `process`, if there is one.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn link(&self, process: Process, name: &str) -> Checked<Option<Link>> {
        let pid = self.inside(process)?;
        let answer = self.question(&Asked::Link(pid, name.to_owned()))?;
        let numbers: Vec<i64> = answer.split(' ').map_while(|number| number.parse().ok()).collect();
        let [index, flags, other] = numbers[..] else { return Ok(None) };
        Ok(Some(Link { index: index as i32, flags: flags as u32, other: other as i32 }))
    }

    /// Whether this kernel has pairs of links (veth(4)).
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn has_veth(&self) -> Checked<bool> {
        Ok(self.question(&Asked::Veth)? == "true")
    }

    /// Sends a datagram to `to`, from the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When no way leads there.
    pub fn send_datagram(&self, process: Process, to: SocketAddr, text: &str) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&Asked::Datagram(pid, to, text.to_owned())).map(drop)
    }

    /// How many System V segments there are in the IPC namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn segments(&self, process: Process) -> Checked<u64> {
        let pid = self.inside(process)?;
        let count = self.question(&Asked::Segments(pid))?;
        Ok(count.parse().unwrap_or(0))
    }

    /// Kills a process of the program.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn kill(&self, process: Process) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&Asked::Kill(pid)).map(drop)
    }

    /// The directories in which the program may make cgroups, if it was set up with them.
    pub fn cgroups(&self) -> &[CgroupDirectory] {
        self.cgroups.as_ref().map_or(&[], |cgroups| &cgroups.directories)
    }

    /// The same by controllers, as [`Host::place`](crate::program::Host::place) gives them to the
    /// program.
    pub fn place(&self) -> Place {
        self.cgroups.as_ref().map(Cgroups::place).unwrap_or_default()
    }

    /// Whether every process runs the student's own program, or one that is allowed.
    fn no_delegation(&self) -> Checked<()> {
        for process in self.processes() {
            // One that ends at this moment has no program.
            let Ok(program) = process.link("exe") else { continue };
            let allowed = self.is_own(process)
                || is_builtin(process)
                || self.allowed.iter().any(|allowed| is_the_file(process, allowed));
            ensure(allowed, || {
                fail("delegated").fact("pid", process.pid).fact("program", program)
            })?;
        }
        Ok(())
    }

    /// Whether `process` runs the student's program, or a copy of it wherever the program has put
    /// one: a name proves nothing, so the bytes are compared, of each file once.
    fn is_own(&self, process: Process) -> bool {
        use std::os::unix::fs::MetadataExt;
        let exe = process.path("exe");
        // One that ends at this moment has no program.
        let Ok(found) = fs::metadata(&exe) else { return true };
        let file = (found.dev(), found.ino());
        if self.own_files.borrow().contains(&file) {
            return true;
        }
        let own = found.len() == self.program.len() as u64
            && fs::read(exe).is_ok_and(|bytes| bytes == self.program);
        if own {
            self.own_files.borrow_mut().push(file);
        }
        own
    }

    fn no_bomb(&self) -> Checked<()> {
        let (kills, refusals) = self.cgroups.as_ref().map_or((0, 0), Cgroups::kills_and_refusals);
        let processes = self.processes().len();
        if refusals > 0 || processes as u64 >= PROCESSES {
            return Err(fail("too-many-processes").fact("processes", PROCESSES));
        }
        let lines = self.output.lines();
        let wanted = lines.iter().any(|line| line.starts_with("memory allocation of"));
        if kills > 0 || wanted {
            return Err(fail("too-much-memory").fact("limit", "1 GiB"));
        }
        Ok(())
    }

    fn ended_by_panic(&self, panic: &str) -> Finding {
        self.no_bomb().err().unwrap_or_else(|| fail("panicked").fact("panic", panic))
    }

    fn ended_early(&self, point: &str, how: &str) -> Finding {
        let ended = || fail("ended-early").fact("point", point).fact("status", how);
        self.no_bomb().err().unwrap_or_else(ended)
    }

    fn too_slow(&self, point: &str, patience: Duration) -> Finding {
        if let Err(finding) = self.no_bomb() {
            return finding;
        }
        if let Err(finding) = self.no_delegation() {
            return finding;
        }
        let processes = self.processes();
        let told = |process: &Process| {
            let state = process.status("State").unwrap_or_default();
            format!("{} {state}", process.pid)
        };
        let list: Vec<String> = processes.iter().take(5).map(told).collect();
        let runs = processes
            .iter()
            .any(|process| process.status("State").is_ok_and(|state| state.starts_with('R')));
        let place = processes.first().and_then(|process| process.read("wchan").ok());
        let place = place.filter(|place| place.len() > 1);
        let place = match (runs, place) {
            (true, _) => "One of them computes all the time.".to_owned(),
            (false, Some(place)) => format!("The first waits in the kernel at {place}."),
            (false, None) => String::new(),
        };
        fail("too-slow")
            .fact("point", point)
            .fact("seconds", patience.as_secs())
            .fact("processes", list.join(", "))
            .fact("where", place)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    fn hear(&self, deadline: Instant) -> Option<Said> {
        let kept = self.kept.borrow_mut().pop_front();
        kept.or_else(|| self.hear_next(deadline))
    }

    fn hear_next(&self, deadline: Instant) -> Option<Said> {
        self.heard.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    fn ask(&self, asked: &Asked) -> Checked<()> {
        let mut text = serde_json::to_vec(asked).map_err(std::io::Error::from)?;
        text.push(b'\n');
        Ok((&self.line).write_all(&text)?)
    }

    /// Asks init; what the program says meanwhile is kept for the next meeting.
    fn question(&self, asked: &Asked) -> Checked<String> {
        self.ask(asked)?;
        let deadline = self.deadline();
        loop {
            match self.hear_next(deadline) {
                Some(Said::Answer(answer)) => {
                    return answer.map_err(|error| {
                        std::io::Error::other(format!("{asked:?}: {error}")).into()
                    });
                }
                Some(other) => self.kept.borrow_mut().push_back(other),
                None => return Err(std::io::Error::other(format!("no answer to {asked:?}")).into()),
            }
        }
    }
}

/// Whether `process` runs that very file of this host, and not another one of the same name.
fn is_the_file(process: Process, file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let seen = (fs::metadata(process.path("exe")), fs::metadata(file));
    matches!(seen, (Ok(one), Ok(two)) if (one.dev(), one.ino()) == (two.dev(), two.ino()))
}

/// Whether `process` runs one of the library's built-in programs, from memory as the library does:
/// a lab's own part may start them, and there is nothing that they could do in the student's place.
fn is_builtin(process: Process) -> bool {
    // Its name is read anew: a moment ago it may not have executed it yet; and one that has ended
    // since then has no program.
    let Ok(program) = process.link("exe") else { return true };
    let same = |program: Vec<u8>| {
        sandbox::Builtin::ALL.iter().any(|builtin| builtin.linux_elf() == program)
    };
    program.starts_with("/memfd:isolab-program")
        && fs::read(process.path("exe")).map_or_else(|_| !process.is_alive(), same)
}

impl Drop for Student {
    fn drop(&mut self) {
        // Init reads the end of its line, though a copy of it is still open here.
        let _ = self.line.shutdown(std::net::Shutdown::Both);
    }
}
