//! Output in lines, as dockerd divides it: a line is complete at its newline, after 16 KiB, or at the
//! end of the output.

use super::{
    buffer::Buffer,
    entry::{LINE, width},
};

/// Divides one stream into lines.
pub struct Lines {
    /// The start of a line that is not complete; at most [`LINE`] bytes.
    start: Buffer,
}

impl Lines {
    /// A stream of which nothing was read, with a buffer of at least [`LINE`] bytes.
    pub fn new(start: Buffer) -> Self {
        Self { start }
    }

    /// Takes the next output, and gives every line that it completes.
    pub fn take(&mut self, mut output: &[u8], mut complete: impl FnMut(&[u8])) {
        while !output.is_empty() {
            let space = LINE - self.start.filled().len();
            let next = &output[..space.min(output.len())];
            let is_full = next.len() == space;
            let end = newline(next);
            if self.start.is_empty() && (end.is_some() || is_full) {
                let length = end.map_or_else(|| whole_characters(next), |at| at + 1);
                complete(&next[..length]);
                output = &output[length..];
                continue;
            }
            let (next, rest) = output.split_at(end.map_or(next.len(), |at| at + 1));
            output = rest;
            self.start.push(next);
            if end.is_some() || is_full {
                let filled = self.start.filled();
                let length = end.map_or_else(|| whole_characters(filled), |_| filled.len());
                complete(&filled[..length]);
                self.start.consume(length);
            }
        }
    }

    /// Gives what is left at the end of the output.
    pub fn finish(&mut self, complete: impl FnOnce(&[u8])) {
        if !self.start.is_empty() {
            complete(self.start.filled());
            self.start.clear();
        }
    }

    /// The buffer, to release its memory.
    pub fn buffer(&mut self) -> &mut Buffer {
        &mut self.start
    }
}

/// How many bytes of `bytes` to take so that no character is divided: all, or up to three less.
fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len() - 1) {
        let first = bytes[bytes.len() - back];
        if width(first) > back {
            return bytes.len() - back;
        }
        let is_continuation = first & 0xc0 == 0x80;
        if !is_continuation {
            break;
        }
    }
    bytes.len()
}

/// The position of the first newline.
fn newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let mut at = 0;
    // Eight at once: a byte of `different` is zero where there is a newline, and only then does its
    // highest bit become 1 ("Determine if a word has a zero byte", Bit Twiddling Hacks).
    let words = bytes.chunks_exact(8);
    for word in words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        let different = word ^ (ONES * b'\n' as u64);
        let zeros = different.wrapping_sub(ONES) & !different & (ONES << 7);
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| *byte == b'\n')?;
    Some(at + rest)
}
