//! Classroom demonstrations: what the kernel does, live, drawn for the front of a class.
//!
//! ```text
//!   Source (live, or a recording)  --Scene-->  draw  -->  cells of the terminal    (screen)
//!                                        `-->  page  -->  HTML and SVG for the page (page)
//! ```
//!
//! A [`Scene`] is all that is known at one moment. What is drawn is computed from it alone, so a
//! recording shows exactly what was seen.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod breakout;
pub mod engine;
mod error;
pub mod exits;
pub mod layers;
mod markup;
pub mod namespaces;
pub mod page;
#[cfg(test)]
mod picture;
pub mod race;
pub mod recording;
pub mod screen;
pub mod script;
pub mod slices;
pub mod stage;
mod style;
pub mod tour;

use std::path::Path;

use ratatui::{Frame, layout::Rect};
use serde::{Deserialize, Serialize};

pub use error::{Error, Result};
pub use host::Language;

use recording::Replay;
use script::{Script, Words};

/// A demonstration by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demo {
    /// One second in ten tenths.
    Slices,
    /// What a container is, and is not.
    Namespaces,
    /// The exits of a microVM, and who answers them.
    Exits,
    /// What overlayfs makes of an image and what a container writes.
    Layers,
    /// Who starts first, and who holds how much.
    Race,
    /// Three attempts to get out, and four walls.
    Breakout,
    /// What `docker run` really does.
    Engine,
}

impl Demo {
    /// All of them, in the order of a lesson.
    pub const ALL: [Self; 7] = [
        Self::Slices,
        Self::Namespaces,
        Self::Exits,
        Self::Layers,
        Self::Race,
        Self::Breakout,
        Self::Engine,
    ];

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slices => "slices",
            Self::Namespaces => "namespaces",
            Self::Exits => "exits",
            Self::Layers => "layers",
            Self::Race => "race",
            Self::Breakout => "breakout",
            Self::Engine => "engine",
        }
    }

    /// The keys to press, what to say and what to ask.
    pub fn script(self) -> &'static Script {
        match self {
            Self::Slices => &slices::SCRIPT,
            Self::Namespaces => &namespaces::SCRIPT,
            Self::Exits => &exits::SCRIPT,
            Self::Layers => &layers::SCRIPT,
            Self::Race => &race::SCRIPT,
            Self::Breakout => &breakout::SCRIPT,
            Self::Engine => &engine::SCRIPT,
        }
    }

    /// A recording of it that comes with isolab.
    ///
    /// # Errors
    ///
    /// None of the ones that do.
    pub fn recorded(self) -> Result<Replay> {
        let bytes: &[u8] = match self {
            Self::Slices => include_bytes!("../recordings/slices.demo"),
            Self::Namespaces => include_bytes!("../recordings/namespaces.demo"),
            Self::Exits => include_bytes!("../recordings/exits.demo"),
            Self::Layers => include_bytes!("../recordings/layers.demo"),
            Self::Race => include_bytes!("../recordings/race.demo"),
            Self::Breakout => include_bytes!("../recordings/breakout.demo"),
            Self::Engine => include_bytes!("../recordings/engine.demo"),
        };
        Replay::read(bytes, Path::new(self.name()))
    }

    /// Its live source.
    ///
    /// # Errors
    ///
    /// When this host lacks what it takes.
    pub fn live(self) -> Result<Box<dyn Source>> {
        Ok(match self {
            Self::Slices => Box::new(slices::SlicesDemo::start()?),
            Self::Namespaces => Box::new(namespaces::NamespacesDemo::start()?),
            Self::Exits => Box::new(exits::ExitsDemo::start()?),
            Self::Layers => Box::new(layers::LayersDemo::start()?),
            Self::Race => Box::new(race::RaceDemo::start()?),
            Self::Breakout => Box::new(breakout::BreakoutDemo::start()?),
            Self::Engine => Box::new(engine::EngineDemo::start()?),
        })
    }
}

/// All that is known at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// Who ran when.
    Slices(slices::Slices),
    /// Which namespaces are whose.
    Namespaces(namespaces::Namespaces),
    /// Why a guest stopped, and who answered.
    Exits(exits::Exits),
    /// What is in which layer.
    Layers(layers::Layers),
    /// Who started when, and who lives.
    Race(race::Race),
    /// Who got out of what.
    Breakout(Box<breakout::Breakout>),
    /// Who asks whom for what.
    Engine(Box<engine::EngineScene>),
}

impl Scene {
    /// Whose scene it is.
    pub fn demo(&self) -> Demo {
        match self {
            Self::Slices(_) => Demo::Slices,
            Self::Namespaces(_) => Demo::Namespaces,
            Self::Exits(_) => Demo::Exits,
            Self::Layers(_) => Demo::Layers,
            Self::Race(_) => Demo::Race,
            Self::Breakout(_) => Demo::Breakout,
            Self::Engine(_) => Demo::Engine,
        }
    }

    /// Draws it into `area`.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, language: Language) {
        match self {
            Self::Slices(scene) => slices::draw(scene, frame, area, language),
            Self::Namespaces(scene) => namespaces::draw(scene, frame, area, language),
            Self::Exits(scene) => exits::draw(scene, frame, area, language),
            Self::Layers(scene) => layers::draw(scene, frame, area, language),
            Self::Race(scene) => race::draw(scene, frame, area, language),
            Self::Breakout(scene) => breakout::draw(scene, frame, area, language),
            Self::Engine(scene) => engine::draw(scene, frame, area, language),
        }
    }

    /// The same as HTML for the page; drawings are SVG.
    pub(crate) fn page(&self, language: Language) -> String {
        match self {
            Self::Slices(scene) => scene.page(language),
            Self::Namespaces(scene) => scene.page(language),
            Self::Exits(scene) => scene.page(language),
            Self::Layers(scene) => scene.page(language),
            Self::Race(scene) => scene.page(language),
            Self::Breakout(scene) => scene.page(language),
            Self::Engine(scene) => scene.page(language),
        }
    }

    /// The same as lines of text, where there is no terminal.
    pub fn summary(&self, language: Language) -> String {
        match self {
            Self::Slices(scene) => slices::summary(scene, language),
            Self::Namespaces(scene) => namespaces::summary(scene, language),
            Self::Exits(scene) => exits::summary(scene, language),
            Self::Layers(scene) => layers::summary(scene, language),
            Self::Race(scene) => race::summary(scene, language),
            Self::Breakout(scene) => breakout::summary(scene, language),
            Self::Engine(scene) => engine::summary(scene, language),
        }
    }

    /// Whether what `key` chooses is what is seen.
    pub fn is_on(&self, key: char) -> bool {
        match self {
            Self::Slices(scene) => scene.is_on(key),
            Self::Namespaces(scene) => scene.is_on(key),
            Self::Exits(scene) => scene.is_on(key),
            Self::Layers(scene) => scene.is_on(key),
            Self::Race(scene) => scene.is_on(key),
            Self::Breakout(scene) => scene.is_on(key),
            Self::Engine(scene) => scene.is_on(key),
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

    /// A key was pressed. What it begins may not take longer than a picture stays, a tenth of a
    /// second; a failure is shown by the next scenes.
    fn key(&mut self, key: char);

    /// Where they really come from.
    fn origin(&self) -> Origin {
        Origin::ThisHost
    }

    /// On which host a recording was made, and when, as far as it says so.
    fn made(&self) -> Option<String> {
        None
    }

    /// What to say now, on a tour.
    fn caption(&self) -> Option<String> {
        None
    }
}

/// Where a scene comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This host, now.
    ThisHost,
    /// Another one, at another time.
    Recording,
}

impl Origin {
    /// How it is named on the screen.
    pub(crate) fn words(self) -> Words {
        match self {
            Self::ThisHost => Words("live", "实时"),
            Self::Recording => Words("recording", "回放"),
        }
    }
}
