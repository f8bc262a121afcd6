//! The bars of memory: the idle instances, on one scale.

use ratatui::{
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
};
use report::columns::padded;

use super::{
    IdleInstances, Kind, Race,
    picture::{Picture, Room},
};
use crate::{Language, script::Words};

/// Whose memory it is. The signs are not those of the phases of a start.
pub(super) const PARTS: [(char, Color, Words); 3] = [
    ('■', Color::Blue, Words("processes (PSS)", "进程（PSS）")),
    ('▤', Color::Green, Words("isolab (PSS)", "isolab（PSS）")),
    ('□', Color::Red, Words("kernel: slab, stacks, page tables", "内核：slab、内核栈、页表")),
];
/// A part in a word, for the head of a column: what is behind a colon or in parentheses explains it.
pub(super) fn short(words: &str) -> &str {
    words.split([':', '：', '(', '（']).next().unwrap_or(words).trim()
}

/// The bars of memory are never drawn on a shorter scale.
const SCALE: u64 = 4 << 20;
/// Columns for numbers that stand beside a bar.
const NUMBERS: usize = 38;
/// And for that bar at least.
const SHORTEST: usize = 20;

impl Picture {
    /// Those that live on, and their memory on one scale.
    pub(super) fn idle_bars(&self, scene: &Race) -> Vec<Line<'static>> {
        let whole = scale(scene);
        let available = scene.available as f64 / f64::from(1 << 30);
        let head = match self.language {
            Language::En => format!(
                "Memory of idle instances; a full bar is {} MiB (MemAvailable: {available:.1} GiB)",
                whole >> 20
            ),
            Language::Zh => format!(
                "空闲实例占用的内存；满格为 {} MiB（MemAvailable：{available:.1} GiB）",
                whole >> 20
            ),
        };
        let bold = |text: String| Line::styled(text, Style::new().bold());
        let mut lines: Vec<Line<'static>> = self.wrap(&head).into_iter().map(bold).collect();
        lines.extend(scene.idle.iter().flat_map(|idle| self.idle_bar(idle, whole)));
        let legend = PARTS.iter().map(|(sign, colour, words)| {
            vec![sign.to_string().fg(*colour), format!(" {}  ", words.of(self.language)).into()]
        });
        lines.extend(self.packed(legend));
        lines
    }

    fn idle_bar(&self, idle: &IdleInstances, whole: u64) -> Vec<Line<'static>> {
        let [each, sum] = [idle.bytes() / u64::from(idle.count.max(1)), idle.bytes()];
        let sum = sum as f64 / f64::from(1 << 20);
        let numbers = match (idle.count, self.language) {
            (0, language) => how_to_begin(idle.kind, language),
            (count, Language::En) => format!("{count}: {sum:.1} MiB, {} KiB each", each >> 10),
            (count, Language::Zh) => format!("{count}：{sum:.1} MiB，平均 {} KiB", each >> 10),
        };
        let numbers = match (idle.requested.saturating_sub(idle.count), self.language) {
            (0, _) => numbers,
            (more, Language::En) => format!("{numbers}, {more} starting"),
            (more, Language::Zh) => format!("{numbers}，还要启动 {more} 个"),
        };
        let beside = self.room != Room::Ample(self.height()) && self.bar() > NUMBERS + SHORTEST;
        let width = if beside { self.bar() - NUMBERS } else { self.bar() };
        let bar = bar(idle, whole, width);
        let name = padded(idle.kind.words(self.language), self.name()).bold();
        if beside {
            let start = [name, padded(&numbers, NUMBERS).into()];
            return vec![Line::from_iter(start.into_iter().chain(bar))];
        }
        let blank: Span<'static> = " ".repeat(self.name()).into();
        let bar = Line::from_iter([blank].into_iter().chain(bar));
        let mut lines = vec![Line::from_iter([name, numbers.into()])];
        lines.extend(std::iter::repeat_n(bar, self.height()));
        lines
    }
}

/// What the bars are drawn to.
pub(super) fn scale(scene: &Race) -> u64 {
    let most = scene.idle.iter().map(IdleInstances::bytes).max().unwrap_or(0);
    most.next_power_of_two().max(SCALE)
}

/// Where there are none: how to start some.
pub(super) fn how_to_begin(kind: Kind, language: Language) -> String {
    let key = if kind == Kind::Container { 'c' } else { 'v' };
    match language {
        Language::En => format!("none: [{key}] starts ten"),
        Language::Zh => format!("还没有：按 [{key}] 启动十个"),
    }
}

/// The parts of their memory behind each other, and what is left of the scale.
fn bar(idle: &IdleInstances, whole: u64, width: usize) -> Vec<Span<'static>> {
    let column = |bytes: u64| (bytes as f64 / whole as f64 * width as f64).round() as usize;
    let ends = [idle.inside, idle.inside + idle.launcher, idle.bytes()].map(column);
    let mut from = 0;
    let mut bar = Vec::new();
    for (end, (sign, colour, _)) in ends.into_iter().zip(PARTS) {
        bar.push(sign.to_string().repeat(end.saturating_sub(from)).fg(colour));
        from = end.max(from);
    }
    bar.push("·".repeat(width.saturating_sub(from)).fg(Color::DarkGray));
    bar
}
