//! A process in which a machine is, as the kernel shows it.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Finding, Process, Student, cannot_tell, ensure, fail};

/// QEMU opens its files before anything else, and long before its guest prints.
const OPENED: Duration = Duration::from_secs(3);
/// What the slowest KVM takes, which interprets the firmware.
const PRINTED: Duration = Duration::from_secs(30);
/// QEMU's own translator is through the firmware in a tenth of this.
const RAN: Duration = Duration::from_secs(20);
/// And a machine that wants next to nothing of a processor for this long has no firmware to run.
const IDLE: Duration = Duration::from_secs(3);

/// A process in which a machine is.
pub struct Machine {
    pub name: &'static str,
    pub process: Process,
    disk: String,
    /// Where its serial port leads.
    serial: String,
}

/// What KVM has given it.
pub struct Descriptors {
    pub machine: bool,
    pub all: usize,
}

impl Machine {
    pub fn of(student: &Student, name: &'static str) -> Checked<Self> {
        let pid = student.number(&format!("pid-{name}"))? as u32;
        let ended = |_: Finding| fail("L06-ended").fact("name", name);
        let process = student.outside(pid).map_err(ended)?;
        let folder = student.said("folder")?;
        let (disk, serial) = (format!("{folder}/disk-{name}"), format!("{folder}/serial-{name}"));
        Ok(Self { name, process, disk, serial })
    }

    /// That one of its arguments is this word, or gives something this value; else the finding `id`.
    pub fn gives_argument(&self, bench: &mut Bench, word: &str, id: &str) -> Checked<()> {
        let arguments = self.arguments();
        bench.saw(self.process.path("cmdline").display(), &arguments);
        // One that has ended has no arguments, which is said elsewhere.
        let is_given = arguments.is_empty() || has_word(&arguments, word);
        ensure(is_given, || fail(id).fact("name", self.name).fact("arguments", arguments))
    }

    fn arguments(&self) -> String {
        let arguments = self.process.read("cmdline").unwrap_or_default();
        arguments.replace('\0', " ").trim_end().to_owned()
    }

    /// Waits until the guest has printed the token; `busy` when the host gives it too little time.
    pub fn prints(&self, bench: &mut Bench, student: &Student, token: &str) -> Checked<()> {
        self.opens(bench, &self.serial, "L06-silent")?;
        if self.name != "isolab" {
            self.opens(bench, &self.disk, "L06-no-disk")?;
            self.gives_argument(bench, "raw", "L06-guessed-format")?;
        }
        // The program's /tmp is its own: it is reached through the program's root.
        let file = student.main().path(&format!("root{}", self.serial));
        let began = Instant::now();
        let (mut wanted, mut changed) = (self.ran_and_waited(), began);
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if text.contains(token) {
                bench.saw(file.display(), text.trim());
                return Ok(());
            }
            ensure(self.process.is_alive(), || fail("L06-ended").fact("name", self.name))?;
            ensure(self.name != "tcg" || !self.has_a_machine(), || self.takes_kvm())?;
            let (ran, waited) = self.ran_and_waited();
            if ran + waited > wanted.0 + wanted.1 + IDLE / 20 {
                (wanted, changed) = ((ran, waited), Instant::now());
            }
            let is_through = self.name == "tcg" && ran > RAN;
            ensure(!is_through && changed.elapsed() < IDLE, || {
                fail("L06-not-booted").fact("name", self.name).fact("ran", format!("{ran:.1?}"))
            })?;
            ensure(began.elapsed() < PRINTED, || {
                let seen = format!("the machine {} had printed nothing after 30 s", self.name);
                cannot_tell("busy").fact("seen", seen).fact("wanted", token)
            })?;
            sleep(Duration::from_millis(5));
        }
    }

    /// It uses KVM and should not: because it was told so, or because it was told nothing.
    pub fn takes_kvm(&self) -> Finding {
        let arguments = self.arguments();
        let id = if has_word(&arguments, "kvm") { "L06-always-kvm" } else { "L06-default-accel" };
        let finding = fail(id).fact("pid", self.process.pid).fact("name", self.name);
        finding.fact("arguments", arguments)
    }

    fn has_a_machine(&self) -> bool {
        let open = self.process.descriptors().unwrap_or_default();
        open.iter().any(|(_, target)| target == "anon_inode:kvm-vm")
    }

    /// How long its threads have run, and waited for a processor of the host.
    fn ran_and_waited(&self) -> (Duration, Duration) {
        let threads = self.process.threads().unwrap_or_default();
        let times = threads.iter().filter_map(|thread| thread.schedstat().ok());
        times
            .fold(Default::default(), |(ran, waited), (more, longer)| (ran + more, waited + longer))
    }

    /// Waits until it has opened that file.
    pub fn opens(&self, bench: &Bench, file: &str, id: &str) -> Checked<()> {
        let deadline = Instant::now() + OPENED.max(bench.timeout() / 4);
        loop {
            let open = self.process.descriptors().unwrap_or_default();
            if open.iter().any(|(_, target)| target == file) {
                return Ok(());
            }
            ensure(self.process.is_alive(), || fail("L06-ended").fact("name", self.name))?;
            ensure(Instant::now() < deadline, || {
                fail(id).fact("name", self.name).fact("file", file)
            })?;
            sleep(Duration::from_millis(2));
        }
    }

    pub fn descriptors(&self, bench: &mut Bench) -> Checked<Descriptors> {
        let mut open = self.process.descriptors()?;
        open.retain(|(_, file)| file == "/dev/kvm" || file.starts_with("anon_inode:kvm"));
        let all: Vec<&str> = open.iter().map(|(_, target)| &**target).collect();
        let says = if all.is_empty() { "nothing of KVM's".into() } else { all.join(", ") };
        bench.saw(format!("{}, {}", self.process.path("fd").display(), self.name), says);
        Ok(Descriptors { machine: all.contains(&"anon_inode:kvm-vm"), all: all.len() })
    }
}

/// `word` alone, or behind an equals sign.
fn has_word(arguments: &str, word: &str) -> bool {
    let value = format!("={word}");
    arguments.split([' ', ',']).any(|part| part == word || part.ends_with(&value))
}
