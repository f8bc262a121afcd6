//! The three columns: what they are, a row for each name, and what the layers take.

use ratatui::{
    style::{Color, Stylize as _},
    text::Line,
};

use super::{
    Layers,
    row::{Widths, in_columns, line},
    words::size,
};
use crate::Language;

/// The three columns.
pub(super) struct Table {
    head: Vec<Line<'static>>,
    pub(super) rows: Vec<Line<'static>>,
    totals: Vec<Line<'static>>,
}

impl Table {
    pub(super) fn of(scene: &Layers, widths: Widths, language: Language) -> Self {
        let rule = Line::from("─".repeat(widths.whole())).fg(Color::DarkGray);
        Self {
            head: head(scene, widths, language).into(),
            rows: scene.rows.iter().map(|row| line(scene, row, widths, language)).collect(),
            totals: [rule].into_iter().chain(totals(scene, widths, language)).collect(),
        }
    }

    pub(super) fn height(&self) -> usize {
        self.head.len() + self.rows.len() + self.totals.len()
    }

    /// Without what can be done without, where there is little room.
    pub(super) fn shorten(&mut self) {
        self.head.pop();
        self.totals.remove(0);
    }

    pub(super) fn lines(self) -> Vec<Line<'static>> {
        [self.head, self.rows, self.totals].concat()
    }
}

/// What the columns are, in some more words.
pub(super) fn about(scene: &Layers, short: bool, language: Language) -> [String; 3] {
    let number = scene.container;
    let image = scene.image.as_ref().map(|image| format!("{} ({})", image.name, image.layers));
    let [lower, upper, merged] = match (language, short) {
        (Language::En, true) => ["image", &format!("container {number}"), "visible"],
        (Language::Zh, true) => ["镜像", &format!("容器 {number}"), "可见的"],
        (Language::En, false) => {
            ["image, read-only", &format!("written by container {number}"), "what it sees"]
        }
        (Language::Zh, false) => ["镜像，只读", &format!("容器 {number} 写入的"), "容器所见"],
    };
    [image.unwrap_or(lower.into()), upper.into(), merged.into()]
}

/// What the columns are, in a word and in some more.
fn head(scene: &Layers, widths: Widths, language: Language) -> [Line<'static>; 2] {
    let [lower, upper, merged] = about(scene, widths.short, language);
    let about = Line::from(in_columns(["", &lower, &upper, &merged], widths));
    let names = ["", "lower", "upper", "merged"];
    [Line::from(in_columns(names, widths)).bold(), about.fg(Color::DarkGray)]
}

/// What each layer takes; what is merged is a view of them.
fn totals(scene: &Layers, widths: Widths, language: Language) -> Vec<Line<'static>> {
    let (one, other) = (scene.container - 1, 2 - scene.container);
    let bytes = |at: usize| scene.upper_bytes.get(at).copied().flatten();
    let space = language.either(" space", " 占用空间");
    let lower = size(scene.lower_bytes);
    let upper = bytes(one).map_or(String::new(), size);
    let merged = match widths.short {
        true => language.either("none", "不占"),
        false => language.either("none of its own", "自身不占"),
    };
    let others = bytes(other).map(|bytes| {
        let name = language.either("container", "容器");
        format!("{name} {}: {}", other + 1, size(bytes))
    });
    let shared = language.either("shared", "共用");
    let lines = match (others, widths.short) {
        (None, _) => vec![[space.into(), lower, upper]],
        (Some(others), false) => {
            vec![[space.into(), format!("{lower}, {shared}"), format!("{upper}; {others}")]]
        }
        (Some(others), true) => {
            vec![[space.into(), lower, upper], [String::new(), shared.into(), others]]
        }
    };
    let line = |[space, lower, upper]: &[String; 3], merged| {
        Line::from(in_columns([space, lower, upper, merged], widths)).bold()
    };
    let merged = [merged].into_iter().chain(std::iter::repeat(""));
    lines.iter().zip(merged).map(|(texts, merged)| line(texts, merged)).collect()
}
