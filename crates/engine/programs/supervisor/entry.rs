//! One entry of a log in Docker's json-file format: a JSON object in one line,
//! `{"log":"text\n","stream":"stdout","time":"2026-11-29T07:00:00.123456789Z"}`.

use super::clock;

/// The largest number of bytes of output in one entry: dockerd splits longer lines.
pub const LINE: usize = 16 << 10;

/// The largest entry: each byte of output takes at most six, and the names and the time the rest.
pub const MAX_ENTRY: usize = 6 * LINE + 128;

/// Where output comes from.
#[derive(Clone, Copy)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Writes an entry to the start of `to`, which has space for [`MAX_ENTRY`] bytes. Returns its length.
pub fn write_entry(to: &mut [u8], stream: Stream, line: &[u8], time: &[u8; clock::TEXT]) -> usize {
    let mut text = Text { to, length: 0 };
    text.put(b"{\"log\":\"");
    text.escape(line);
    text.put(match stream {
        Stream::Stdout => b"\",\"stream\":\"stdout\",\"time\":\"",
        Stream::Stderr => b"\",\"stream\":\"stderr\",\"time\":\"",
    });
    text.put(time);
    text.put(b"\"}\n");
    text.length
}

/// How a byte is written: as it is ...
const PLAIN: u8 = 0;
/// ... by its number, as `\u00XX` ...
const NUMBER: u8 = 1;
/// ... as a part of a character of several bytes ...
const WIDE: u8 = 2;
/// ... or otherwise by a letter, as in `\n`.
const ESCAPES: [u8; 256] = {
    let mut escapes = [PLAIN; 256];
    let mut byte = 0;
    while byte < 256 {
        escapes[byte] = match byte as u8 {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            letter @ (b'"' | b'\\') => letter,
            // As Go does it: then the text may stand in a page of HTML.
            0..b' ' | b'<' | b'>' | b'&' => NUMBER,
            0x80.. => WIDE,
            _ => PLAIN,
        };
        byte += 1;
    }
    escapes
};

struct Text<'a> {
    to: &'a mut [u8],
    length: usize,
}

impl Text<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.to[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// The text of a JSON string, as Go's encoder writes it.
    fn escape(&mut self, mut bytes: &[u8]) {
        loop {
            let is_special = |byte: &u8| ESCAPES[usize::from(*byte)] != PLAIN;
            let plain = bytes.iter().position(is_special).unwrap_or(bytes.len());
            let (before, rest) = bytes.split_at(plain);
            self.put(before);
            let [byte, ..] = rest else { return };
            let mut taken = 1;
            match ESCAPES[usize::from(*byte)] {
                NUMBER => {
                    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                    self.put(b"\\u00");
                    self.put(&[digit(byte >> 4), digit(byte & 15)]);
                }
                WIDE => match character(rest) {
                    None => self.put(b"\\ufffd"),
                    // Line separators, which end a string in JavaScript.
                    Some(wide @ [0xe2, 0x80, last @ (0xa8 | 0xa9)]) => {
                        self.put(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                        taken = wide.len();
                    }
                    Some(wide) => {
                        self.put(wide);
                        taken = wide.len();
                    }
                },
                letter => self.put(&[b'\\', letter]),
            }
            bytes = &rest[taken..];
        }
    }
}

/// The character of several bytes at the start of `bytes`; `None` if they are not valid UTF-8.
fn character(bytes: &[u8]) -> Option<&[u8]> {
    let character = bytes.get(..width(bytes[0]))?;
    core::str::from_utf8(character).is_ok().then_some(character)
}

/// How many bytes a character has that begins with this one.
pub fn width(first: u8) -> usize {
    match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    }
}
