//! Programs that take their own times, started by a peer.

use std::cell::RefCell;

use super::{
    Definition, Peer,
    definition::ProgramFrom,
    peer::ITS_START_ALONE,
    workshop::{PROGRAM, Starts, Workshop},
};
use crate::{Error, command_time::output};

/// A program: its path in the root, and its arguments.
pub type Words = Vec<String>;

/// A peer that starts such programs.
#[derive(Debug)]
pub struct ProgramPeer {
    peer: Peer,
    programs: Vec<Words>,
    /// What the programs of a guest wrote, all of which one boot starts.
    written: RefCell<Option<String>>,
}

impl ProgramPeer {
    /// Finds the peer, and makes what it needs.
    ///
    /// # Errors
    ///
    /// When it is not installed, or cannot run here; when it boots a whole distribution.
    pub fn prepare(definition: &'static Definition, programs: Vec<Words>) -> Result<Self, Error> {
        if definition.boots.is_some() {
            return Err(Error::new(ITS_START_ALONE));
        }
        let peer = Peer::of(definition, Starts::Programs(programs.clone()))?;
        Ok(Self { peer, programs, written: RefCell::new(None) })
    }

    /// The peer.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether its programs have a kernel of their own.
    pub fn is_machine(&self) -> bool {
        self.peer.recipe.program_from == ProgramFrom::FirstProcess
    }

    /// How many ticks of the time stamp counter the measured part of the program with that number
    /// took. A guest boots for the first program and runs the others then, too.
    ///
    /// # Errors
    ///
    /// When the peer hangs or fails, or the program does not say how long it took; what that start
    /// left behind is removed.
    pub fn ticks(&self, number: usize) -> Result<u64, Error> {
        let words = &self.programs[number];
        let text = match self.is_machine() {
            true => {
                let kept = self.written.take().filter(|_| number > 0);
                let text = kept.map_or_else(|| self.written(words), Ok)?;
                self.written.replace(Some(text.clone()));
                text
            }
            false => self.written(words)?,
        };
        ticks(&text, words).ok_or_else(|| {
            let text = crate::error::words(text.as_bytes());
            Error::new(format!("{} did not say how long it took: {text:?}", words[0]))
        })
    }

    /// What is written by the next start.
    fn written(&self, words: &Words) -> Result<String, Error> {
        let Peer { recipe, folder, .. } = &self.peer;
        let mut line = recipe.command.clone();
        match recipe.program_from {
            ProgramFrom::FirstProcess => {}
            ProgramFrom::Bundle => {
                let starts = Starts::Programs(vec![words.clone()]);
                Workshop::of(folder.path(), starts).bundle()?;
            }
            ProgramFrom::CommandLine => {
                line.pop_if(|last| last == PROGRAM);
                line.extend(words.iter().cloned());
            }
        }
        let mut command = self.peer.command_of(&line)?;
        let written = output(self.peer.name(), &mut command, recipe.deadline);
        written.map_err(|error| self.peer.after(error))
    }
}

/// The number in the line `spin took 123 ticks`, which a console may show behind other text.
fn ticks(text: &str, words: &Words) -> Option<u64> {
    let name = words.first()?.trim_start_matches('/');
    let (_, rest) = text.split_once(&format!("{name} took "))?;
    let (number, _) = rest.split_once(" ticks")?;
    number.parse().ok().filter(|ticks| *ticks > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_among_what_a_console_shows() {
        let words = vec!["/spin".to_owned(), "5".to_owned()];
        let text = "[    0.1] random: crng\r\nspin took 1234 ticks\r\nexit 0\r\n";
        assert_eq!(ticks(text, &words), Some(1234));
        for text in
            ["", "spin took", "spin took 0 ticks", "spin took x ticks", "chase took 7 ticks"]
        {
            assert_eq!(ticks(text, &words), None, "{text}");
        }
    }
}
