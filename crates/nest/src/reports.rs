//! The reports of the first process: short lines, which root inside can forge.

use guest::plan::Report;

/// Its reports take less; anything beyond that is not from it.
const KEPT_BYTES: usize = 4096;

/// The reports so far.
#[derive(Debug, Default)]
pub struct Reports {
    bytes: Vec<u8>,
}

impl Reports {
    /// Adds what has been read, up to the limit.
    pub fn add(&mut self, bytes: &[u8]) {
        let room = KEPT_BYTES.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The complete lines that are reports.
    pub fn lines(&self) -> impl Iterator<Item = Report> + '_ {
        let whole = self.bytes.split_inclusive(|byte| *byte == b'\n');
        let lines = whole.filter_map(|line| std::str::from_utf8(line.strip_suffix(b"\n")?).ok());
        lines.filter_map(|line| line.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count_and_a_flood_is_cut_off() {
        let mut reports = Reports::default();
        reports.add(b"rubbish\nrea");
        assert_eq!(reports.lines().next(), None);
        reports.add(b"dy\n\xff\nexit 300\nexit 7");
        assert_eq!(reports.lines().collect::<Vec<_>>(), [Report::Ready]);
        reports.add(b"\n");
        assert_eq!(reports.lines().last(), Some(Report::Exited(7)));
        reports.add(&b"ready\n".repeat(100_000));
        assert!(reports.bytes.len() <= KEPT_BYTES && reports.lines().count() < KEPT_BYTES);
    }
}
