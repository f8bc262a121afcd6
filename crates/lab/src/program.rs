//! The student's side: what a lab's own part uses to lead the student's functions and to meet the
//! check.
//!
//! Standard input is the line to the check, a socket. The program says what it does, a line each,
//! and at certain points it waits to be looked at:
//!
//! ```text
//!   program                         check
//!   say pid 4711              --->
//!   meet inside               --->  reads /proc/4711/ns/uts, status, mountinfo ...
//!                             <---  go
//! ```
//!
//! Started by hand, the program prints the same lines, and Enter takes the place of the check.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, IsTerminal, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
};

pub use crate::cgroup_parents::CgroupParents;

/// The line to the check, and the program's arguments.
#[derive(Debug)]
pub struct Host {
    line: Option<UnixStream>,
    arguments: BTreeMap<String, String>,
}

/// A step that did not succeed: its name and why.
#[derive(Debug)]
pub struct Trouble {
    step: String,
    error: String,
}

/// Runs a lab's own part from beginning to end: `main` of every lab program.
pub fn run(lead: impl FnOnce(&Host) -> Result<(), Trouble>) -> ExitCode {
    let host = Host::new();
    host.listen_for_panics();
    match lead(&host) {
        Ok(()) => {
            host.tell("done");
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            host.fail(&trouble);
            ExitCode::FAILURE
        }
    }
}

impl Host {
    fn new() -> Self {
        let arguments = std::env::args().skip(1).filter_map(|word| {
            word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        let arguments = arguments.collect();
        let is_socket = rustix::net::sockopt::socket_type(io::stdin()).is_ok();
        let line =
            is_socket.then(|| io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from));
        Self { line: line.and_then(Result::ok), arguments }
    }

    /// The argument `name=VALUE` of the program; empty if there is none, as when it is started by
    /// hand.
    pub fn argument(&self, name: &str) -> &str {
        self.arguments.get(name).map_or("", String::as_str)
    }

    /// The same as a number; `usual` if there is none.
    pub fn number(&self, name: &str, usual: u64) -> u64 {
        self.argument(name).parse().unwrap_or(usual)
    }

    /// Where the program may make cgroups.
    ///
    /// # Errors
    ///
    /// When it is started by hand and may make none.
    pub fn cgroup_parents(&self) -> Result<CgroupParents, Trouble> {
        self.step("find where cgroups may be made", || {
            CgroupParents::of(|name| self.argument(name).to_owned())
        })
    }

    /// Whether a check is listening.
    pub fn is_checked(&self) -> bool {
        self.line.is_some()
    }

    /// Tells the check something.
    pub fn say(&self, name: &str, value: impl Display) {
        self.tell(&format!("say {name} {}", one_line(&value.to_string())));
    }

    /// Waits at `point` until the check has looked; gives what the check has to say.
    ///
    /// A check that is gone ends the program.
    pub fn meet(&self, point: &str) -> String {
        self.tell(&format!("meet {point}"));
        match self.answer() {
            Some(answer) => answer,
            None => std::process::exit(1),
        }
    }

    /// Does a step of the student's.
    ///
    /// # Errors
    ///
    /// The step's own, with its name.
    pub fn step<T, E: Display>(
        &self,
        name: &str,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, Trouble> {
        step().map_err(|error| Trouble { step: name.to_owned(), error: error.to_string() })
    }

    /// Tells the check of a step that did not succeed: for a child process, whose errors `main` does
    /// not see.
    pub fn fail(&self, trouble: &Trouble) {
        self.tell(&format!("error {}\t{}", trouble.step, one_line(&trouble.error)));
    }

    fn tell(&self, words: &str) {
        match &self.line {
            // Nobody listens any more: the next meeting ends the program.
            Some(line) => drop((&*line).write_all(format!("{words}\n").as_bytes())),
            None => println!("  {words}"),
        }
    }

    /// A line of the check's, read byte by byte: other processes read from the same socket.
    fn answer(&self) -> Option<String> {
        let mut answer = Vec::new();
        let mut byte = [0];
        if self.line.is_none() && io::stdin().is_terminal() {
            eprint!("  (press Enter to continue) ");
        }
        loop {
            let read = match &self.line {
                Some(line) => (&*line).read(&mut byte),
                None => io::stdin().lock().read(&mut byte),
            };
            match read {
                Ok(1) if byte[0] == b'\n' => break,
                Ok(1) => answer.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return None,
            }
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Some(answer.strip_prefix("go").map_or(answer.clone(), |rest| rest.trim_start().to_owned()))
    }

    /// A `todo!` that is reached, and any other panic, is told to the check by its own word.
    fn listen_for_panics(&self) {
        let line = self.line.as_ref().and_then(|line| line.try_clone().ok());
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let words = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let words = words.unwrap_or("of an unknown kind");
            let location = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            let message = match words.strip_prefix("not yet implemented: ") {
                Some(todo) => format!("todo {}\n", one_line(todo)),
                None => format!("panic {} at {}\n", one_line(words), location.unwrap_or_default()),
            };
            match &line {
                Some(line) => drop((&*line).write_all(message.as_bytes())),
                None => usual(panic),
            }
        }));
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\t', '\r'], " ")
}
