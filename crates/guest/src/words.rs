//! How the words of a plan are encoded in a line, and decoded again; see `plan`.
//!
//! There is one space between two words, and a line feed after the last. A byte that is not a
//! visible ASCII character, or is a backslash, is written as `\` and two hexadecimal digits. So a
//! word may be empty and may contain anything but a NUL, and it never grows when it is decoded in
//! place. `programs/init.rs` shares this file, which therefore uses only `core`.

use core::ffi::CStr;

/// The encoding of a word is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedWord;

/// Takes the first word off `line`, decoded and ended by a NUL; `None` after the last one.
pub fn next_word<'a>(line: &mut &'a mut [u8]) -> Result<Option<&'a CStr>, MalformedWord> {
    if line.is_empty() {
        return Ok(None);
    }
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\n')).ok_or(MalformedWord)?;
    let (word, rest) = core::mem::take(line).split_at_mut(end + 1);
    *line = rest;
    let length = decode(word)?;
    CStr::from_bytes_with_nul(&word[..=length]).map(Some).map_err(|_| MalformedWord)
}

/// Decodes `word`, which ends in its separator, and terminates it with a NUL.
fn decode(word: &mut [u8]) -> Result<usize, MalformedWord> {
    let (mut from, mut to) = (0, 0);
    while from + 1 < word.len() {
        let (byte, used) = match word[from] {
            b'\\' => {
                let digit = |at: usize| {
                    let digit = word.get(from + at).map(|byte| char::from(*byte).to_digit(16));
                    digit.flatten().ok_or(MalformedWord)
                };
                ((digit(1)? << 4 | digit(2)?) as u8, 3)
            }
            byte => (byte, 1),
        };
        word[to] = byte;
        from += used;
        to += 1;
    }
    word[to] = 0;
    Ok(to)
}
