//! A whole command of this host, from its start to its first byte and to its end, with a deadline.

use std::{
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

pub use crate::watched_command::Expected;

use crate::{
    Error,
    error::{last_line, words},
    watched_command::WatchedCommand,
};

/// How long a command took.
#[derive(Debug, Clone, Copy)]
pub struct CommandTime {
    /// From before the start to when the first byte of the expected output could be read.
    pub first_byte: Duration,
    /// From before the start to when the command had been waited for.
    pub exited: Duration,
}

/// Runs `command`, called `name` in errors, to its end.
///
/// # Errors
///
/// When it cannot be started, has not ended by the deadline (then it is killed, with all that
/// descends from it), fails, or writes something else than what is expected.
pub fn command_time(
    name: &str,
    command: &mut Command,
    expected: Expected,
    deadline: Duration,
) -> Result<CommandTime, Error> {
    let (watched, status, exited) = run(name, command, deadline)?;
    let WatchedCommand { output, errors, .. } = &watched;
    if !status.success() {
        let said = if errors.bytes.is_empty() { &output.bytes } else { &errors.bytes };
        return Err(Error::of_command(name, status, said));
    }
    let first_byte = output.first_byte(expected).ok_or_else(|| {
        let (text, errors) = (words(&output.bytes), words(&errors.bytes));
        Error::new(format!("{name} wrote something else than the program: {text:?} {errors}"))
    })?;
    Ok(CommandTime { first_byte, exited })
}

/// What a command that is not measured writes to standard output, of which the first 64 KiB are kept.
///
/// # Errors
///
/// When it cannot be started, fails, or has not ended by the deadline: then it is killed, with all that
/// descends from it.
pub(crate) fn output(
    name: &str,
    command: &mut Command,
    deadline: Duration,
) -> Result<String, Error> {
    let (watched, status, _) = run(name, command, deadline)?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&watched.output.bytes).into_owned()),
        false => Err(Error::of_command(name, status, &watched.errors.bytes)),
    }
}

/// Runs a command to its end: with what it wrote, its status, and how long it took.
fn run(
    name: &str,
    command: &mut Command,
    deadline: Duration,
) -> Result<(WatchedCommand, ExitStatus, Duration), Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut watched = WatchedCommand::of(command.spawn()?, began);
    if !watched.until_end(deadline)? {
        watched.kill();
        let errors = words(&watched.errors.bytes);
        let errors = if errors.is_empty() { errors } else { format!(": {errors}") };
        return Err(Error::new(format!("{name} had not ended after {deadline:?}{errors}")));
    }
    let status = watched.child.wait()?;
    let exited = began.elapsed();
    watched.drain()?;
    Ok((watched, status, exited))
}

/// A command that has written what was expected and runs on. It is killed with this, with all that
/// descends from it.
#[derive(Debug)]
pub struct RunningCommand {
    watched: WatchedCommand,
    /// From before the start to when the first byte of the expected output could be read.
    pub first_byte: Duration,
}

impl RunningCommand {
    /// Starts `command`, called `name` in errors, and waits for the expected output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends before, or has not written that by the deadline: with the last
    /// line that it wrote instead.
    pub fn start(
        name: &str,
        command: &mut Command,
        expected: Expected,
        deadline: Duration,
    ) -> Result<Self, Error> {
        // Its standard input stays open: some programs idle until its end.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut watched = WatchedCommand::of(command.spawn()?, began);
        loop {
            if let Some(first_byte) = watched.output.first_byte(expected) {
                return Ok(Self { watched, first_byte });
            }
            let left = deadline.saturating_sub(began.elapsed());
            if left.is_zero() {
                let (errors, last) =
                    (words(&watched.errors.bytes), last_line(&watched.output.bytes));
                let last = last.map_or("nothing".to_owned(), |line| format!("at last {line:?}"));
                let text = format!("{name} had written {last} after {deadline:?}: {errors}");
                return Err(Error::new(text.trim_end_matches(": ")));
            }
            if let Some(status) = watched.child.try_wait()? {
                watched.drain()?;
                let last = last_line(&watched.output.bytes).unwrap_or_default().into_bytes();
                let errors = &watched.errors.bytes;
                let said = if errors.is_empty() { &last } else { errors };
                return Err(Error::of_command(name, status, said));
            }
            let [output, errors, _] = watched.poll(None, left.min(Duration::from_millis(50)))?;
            watched.take(output, errors)?;
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.watched.child.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(script: &str, expected: Expected) -> Result<CommandTime, Error> {
        let deadline = Duration::from_millis(700);
        command_time("it", Command::new("/bin/sh").args(["-c", script]), expected, deadline)
    }

    const HELLO: Expected = Expected::Exactly(b"hello\n");

    #[test]
    fn the_first_byte_is_that_of_what_is_expected() {
        let time = timed("sleep 0.1; echo hello; sleep 0.1", HELLO).unwrap();
        assert!(time.first_byte >= Duration::from_millis(100), "{time:?}");
        assert!(time.exited >= time.first_byte + Duration::from_millis(90), "{time:?}");
        let console = "echo booting; sleep 0.1; echo hello; sleep 0.1; echo over";
        let time = timed(console, Expected::Among(b"hello")).unwrap();
        assert!(time.first_byte >= Duration::from_millis(100), "{time:?}");
        assert!(timed(console, HELLO).unwrap_err().reason.contains("booting hello over"));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_what_it_started() {
        let began = Instant::now();
        let seconds = format!("1000.{}", std::process::id());
        let error = timed(&format!("sleep {seconds} & echo waits >&2; wait"), HELLO).unwrap_err();
        assert!(
            error.reason.contains("had not ended") && error.reason.ends_with("waits"),
            "{error}"
        );
        assert!(began.elapsed() < Duration::from_secs(10));
        let sleep = format!("sleep\0{seconds}\0").into_bytes();
        let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
        let runs = || {
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            all.filter_map(line).any(|line| line == sleep)
        };
        while runs() {
            assert!(began.elapsed() < Duration::from_secs(20), "it still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_command_that_runs_on_is_timed_to_its_output_or_quoted() {
        let started = |script: &str| {
            let mut shell = Command::new("/bin/sh");
            let command = shell.args(["-c", script]);
            let deadline = Duration::from_millis(500);
            RunningCommand::start("it", command, Expected::Among(b" login: "), deadline)
        };
        let first_byte = started("sleep 0.1; printf 'x login: '; sleep 1000").unwrap().first_byte;
        assert!(first_byte >= Duration::from_millis(100), "{first_byte:?}");
        let error = started("printf 'booting\\r\\nno root device\\r\\n'; sleep 1000").unwrap_err();
        assert!(error.reason.ends_with("had written at last \"no root device\" after 500ms"));
        let error = started("echo panic; exit 3").unwrap_err();
        assert!(error.reason.contains('3') && error.reason.ends_with("panic"), "{error}");
    }

    #[test]
    fn rubbish_without_end_is_not_kept() {
        let error = timed("yes rubbish", HELLO).unwrap_err();
        assert!(error.reason.contains("had not ended"), "{error}");
    }

    #[test]
    fn a_command_that_fails_is_an_error_in_its_own_words() {
        let error = timed("echo hello; echo 'no such thing' >&2; exit 3", HELLO).unwrap_err();
        assert!(error.reason.contains('3') && error.reason.ends_with("no such thing"), "{error}");
    }

    #[test]
    fn a_process_that_keeps_the_pipe_does_not_keep_the_measurement() {
        let time = timed("echo hello; sleep 3 & exit 0", HELLO).unwrap();
        assert!(time.exited < Duration::from_millis(600), "{time:?}");
    }
}
