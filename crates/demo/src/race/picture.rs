//! The measures of the picture, and how its texts are fitted into it.

use ratatui::text::{Line, Span};
use report::columns::{columns, wrapped};

use super::Kind;
use crate::{Language, script::Words};

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// With bars of this height.
    Ample(usize),
    /// With a bar of memory beside its numbers.
    Short,
    /// A lane too, with only two of its numbers.
    Least,
}

/// How it is drawn.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) room: Room,
    pub(super) language: Language,
}

impl Picture {
    /// Pieces in as many lines as they need.
    pub(super) fn packed(
        &self,
        pieces: impl Iterator<Item = Vec<Span<'static>>>,
    ) -> Vec<Line<'static>> {
        let mut lines = vec![Line::default()];
        for piece in pieces {
            let width: usize = piece.iter().map(Span::width).sum();
            let last = lines.last().map_or(0, Line::width);
            // What ends in blanks may lose them at the edge.
            if last > 0 && last + width > self.width + 2 {
                lines.push(Line::default());
            }
            let last = lines.last_mut().expect("it begins with one");
            piece.into_iter().for_each(|span| last.push_span(span));
        }
        lines
    }

    /// Columns for a name before its bar.
    pub(super) fn name(&self) -> usize {
        (columns(Kind::Linux.words(self.language)) + 1).min(self.width)
    }

    /// Columns for a bar.
    pub(super) fn bar(&self) -> usize {
        self.width.saturating_sub(self.name())
    }

    /// Lines for a bar.
    pub(super) fn height(&self) -> usize {
        match self.room {
            Room::Ample(height) => height,
            Room::Short | Room::Least => 1,
        }
    }

    pub(super) fn say(&self, words: Words) -> &'static str {
        words.of(self.language)
    }

    pub(super) fn wrap(&self, text: &str) -> Vec<String> {
        wrapped(text, self.width)
    }
}

impl Picture {
    /// For texts alone, which the page wraps itself.
    pub(super) fn unwrapped(language: Language) -> Self {
        Self { width: usize::MAX, room: Room::Short, language }
    }
}

/// Microseconds as milliseconds, in three digits or so.
pub(super) fn milliseconds(microseconds: u32) -> String {
    digits(f64::from(microseconds) / 1000.0)
}

fn digits(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
