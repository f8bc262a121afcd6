//! A peer that is ready to start the program.

use std::{
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    definition::{Definition, Found, Recipe, with_id},
    leftovers::Leftovers,
    workshop::{IDLE, PROGRAM, Starts, Workshop},
};
use crate::{
    Error,
    command_time::{CommandTime, Expected, RunningCommand, command_time},
};

/// Why a whole distribution runs no programs.
pub(super) const ITS_START_ALONE: &str = "it boots a distribution: its start alone is measured";

/// A peer with all that it needs. What it leaves is removed with it.
#[derive(Debug)]
pub struct Peer {
    definition: &'static Definition,
    program: PathBuf,
    version: String,
    pub(super) recipe: Recipe,
    leftovers: Leftovers,
    /// How long the trial took: how often it can take part.
    pace: Duration,
    pub(super) folder: TempDir,
    starts: AtomicU32,
}

impl Peer {
    /// Finds the peer, makes what it needs, and starts the program once. A whole distribution is not
    /// booted on trial: that takes as long as the measurement.
    ///
    /// # Errors
    ///
    /// When it is not installed, cannot run here, or fails: in its own words.
    pub fn prepare(definition: &'static Definition) -> Result<Self, Error> {
        let mut peer = Self::of(definition, Starts::One(PROGRAM))?;
        peer.pace = match definition.boots {
            Some(pace) => pace,
            None => peer.run()?.exited,
        };
        Ok(peer)
    }

    /// The same with a program that idles, for [`Self::idle`]; nothing is started.
    ///
    /// # Errors
    ///
    /// When it is not installed, or cannot run here; when it boots a whole distribution.
    pub fn prepare_idle(definition: &'static Definition) -> Result<Self, Error> {
        if definition.boots.is_some() {
            return Err(Error::new(ITS_START_ALONE));
        }
        let mut peer = Self::of(definition, Starts::One(IDLE))?;
        for word in peer.recipe.command.iter_mut().filter(|word| *word == PROGRAM) {
            IDLE.clone_into(word);
        }
        peer.recipe.expected = Expected::Among(b"idle");
        Ok(peer)
    }

    pub(super) fn of(definition: &'static Definition, starts: Starts) -> Result<Self, Error> {
        let Found { program, version } = definition.find()?;
        definition.obstacle().map_or(Ok(()), Err)?;
        let folder = tempfile::tempdir()?;
        let workshop = Workshop::of(folder.path(), starts);
        let recipe = (definition.prepare)(&program, &workshop)?;
        let leftovers = Leftovers::of(&recipe);
        leftovers.write(folder.path())?;
        let starts = AtomicU32::new(0);
        let pace = Duration::ZERO;
        Ok(Self { definition, program, version, recipe, leftovers, pace, folder, starts })
    }

    /// Its name in the records.
    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// What the reader must know to read its numbers rightly.
    pub fn caveat(&self) -> Option<String> {
        self.recipe.caveat.clone()
    }

    /// Whether it boots a whole distribution, for [`Self::log_in`], instead of starting the program.
    pub fn boots(&self) -> bool {
        self.definition.boots.is_some()
    }

    /// How long one start takes, roughly.
    pub fn pace(&self) -> Duration {
        self.pace
    }

    /// Its version and command line, for the provenance; the folder that was made for it, and the
    /// user's, are nobody's affair.
    pub fn subject(&self) -> report::Subject {
        let own = self.folder.path().to_string_lossy();
        let home = std::env::var("HOME").unwrap_or_default();
        let home = format!("{}/", home.trim_end_matches('/'));
        let shown = |word: &String| without_home(&word.replace(&*own, "DIR"), &home);
        let command = self.recipe.command.iter().map(shown).collect();
        report::Subject { version: self.version.clone(), command }
    }

    /// Starts the program once.
    ///
    /// # Errors
    ///
    /// When the peer hangs, fails, or writes something else than the program; what that start left
    /// behind is removed.
    pub fn run(&self) -> Result<CommandTime, Error> {
        let Recipe { expected, deadline, .. } = self.recipe;
        let run = command_time(self.name(), &mut self.command()?, expected, deadline);
        run.map_err(|error| self.after(error))
    }

    /// Boots the distribution once: how long from before the start of the machine's process until the
    /// login prompt could be read on its console. The machine is killed then.
    ///
    /// # Errors
    ///
    /// When the machine ends before, or shows no prompt by its deadline: with the last line of its
    /// console.
    pub fn log_in(&self) -> Result<Duration, Error> {
        let Recipe { expected, deadline, .. } = self.recipe;
        let booted = RunningCommand::start(self.name(), &mut self.command()?, expected, deadline);
        booted.map(|machine| machine.first_byte).map_err(|error| self.after(error))
    }

    /// Starts the program that idles, and waits until it says so. It ends with what this returns, and
    /// [`Self::left_behind`] removes its container.
    ///
    /// # Errors
    ///
    /// As of [`Self::run`]; when it runs below a daemon, whose memory is shared by all.
    pub fn idle(&self) -> Result<RunningCommand, Error> {
        if self.recipe.is_of_daemon {
            return Err(Error::new("its processes belong to its daemon, and not to its command"));
        }
        let Recipe { expected, deadline, .. } = self.recipe;
        let started = RunningCommand::start(self.name(), &mut self.command()?, expected, deadline);
        started.map_err(|error| self.after(error))
    }

    /// The command of the next start.
    fn command(&self) -> Result<Command, Error> {
        self.command_of(&self.recipe.command)
    }

    /// The command of the next start, by this command line.
    pub(super) fn command_of(&self, line: &[String]) -> Result<Command, Error> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let id = format!("isolab-compare-{}-{number}", process::id());
        let words = with_id(line, &id);
        let (program, arguments) = words.split_first().ok_or_else(|| Error::new("no command"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        Ok(command)
    }

    /// The error of a start, after which what it left behind is removed.
    pub(super) fn after(&self, error: Error) -> Error {
        match self.leftovers.remove() {
            0 => error,
            count => Error {
                reason: format!("{}; it left {count} behind, removed", error.reason),
                ..error
            },
        }
        .shown(self.folder.path())
    }

    /// What the peer left behind although its commands succeeded; it is removed.
    pub fn left_behind(&self) -> usize {
        self.leftovers.remove()
    }

    /// Its version now, and its command line: another version than before makes its numbers
    /// worthless.
    ///
    /// # Errors
    ///
    /// When it does not say any more.
    pub fn subject_now(&self) -> Result<report::Subject, Error> {
        let version = self.definition.version_of(&self.program)?;
        Ok(report::Subject { version, ..self.subject() })
    }
}

/// A word with `~/` for the home, which ends in a slash, at its beginning or at that of a value in it.
fn without_home(word: &str, home: &str) -> String {
    match word.strip_prefix(home) {
        _ if home.len() < 2 => word.to_owned(),
        Some(rest) => format!("~/{rest}"),
        None => word.replace(&format!("={home}"), "=~/"),
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.leftovers.remove();
        self.leftovers.dismantle();
    }
}

impl Error {
    /// The same without the folder that was made for the peer.
    fn shown(self, folder: &Path) -> Self {
        let reason = self.reason.replace(&*folder.to_string_lossy(), "DIR");
        Self { reason, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_where_a_home_is() {
        let shown = |word| without_home(word, "/home/ann/");
        assert_eq!(shown("/home/ann/.cache/x"), "~/.cache/x");
        assert_eq!(shown("file=/home/ann/x,format=raw"), "file=~/x,format=raw");
        assert_eq!(shown("/mnt/home/ann/x"), "/mnt/home/ann/x");
        assert_eq!(without_home("/x", "/"), "/x");
    }
}
