//! Classroom demonstrations: what the kernel does, live, drawn for the front of a class.
//!
//! ```text
//!   Source (live, or a recording)  --Scene-->  draw  -->  terminal   (screen)
//!                                                    `-->  web page   (page), the same picture
//! ```
//!
//! A [`Scene`] is all that is known at one moment. What is drawn is computed from it alone, so a
//! recording shows exactly what was seen.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
pub mod page;
mod picture;
pub mod recording;
pub mod screen;
pub mod slices;

use ratatui::Frame;
use serde::{Deserialize, Serialize};

pub use error::{Error, Result};
pub use sandbox::Language;

/// A demonstration by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demo {
    /// One second in ten tenths.
    Slices,
}

impl Demo {
    /// All of them, in the order of a lesson.
    pub const ALL: [Self; 1] = [Self::Slices];

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slices => "slices",
        }
    }

    /// What it shows, in a line.
    pub fn title(self, language: Language) -> &'static str {
        match self {
            Self::Slices => language.either("One second in ten tenths", "把一秒分成十份"),
        }
    }

    /// What to say, how long it takes, what to ask.
    pub fn notes(self, language: Language) -> &'static str {
        match self {
            Self::Slices => slices::notes(language),
        }
    }

    /// A recording of it that comes with isolab.
    ///
    /// # Errors
    ///
    /// None of the ones that do.
    pub fn recorded(self) -> Result<recording::Replay> {
        match self {
            Self::Slices => {
                let bytes: &[u8] = include_bytes!("../recordings/slices.demo");
                recording::Replay::read(bytes, std::path::Path::new("slices.demo"))
            }
        }
    }

    /// Its live source.
    ///
    /// # Errors
    ///
    /// When this host lacks what it takes.
    pub fn live(self) -> Result<Box<dyn Source>> {
        match self {
            Self::Slices => Ok(Box::new(slices::Live::start()?)),
        }
    }
}

/// All that is known at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// Who ran when.
    Slices(slices::Slices),
}

impl Scene {
    /// Draws it into the whole of `frame`.
    pub fn draw(&self, frame: &mut Frame<'_>, language: Language) {
        match self {
            Self::Slices(scene) => slices::draw(scene, frame, language),
        }
    }

    /// The same as lines of text, for who has no terminal.
    pub fn summary(&self, language: Language) -> String {
        match self {
            Self::Slices(scene) => slices::summary(scene, language),
        }
    }
}

/// Where scenes come from.
pub trait Source {
    /// What is known now; `None` when there is no more.
    ///
    /// # Errors
    ///
    /// When it can no longer be seen.
    fn scene(&mut self) -> Result<Option<Scene>>;

    /// A key that was pressed; a recording knows none.
    fn key(&mut self, key: char);
}
