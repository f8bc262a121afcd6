//! The time line of a daemon, in columns.
//!
//! ```text
//!   0.0039  3 client →  POST /v1.47/containers/create
//!                       make a container of the image busybox, without starting it
//!                       2 budget    at most 64 MiB of memory (-m)
//!   0.0063  3 → client  201 its id is 3f2a1b0c9d8e; no process runs yet
//!   0.0204    → kernel  2 budget    mkdir /sys/fs/cgroup/isolab-engine-3f2a1b0c9d8e
//! ```

use std::collections::HashMap;

use engine::watch::{
    BytesRecord, RequestRecord, StepRecord, StreamName, WatchEvent, WatchRecord,
    words::{self, Part, printable, with_short_ids},
};
use host::Language;
use report::columns::{columns, padded, shortened, wrapped};
use sandbox::Question;

use crate::ansi::Ansi;

/// Columns of a question with its number.
const QUESTION: usize = 12;
/// Lines of one text; the rest of it is in the records.
const LINES: usize = 3;
/// How many connections are known by their last request; more are forgotten.
const MOST: usize = 1000;

/// The time line, record by record.
pub(super) struct Timeline {
    language: Language,
    ansi: Ansi,
    width: usize,
    began: Option<f64>,
    /// What was asked for last, by the connection.
    asked: HashMap<u64, RequestRecord>,
    /// Calls that are alike, the first of them with its time, until another one comes.
    alike: Option<(f64, StepRecord, usize)>,
}

/// A line of a row: what stands before it, and what is wrapped behind that.
struct Text {
    lead: String,
    text: String,
    style: Style,
}

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Green,
    Yellow,
}

impl Text {
    fn plain(text: impl Into<String>) -> Self {
        Self { lead: String::new(), text: text.into(), style: Style::Plain }
    }
}

impl Timeline {
    /// One for a terminal of `width` columns.
    pub(super) fn new(language: Language, ansi: Ansi, width: usize) -> Self {
        Self { language, ansi, width, began: None, asked: HashMap::new(), alike: None }
    }

    /// The lines of the next record.
    pub(super) fn lines(&mut self, record: &WatchRecord) -> String {
        self.began.get_or_insert(record.time);
        if let WatchEvent::Step(step) = &record.event {
            if let Some((_, first, count)) = &mut self.alike
                && is_alike(first, step)
            {
                *count += 1;
                return String::new();
            }
            let before = self.rest();
            self.alike = Some((record.time, step.clone(), 1));
            return before;
        }
        self.rest() + &self.event(record)
    }

    /// The lines that wait for a next call that is like the last one.
    pub(super) fn rest(&mut self) -> String {
        let Some((time, step, count)) = self.alike.take() else { return String::new() };
        let more = match count {
            1 => String::new(),
            _ => self
                .language
                .either(" (and {} more like it)", "（另有 {} 次类似调用）")
                .replace("{}", &(count - 1).to_string()),
        };
        let text = format!("{}{more}", printable(&with_short_ids(&step.call)));
        let lead = self.question(step.question);
        let text = Text { lead, text, style: Style::Yellow };
        self.row(time, None, ("→", "kernel"), &[text])
    }

    fn question(&self, question: Question) -> String {
        padded(&words::question(question, self.language), QUESTION)
    }

    fn event(&mut self, record: &WatchRecord) -> String {
        let language = self.language;
        let (time, connection) = (record.time, record.connection);
        let coded = |code: u16, words: String| {
            let style = if code < 400 { Style::Green } else { Style::Yellow };
            Text { lead: format!("{code} "), text: words, style }
        };
        match &record.event {
            WatchEvent::Request(request) => {
                let texts = self.request(request);
                if let Some(connection) = connection {
                    if self.asked.len() >= MOST {
                        self.asked.clear();
                    }
                    self.asked.insert(connection, request.clone());
                }
                self.row(time, connection, ("client", "→"), &texts)
            }
            WatchEvent::Answer(answer) => {
                let asked = connection.and_then(|it| self.asked.get(&it));
                let words = words::answer(asked, answer, language);
                self.row(time, connection, ("→", "client"), &[coded(answer.status, words)])
            }
            WatchEvent::Upgraded { status } => {
                let words = words::upgraded(language).to_owned();
                self.row(time, connection, ("→", "client"), &[coded(*status, words)])
            }
            WatchEvent::Bytes(bytes) => {
                let who = match bytes.stream.is_of_client() {
                    true => ("client", "→"),
                    false => ("→", "client"),
                };
                self.row(time, connection, who, &[Text::plain(piece(bytes, language))])
            }
            WatchEvent::Step(_) => String::new(), // with the others like it
            WatchEvent::Exit { code, exec } => {
                let words = match exec {
                    None => language.either(
                        "the container's first process has ended: exit code {}",
                        "容器的第一个进程已结束：退出码 {}",
                    ),
                    Some(_) => language.either(
                        "the command in the container has ended: exit code {}",
                        "容器中的命令已结束：退出码 {}",
                    ),
                };
                let words = Text::plain(words.replace("{}", &code.to_string()));
                self.row(time, None, ("kernel", "→"), &[words])
            }
            WatchEvent::Lost { records } => {
                let words = language
                    .either("too slow here: {} records were lost", "这里读得太慢：丢失了 {} 条记录")
                    .replace("{}", &records.to_string());
                let words = Text { lead: words, text: String::new(), style: Style::Yellow };
                self.row(time, None, ("", ""), &[words])
            }
        }
    }

    /// Method and path, what it asks for, and what it says besides.
    fn request(&self, request: &RequestRecord) -> Vec<Text> {
        let path = printable(&with_short_ids(&request.path));
        let mut head = vec![format!("{} {path}", request.method)];
        if !request.query.is_empty() {
            let query = format!("?{}", printable(&with_short_ids(&request.query)));
            match columns(&head[0]) + columns(&query) <= self.width - self.margin() {
                true => head[0] += &query,
                false => head.push(query),
            }
        }
        let phrase = words::request(request, self.language);
        let part = |part: &Part| {
            let lead = part.question.map_or(String::new(), |question| self.question(question));
            Text { lead, text: part.line(), style: Style::Plain }
        };
        let mut texts: Vec<Text> = head.into_iter().map(Text::plain).collect();
        texts.push(Text { style: Style::Bold, ..Text::plain(phrase.what) });
        texts.extend(phrase.parts.iter().map(part));
        texts
    }

    /// Columns of the time, of a connection's number, and of who.
    fn margin(&self) -> usize {
        8 + 3 + 1 + self.who_columns() + 2
    }

    fn who_columns(&self) -> usize {
        columns(self.name("client")).max(columns(self.name("kernel"))) + 2
    }

    fn name<'a>(&self, who: &'a str) -> &'a str {
        match who {
            "client" => self.language.either("client", "客户端"),
            "kernel" => self.language.either("kernel", "内核"),
            other => other,
        }
    }

    /// A row: when, over which connection, from whom or to whom, and what.
    fn row(
        &self,
        time: f64,
        connection: Option<u64>,
        (left, right): (&str, &str),
        texts: &[Text],
    ) -> String {
        let who = format!("{} {}", self.name(left), self.name(right));
        let since = time - self.began.unwrap_or(time);
        let number = connection.map_or(String::new(), |number| number.to_string());
        let head = format!("{since:8.4}{number:>3} {}  ", padded(&who, self.who_columns()));
        let mut page = self.ansi.dim(&head);
        for (number, Text { lead, text, style }) in texts.iter().enumerate() {
            if number > 0 {
                page += &" ".repeat(self.margin());
            }
            page += &match style {
                Style::Green => self.ansi.green(lead),
                Style::Yellow => self.ansi.yellow(lead),
                Style::Plain | Style::Bold => self.ansi.dim(lead),
            };
            let before = self.margin() + columns(lead);
            let room = self.width.saturating_sub(before).max(8);
            let mut lines = wrapped(text, room);
            if lines.len() > LINES {
                lines.truncate(LINES);
                let last = lines.pop().unwrap_or_default();
                lines.push(shortened(&format!("{last} …"), room));
            }
            for (at, line) in lines.iter().enumerate() {
                if at > 0 {
                    page += &" ".repeat(before);
                }
                let is_bold = matches!(style, Style::Bold);
                page += &if is_bold { self.ansi.bold(line) } else { line.clone() };
                page.push('\n');
            }
        }
        page
    }
}

/// Bytes of a stream, in words.
fn piece(record: &BytesRecord, language: Language) -> String {
    const SHOWN: usize = 60;
    let name = match record.stream {
        StreamName::Stdin => language.either("stdin", "标准输入"),
        StreamName::Stdout => language.either("stdout", "标准输出"),
        StreamName::Stderr => language.either("stderr", "标准错误"),
        StreamName::RequestBody | StreamName::AnswerBody => language.either("body", "正文"),
    };
    let bytes = record.bytes;
    let count = language.either("{} bytes", "{} 字节").replace("{}", &bytes.to_string());
    let mut words = format!("{name}: {count}");
    if let Some(text) = &record.text {
        let shown: String = text.chars().take(SHOWN).collect();
        let is_all = text.len() as u64 == bytes && shown == *text;
        let more = if is_all { "" } else { " …" };
        words += &format!(" \"{}\"{more}", shown.escape_debug());
    }
    if record.total > bytes {
        let total = language.either(", {} in all", "，共 {}");
        words += &total.replace("{}", &record.total.to_string());
    }
    words
}

/// Whether two calls differ in their operands only.
fn is_alike(first: &StepRecord, next: &StepRecord) -> bool {
    let name = |step: &StepRecord| step.call.split(' ').next().map(str::to_owned);
    first.question == next.question && name(first) == name(next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(records: serde_json::Value, language: Language) -> String {
        let mut timeline = Timeline::new(language, Ansi::PLAIN, 80);
        let records: Vec<WatchRecord> = serde_json::from_value(records).unwrap();
        let lines: String = records.iter().map(|record| timeline.lines(record)).collect();
        lines + &timeline.rest()
    }

    fn records() -> serde_json::Value {
        let id = "ab".repeat(32);
        let create = format!("/v1.47/containers/{id}/wait");
        json!([
            { "time": 5.0, "connection": 3, "kind": "request", "method": "POST", "path": create,
              "query": "condition=removed" },
            { "time": 5.001, "connection": 3, "kind": "answer", "status": 200 },
            { "time": 5.01, "kind": "step", "question": "budget", "took": 0.1,
              "call": "mkdir /sys/fs/cgroup/x" },
            { "time": 5.02, "kind": "step", "question": "power", "took": 0.1,
              "call": "drop capability 2" },
            { "time": 5.03, "kind": "step", "question": "power", "took": 0.1,
              "call": "drop capability 3" },
            { "time": 5.04, "connection": 4, "kind": "bytes", "stream": "stdout",
              "text": "hi\n", "bytes": 3, "total": 3 },
            { "time": 5.05, "kind": "exit", "code": 7 },
            { "time": 5.06, "kind": "lost", "records": 9 },
        ])
    }

    #[test]
    fn who_asks_whom_is_seen_in_a_column() {
        let expected =
            "  0.0000  3 client →  POST /v1.47/containers/abababababab/wait?condition=removed
                      tell me its exit code when the container abababababab ends
                      the answer comes when it is: removed
  0.0010  3 → client  200 I hear you; the exit code comes when it has ended
  0.0100    → kernel  2 budget    mkdir /sys/fs/cgroup/x
  0.0200    → kernel  4 power     drop capability 2 (and 1 more like it)
  0.0400  4 → client  stdout: 3 bytes \"hi\\n\"
  0.0500    kernel →  the container's first process has ended: exit code 7
  0.0600              too slow here: 9 records were lost
";
        assert_eq!(page(records(), Language::En), expected);
    }

    #[test]
    fn every_line_fits_in_80_columns() {
        for language in [Language::En, Language::Zh] {
            for line in page(records(), language).lines() {
                assert!(columns(line) <= 80, "{line}");
            }
        }
        assert!(page(records(), Language::Zh).contains("客户端 →"));
    }
}
