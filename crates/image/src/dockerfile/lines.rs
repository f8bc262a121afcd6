//! The logical lines of a Dockerfile: continuations joined, comments gone, and for each byte of
//! them where it stood.
//!
//! ```text
//!   RUN make \            line 1
//!     # what it needs     a comment between continued lines
//!       install           line 3        -> one logical line: RUN make       install
//! ```
//!
//! The rules are those of Docker's own parser: an escape character at the end of a line continues
//! it, unless another one stands before it; lines that are empty or comments are left out between.
//! <https://docs.docker.com/reference/dockerfile/#format>

use super::{
    error::{Error, Problem},
    position::Position,
};

/// A Dockerfile with more bytes is refused.
const MOST_BYTES: usize = 1 << 20;

/// One instruction's text, on one line.
#[derive(Debug)]
pub(super) struct LogicalLine {
    pub(super) text: String,
    segments: Vec<Segment>,
}

/// Where a part of a logical line begins, in it and in the file.
#[derive(Debug)]
struct Segment {
    offset: usize,
    position: Position,
}

impl LogicalLine {
    /// Where the byte at `offset` stands in the file.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let after = self.segments.partition_point(|segment| segment.offset <= offset);
        let segment = &self.segments[after.saturating_sub(1)];
        let before = self.text.get(segment.offset..offset).unwrap_or_default();
        Position { column: segment.position.column + before.chars().count(), ..segment.position }
    }

    /// A line that does not come from a file, such as an image's `ONBUILD` trigger.
    pub(super) fn alone(text: &str) -> Self {
        let start = Segment { offset: 0, position: Position { line: 1, column: 1 } };
        Self { text: text.trim().to_owned(), segments: vec![start] }
    }
}

/// The escape character of `text`, and its logical lines.
pub(super) fn split(file: &str, text: &[u8]) -> Result<(char, Vec<LogicalLine>), Error> {
    let start = Position { line: 1, column: 1 };
    if text.len() > MOST_BYTES {
        return Err(Error::new(file, start, Problem::TooLarge { most: MOST_BYTES }));
    }
    let text = as_text(text).map_err(|position| Error::new(file, position, Problem::NotText))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_directive(file, text)?;
    Ok((escape, logical_lines(text, escape)))
}

/// Text without null bytes, which no argument of a program can have; or where it is not.
fn as_text(bytes: &[u8]) -> Result<&str, Position> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => return Ok(text),
        Ok(text) => text.find('\0').unwrap_or(0),
        Err(error) => error.valid_up_to(),
    };
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let last = before.rsplit('\n').next().unwrap_or_default();
    Err(Position { line: before.matches('\n').count() + 1, column: last.chars().count() + 1 })
}

/// What `# escape=` says, among the directives at the very top.
///
/// <https://docs.docker.com/reference/dockerfile/#parser-directives>
fn escape_directive(file: &str, text: &str) -> Result<char, Error> {
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = directive(line) else { break };
        let position = Position { line: index + 1, column: 1 };
        match name.as_str() {
            "escape" if found.is_some() => {
                return Err(Error::new(file, position, Problem::TwoEscapeDirectives));
            }
            "escape" => match value {
                "\\" => found = Some('\\'),
                "`" => found = Some('`'),
                _ => return Err(Error::new(file, position, Problem::EscapeCharacter)),
            },
            "syntax" | "check" => {}
            _ => break,
        }
    }
    Ok(found.unwrap_or('\\'))
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

fn logical_lines(text: &str, escape: char) -> Vec<LogicalLine> {
    let mut lines = Vec::new();
    let mut open: Option<LogicalLine> = None;
    for (index, raw) in text.split('\n').enumerate() {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let begun = raw.trim_start();
        if begun.is_empty() || begun.starts_with('#') {
            continue;
        }
        let content = if open.is_some() { raw } else { begun };
        let (content, continues) = without_continuation(content, escape);
        let column =
            raw.chars().count() - raw[raw.len() - content_start(raw, content)..].chars().count();
        let line =
            open.get_or_insert_with(|| LogicalLine { text: String::new(), segments: Vec::new() });
        let position = Position { line: index + 1, column: column + 1 };
        line.segments.push(Segment { offset: line.text.len(), position });
        line.text.push_str(content);
        if !continues {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines.retain_mut(|line| {
        line.text.truncate(line.text.trim_end().len());
        !line.text.trim().is_empty()
    });
    lines
}

/// How many bytes of `raw` there are from where `content`, a part of it, begins.
fn content_start(raw: &str, content: &str) -> usize {
    let cut = content.as_ptr() as usize - raw.as_ptr() as usize;
    raw.len() - cut
}

/// The line without the escape character that continues it, and whether it had one.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}
