//! A row of the picture: a name, from the image at the left to what is seen at the right.
//!
//! ```text
//!                 lower              upper                      merged
//!   application   24 KiB ──────────┤ whiteout c 0:0             gone
//!   database      1.0 MiB ─────────▶ 1.0 MiB copied up ───────▶ 1.0 MiB
//!   name          12 B ───────────────────────────────────────▶ 12 B
//! ```
//!
//! A line goes as far as the file does: through an empty upper layer to where it is seen, or up to
//! what is in its way.

use ratatui::{
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
};
use report::columns::{columns, padded, shortened};

use super::{Found, Layers, Row, words::words};
use crate::Language;

/// The widths of the columns; the upper one has what is left.
#[derive(Clone, Copy)]
pub(super) struct Widths {
    name: usize,
    lower: usize,
    upper: usize,
    merged: usize,
    /// Whether words must be short.
    pub(super) short: bool,
}

impl Widths {
    /// Those of a picture of this width. The names of a real image are longer, and have layers.
    pub(super) fn of(width: usize, is_real: bool) -> Self {
        let short = width < 72;
        let (name, lower, merged) = match (short, is_real) {
            (true, false) => (13, 10, 8),
            (true, true) => (13, 14, 7),
            (false, false) => (16, 20, 16),
            (false, true) => (18, 21, 16),
        };
        Self { name, lower, upper: width.saturating_sub(name + lower + merged), merged, short }
    }

    /// All of them.
    pub(super) fn whole(self) -> usize {
        self.name + self.lower + self.upper + self.merged
    }
}

/// Texts, each in its column.
pub(super) fn in_columns(texts: [&str; 4], widths: Widths) -> String {
    let columns = [widths.name, widths.lower, widths.upper, widths.merged];
    let cells = texts.into_iter().zip(columns);
    cells.map(|(text, width)| padded(&shortened(text, width), width)).collect()
}

/// How the line of a file goes on at the end of a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrow {
    /// Through the next cell.
    Through,
    /// To what is in the next cell.
    To,
    /// Not beyond: what is in the next cell is in its way.
    Stop,
    /// There is no line.
    Nothing,
}

impl Arrow {
    fn letters(self) -> &'static str {
        match self {
            Self::Through => "─",
            Self::To => "▶ ",
            Self::Stop => "┤ ",
            Self::Nothing => "  ",
        }
    }
}

/// What a row says, from the image to what is seen.
pub(super) struct Cells {
    pub(super) lower: (String, Arrow, Color),
    pub(super) upper: (String, Arrow, Option<Color>),
    pub(super) merged: (String, Option<Color>),
}

/// The cells of a name.
pub(super) fn cells(scene: &Layers, row: &Row, short: bool, language: Language) -> Cells {
    let text = |found: Option<Found>, is_upper| {
        found.map_or(String::new(), |found| words(found, is_upper, short, language))
    };
    let through = row.shines_through();
    let own = row.upper.map(colour);
    let image = if through { Color::Cyan } else { Color::DarkGray };
    let above = match row.upper {
        None if row.lower == Some(Found::Whiteout) => String::new(),
        None if row.lower.is_some() && !through => hidden_by(scene, row, short, language),
        upper => text(upper, true),
    };
    let seen = match row.merged {
        None => language.either("gone", "不可见").into(),
        merged => text(merged, false),
    };
    let (lower_end, upper_end) = match row.upper {
        _ if through => (Arrow::Through, Arrow::To),
        Some(Found::CopiedUp(_) | Found::Directory) => (Arrow::To, Arrow::To),
        Some(Found::File(_) | Found::Opaque) => (Arrow::Stop, Arrow::To),
        Some(Found::Whiteout) | None => (Arrow::Stop, Arrow::Nothing),
    };
    let lower = match row.lower {
        None => (String::new(), Arrow::Nothing),
        // Of an image's own whiteout nothing leads on.
        Some(Found::Whiteout) => {
            (from_layer("whiteout".into(), row, short, language), Arrow::Nothing)
        }
        found => (from_layer(text(found, false), row, short, language), lower_end),
    };
    let upper_end = if row.merged.is_none() { Arrow::Nothing } else { upper_end };
    let is_own = row.merged.is_none() || row.upper.is_some();
    Cells {
        lower: (lower.0, lower.1, image),
        upper: (above, upper_end, if through { Some(image) } else { own }),
        merged: (seen, if is_own { own } else { Some(image) }),
    }
}

/// The row of a name.
pub(super) fn line(scene: &Layers, row: &Row, widths: Widths, language: Language) -> Line<'static> {
    let mark = if row.changed { "*" } else { " " };
    let name = format!("{mark}{}", ending(&row.path, widths.name - 2));
    let name = Span::from(padded(&name, widths.name));
    let name = if row.changed { name.bold() } else { name };
    let Cells { lower, upper, merged } = cells(scene, row, widths.short, language);
    let cell = |text: &str, end: Arrow, width: usize| match end {
        Arrow::Nothing => {
            let text = if text.is_empty() { String::new() } else { format!("{text} ") };
            padded(&shortened(&text, width), width)
        }
        end => led(text, end.letters(), width),
    };
    let style = |colour: Option<Color>| colour.map_or(Style::new(), |it| Style::new().fg(it));
    let cells = [
        Span::styled(cell(&lower.0, lower.1, widths.lower), style(Some(lower.2))),
        Span::styled(cell(&upper.0, upper.1, widths.upper), style(upper.2)),
        Span::styled(shortened(&merged.0, widths.merged), style(merged.1)),
    ];
    Line::from_iter([name].into_iter().chain(cells))
}

/// The end of a path, which says more than its beginning, in so many columns.
fn ending(path: &str, width: usize) -> String {
    if columns(path) <= width {
        return path.to_owned();
    }
    let starts = path.char_indices().map(|(at, _)| &path[at..]);
    let fits = starts.map(|end| format!("…{end}")).find(|end| columns(end) <= width);
    fits.unwrap_or_default()
}

/// `text`, with the layer that a name of a real image comes from.
fn from_layer(text: String, row: &Row, short: bool, language: Language) -> String {
    match (row.layer, short, language) {
        (None, _, _) => text,
        (Some(layer), true, _) => format!("{text} @{layer}"),
        (Some(layer), false, Language::En) => format!("{text}, layer {layer}"),
        (Some(layer), false, Language::Zh) => format!("{text}，第 {layer} 层"),
    }
}

/// `text`, and from it a line to the `end` of the column.
fn led(text: &str, end: &str, width: usize) -> String {
    let text = if text.is_empty() { String::new() } else { format!("{text} ") };
    let room = width.saturating_sub(columns(end));
    let text = shortened(&text, room);
    let space = room.saturating_sub(columns(&text));
    format!("{text}{}{end}", "─".repeat(space))
}

/// Which directory, or whiteout of one, is above a name that is not seen.
fn hidden_by(scene: &Layers, row: &Row, short: bool, language: Language) -> String {
    let mut above = scene.rows.iter().filter(|other| {
        let hides = matches!(other.upper, Some(Found::Opaque | Found::Whiteout));
        hides && other.path.ends_with('/') && row.path.starts_with(&other.path)
    });
    let path = above.next_back().map_or("", |other| &other.path);
    match (language, short) {
        (Language::En, false) => format!("hidden by {path}"),
        (Language::En, true) => format!("by {path}"),
        (Language::Zh, _) => format!("被 {path} 遮盖"),
    }
}

/// Distinguishable from the back of a room; the words carry the same information.
fn colour(found: Found) -> Color {
    match found {
        Found::CopiedUp(_) => Color::Yellow,
        Found::File(_) => Color::Green,
        Found::Directory => Color::Cyan,
        Found::Opaque => Color::Magenta,
        Found::Whiteout => Color::Red,
    }
}
