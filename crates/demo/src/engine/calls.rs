//! The calls that answer one question, and what the client asked for about it.

use engine::watch::{WatchEvent, words};
use ratatui::{
    style::{Color, Stylize as _},
    text::{Line, Span},
};
use report::columns::{columns, wrapped};
use sandbox::Question;

use super::{Call, EngineScene};
use crate::Language;

/// Calls that follow each other and differ in their operands only.
pub(super) struct Alike<'a> {
    pub(super) first: &'a Call,
    pub(super) count: usize,
    pub(super) microseconds: u32,
}

/// The calls that answer `question`, those alike together.
pub(super) fn alike(calls: &[Call], question: Question) -> Vec<Alike<'_>> {
    let mut all: Vec<Alike<'_>> = Vec::new();
    for call in calls.iter().filter(|call| call.question == question) {
        match all.last_mut() {
            Some(last) if name(last.first) == name(call) => {
                last.count += 1;
                last.microseconds = last.microseconds.saturating_add(call.microseconds);
            }
            _ => all.push(Alike { first: call, count: 1, microseconds: call.microseconds }),
        }
    }
    all
}

/// The first word of a call.
pub(super) fn name(call: &Call) -> &str {
    call.call.split([' ', ':']).next().unwrap_or_default()
}

/// A question as a heading.
pub(super) fn heading(question: Question, language: Language) -> String {
    let chinese = match question {
        Question::Boundary => "靠什么与宿主机隔开？",
        Question::Budget => "可以用多少资源？",
        Question::Inside => "里面有什么？",
        Question::Power => "以什么权限开始？",
        Question::WayOut => "怎样与宿主机往来？",
    };
    match language {
        Language::En => format!("{}. {question}", question.number()),
        Language::Zh => format!("{}. {chinese}", question.number()),
    }
}

/// What the client asked for about a question, a line each.
pub(super) fn asked(scene: &EngineScene, question: Question, language: Language) -> Vec<String> {
    let requests = scene.records.iter().filter_map(|record| match &record.event {
        WatchEvent::Request(request) => Some(request),
        _ => None,
    });
    let parts = requests.flat_map(|request| words::request(request, language).parts);
    parts.filter(|part| part.question == Some(question)).map(|part| part.line()).collect()
}

/// The picture of a question, in at most `height` lines.
pub(super) fn page(
    scene: &EngineScene,
    question: Question,
    (width, height): (usize, usize),
    language: Language,
) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(heading(question, language).bold().underlined())];
    let label = language.either("asked: ", "要求：");
    for asked in asked(scene, question, language) {
        let parts = wrapped(&asked, width.saturating_sub(columns(label)));
        for (at, line) in parts.into_iter().enumerate() {
            let lead = if at == 0 { label.to_owned() } else { " ".repeat(columns(label)) };
            lines.push(Line::from_iter([lead.fg(Color::DarkGray), line.fg(Color::Green)]));
        }
    }
    let all = alike(&scene.calls, question);
    if all.is_empty() {
        let none = language.either("No call: nothing was started.", "没有调用：没有启动任何东西。");
        lines.extend(wrapped(none, width).into_iter().map(Line::from));
        return lines;
    }
    let each: Vec<Vec<Line<'_>>> = all.iter().map(|one| call_lines(one, width, language)).collect();
    let whole: usize = each.iter().map(Vec::len).sum();
    let room = height.saturating_sub(lines.len());
    let is_all = whole <= room;
    let mut left = if is_all { room } else { room.saturating_sub(1) };
    let mut shown = 0;
    for call in each {
        if call.len() > left {
            break;
        }
        left -= call.len();
        shown += 1;
        lines.extend(call);
    }
    if !is_all {
        let rest = (all.len() - shown).to_string();
        let words = language.either("and {} more calls", "另有 {} 个调用").replace("{}", &rest);
        lines.push(Line::from(words.fg(Color::DarkGray)));
    }
    lines
}

impl Alike<'_> {
    /// The call, and how often it was made.
    pub(super) fn words(&self, language: Language) -> String {
        let more = match self.count {
            1 => String::new(),
            count => language.either(" ({} times)", "（{} 次）").replace("{}", &count.to_string()),
        };
        format!("{}{more}", self.first.call)
    }
}

fn call_lines(alike: &Alike<'_>, width: usize, language: Language) -> Vec<Line<'static>> {
    const TIME: usize = 10;
    let text = alike.words(language);
    let time = format!("{:>7} µs", alike.microseconds);
    let wrapped = wrapped(&text, width.saturating_sub(TIME + 2));
    let line = |(at, line): (usize, String)| {
        let lead = if at == 0 { time.clone() } else { " ".repeat(TIME) };
        Line::from_iter([lead.fg(Color::DarkGray), Span::raw("  "), Span::raw(line)])
    };
    wrapped.into_iter().enumerate().map(line).collect()
}
