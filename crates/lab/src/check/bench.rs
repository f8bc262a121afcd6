//! The bench: where a check begins, and its report.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::unistd::Uid;
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    cgroups::Cgroups,
    finding::{Checked, cannot_tell},
    jail::{self, Orders, Setup},
    student::{Line, Started, Student, Tail},
};
use crate::verdict::{Evidence, Report, Unjudged, Verdict};

/// How long a program may take from one meeting to the next, on a quiet machine.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long making a host takes on a quiet machine; the timeout grows with it.
const USUAL: Duration = Duration::from_millis(60);

/// Where a check starts programs and writes down what it saw.
#[derive(Debug)]
pub struct Bench {
    program: PathBuf,
    /// The words by which this very program is called again, as a warden.
    again: Vec<String>,
    evidence: Vec<Evidence>,
    measured: std::collections::BTreeMap<String, f64>,
    output: Tail,
    unjudged: Vec<Unjudged>,
    timeout: Duration,
}

/// `main` of every check: reads the arguments, runs `check`, prints its report as a line of JSON.
///
/// The exit code is the verdict's; 125 when the check itself is broken.
pub fn main(lab: &str, check: impl FnOnce(&mut Bench) -> Checked<()>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(judge(lab, &[], &arguments, check))
}

/// The same in a program that does other things too: `again` are the words by which it is called to
/// do this, `arguments` those that follow. Gives the exit code.
pub fn judge(
    lab: &str,
    again: &[&str],
    arguments: &[String],
    check: impl FnOnce(&mut Bench) -> Checked<()>,
) -> u8 {
    const BROKEN: u8 = 125;
    let program = match arguments {
        [word, orders] if word == "--warden" => return jail::warden(orders),
        [word, program] if word == "--program" => PathBuf::from(program),
        _ => {
            eprintln!("usage: lab{lab}-check --program FILE; `isolab lab check {lab}` does it");
            return 2;
        }
    };
    // What the caller has open is the caller's: a terminal, another program's socket.
    if let Err(error) = container::descriptors::close_at_execve() {
        eprintln!("lab{lab}-check: {}", sandbox::chain(&error));
        return BROKEN;
    }
    end_with_the_caller();
    let mut bench = Bench {
        program,
        again: again.iter().map(ToString::to_string).collect(),
        evidence: Vec::new(),
        measured: std::collections::BTreeMap::new(),
        output: Tail::default(),
        unjudged: Vec::new(),
        timeout: TIMEOUT,
    };
    let found = check(&mut bench);
    let (verdict, id, mut facts) = match found {
        Ok(()) => (Verdict::Pass, None, std::collections::BTreeMap::new()),
        Err(finding) => match finding.verdict() {
            Some(verdict) => (verdict, Some(finding.id), finding.facts),
            None => {
                eprintln!("lab{lab}-check: {}", finding.id);
                return BROKEN;
            }
        },
    };
    facts.insert("lab".into(), lab.into());
    let output = bench.output.lines();
    let Bench { evidence, measured, unjudged, .. } = bench;
    let report =
        Report { lab: lab.into(), verdict, id, facts, evidence, measured, output, unjudged };
    let line = serde_json::to_string(&report).unwrap_or_default();
    // Whoever asked is gone if this fails.
    let _ = writeln!(io::stdout(), "{line}");
    verdict.code()
}

/// Ends the check when its standard input does, if that is a pipe: its caller is gone then. All
/// that it has made goes by the wardens' ends; only its cgroups wait for `isolab lab clean`.
fn end_with_the_caller() {
    let is_pipe = rustix::fs::fstat(io::stdin())
        .is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_fifo());
    if is_pipe {
        std::thread::spawn(|| {
            let mut byte = [0];
            while matches!(io::stdin().read(&mut byte), Ok(1)) {}
            std::process::exit(1);
        });
    }
}

impl Bench {
    /// Starts the student's program in a host of its own.
    ///
    /// # Errors
    ///
    /// `no-namespaces`, `no-kvm`, `no-cgroups` when this host lacks what it takes.
    pub fn start(&mut self, mut setup: Setup) -> Checked<Student> {
        let began = Instant::now();
        let root = Uid::effective().is_root();
        if setup.kvm {
            let opened = std::fs::File::options().read(true).write(true).open("/dev/kvm");
            opened.map_err(|error| cannot_tell("no-kvm").fact("error", error))?;
        }
        let cgroups = match Cgroups::create(root, setup.cgroups) {
            Ok(cgroups) => Some(cgroups),
            Err(error) if setup.cgroups => {
                return Err(cannot_tell("no-cgroups").fact("error", error));
            }
            // Then the limits of the process itself have to do.
            Err(_) => None,
        };
        let writable = match &cgroups {
            Some(cgroups) if setup.cgroups => {
                cgroups.directories.iter().map(|directory| directory.path.clone()).collect()
            }
            _ => Vec::new(),
        };
        if let Some(cgroups) = cgroups.as_ref().filter(|_| setup.cgroups) {
            setup.arguments.extend(cgroups.parents().arguments());
        }
        let allowed = setup.allowed.clone();
        let orders = Orders {
            setup,
            program: self.program.clone(),
            again: self.again.clone(),
            host_name: format!("host-{}", self.token()),
            root,
            entered: false,
            join: cgroups.as_ref().map_or_else(Vec::new, Cgroups::join),
            writable,
        };
        let orders = serde_json::to_string(&orders).map_err(io::Error::from)?;
        let (ours, theirs) = UnixStream::pair()?;
        let (output, write) = io::pipe()?;
        self.output = Tail::default();
        self.output.follow(output);
        // This very program, whatever stands where it was found.
        let mut warden = Command::new("/proc/self/exe");
        warden.args(&self.again).args(["--warden", &orders]).env_clear();
        warden.stdin(Stdio::from(OwnedFd::from(theirs)));
        warden.stdout(Stdio::from(write.try_clone()?)).stderr(Stdio::from(write));
        let warden = warden.spawn()?;
        let mut student = Student::of(Started {
            warden,
            line: Line::new(ours)?,
            cgroups,
            timeout: self.timeout,
            output: self.output.clone(),
            program: std::fs::read(&self.program)?,
            allowed,
        })?;
        // A machine that is slow at this is slow at all.
        let slowness = began.elapsed().as_secs_f64() / USUAL.as_secs_f64();
        self.timeout = TIMEOUT.mul_f64(slowness.clamp(1.0, 6.0));
        student.begin()?;
        Ok(student)
    }

    /// How long a program may take from one meeting to the next, on this machine.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A word of eight hexadecimal digits that nobody can know beforehand.
    pub fn token(&self) -> String {
        format!("{:08x}", self.random(u64::from(u32::MAX) + 1))
    }

    /// A number below `end` that nobody can know beforehand.
    pub fn random(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        let filled = getrandom(&mut bytes, GetRandomFlags::empty());
        filled.expect("getrandom(2) waits for its first bytes, and gives up to 256 of them whole");
        u64::from_le_bytes(bytes) % end.max(1)
    }

    /// Writes down what the kernel said somewhere.
    pub fn saw(&mut self, place: impl std::fmt::Display, says: impl std::fmt::Display) {
        self.evidence.push(Evidence { place: place.to_string(), says: says.to_string() });
    }

    /// Writes down that this host cannot show a part of the lab's contract: the text
    /// `[unjudged.NAME]` of its messages, and what the host said. A pass tells it.
    pub fn unjudged(&mut self, name: &str, because: impl std::fmt::Display) {
        self.unjudged.push(Unjudged { name: name.to_owned(), because: because.to_string() });
    }

    /// Writes down what was counted or measured, under the name of a prediction.
    pub fn measured(&mut self, name: &str, value: f64) {
        self.measured.insert(name.to_owned(), value);
    }
}
