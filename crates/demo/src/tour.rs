//! All demonstrations in order, one key a step: live where this host can, recorded where not.

use crate::{
    Demo, Language, Origin, Result, Scene, Source,
    script::{NEXT, Step, Words, key_label},
};

/// A tour, at one of its steps.
pub struct Tour {
    language: Language,
    stops: Vec<(Demo, Step)>,
    at: usize,
    source: Box<dyn Source>,
    begin: Begin,
    /// What to say of what was measured.
    measured: Option<Words>,
    /// Why what is seen is a recording.
    instead: Option<String>,
}

/// How a demonstration begins, and why not otherwise.
type Begin = fn(Demo) -> Result<(Box<dyn Source>, Option<String>)>;

impl Tour {
    /// At the first step of the first one.
    ///
    /// # Errors
    ///
    /// When not even its recording can be shown.
    pub fn start(language: Language) -> Result<Self> {
        Self::with(language, live_or_recorded)
    }

    /// The same from the recordings alone.
    ///
    /// # Errors
    ///
    /// When one cannot be read.
    pub fn recorded(language: Language) -> Result<Self> {
        Self::with(language, |demo| Ok((Box::new(demo.recorded()?), None)))
    }

    fn with(language: Language, begin: Begin) -> Result<Self> {
        let steps = |demo: Demo| demo.script().steps.iter().map(move |step| (demo, *step));
        let stops: Vec<(Demo, Step)> = Demo::ALL.into_iter().flat_map(steps).collect();
        let (source, instead) = begin(Demo::ALL[0])?;
        let mut tour = Self { language, stops, at: 0, source, begin, measured: None, instead };
        tour.press();
        Ok(tour)
    }

    /// How many steps there are.
    pub fn steps() -> usize {
        Demo::ALL.iter().map(|demo| demo.script().steps.len()).sum()
    }

    fn next(&mut self) -> Result<()> {
        let Some((demo, _)) = self.stops.get(self.at + 1).copied() else { return Ok(()) };
        if demo != self.stops[self.at].0 {
            (self.source, self.instead) = (self.begin)(demo)?;
        }
        self.at += 1;
        self.press();
        Ok(())
    }

    fn press(&mut self) {
        if let Some(key) = self.stops[self.at].1.key {
            self.source.key(key);
        }
    }
}

fn live_or_recorded(demo: Demo) -> Result<(Box<dyn Source>, Option<String>)> {
    match demo.live() {
        Ok(source) => Ok((source, None)),
        Err(error) => Ok((Box::new(demo.recorded()?), Some(sandbox::chain(&error)))),
    }
}

impl Source for Tour {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let scene = self.source.scene()?;
        let (demo, step) = self.stops[self.at];
        self.measured = scene.as_ref().and_then(|it| demo.script().measured(step.key, it));
        Ok(scene)
    }

    fn key(&mut self, key: char) {
        if key != NEXT.0 {
            return self.source.key(key);
        }
        if let Err(error) = self.next() {
            self.instead = Some(sandbox::chain(&error));
        }
    }

    fn origin(&self) -> Origin {
        self.source.origin()
    }

    fn made(&self) -> Option<String> {
        self.source.made()
    }

    fn caption(&self) -> Option<String> {
        let (_, step) = self.stops.get(self.at)?;
        let key = step.key.map_or(String::new(), |key| format!("{} ", key_label(key)));
        let (say, ask) = (step.say.of(self.language), step.ask.of(self.language));
        let measured = self.measured.map_or("", |words| words.of(self.language));
        let space = if measured.is_empty() { "" } else { self.language.either(" ", "") };
        let number = format!("{}/{}", self.at + 1, self.stops.len());
        let mut caption = format!("{number}  {key}{say}{space}{measured} {ask}");
        if let Some(reason) = &self.instead {
            caption += &format!("  ({reason})");
        }
        Some(caption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{picture::drawn, stage::View};

    /// The screen without its blanks, quotes and line ends, so that wrapped text is in one piece.
    fn solid(text: &str) -> String {
        text.chars().filter(|letter| !letter.is_whitespace() && *letter != '"').collect()
    }

    #[test]
    fn every_caption_fits_a_terminal_of_80_by_24() {
        let mut cut = Vec::new();
        for language in [Language::En, Language::Zh] {
            let mut tour = Tour::recorded(language).unwrap();
            for _ in 0..Tour::steps() {
                let scene = tour.scene().unwrap().expect("it has just begun");
                let caption = tour.caption();
                let text = caption.clone().unwrap();
                let view = View { scene, origin: Origin::Recording, caption, made: None };
                let screen = drawn((80, 24), |frame| view.draw(frame, language));
                let buffer = screen.buffer();
                let shown: String =
                    buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
                if !solid(&shown).contains(&solid(&text)) {
                    cut.push(text);
                }
                tour.key(NEXT.0);
            }
        }
        assert!(cut.is_empty(), "cut off: {cut:#?}");
    }
}
