//! What an error quotes of a console: its end.

use std::collections::VecDeque;

/// How much is kept.
const KEPT_BYTES: usize = 8 << 10;
/// How much is quoted.
const QUOTED_LINES: usize = 8;

/// The end of a text, in lines.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    /// Takes what has come.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(KEPT_BYTES);
        self.bytes.drain(..excess);
    }

    /// The kernel panic, if there is one, and the last lines that are not blank, without control
    /// characters.
    pub fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let visible = |line: &str| line.chars().filter(|sign| !sign.is_control()).collect();
        let lines: Vec<String> =
            text.lines().map(visible).filter(|line: &String| !line.trim().is_empty()).collect();
        let (before, last) = lines.split_at(lines.len().saturating_sub(QUOTED_LINES));
        let why = before.iter().filter(|line| line.contains("Kernel panic"));
        why.chain(last).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_quoted_and_the_panic_before_them() {
        let mut tail = Tail::default();
        tail.add(b"boot\r\n[1.0] Kernel panic - not syncing: no init\r\n");
        for line in 0..20 {
            tail.add(format!("\x1b[1mtrace {line}\r\n\r\n").as_bytes());
        }
        let lines = tail.lines();
        assert_eq!(lines.len(), 1 + QUOTED_LINES);
        assert_eq!(lines[0], "[1.0] Kernel panic - not syncing: no init");
        assert_eq!(lines[QUOTED_LINES], "[1mtrace 19");
    }

    #[test]
    fn no_more_is_kept_than_is_needed() {
        let mut tail = Tail::default();
        tail.add(&vec![b'x'; 1 << 20]);
        assert_eq!(tail.lines(), ["x".repeat(KEPT_BYTES)]);
        assert!(Tail::default().lines().is_empty());
    }
}
