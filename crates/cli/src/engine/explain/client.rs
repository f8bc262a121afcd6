//! The real client, whose daemon is the stand-in.

use std::{
    env,
    ffi::OsString,
    io::Read as _,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::stand_in::StandIn;
use crate::failure::Failure;

/// The client, in a process group of its own.
pub(super) struct Client {
    process: Child,
    errors: Option<thread::JoinHandle<String>>,
    /// The other end of its terminal, where nobody types.
    _terminal: Option<OwnedFd>,
}

impl Client {
    /// Starts it with the stand-in as its daemon.
    pub(super) fn start(words: &[OsString], stand_in: &StandIn) -> Result<Self, Failure> {
        let (stdin, terminal) = match wants_terminal(words) {
            false => (Stdio::null(), None),
            true => {
                let pair =
                    host::raw_pair().map_err(Failure::at("open a terminal for the client"))?;
                (Stdio::from(pair.slave), Some(pair.master))
            }
        };
        let host = format!("unix://{}", stand_in.socket().display());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("DOCKER_HOST", &host)
            .env("CONTAINER_HOST", &host)
            // What it keeps, such as a password after `docker login`, goes with the stand-in.
            .env("DOCKER_CONFIG", stand_in.directory())
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_TLS_VERIFY")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        if env::var_os("DOCKER_BUILDKIT").is_none() {
            command.env("DOCKER_BUILDKIT", "0");
        }
        let name = words[0].to_string_lossy();
        let mut process = command.spawn().map_err(|error| {
            Failure::at(format!("execute the client {name}"))(error).help(
                "install a client of Docker's API, such as Debian's package docker-cli or docker.io",
            )
        })?;
        let errors = process.stderr.take().map(|stream| {
            thread::spawn(move || {
                const MOST: u64 = 4096;
                let mut text = Vec::new();
                let mut stream = stream;
                let _ = (&mut stream).take(MOST).read_to_end(&mut text);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Self { process, errors, _terminal: terminal })
    }

    /// Waits for its end; false if it took too long and was killed.
    pub(super) fn wait(&mut self, timeout: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + timeout;
        loop {
            let ended = self.process.try_wait().map_err(Failure::at("wait for the client"))?;
            if ended.is_some() {
                self.kill_group(); // its plugins have nobody left
                return Ok(true);
            }
            if Instant::now() >= until {
                self.kill();
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it with its plugins; it ignores gentler signals.
    fn kill(&mut self) {
        self.kill_group();
        let _ = self.process.wait();
    }

    fn kill_group(&self) {
        if let Ok(group) = i32::try_from(self.process.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL); // it may have ended
        }
    }

    /// What it has written to its standard error.
    pub(super) fn errors(&mut self) -> String {
        let read = self.errors.take().map(thread::JoinHandle::join);
        read.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            self.kill();
        }
    }
}

/// Whether it would refuse to go on without a terminal: `-t` of `docker run` and the like.
fn wants_terminal(words: &[OsString]) -> bool {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let verbs = ["run", "exec", "create"];
    let Some(verb) = words.iter().position(|word| verbs.contains(&&**word)) else { return false };
    let is_t = |word: &str| match word.strip_prefix('-') {
        Some(letters) if !letters.starts_with('-') => {
            letters.contains('t') && letters.chars().all(|letter| "ditP".contains(letter))
        }
        _ => word == "--tty" || word == "--tty=true",
    };
    words[verb..].iter().any(|word| is_t(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(Into::into).collect()
    }

    #[test]
    fn only_an_interactive_command_gets_a_terminal() {
        for with in ["docker run -it x", "docker exec --tty x", "docker run --rm -dit x"] {
            assert!(wants_terminal(&words(with)), "{with}");
        }
        for without in ["docker run x", "docker build -t x .", "docker tag run x", "docker ps"] {
            assert!(!wants_terminal(&words(without)), "{without}");
        }
    }
}
