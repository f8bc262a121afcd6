//! The exits that isolab handled, the newest first.

use ratatui::{Frame, layout::Rect, style::Stylize as _, text::Line, widgets::Paragraph};
use report::columns::{columns, wrapped};
use sandbox::ExitReason;

use super::{Answerer, Count, Exit, Exits, TIMES, Way, guests::OFF_SWITCH, numbers::time};
use crate::{Language, style::DIM};

impl Exit {
    /// Whether it is how the guest ended.
    pub(super) fn is_end(&self) -> bool {
        self.reason == ExitReason::Out { port: OFF_SWITCH.into() }
    }

    /// When, why, by whom and how long.
    pub(super) fn cells(&self, language: Language) -> [String; 4] {
        let device = match self.is_end() {
            true => language.either("the end", "结束"),
            false => &self.device,
        };
        let [at, took] = [self.at, self.took].map(|time| format!("{time:.1}"));
        [at, self.reason.to_string(), format!("isolab/{device}"), took]
    }
}

/// What the columns are.
pub(super) fn heads(language: Language) -> [&'static str; 4] {
    match language {
        Language::En => ["at µs", "reason", "handled by", "in µs"],
        Language::Zh => ["µs", "原因", "处理者", "用时µs"],
    }
}

/// When, why, by whom and how long, below each other.
fn in_columns([at, reason, by, took]: [&str; 4]) -> String {
    let space = |text: &str, width: usize| " ".repeat(width.saturating_sub(columns(text)));
    let (at, took) = (space(at, 8) + at, space(took, 6) + took);
    format!("{at} {reason}{} {by}{}{took}", space(reason, 9), space(by, 15))
}

/// What the exits are, and how fast they are shown.
pub(super) fn stream_title(scene: &Exits, language: Language) -> String {
    let took = scene.way.and_then(|way| Some(time(scene.count(way)?.took)));
    match (scene.slower, took, language) {
        (Some(slower), _, Language::En) => format!("exits, newest first: {slower} times slower"),
        (Some(slower), _, Language::Zh) => format!("退出（最新的在上）：放慢 {slower} 倍"),
        (None, Some(took), Language::En) => format!("exits, newest first: all in {took}"),
        (None, Some(took), Language::Zh) => format!("退出（最新的在上）：全程 {took}"),
        (None, None, _) => language.either("exits, newest first", "退出（最新的在上）").into(),
    }
}

/// The explanation for a guest of which isolab has handled no exit.
pub(super) fn nothing_else(scene: &Exits, language: Language) -> Option<String> {
    let way = scene.way.filter(|_| scene.slower.is_none() && scene.answered == 0)?;
    let count = scene.count(way);
    let none = language.either("No other exit reached isolab.", "没有其他退出到达 isolab。");
    let about = match count.filter(|count| count.way == Way::Cpuid) {
        Some(count) => about_cpuid(count, language),
        None => language
            .either(
                "KVM only counts the exits that it handles itself.",
                "KVM 自行处理的退出只有计数。",
            )
            .into(),
    };
    Some(format!("{none}{}{about}", language.either(" ", "")))
}

/// Who executed `cpuid`, and how many exits KVM counted.
pub(super) fn about_cpuid(count: &Count, language: Language) -> String {
    let counted = match (count.by_kvm, language) {
        (Some(counted), Language::En) => format!("KVM counted {counted} exits"),
        (Some(counted), Language::Zh) => format!("KVM 统计到 {counted} 次退出"),
        (None, Language::En) => "This KVM has no counters (Linux 5.14 and later do)".into(),
        (None, Language::Zh) => "这个 KVM 没有计数器（Linux 5.14 起才有）".into(),
    };
    let is_counted = count.by_kvm.is_some_and(|counted| counted >= TIMES.into());
    let who = match (count.answerer(), language) {
        (Some(Answerer::Processor(vendor)), Language::En) => {
            format!(". cpuid returned {vendor}: the processor executed it, not KVM.")
        }
        (Some(Answerer::Processor(vendor)), Language::Zh) => {
            format!("。cpuid 返回 {vendor}：由处理器直接执行，没有经过 KVM。")
        }
        (Some(Answerer::Kvm), Language::En) if is_counted => ": it emulated cpuid.".into(),
        (Some(Answerer::Kvm), Language::Zh) if is_counted => "：由 KVM 处理。".into(),
        (Some(Answerer::Kvm), Language::En) => ". It emulated cpuid without counting exits.".into(),
        (Some(Answerer::Kvm), Language::Zh) => "。由 KVM 处理，但没有计数。".into(),
        (None, Language::En) => ". It is unknown who executed cpuid.".into(),
        (None, Language::Zh) => "。无法确定 cpuid 由谁执行。".into(),
    };
    counted + &who
}

pub(super) fn stream(scene: &Exits, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let head = heads(language);
    let title = stream_title(scene, language);
    let mut lines = vec![Line::from(title.bold()), Line::styled(in_columns(head), DIM)];
    for (number, exit) in scene.stream.iter().enumerate() {
        let cells = exit.cells(language);
        let words = in_columns(cells.each_ref().map(String::as_str));
        lines.push(match (number, exit.is_end()) {
            (_, true) => Line::styled(words, DIM),
            (0, false) => Line::from(words.bold()),
            _ => Line::from(words),
        });
    }
    if let Some(only) = nothing_else(scene, language) {
        let width = usize::from(area.width).max(1);
        lines.push(Line::default());
        lines.extend(wrapped(&only, width).into_iter().map(Line::from));
    }
    frame.render_widget(Paragraph::new(lines), area);
}
