//! Text on a terminal: columns, breaks and colours, in an alphabet and in Chinese characters.

pub use report::columns::wrapped;
pub(crate) use report::columns::{columns, padded, shortened};

pub use crate::visible::visible as clean;

use crate::catalogue::Language;

/// How an answer is to look.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Its language.
    pub language: Language,
    /// How many columns it may have.
    pub width: usize,
    /// Whether it has colours.
    pub colours: bool,
}

impl Style {
    /// One of two texts, by the language.
    pub(crate) fn either<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        self.language.either(en, zh)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn green(&self, text: &str) -> String {
        self.paint("1;32", text)
    }

    pub(crate) fn yellow(&self, text: &str) -> String {
        self.paint("1;33", text)
    }
}

/// A label of `indent` columns and a wrapped text beside it.
pub(crate) fn beside(label: &str, text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let room = width.saturating_sub(indent);
    for (number, line) in wrapped(text, room).iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        lines += padded(label, indent).as_str();
        lines += line;
        lines.push('\n');
    }
    lines
}
