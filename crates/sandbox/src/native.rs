//! The sandbox without isolation: a plain process of the host.
//!
//! It is the baseline of every comparison, and lets the rest of isolab be tried without KVM and
//! without privileges.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio as Pipe},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use host::sealed_memfd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wait4::Wait4 as _;

use crate::{
    Builtin, Capture, CaptureOutcome, Control, Error, Instance, Limits, Mailbox, Milestone,
    Outcome, Program, Question, Report, Result, Sandbox, Status, Stdio, Timeline, Trace, Usage,
    Workload, Written,
};

/// Runs workloads as plain processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

const NAME: &str = "process";

impl Native {
    /// The rate of the time stamp counter in ticks a second, and the report of a program that has
    /// read it and the host's clock; `None` if no program ran long enough to tell.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::run`].
    pub fn clocks(&self) -> Result<Option<(f64, Report)>> {
        const PATIENCE: Duration = Duration::from_secs(20);
        for iterations in [50_000_000, 1_000_000_000] {
            let spin = Workload::builtin(Builtin::Spin, &[iterations]).deadline(PATIENCE);
            let report = self.run(&spin)?.report;
            let calibrated = report.and_then(|report| Some((report.tick_rate()?, report)));
            if calibrated.is_some() {
                return Ok(calibrated);
            }
        }
        Ok(None)
    }
}

impl Sandbox for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> Result<Box<dyn Instance>> {
        let mut trace = Trace::new(workload.trace);
        let mut timeline = Timeline::start();
        let (mut command, mailbox, image) = command(workload)?;
        let mut child = trace
            .record(Question::Boundary, "posix_spawn: a new address space, no other wall", || {
                command.spawn()
            })
            .map_err(|error| not_started(workload, error))?;
        drop(image);
        timeline.reach(Milestone::Created);
        timeline.reach(Milestone::Entered); // `spawn` returns after the child's execve
        let control = Arc::new(ProcessControl {
            pidfd: pidfd(&child).map_err(failed("open a descriptor of the process"))?,
            stdin: Mutex::new(child.stdin.take()),
            mailbox: mailbox.clone(),
        });
        let capture = match (child.stdout.take(), child.stderr.take()) {
            (Some(output), Some(errors)) => {
                Capture::of(output.into(), errors.into()).map_err(failed("prepare the pipes"))?
            }
            _ => Capture::default(),
        };
        let deadline = workload.deadline;
        Ok(Box::new(RunningProcess {
            child: Some(child),
            control,
            mailbox,
            capture,
            deadline,
            timeline,
            trace,
        }))
    }
}

impl Native {
    /// Refuses limits: enforcing them is the purpose of the other sandboxes.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] unless `limits` has none.
    pub fn with(limits: &Limits) -> Result<Self> {
        if *limits == Limits::default() {
            return Ok(Self);
        }
        Err(Error::Unsupported {
            sandbox: NAME,
            what: "keep limits".into(),
            fix: "use --in container, whose cgroup keeps them".into(),
        })
    }
}

/// The command to start, the mailbox of a built-in program, and its image, which must live until
/// the child has executed it.
fn command(workload: &Workload) -> Result<(Command, Option<Mailbox>, Option<File>)> {
    let (mut command, mailbox, image) = match &workload.program {
        Program::Builtin(builtin, arguments) => {
            let image =
                sealed_memfd(builtin.linux_elf()).map_err(failed("write the program to memory"))?;
            let mailbox = Mailbox::create().map_err(failed("create the mailbox"))?;
            let mut command = Command::new(format!("/proc/self/fd/{}", image.as_raw_fd()));
            command.args(arguments.iter().map(u64::to_string));
            let path = mailbox_path(&mailbox);
            command.env_clear().env(guest::abi::MAILBOX_VARIABLE, path);
            (command, Some(mailbox), Some(image))
        }
        Program::Command(words) => {
            let (program, arguments) = words.split_first().ok_or_else(|| Error::NotFound {
                sandbox: NAME,
                program: PathBuf::new(),
                fix: "give a program after `--`".into(),
            })?;
            let mut command = Command::new(program);
            command.args(arguments);
            (command, None, None)
        }
    };
    if matches!(workload.stdio, Stdio::Capture | Stdio::CaptureOutput) {
        command.stdout(Pipe::piped()).stderr(Pipe::piped());
    }
    if workload.stdio == Stdio::Capture {
        command.stdin(Pipe::piped());
    }
    command.envs(workload.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &workload.directory {
        command.current_dir(directory);
    }
    Ok((command, mailbox, image))
}

fn mailbox_path(mailbox: &Mailbox) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), mailbox.file().as_raw_fd())
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}

fn not_started(workload: &Workload, error: io::Error) -> Error {
    let program = workload.words().first().map(PathBuf::from).unwrap_or_default();
    let found = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => false,
        // The search also fails this way for a directory that may not be searched.
        ErrorKind::PermissionDenied => was_found(workload),
        _ => true,
    };
    if found {
        return Error::NotExecutable { sandbox: NAME, program, source: error.into() };
    }
    let fix = "check the spelling and PATH; `isolab run --help` lists the built-in programs".into();
    Error::NotFound { sandbox: NAME, program, fix }
}

/// Whether the program's path was given, or a file of its name is in `PATH`: only then a shell
/// reports that it cannot be executed.
fn was_found(workload: &Workload) -> bool {
    let Program::Command(words) = &workload.program else { return true };
    let program = words.first().map_or(Path::new(""), Path::new);
    let given = workload.environment.iter().rfind(|(name, _)| name == "PATH");
    let path = given.map(|(_, value)| value.clone()).or_else(|| env::var_os("PATH"));
    program.as_os_str().as_bytes().contains(&b'/')
        || env::split_paths(&path.unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

#[derive(Debug, thiserror::Error)]
#[error("{step}")]
struct Step {
    step: &'static str,
    #[source]
    source: io::Error,
}

fn failed(step: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let source = Step { step, source }.into();
        Error::Failed { sandbox: NAME, source, fix: None, written: Written::default() }
    }
}

struct RunningProcess {
    /// `None` once it is reaped: its number may then belong to another process.
    child: Option<Child>,
    control: Arc<ProcessControl>,
    mailbox: Option<Mailbox>,
    capture: Capture,
    deadline: Option<Duration>,
    timeline: Timeline,
    trace: Trace,
}

impl Instance for RunningProcess {
    fn processes(&self) -> Vec<u32> {
        self.child.iter().map(Child::id).collect()
    }

    fn control(&self) -> Arc<dyn Control> {
        self.control.clone()
    }

    fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.as_ref()
    }

    fn timeline(&self) -> Timeline {
        self.timeline
    }

    fn wait(mut self: Box<Self>) -> Result<Outcome> {
        let ended = self
            .capture
            .until_exit(self.control.pidfd.as_fd(), self.deadline, &mut self.timeline)
            .map_err(failed("wait for the process"))?;
        match ended {
            CaptureOutcome::Exited => {}
            CaptureOutcome::Deadline => {
                let after = self.deadline.unwrap_or_default();
                let written = std::mem::take(&mut self.capture).into_written();
                return Err(Error::Deadline { sandbox: NAME, after, source: None, written });
            }
            CaptureOutcome::TooMuchOutput => {
                return Err(Error::TooMuchOutput { sandbox: NAME, limit: Capture::LIMIT });
            }
        }
        let child =
            self.child.take().expect("waiting consumes the instance, so this is the first call");
        let used = child.wait4().map_err(failed("reap the process"))?;
        self.timeline.reach(Milestone::Cleaned);
        let Written { output, errors } = std::mem::take(&mut self.capture).into_written();
        Ok(Outcome {
            machine_end: None,
            status: status(used.status),
            output,
            errors,
            timeline: self.timeline,
            usage: Usage {
                cpu_time: Some(used.rusage.utime + used.rusage.stime),
                peak_memory_bytes: Some(used.rusage.maxrss),
                ..Usage::default()
            },
            report: self.mailbox.as_ref().map(Mailbox::report),
            trace: std::mem::take(&mut self.trace),
        })
    }
}

fn status(status: std::process::ExitStatus) -> Status {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(signal) => Status::Signaled(signal),
        None => Status::Exited(u8::try_from(status.code().unwrap_or(0)).unwrap_or(u8::MAX)),
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if the process has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct ProcessControl {
    pidfd: OwnedFd,
    stdin: Mutex<Option<ChildStdin>>,
    mailbox: Option<Mailbox>,
}

impl Control for ProcessControl {
    fn stop(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
        match &self.mailbox {
            Some(mailbox) => drop(mailbox.stop()),
            None => self.signal(Signal::TERM.as_raw()),
        }
    }

    fn kill(&self) {
        self.signal(Signal::KILL.as_raw());
    }

    fn signal(&self, signal: i32) {
        // A real-time signal has no name in rustix, and sending it by number takes unsafe code.
        if let Some(signal) = Signal::from_named_raw(signal) {
            // The process may have ended just now; then there is nothing to signal.
            let _ = pidfd_send_signal(&self.pidfd, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guest::Builtin;

    use super::*;

    #[test]
    fn a_command_returns_its_output_and_code() {
        let outcome =
            Native.run(&Workload::command(["sh", "-c", "echo out; echo err >&2; exit 42"]));
        let outcome = outcome.unwrap();
        assert_eq!((&*outcome.output, &*outcome.errors), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(outcome.status, Status::Exited(42));
        assert!(outcome.usage.cpu_time.is_some());
    }

    #[test]
    fn an_unknown_program_is_a_shells_127() {
        let error = Native.spawn(&Workload::command(["isolab-no-such-program"])).err().unwrap();
        assert_eq!(error.exit_code(), 127);
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_a_shells_126() {
        let folder = env::temp_dir().join(format!("isolab-native-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("plain"), "").unwrap();
        let mut workload = Workload::command(["plain"]);
        workload.environment.push(("PATH".into(), folder.clone().into()));
        let by_search = Native.spawn(&workload).err().unwrap();
        let by_path = Native.spawn(&Workload::command([folder.join("plain")])).err().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!([by_search.exit_code(), by_path.exit_code()], [126, 126]);
    }

    #[test]
    fn a_process_over_its_deadline_is_killed() {
        let workload = Workload::command(["sleep", "100"]).deadline(Duration::from_millis(20));
        let instance = Native.spawn(&workload).unwrap();
        let pid = instance.processes()[0];
        assert!(matches!(instance.wait(), Err(Error::Deadline { .. })));
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_flood_of_output_is_bounded() {
        let error = Native.run(&Workload::command(["yes"])).unwrap_err();
        assert!(matches!(error, Error::TooMuchOutput { .. }), "{error}");
    }

    #[test]
    fn idle_runs_until_it_is_told_to_stop() {
        let instance = Native.spawn(&Workload::builtin(Builtin::Idle, &[])).unwrap();
        instance.control().stop();
        assert_eq!(instance.wait().unwrap().status, Status::Exited(0));
    }
}
