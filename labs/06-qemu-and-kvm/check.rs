//! What must be true of lab 06, look after look.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Finding, Process, Setup, Student, cannot_tell, ensure, fail};
use qemu_and_kvm::{Part, Whose};

const QEMU: &str = "qemu-system-x86_64";
/// QEMU opens its files before anything else, and long before its guest prints.
const OPENED: Duration = Duration::from_secs(3);
/// What the slowest KVM takes, which interprets the firmware.
const PRINTED: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    lab::check::main("06", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let qemu = qemu().ok_or_else(|| {
        let way_out = "apt install qemu-system-x86, or dnf install qemu-system-x86";
        cannot_tell("lacking").fact("error", format!("{QEMU} ({way_out})"))
    })?;
    let kvm = File::options().read(true).write(true).open("/dev/kvm");
    let token = format!("token-{}", bench.token());
    let setup = Setup::ordinary().allowing(&qemu).argument("qemu", qemu.display());
    let setup = setup.argument("token", &token);
    let mut student = bench.start(match kvm {
        Ok(_) => setup.with_kvm(),
        Err(_) => setup.argument("kvm", "no"),
    })?;
    student.meet("started")?;

    // The same disk prints the same in every machine, and who has KVM's descriptors is seen.
    let tcg = Machine::of(&student, "tcg")?;
    tcg.is_told_all(bench, &student)?;
    tcg.prints(bench, &student, &token)?;
    let descriptors = tcg.descriptors(bench)?;
    ensure(!descriptors.machine, || fail("L06-always-kvm").fact("pid", tcg.process.pid))?;
    let mut machines = vec![(tcg, false)];
    let mut without_end = None;
    if kvm.is_ok() {
        let with_kvm = Machine::of(&student, "kvm")?;
        with_kvm.is_told_all(bench, &student)?;
        // Whether it prints in time is the host's doing; the rest can be judged all the same.
        without_end = with_kvm.prints(bench, &student, &token).err();
        if let Some(finding) = without_end.take_if(|finding| finding.id() != "busy") {
            return Err(finding);
        }
        let descriptors = with_kvm.descriptors(bench)?;
        ensure(descriptors.machine, || fail("L06-no-accel").fact("pid", with_kvm.process.pid))?;
        bench.measured("descriptors", descriptors.all as f64);
        let own = Machine::of(&student, "isolab")?;
        own.prints(bench, &student, &token)?;
        own.descriptors(bench)?;
        let decoy = Machine::of(&student, "decoy")?;
        // What must not be counted is there to be counted.
        decoy.opens(bench, "/dev/kvm")?;
        decoy.descriptors(bench)?;
        let empty = Machine::of(&student, "empty")?;
        empty.opens(bench, "anon_inode:kvm-vm")?;
        empty.descriptors(bench)?;
        machines.extend([(with_kvm, true), (own, true), (decoy, false), (empty, true)]);
    }

    // What the student says of them.
    student.go()?;
    student.meet("told").map_err(|finding| {
        let refused = finding.is_refusal("classify", "");
        let error = finding.get("error").to_owned();
        if refused { fail("L06-classify-refused").fact("error", error) } else { finding }
    })?;
    for (machine, has_one) in machines {
        let says = student.said(&format!("runs-{}", machine.name))? == "WithKvm";
        let id = match (has_one, machine.name) {
            (true, "empty") => "L06-no-vcpu",
            (true, _) => "L06-missed",
            (false, "decoy") => "L06-open-device",
            (false, _) => "L06-no-machine",
        };
        ensure(says == has_one, || {
            fail(id).fact("pid", machine.process.pid).fact("name", machine.name)
        })?;
    }
    for part in Part::ALL {
        let right = match part {
            Part::Processor | Part::Memory | Part::Interrupts => Whose::Kvm,
            Part::Board | Part::Serial | Part::Disk => Whose::Qemu,
        };
        let id = match (right, part) {
            (_, Part::Serial) => "L06-serial",
            (Whose::Qemu, _) => "L06-qemus-part",
            (Whose::Kvm, _) => "L06-kvms-part",
        };
        let said = student.said(&format!("whose-{}", part.name()))?;
        ensure(said == format!("{right:?}"), || fail(id).fact("part", part.name()))?;
    }
    student.go()?;
    student.finish()?;
    if let Err(error) = kvm {
        bench.unjudged("kvm", error);
    }
    without_end.map_or(Ok(()), Err)
}

/// Where QEMU is: on the path of whoever checks, or where distributions put it.
fn qemu() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into()]);
    folders.map(|folder| folder.join(QEMU)).find(|program| program.is_file())
}

/// A process in which a machine is.
struct Machine {
    name: &'static str,
    process: Process,
    /// Where its serial port leads.
    serial: String,
}

/// What KVM has given it.
struct Descriptors {
    machine: bool,
    all: usize,
}

impl Machine {
    fn of(student: &Student, name: &'static str) -> Checked<Self> {
        let pid = student.number(&format!("pid-{name}"))? as u32;
        let ended = |_: Finding| fail("L06-ended").fact("name", name);
        let process = student.outside(pid).map_err(ended)?;
        let serial = format!("{}/serial-{name}", student.said("folder")?);
        Ok(Self { name, process, serial })
    }

    /// Whether QEMU was told by whom, from which disk, and where the serial port leads, each in words
    /// of its own: the kernel keeps them (proc_pid_cmdline(5)).
    fn is_told_all(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        let line = self.process.read("cmdline").unwrap_or_default();
        let words: Vec<&str> = line.split('\0').filter(|word| !word.is_empty()).collect();
        bench.saw(self.process.path("cmdline").display(), words.join(" "));
        let disk = format!("{}/disk-{}", student.said("folder")?, self.name);
        // A line of one that has ended is empty; the reason is told later.
        let Some(drive) = words.iter().find(|word| word.contains(&disk)) else {
            let finding = || fail("L06-no-disk").fact("name", self.name).fact("file", disk);
            return ensure(words.is_empty(), finding);
        };
        let is_raw = drive.split(',').any(|it| ["format=raw", "driver=raw"].contains(&it));
        ensure(is_raw, || fail("L06-format").fact("name", self.name).fact("drive", drive))
    }

    /// Waits until the guest has printed the token; `busy` when it takes too long.
    fn prints(&self, bench: &mut Bench, student: &Student, token: &str) -> Checked<()> {
        self.opens(bench, &self.serial)?;
        // The program's /tmp is its own: it is reached through the program's root.
        let file = student.main().path(&format!("root{}", self.serial));
        let deadline = Instant::now() + PRINTED;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if text.contains(token) {
                bench.saw(file.display(), text.trim());
                return Ok(());
            }
            ensure(self.process.is_alive(), || fail("L06-ended").fact("name", self.name))?;
            ensure(Instant::now() < deadline, || {
                let seen = format!("the machine {} had printed nothing after 30 s", self.name);
                cannot_tell("busy").fact("seen", seen).fact("wanted", token)
            })?;
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has opened that file.
    fn opens(&self, bench: &Bench, file: &str) -> Checked<()> {
        let deadline = Instant::now() + OPENED.max(bench.timeout() / 4);
        loop {
            let open = self.process.descriptors().unwrap_or_default();
            if open.iter().any(|(_, target)| target == file) {
                return Ok(());
            }
            ensure(self.process.is_alive(), || fail("L06-ended").fact("name", self.name))?;
            ensure(Instant::now() < deadline, || {
                fail("L06-silent").fact("name", self.name).fact("file", file)
            })?;
            sleep(Duration::from_millis(2));
        }
    }

    fn descriptors(&self, bench: &mut Bench) -> Checked<Descriptors> {
        let mut open = self.process.descriptors()?;
        open.retain(|(_, file)| file == "/dev/kvm" || file.starts_with("anon_inode:kvm"));
        let all: Vec<&str> = open.iter().map(|(_, target)| &**target).collect();
        let says = if all.is_empty() { "nothing of KVM's".into() } else { all.join(", ") };
        bench.saw(format!("{}, {}", self.process.path("fd").display(), self.name), says);
        Ok(Descriptors { machine: all.contains(&"anon_inode:kvm-vm"), all: all.len() })
    }
}
