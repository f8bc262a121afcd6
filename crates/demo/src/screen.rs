//! The terminal: draws ten times a second, passes keys on, and is as it was afterwards.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::{Error, Language, Result, Source, page::Page, recording::Recorder, stage::View};

/// Ten pictures a second: enough to see it move, and little work.
const FRAME: Duration = Duration::from_millis(100);

/// How a demonstration is shown.
pub struct Show<'a> {
    /// In which language.
    pub language: Language,
    /// For how long; until Esc without.
    pub length: Option<Duration>,
    /// Whether its end is asked for from elsewhere, by a signal.
    pub asked_to_end: &'a dyn Fn() -> bool,
    /// Keys that are pressed by themselves.
    pub rehearsal: Option<Rehearsal>,
    /// Where it is written down.
    pub recorder: Option<&'a mut Recorder>,
    /// The page that shows the same.
    pub page: Option<&'a Page>,
}

/// A demonstration that goes through its steps by itself.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    keys: Vec<Option<char>>,
    pace: Duration,
    begun: usize,
    /// When the next step begins, or the last one is over.
    next: Duration,
}

impl Rehearsal {
    /// One of steps with these keys, each of which is seen for `pace`.
    pub fn new(keys: Vec<Option<char>>, pace: Duration) -> Self {
        Self { keys, pace, begun: 0, next: Duration::ZERO }
    }

    /// The key of a step that begins now. On a busy machine a step is late, and those after it are,
    /// too: none is left out.
    fn due(&mut self, now: Duration) -> Option<char> {
        let key = *self.keys.get(self.begun)?;
        if now < self.next {
            return None;
        }
        self.begun += 1;
        self.next = now + self.pace;
        key
    }

    fn is_over(&self, now: Duration) -> bool {
        self.begun == self.keys.len() && now >= self.next
    }
}

impl Show<'_> {
    /// Shows what comes from `source` until it ends, the time is over, or Esc or Ctrl-C is pressed.
    /// Without a terminal nothing is drawn, and a summary of the last scene is returned.
    ///
    /// # Errors
    ///
    /// When the source fails, or the terminal does.
    pub fn run(&mut self, source: &mut dyn Source) -> Result<Option<String>> {
        let began = Instant::now();
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return self.run_blind(source, began);
        }
        // It restores the terminal when a panic ends us, too.
        let mut terminal = ratatui::try_init().map_err(Error::system("prepare the terminal"))?;
        let shown = self.run_on(source, &mut terminal, began);
        ratatui::restore();
        shown.map(|()| None)
    }

    fn run_on(
        &mut self,
        source: &mut dyn Source,
        terminal: &mut ratatui::DefaultTerminal,
        began: Instant,
    ) -> Result<()> {
        let mut last = None;
        while !self.is_over(began) {
            let next = Instant::now() + FRAME;
            // A recording that is over stays at its last scene.
            last = self.view(source, began)?.or(last);
            let Some(view) = &last else { break };
            terminal.draw(|frame| view.draw(frame, self.language)).map_err(|error| {
                Error::system("draw on the terminal")(io::Error::other(error.to_string()))
            })?;
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
                    KeyCode::Enter => self.press(source, ' '),
                    KeyCode::Char(letter) => self.press(source, letter),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn run_blind(&mut self, source: &mut dyn Source, began: Instant) -> Result<Option<String>> {
        // Nobody can press Esc.
        let endless = self.page.is_some() || self.rehearsal.is_some();
        self.length = self.length.or((!endless).then_some(Duration::from_secs(3)));
        let mut last = None;
        while !self.is_over(began) {
            let next = Instant::now() + FRAME;
            match self.view(source, began)? {
                Some(view) => last = Some(view),
                None if !endless => break,
                None => {} // it stays on the page, or until the next step
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(last.map(|view| view.summary(self.language)))
    }

    fn view(&mut self, source: &mut dyn Source, began: Instant) -> Result<Option<View>> {
        let due = self.rehearsal.as_mut().and_then(|rehearsal| rehearsal.due(began.elapsed()));
        let clicked = self.page.map(Page::keys).unwrap_or_default();
        due.into_iter().chain(clicked).for_each(|key| self.press(source, key));
        let Some(scene) = source.scene()? else { return Ok(None) };
        if let Some(recorder) = &mut self.recorder {
            recorder.add(&scene)?;
        }
        let (origin, caption, made) = (source.origin(), source.caption(), source.made());
        let view = View { scene, origin, caption, made };
        if let Some(page) = self.page {
            page.show(&view);
        }
        Ok(Some(view))
    }

    fn press(&mut self, source: &mut dyn Source, key: char) {
        source.key(key);
        if let Some(recorder) = &mut self.recorder {
            recorder.press(key);
        }
    }

    fn is_over(&self, began: Instant) -> bool {
        let now = began.elapsed();
        let over = match (self.length, &self.rehearsal) {
            (Some(length), _) => now >= length,
            (None, Some(rehearsal)) => rehearsal.is_over(now),
            (None, None) => false,
        };
        over || (self.asked_to_end)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_leaves_no_step_out_however_late_it_is_asked() {
        let seconds = Duration::from_secs;
        let mut rehearsal = Rehearsal::new(vec![None, Some('a'), Some('b')], seconds(1));
        let asked = [0, 9, 9, 30, 30, 31].map(|now| {
            let key = rehearsal.due(seconds(now));
            (key, rehearsal.is_over(seconds(now)))
        });
        let none = (None, false);
        assert_eq!(asked, [none, (Some('a'), false), none, (Some('b'), false), none, (None, true)]);
    }
}
