//! What a peer is: one row of the table.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{distribution::Distribution, workshop::Workshop};
use crate::{
    Error,
    command_time::{self, Expected},
    error::words,
};

/// A peer, before it is known whether it is here.
#[derive(Debug)]
pub struct Definition {
    /// Its name in records and on the command line.
    pub name: &'static str,
    /// Its programs: the first that is on the `PATH` is it.
    pub(super) programs: &'static [&'static str],
    /// The arguments with which it writes its version.
    pub(super) version: &'static [&'static str],
    /// How to get it.
    pub get: &'static str,
    /// Of a machine that boots a whole distribution, instead of starting the program: how long that
    /// takes, roughly.
    pub boots: Option<Duration>,
    /// Why it cannot run here, where the host says so itself.
    pub(super) obstacle: fn() -> Option<Error>,
    /// Makes what it needs, and says how it is started.
    pub(super) prepare: fn(&Path, &Workshop) -> Result<Recipe, Error>,
}

/// How a prepared peer starts the program, and how what it leaves is found and removed.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// The command line; `{id}` in a word is another name at each start.
    pub(super) command: Vec<String>,
    /// Writes the names of containers that are still there, one a line; empty if nothing can be
    /// left but processes.
    pub(super) list: Vec<String>,
    /// Removes the one that is called `{id}`.
    pub(super) remove: Vec<String>,
    /// Removes what was made for it, at the end; empty if that is all in the workshop.
    pub(super) dismantle: Vec<String>,
    /// How it is told which program to start.
    pub(super) program_from: ProgramFrom,
    /// Whether a daemon starts the program, and not the command.
    pub(super) is_of_daemon: bool,
    /// What it writes.
    pub(super) expected: Expected,
    /// Its timeout: it is killed when this is over.
    pub(super) deadline: Duration,
    /// What the reader must know to read its numbers rightly.
    pub(super) caveat: Option<String>,
}

/// How a peer is told which program to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramFrom {
    /// By the last word of its command line.
    CommandLine,
    /// By the bundle, a file of which names it.
    Bundle,
    /// By the first process of a guest.
    FirstProcess,
}

/// A peer that is on this host.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its program.
    pub program: PathBuf,
    /// Its version, in its own words.
    pub version: String,
}

impl Definition {
    /// The definition of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        super::DEFINITIONS.iter().find(|it| it.name == name)
    }

    /// Looks for it on the `PATH`, and asks it for its version.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not write its version within seconds.
    pub fn find(&self) -> Result<Found, Error> {
        let program = self.programs.iter().find_map(|name| on_path(name));
        let program = program.ok_or_else(|| Error {
            reason: format!("{} is not installed", self.programs.join(" or ")),
            fix: self.get.to_owned(),
        })?;
        let version = self.version_of(&program)?;
        Ok(Found { program, version })
    }

    /// Why it cannot take part here although it is installed, as far as that is known without
    /// starting anything by it.
    pub fn obstacle(&self) -> Option<Error> {
        (self.obstacle)()
    }

    /// Whether it takes part without being asked for by name: a whole distribution is slow, so that it
    /// does where the user has made one for it.
    pub(super) fn is_usual(&self) -> bool {
        self.find().is_ok() && (self.boots.is_none() || Distribution::of_user().is_some())
    }

    /// The version of `program`, in its own words, on one line.
    pub(super) fn version_of(&self, program: &Path) -> Result<String, Error> {
        const DEADLINE: Duration = Duration::from_secs(10);
        let command: Vec<String> = [text(program)?]
            .into_iter()
            .chain(self.version.iter().map(|it| (*it).into()))
            .collect();
        let written = output(self.name, &command, DEADLINE)?;
        let first = written.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        match words(first.as_bytes()) {
            none if none.is_empty() => Err(Error::new(format!("{} has no version", self.name))),
            version => Ok(version),
        }
    }
}

/// The program of that name on the `PATH`, or where programs of the administrator are.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    const ELSEWHERE: &str = "/usr/local/sbin:/usr/sbin:/sbin";
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(env::split_paths(ELSEWHERE));
    let mut files = folders.map(|folder| folder.join(name)).filter(|file| file.is_absolute());
    files.find(|file| file.is_file())
}

/// What a command that is not measured writes to its standard output.
///
/// # Errors
///
/// When it cannot be started, fails, or has not ended by the deadline: then it is killed.
pub(super) fn output(name: &str, command: &[String], deadline: Duration) -> Result<String, Error> {
    let (program, arguments) = command.split_first().ok_or_else(|| Error::new("no command"))?;
    command_time::output(name, Command::new(program).args(arguments), deadline)
}

/// Words of a command line.
pub(super) fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The same with what stands for the name of a container.
pub(super) fn with_id(command: &[String], id: &str) -> Vec<String> {
    command.iter().map(|word| word.replace("{id}", id)).collect()
}

/// A path as a word of a command line.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::new(format!("{} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_name_of_its_own_and_a_way_to_get_it() {
        for definition in super::super::DEFINITIONS {
            assert_eq!(Definition::named(definition.name).unwrap().name, definition.name);
            assert!(!definition.get.is_empty() && !definition.programs.is_empty());
        }
    }

    #[test]
    fn what_is_not_installed_says_how_to_get_it() {
        let absent = Definition {
            name: "absent",
            programs: &["isolab-no-such-program"],
            version: &["--version"],
            get: "write it",
            boots: None,
            obstacle: || None,
            prepare: |_, _| Err(Error::new("never asked")),
        };
        let error = absent.find().unwrap_err();
        assert_eq!(error.reason, "isolab-no-such-program is not installed");
        assert_eq!(error.fix, "write it");
    }

    #[test]
    fn a_command_that_hangs_is_not_waited_for() {
        let deadline = Duration::from_millis(50);
        let error = output("it", &line(&["/bin/sleep", "30"]), deadline).unwrap_err();
        assert!(error.reason.contains("had not ended"), "{error}");
        assert_eq!(output("it", &line(&["/bin/echo", "x"]), deadline * 100).unwrap(), "x\n");
    }
}
