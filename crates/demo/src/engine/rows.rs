//! The time line, a row for each thing that happened.

use engine::watch::{BytesRecord, RequestRecord, StreamName, WatchEvent, WatchRecord, words};
use ratatui::{
    style::{Color, Stylize as _},
    text::{Line, Span},
};
use report::columns::{columns, padded, wrapped};
use sandbox::Question;

use super::{EngineScene, calls};
use crate::Language;

/// Columns of the time, and of who.
const TIME: usize = 7;
const WHO: usize = 9;

/// A row: when, who to whom, what as it was sent, and what it means.
pub(super) struct Row {
    pub(super) time: f64,
    pub(super) who: &'static str,
    pub(super) sent: String,
    pub(super) words: String,
    pub(super) colour: Color,
}

/// How paths are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    /// In full.
    Whole,
    /// The last word, so that more of the sentences stand beside them.
    Short,
}

/// The rows of a scene, in at most `width` columns.
pub(super) fn lines(
    scene: &EngineScene,
    width: usize,
    paths: Paths,
    language: Language,
) -> Vec<Line<'static>> {
    let rows = rows(scene, width, paths, language);
    let began = rows.first().map_or(0.0, |row| row.time);
    rows.iter().flat_map(|row| row.lines(began, width)).collect()
}

/// The rows in the order of time; what is told of calls fits into `width` columns.
pub(super) fn rows(
    scene: &EngineScene,
    width: usize,
    paths: Paths,
    language: Language,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (at, record) in scene.records.iter().enumerate() {
        let later = &scene.records[at + 1..];
        rows.extend(row(record, later, paths, language));
    }
    rows.extend(Question::ALL.into_iter().filter_map(|it| of_kernel(scene, it, width, language)));
    rows.sort_by(|one, other| one.time.total_cmp(&other.time));
    rows
}

fn row(
    record: &WatchRecord,
    later: &[WatchRecord],
    paths: Paths,
    language: Language,
) -> Option<Row> {
    let row = |who, sent: String, words: String, colour| {
        Some(Row { time: record.time, who, sent, words, colour })
    };
    let (to_daemon, to_client) =
        (language.either("client →", "客户端 →"), language.either("→ client", "→ 客户端"));
    match &record.event {
        WatchEvent::Request(request) => {
            let what = without_ids(words::request(request, language).what, request);
            let (status, refused) = status_of(record, request, later, language);
            let sent = format!("{} {}{status}", request.method, path(request, paths));
            row(to_daemon, sent, refused.unwrap_or(what), Color::Cyan)
        }
        // They are with their requests.
        WatchEvent::Answer(_) | WatchEvent::Upgraded { .. } | WatchEvent::Step(_) => None,
        WatchEvent::Bytes(bytes) => {
            let who = if bytes.stream.is_of_client() { to_daemon } else { to_client };
            row(who, piece(bytes, language), String::new(), Color::Green)
        }
        WatchEvent::Exit { code, exec } => {
            let words = match exec {
                None => language.either("the first process has ended: {}", "第一个进程已结束：{}"),
                Some(_) => language.either("the command has ended: {}", "命令已结束：{}"),
            };
            let words = words.replace("{}", &code.to_string());
            row(language.either("kernel →", "内核 →"), words, String::new(), Color::Magenta)
        }
        WatchEvent::Lost { records } => {
            let words = language.either("{} records were lost", "丢失了 {} 条记录");
            row("", words.replace("{}", &records.to_string()), String::new(), Color::Red)
        }
    }
}

/// A sentence without the id that stands in the path above it.
fn without_ids(sentence: String, request: &RequestRecord) -> String {
    let ids = request.path.split('/').map(words::short).filter(|part| part.len() == 12);
    let is_id = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    ids.filter(is_id).fold(sentence, |sentence, id| {
        let chinese = format!("容器 {id} ");
        sentence.replace(&chinese, "容器").replace(&format!(" {id}"), "")
    })
}

/// The path without the version.
fn path(request: &RequestRecord, paths: Paths) -> String {
    let last = request.path.rsplit_once('/').filter(|(before, _)| before.matches('/').count() > 1);
    if let (Paths::Short, Some((_, last))) = (paths, last) {
        return format!(".../{last}");
    }
    let path = request.path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'));
    words::with_short_ids(&path.map_or(request.path.clone(), |(_, rest)| format!("/{rest}")))
}

/// The status of the answer, as far as it has come, and the reason if it is a refusal.
fn status_of(
    record: &WatchRecord,
    request: &RequestRecord,
    later: &[WatchRecord],
    language: Language,
) -> (String, Option<String>) {
    let own = later.iter().filter(|it| it.connection == record.connection);
    for record in own {
        match &record.event {
            WatchEvent::Request(_) => break,
            WatchEvent::Upgraded { status } => return (format!(" {status}"), None),
            WatchEvent::Answer(answer) => {
                let is_refused = answer.status >= 400;
                let why = is_refused.then(|| words::answer(Some(request), answer, language));
                return (format!(" {}", answer.status), why);
            }
            _ => {}
        }
    }
    (String::new(), None)
}

/// The calls that answer a question, by their names.
fn of_kernel(
    scene: &EngineScene,
    question: Question,
    width: usize,
    language: Language,
) -> Option<Row> {
    let alike = calls::alike(&scene.calls, question);
    let first = alike.first()?.first;
    let count = scene.calls.iter().filter(|call| call.question == question).count();
    let count = match language {
        Language::En if count == 1 => "1 call".to_owned(),
        Language::En => format!("{count} calls"),
        Language::Zh => format!("{count} 个调用"),
    };
    let head = padded(&words::question(question, language), 11);
    let room = width.saturating_sub(TIME + WHO + columns(&head) + columns(&count) + 2);
    let mut names: Vec<&str> = Vec::new();
    for name in alike.iter().map(|one| calls::name(one.first)).filter(|name| is_call(name)) {
        let used: usize = names.iter().map(|name| columns(name) + 1).sum();
        if !names.contains(&name) && used + columns(name) <= room {
            names.push(name);
        }
    }
    let sent = format!("{head}{count}  {}", names.join(" "));
    let who = language.either("→ kernel", "→ 内核");
    Some(Row { time: first.time, who, sent, words: String::new(), colour: Color::Yellow })
}

/// Whether a word of a trace is the name of a call, and not the beginning of a sentence.
fn is_call(name: &str) -> bool {
    const CALLS: &[&str] = &[
        "clone3",
        "unshare",
        "setns",
        "sethostname",
        "setdomainname",
        "mkdir",
        "write",
        "prlimit",
        "prctl",
        "umask",
        "setsid",
        "dup3",
        "socket",
        "ioctl",
        "fsmount",
        "mount",
        "open_tree",
        "move_mount",
        "pivot_root",
        "umount2",
        "mkdirat",
        "mknodat",
        "symlinkat",
        "openat2",
        "seccomp",
        "setgroups",
        "setresgid",
        "setresuid",
        "capset",
        "chdir",
        "getcwd",
    ];
    CALLS.contains(&name)
}

/// Bytes of a stream, in words.
fn piece(bytes: &BytesRecord, language: Language) -> String {
    const SHOWN: usize = 30;
    let name = match bytes.stream {
        StreamName::Stdin => "stdin",
        StreamName::Stdout => "stdout",
        StreamName::Stderr => "stderr",
        StreamName::RequestBody | StreamName::AnswerBody => language.either("body", "正文"),
    };
    let count = language.either("{} bytes", "{} 字节").replace("{}", &bytes.bytes.to_string());
    match &bytes.text {
        Some(text) => {
            let lines = text.lines().collect::<Vec<_>>().join(" ");
            let shown: String = lines.chars().filter(|it| !it.is_control()).take(SHOWN).collect();
            let more = if shown.len() < lines.len() { " .." } else { "" };
            format!("{name} {count}: {shown}{more}")
        }
        None => format!("{name} {count}"),
    }
}

impl Row {
    /// The row's lines: its words beside what was sent, or below where there is no room.
    fn lines(&self, began: f64, width: usize) -> Vec<Line<'static>> {
        let room = width.saturating_sub(TIME + WHO);
        let time = format!("{:6.1} ", (self.time - began) * 1e3);
        let lead = [time.fg(Color::DarkGray), padded(self.who, WHO).fg(self.colour)];
        let gap = if self.words.is_empty() { 0 } else { 2 };
        let is_beside = columns(&self.sent) + gap + columns(&self.words) <= room;
        if is_beside {
            let words = format!("  {}", self.words).fg(Color::DarkGray);
            let sent = Span::raw(self.sent.clone());
            return vec![Line::from_iter(lead.into_iter().chain([sent, words]))];
        }
        let sent = wrapped(&self.sent, room).into_iter().map(Span::raw);
        let words = wrapped(&self.words, room).into_iter().map(|it| it.fg(Color::DarkGray));
        let words = words.filter(|span| !span.content.is_empty());
        let mut lines: Vec<Line<'static>> = Vec::new();
        let mut lead = Some(lead);
        for span in sent.chain(words) {
            lines.push(match lead.take() {
                Some(lead) => Line::from_iter(lead.into_iter().chain([span])),
                None => Line::from_iter([Span::raw(" ".repeat(TIME + WHO)), span]),
            });
        }
        lines
    }
}
