//! What is around every picture: its title, where it comes from, and the keys.
//!
//! ```text
//!   slices  One second in ten tenths                     live      title
//!   ...                                                            the demonstration's own
//!   4/6 Say: press [q] ...                                         caption, on a tour
//!   [r] round robin  [n] normal  ...                       [Esc] quit  keys
//! ```

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
    widgets::Paragraph,
};
use report::columns::{columns, wrapped};

use crate::{
    Language, Origin, Scene, markup,
    script::{Key, NEXT, key_label},
    style::DIM,
};

/// A scene with what is around it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What is seen.
    pub scene: Scene,
    /// Where from.
    pub origin: Origin,
    /// What to say about it, on a tour.
    pub caption: Option<String>,
    /// Of a recording, on which host it was made and when.
    pub made: Option<String>,
}

impl View {
    /// The keys that do something now.
    pub fn keys(&self) -> Vec<Key> {
        let next = self.caption.as_ref().map(|_| NEXT);
        next.into_iter().chain(self.scene.demo().script().keys.iter().copied()).collect()
    }

    /// The same as lines of text, where there is no terminal.
    pub fn summary(&self, language: Language) -> String {
        let demo = self.scene.demo();
        let origin = self.origin.words().of(language);
        let title = demo.script().title.of(language);
        let mut text = format!("{}: {title} ({origin})\n", demo.name());
        text += &self.scene.summary(language);
        if let Some(caption) = &self.caption {
            text += &format!("{caption}\n");
        }
        text
    }

    /// The same as HTML for the page, where the keys are buttons of their own.
    pub(crate) fn page(&self, language: Language) -> String {
        let demo = self.scene.demo();
        let colour = if self.origin == Origin::ThisHost { "g" } else { "y" };
        let name = markup::text("span", "d", demo.name());
        let title = markup::text("span", "", demo.script().title.of(language));
        let origin = self.origin.words().of(language);
        let made = self.made.as_ref().map_or(String::new(), |made| format!(" {made}"));
        let made = markup::text("span", "d made", &made);
        let head = [
            markup::element("h1", "", &format!("{name} {title}")),
            markup::element("span", "origin", &(markup::text("b", colour, origin) + &made)),
        ];
        let caption = self.caption.as_ref().map(|text| markup::text("p", "caption", text));
        let scene = markup::element("main", demo.name(), &self.scene.page(language));
        let parts =
            [markup::element("header", "", &head.concat()), scene, caption.unwrap_or_default()];
        parts.concat()
    }

    /// Draws it into the whole of `frame`, with the keys in its last lines.
    pub fn draw(&self, frame: &mut Frame<'_>, language: Language) {
        const CAPTION: u16 = 4;
        let area = frame.area();
        let key_lines = self.key_lines(area.width.into(), language);
        let heights = [
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(if self.caption.is_some() { CAPTION } else { 0 }),
            Constraint::Length(key_lines.len() as u16),
        ];
        let [title, picture, caption, last] = Layout::vertical(heights).areas(area);
        let demo = self.scene.demo();
        let name = demo.script().title.of(language);
        let words = [demo.name().bold(), "  ".into(), name.into()];
        let title_line = Line::from_iter(words);
        let colour = if self.origin == Origin::ThisHost { Color::Green } else { Color::Yellow };
        let origin = self.origin.words().of(language).bold().fg(colour);
        // Where it was made stands before that, where there is room.
        let room = usize::from(area.width).saturating_sub(title_line.width() + origin.width() + 4);
        let made = self.made.as_deref().filter(|made| columns(made) <= room).unwrap_or_default();
        frame.render_widget(title_line, title);
        let origin = Line::from_iter([Span::styled(format!("{made}  "), DIM), origin]);
        let width = (origin.width() as u16).min(title.width);
        let right = Rect { x: title.right() - width, width, ..title };
        frame.render_widget(origin, right);
        self.scene.draw(frame, picture, language);
        if let Some(text) = &self.caption {
            let lines: Vec<Line<'_>> =
                wrapped(text, area.width.into()).into_iter().map(Line::from).collect();
            let style = Style::new().fg(Color::Yellow);
            frame.render_widget(Paragraph::new(lines).style(style), caption);
        }
        frame.render_widget(Paragraph::new(key_lines), last);
    }

    /// The keys in as many lines as they need, those in force in bold.
    fn key_lines(&self, width: usize, language: Language) -> Vec<Line<'static>> {
        let end = language.either("[Esc] quit", "[Esc] 退出").into();
        let words = |Key(key, words): Key| {
            let text = format!("{} {}", key_label(key), words.of(language));
            if self.scene.is_on(key) { text.reversed() } else { text.into() }
        };
        let mut lines: Vec<Line<'static>> = vec![Line::default()];
        for word in self.keys().into_iter().map(words).chain([end]) {
            let word: Span<'static> = word;
            let last = lines.last_mut().expect("it begins with one");
            if last.width() > 0 && last.width() + word.width() > width {
                lines.push(Line::default());
            }
            let last = lines.last_mut().expect("it begins with one");
            last.push_span(word);
            last.push_span("  ");
        }
        lines
    }
}
