//! The terminal: draws ten times a second, passes keys on, and is as it was afterwards.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::{Error, Language, Result, Source, page::Page, recording::Recorder};

/// Ten pictures a second: enough to see it move, and little work.
const FRAME: Duration = Duration::from_millis(100);

/// How a demonstration is shown.
pub struct Show<'a> {
    /// In which language.
    pub language: Language,
    /// For how long; until Esc without.
    pub length: Option<Duration>,
    /// Where it is written down.
    pub recorder: Option<&'a mut Recorder>,
    /// The page that shows the same.
    pub page: Option<&'a Page>,
}

impl Show<'_> {
    /// Shows what comes from `source` until it ends, the time is over, or Esc or Ctrl-C is pressed.
    /// Without a terminal nothing is drawn, and a summary of the last scene is returned.
    ///
    /// # Errors
    ///
    /// When the source fails, or the terminal does.
    pub fn run(&mut self, source: &mut dyn Source) -> Result<Option<String>> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return self.run_blind(source);
        }
        // It restores the terminal when a panic ends us, too.
        let mut terminal = ratatui::try_init().map_err(Error::system("prepare the terminal"))?;
        let shown = self.run_on(source, &mut terminal);
        ratatui::restore();
        shown.map(|()| None)
    }

    fn run_on(
        &mut self,
        source: &mut dyn Source,
        terminal: &mut ratatui::DefaultTerminal,
    ) -> Result<()> {
        let began = Instant::now();
        while !self.is_over(began) {
            let next = Instant::now() + FRAME;
            let Some(scene) = self.scene(source)? else { break };
            terminal
                .draw(|frame| scene.draw(frame, self.language))
                .map_err(|error| Error::system("draw")(io::Error::other(error.to_string())))?;
            loop {
                let left = next.saturating_duration_since(Instant::now());
                if !event::poll(left).map_err(Error::system("wait for a key"))? {
                    break;
                }
                let Event::Key(key) = event::read().map_err(Error::system("read a key"))? else {
                    break; // a new size is drawn at once
                };
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    _ if key.kind == KeyEventKind::Release => {}
                    KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c' | 'd') if control => return Ok(()),
                    KeyCode::Char(letter) => source.key(letter),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn run_blind(&mut self, source: &mut dyn Source) -> Result<Option<String>> {
        let began = Instant::now();
        // Nobody can press Esc.
        self.length = self.length.or(Some(Duration::from_secs(3)).filter(|_| self.page.is_none()));
        let mut last = None;
        while !self.is_over(began) {
            let next = Instant::now() + FRAME;
            let Some(scene) = self.scene(source)? else { break };
            last = Some(scene);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(last.map(|scene| scene.summary(self.language)))
    }

    fn scene(&mut self, source: &mut dyn Source) -> Result<Option<crate::Scene>> {
        if let Some(page) = self.page {
            page.keys().into_iter().for_each(|key| source.key(key));
        }
        let scene = source.scene()?;
        if let (Some(scene), Some(recorder)) = (&scene, &mut self.recorder) {
            recorder.add(scene)?;
        }
        if let (Some(scene), Some(page)) = (&scene, self.page) {
            page.show(scene);
        }
        Ok(scene)
    }

    fn is_over(&self, began: Instant) -> bool {
        self.length.is_some_and(|length| began.elapsed() >= length)
    }
}
