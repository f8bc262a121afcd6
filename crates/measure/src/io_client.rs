//! The host's side of the program inside a sandbox that writes, reads and sends.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Error,
    error::words,
    io_request::{IoAnswer, IoRequest},
    outcome::TIMEOUT,
    receiver::{Received, receive},
    watched_command::WatchedCommand,
};

/// A sandbox in which that program has not started by then never will: a machine boots meanwhile.
const START: Duration = Duration::from_secs(60);
/// A link that takes longer for all bytes is none: an emulated computer's guest sends a megabyte in a
/// second.
const RECEIVE: Duration = Duration::from_secs(60);
/// So long the launcher has to take down what it made, once when its program ends and once when it is
/// asked to.
const TEARDOWN: Duration = Duration::from_secs(10);
/// How often it is looked whether the launcher has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// A sandbox with that program, which does one thing after the other. It ends with this.
#[derive(Debug)]
pub struct IoClient {
    launcher: WatchedCommand,
    began: Instant,
}

impl IoClient {
    /// Starts `launcher`, whose standard input and output are those of
    /// [`serve_io`](crate::serve_io) inside.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends before the program inside has.
    pub fn start(launcher: &mut Command) -> Result<Self, Error> {
        launcher.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let launcher = WatchedCommand::of(launcher.spawn()?, began);
        let mut client = Self { launcher, began };
        match client.answer(START)? {
            IoAnswer::Done => Ok(client),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a disk with an ext4 file system mounted.
    ///
    /// # Errors
    ///
    /// When that fails inside.
    pub fn mount(&mut self, disk: &Path, folder: &Path) -> Result<(), Error> {
        self.ask(&IoRequest::Mount { disk: disk.to_owned(), folder: folder.to_owned() })?;
        match self.answer(TIMEOUT)? {
            IoAnswer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Has a file written and read: how long both took, in seconds.
    ///
    /// # Errors
    ///
    /// When that fails inside.
    pub fn write_and_read(&mut self, folder: &Path, bytes: u64) -> Result<f64, Error> {
        self.ask(&IoRequest::WriteAndRead { folder: folder.to_owned(), bytes })?;
        match self.answer(TIMEOUT)? {
            IoAnswer::Times { written, read } if written + read > 0.0 => Ok(written + read),
            other => Err(unexpected(&other)),
        }
    }

    /// Has so many bytes sent, and receives them: from an address of the link by which others are
    /// reached, unless there is another.
    ///
    /// # Errors
    ///
    /// When the program cannot listen or send, or its bytes do not come.
    pub fn receive(&mut self, at: Option<SocketAddr>, bytes: u64) -> Result<Received, Error> {
        self.ask(&IoRequest::Send { at, bytes })?;
        let from = match self.answer(TIMEOUT)? {
            IoAnswer::Listening(from) => from,
            other => return Err(unexpected(&other)),
        };
        let received = receive(from, bytes, RECEIVE);
        // It is over with this request before it gets another.
        match (received, self.answer(TIMEOUT)) {
            (received, Ok(IoAnswer::Done)) => received,
            (Ok(_), Ok(other)) => Err(unexpected(&other)),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), Ok(other)) => Err(both(&error, &unexpected(&other))),
            (Err(error), Err(other)) => Err(both(&error, &other)),
        }
    }

    fn ask(&mut self, request: &IoRequest) -> Result<(), Error> {
        let line = serde_json::to_string(request).expect("a request is text and numbers") + "\n";
        let input = self.launcher.child.stdin.as_mut().expect("it was asked for");
        input.write_all(line.as_bytes()).or_else(|error| match self.launcher.child.try_wait()? {
            Some(status) => {
                self.launcher.drain()?;
                Err(Error::of_command("isolab run", status, &self.launcher.errors.bytes))
            }
            None => Err(error.into()),
        })
    }

    /// The next line that the program writes.
    fn answer(&mut self, deadline: Duration) -> Result<IoAnswer, Error> {
        let asked = Instant::now();
        loop {
            let output = &mut self.launcher.output.bytes;
            if let Some(end) = output.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = output.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| {
                    Error::new(format!("the program inside wrote {:?}", words(&line)))
                });
            }
            let left = deadline.saturating_sub(asked.elapsed());
            if left.is_zero() {
                let errors = words(&self.launcher.errors.bytes);
                return Err(Error::new(format!(
                    "the program inside had not answered after {deadline:?} {errors}"
                )));
            }
            let [output, errors, _] = self.launcher.poll(None, left.min(PAUSE))?;
            self.launcher.take(output, errors)?;
            // What it wrote before it ended is read first.
            if !output && let Some(status) = self.launcher.child.try_wait()? {
                self.launcher.drain()?;
                if !self.launcher.output.bytes.contains(&b'\n') {
                    let errors = &self.launcher.errors.bytes;
                    return Err(Error::of_command("isolab run", status, errors));
                }
            }
        }
    }
}

/// That something else was answered than what was asked for.
fn unexpected(answer: &IoAnswer) -> Error {
    match answer {
        IoAnswer::Failed(why) => Error::new(why),
        other => Error::new(format!("the program inside answered {other:?}")),
    }
}

fn both(one: &Error, other: &Error) -> Error {
    Error::new(format!("{one}; {other}"))
}

impl Drop for IoClient {
    fn drop(&mut self) {
        // The program ends with its input, and the launcher with the program: it takes back from the
        // host what it made there, as rules and links, which one that is killed cannot.
        drop(self.launcher.child.stdin.take());
        if !matches!(self.launcher.child.try_wait(), Ok(None))
            || self.launcher.until_end(self.began.elapsed() + TEARDOWN).is_ok_and(|ended| ended)
        {
            return;
        }
        let launcher = Pid::from_raw(self.launcher.child.id().cast_signed());
        // It may have ended just now. What is left after that is killed when its command is dropped.
        let _ = kill(launcher, Signal::SIGTERM);
        let _ = self.launcher.until_end(self.began.elapsed() + TEARDOWN);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener};

    use super::*;

    /// A shell that answers as the program would.
    fn shell(script: &str) -> Result<IoClient, Error> {
        IoClient::start(Command::new("/bin/sh").args(["-c", script]))
    }

    const DONE: &str = r#"echo '"done"'; read line"#;

    #[test]
    fn a_launcher_that_fails_is_an_error_in_its_own_words() {
        let error = shell("echo 'only root may' >&2; exit 125").unwrap_err();
        assert!(error.reason.contains("125") && error.reason.ends_with("only root may"), "{error}");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let error = shell("echo hello; read line").unwrap_err();
        assert!(error.reason.contains("hello"), "{error}");
    }

    #[test]
    fn a_program_that_dies_before_it_has_sent_all_is_an_error_of_both_sides() {
        // A server that sends 100 bytes is not in every shell: nobody listens there any more.
        let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let script = format!(r#"{DONE}; echo '{{"listening":"{gone}"}}'; echo died >&2; exit 3"#);
        let error = shell(&script).unwrap().receive(None, 100).unwrap_err();
        let words = [&*gone.to_string(), "exit status: 3", "died"];
        assert!(words.iter().all(|it| error.reason.contains(it)), "{error}");
    }

    #[test]
    fn a_failure_inside_is_told_and_the_program_goes_on() {
        let script = format!(
            r#"{DONE}; echo '{{"failed":"no room"}}'; read line; echo '{{"times":{{"written":0.5,"read":0.25}}}}'; read line"#
        );
        let mut client = shell(&script).unwrap();
        let folder = Path::new("/tmp");
        assert_eq!(client.write_and_read(folder, 1).unwrap_err().reason, "no room");
        assert_eq!(client.write_and_read(folder, 1).unwrap(), 0.75);
    }

    #[test]
    fn a_launcher_has_time_to_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        let cleaned = folder.path().join("cleaned");
        let script = format!("{DONE}; sleep 0.1; : > {}", cleaned.display());
        drop(shell(&script).unwrap());
        assert!(fs::exists(&cleaned).unwrap());
    }
}
