//! Runs a program that takes minutes, says its steps as it writes them, and ends it when nobody wants it
//! any more.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    ops::ControlFlow,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::DistributionError;

/// How often a caller is asked whether it goes on.
const GLANCE: Duration = Duration::from_millis(100);
/// How long the program may take to remove what it has made.
const GRACE: Duration = Duration::from_secs(60);
/// How many of its last messages an error quotes.
const QUOTED_LINES: usize = 3;
/// No line of a message is longer.
const LONGEST_LINE: u64 = 64 << 10;

/// Runs `command`, called `program` in errors, to its end. What it writes to standard error in lines
/// `I: ...` are its steps, in the manner of Debian's programs.
pub(super) fn run(
    program: &'static str,
    mut command: Command,
    progress: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<(), DistributionError> {
    let failed = |source| DistributionError::Run { program, source };
    // A group of its own: Ctrl-C reaches it through the caller alone, and then all of it.
    command.process_group(0).env("LC_ALL", "C").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut errors = BufReader::new(child.stderr.take().expect("it was asked for"));
    let (sender, lines) = channel();
    thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            match errors.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if sender.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() => {
                    return;
                }
                Ok(_) => {}
            }
        }
    });
    let mut last: Vec<String> = Vec::new();
    let mut step = String::new();
    loop {
        match lines.recv_timeout(GLANCE) {
            Ok(line) => match line.strip_prefix("I: ") {
                // With its paths it is about files of its own.
                Some(next) if next.contains('/') => {}
                Some(next) => next.clone_into(&mut step),
                None if line.is_empty() || line.starts_with("W: ") => {}
                None => {
                    last.push(line);
                    last.drain(..last.len().saturating_sub(QUOTED_LINES));
                }
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if progress(&step).is_break() {
            end(&mut child).map_err(failed)?;
            return Err(DistributionError::Interrupted);
        }
    }
    let status = child.wait().map_err(failed)?;
    match (status.success(), progress(&step)) {
        (true, _) => Ok(()),
        // A signal that reached the program as well.
        (false, ControlFlow::Break(())) => Err(DistributionError::Interrupted),
        (false, _) => Err(DistributionError::Failed { program, messages: quoted(&last, status) }),
    }
}

/// The errors among the last messages, if there are any.
fn quoted(last: &[String], status: ExitStatus) -> String {
    match last {
        [] => status.to_string(),
        lines => {
            lines.iter().map(|line| line.trim_start_matches("E: ")).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Asks the program to end, with all that it has started, and kills what does not.
fn end(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(child.id().cast_signed());
    let began = Instant::now();
    // It may have ended by itself; wait(2) is right in both cases.
    let _ = killpg(group, Signal::SIGTERM);
    while child.try_wait()?.is_none() {
        if began.elapsed() > GRACE {
            let _ = killpg(group, Signal::SIGKILL);
            child.wait()?;
            break;
        }
        thread::sleep(GLANCE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str, progress: &mut dyn FnMut(&str) -> ControlFlow<()>) -> DistributionError {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run("it", command, progress).unwrap_err()
    }

    #[test]
    fn the_steps_are_said_and_the_errors_quoted() {
        let mut steps = Vec::new();
        let script = "echo 'I: one' >&2; sleep 0.3; echo 'W: hm' >&2; echo 'I: two' >&2; sleep 0.3; \
                      echo 'E: no keys' >&2; exit 3";
        let error = ran(script, &mut |step| {
            steps.push(step.to_owned());
            ControlFlow::Continue(())
        });
        steps.dedup();
        steps.retain(|step| !step.is_empty());
        assert_eq!(steps, ["one", "two"]);
        assert_eq!(error.to_string(), "it failed: no keys");
        assert!(ran("exit 3", &mut |_| ControlFlow::Continue(())).to_string().contains('3'));
    }

    #[test]
    fn a_program_that_nobody_wants_any_more_is_asked_to_end_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let cleaned = folder.path().join("cleaned");
        let script = format!("trap 'echo > {}; exit 1' TERM; sleep 1000 & wait", cleaned.display());
        let began = Instant::now();
        let error = ran(&script, &mut |_| match began.elapsed() > Duration::from_millis(300) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        assert!(matches!(error, DistributionError::Interrupted), "{error}");
        assert!(cleaned.exists() && began.elapsed() < Duration::from_secs(20));
    }
}
