//! Starts the measuring processes one after the other, listens to them, and ends them when it is
//! asked to.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{self, Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use microvm::kernels;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{
    CompareArgs,
    collect::Collection,
    linux,
    message::{Message, chain},
    parts::Part,
    progress::Progress,
};

/// The user wants it to end.
#[derive(Debug)]
pub struct Interrupted;

/// Runs every part of the comparison in its fresh processes.
///
/// # Errors
///
/// When it was interrupted; what had been measured until then is not returned, for it is no
/// comparison.
pub fn conduct(args: &CompareArgs, stage: &Stage) -> io::Result<Result<Collection, Interrupted>> {
    let mut collection = Collection::default();
    let total = Part::ALL.iter().map(|part| duration(*part, args)).sum();
    let progress = Progress::new(total);
    for part in Part::ALL {
        let amount = part.amount(args.quick);
        let mut last_words = String::from("the measuring process did not speak of it");
        for process in 0..amount.processes {
            progress.begin(part.title(), process, amount.processes);
            match one(part, process, args, stage, |message| {
                if message == Message::Round {
                    progress.advance(amount.milliseconds);
                }
                collection.take(message, process);
            }) {
                Ok(ended) => last_words = ended.unwrap_or(last_words),
                Err(error) => last_words = format!("measuring failed: {}", chain(&error)),
            }
            if stage.interrupted() {
                return Ok(Err(Interrupted));
            }
        }
        collection.complete(part, &last_words);
    }
    Ok(Ok(collection))
}

fn duration(part: Part, args: &CompareArgs) -> u64 {
    let amount = part.amount(args.quick);
    let rounds = amount.warm_up + args.rounds.unwrap_or(amount.rounds);
    u64::from(amount.processes) * u64::from(rounds) * amount.milliseconds
}

/// Runs one measuring process to its end; what it said last if it failed.
fn one(
    part: Part,
    number: u32,
    args: &CompareArgs,
    stage: &Stage,
    mut hear: impl FnMut(Message),
) -> io::Result<Option<String>> {
    let mut command = Command::new(env::current_exe()?);
    let in_nest = part == Part::Linux
        && microvm::linux::available().is_err()
        && nest::available().is_ok()
        && kernels::chosen().is_ok();
    if in_nest {
        let variable = format!("{}=1", linux::IN_NEST);
        command.args([
            "nest",
            "--icount",
            "--memory",
            "2G",
            "--deadline",
            "3m",
            "--env",
            &variable,
            "--",
        ]);
    }
    command.arg("measure").arg(part.to_string());
    command.args(["--process", &number.to_string(), "--seed", &args.seed().to_string()]);
    if !in_nest {
        command.args(["--parent", &process::id().to_string()]);
    }
    if args.quick {
        command.arg("--quick");
    }
    if let Some(rounds) = args.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    // A group of its own: it can be ended with all that it runs, and Ctrl-C reaches it through us.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = stage.enter(&mut command)?;
    let mut errors = child.stderr.take().expect("it was asked for");
    let errors = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    for line in BufReader::new(child.stdout.take().expect("it was asked for")).lines() {
        // A line cut short by the process's end says nothing.
        if let Ok(message) = serde_json::from_str(&line?) {
            hear(message);
        }
    }
    let status = stage.leave(child)?;
    let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
    Ok((!status.success()).then(|| format!("measuring ended with {status}: {}", errors.trim())))
}

/// The place of the measuring process that runs now, which a signal clears.
pub struct Stage {
    now: Arc<Mutex<Now>>,
}

#[derive(Default)]
struct Now {
    group: Option<Pid>,
    interrupted: bool,
}

impl Stage {
    /// From now on Ctrl-C, a hang-up and a polite request to end are heard by the stage.
    ///
    /// # Errors
    ///
    /// Those of `sigaction(2)`.
    pub fn set() -> io::Result<Self> {
        let now = Arc::new(Mutex::new(Now::default()));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let heard = Arc::clone(&now);
        thread::spawn(move || {
            for _ in signals.forever() {
                let mut now = lock(&heard);
                now.interrupted = true;
                if let Some(group) = now.group {
                    // It may have ended just now.
                    let _ = killpg(group, Signal::SIGKILL);
                }
            }
        });
        Ok(Self { now })
    }

    /// Whether a signal came.
    pub fn interrupted(&self) -> bool {
        lock(&self.now).interrupted
    }

    fn enter(&self, command: &mut Command) -> io::Result<Child> {
        let mut now = lock(&self.now);
        if now.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        now.group = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(child)
    }

    fn leave(&self, mut child: Child) -> io::Result<process::ExitStatus> {
        // It has closed its output and is about to end; until it is reaped its number is its own.
        let mut now = lock(&self.now);
        let status = child.wait();
        let group = now.group.take();
        if now.interrupted {
            wait_until_empty(group);
        }
        status
    }
}

/// Waits for the rest of a group that was killed: what a launcher leaves behind can be told from
/// what it needs only once it has ended.
fn wait_until_empty(group: Option<Pid>) {
    const PATIENCE: Duration = Duration::from_secs(3);
    let began = Instant::now();
    while group.is_some_and(|group| killpg(group, None).is_ok()) && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}
