//! Finding the last lines of a log from its end.

use std::io;

use super::files::LogFile;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// Where the last `count` whole lines begin: the index of the file, and a position in it. Files are
/// the oldest first; if there are fewer lines, that is the start of the first.
///
/// # Errors
///
/// Those of read(2).
pub(super) fn start_of_last(files: &[LogFile], count: u64) -> io::Result<(usize, u64)> {
    let mut missing = count;
    let mut block = vec![0; BLOCK];
    for (index, file) in files.iter().enumerate().rev() {
        let mut end = file.length()?;
        let mut lines = 0;
        while end > 0 {
            let start = end.saturating_sub(BLOCK as u64);
            let wanted = &mut block[..(end - start) as usize];
            let length = file.read_at(start, wanted)?;
            for at in newlines_from_the_end(&wanted[..length]) {
                if lines == missing {
                    return Ok((index, start + at as u64 + 1));
                }
                lines += 1;
            }
            end = start;
        }
        // Every newline ends a line, and none is before the first.
        missing -= lines.min(missing);
        if missing == 0 {
            return Ok((index, 0));
        }
    }
    Ok((0, 0))
}

/// The positions of newlines, the last first.
fn newlines_from_the_end(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let all = bytes.iter().enumerate().rev();
    all.filter_map(|(at, byte)| (*byte == b'\n').then_some(at))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::files::open_all, *};

    /// The last `count` lines of these files, the oldest first.
    fn last(files: &[&str], count: u64) -> String {
        let directory = tempfile::tempdir().unwrap();
        for (index, text) in files.iter().rev().enumerate() {
            let name = if index == 0 { "log".into() } else { format!("log.{index}") };
            fs::write(directory.path().join(name), text).unwrap();
        }
        let (index, position) = start_of_last(&open_all(directory.path()).unwrap(), count).unwrap();
        let rest = &files[index][position as usize..];
        [&[rest], &files[index + 1..]].concat().concat()
    }

    #[test]
    fn the_last_lines_are_counted_across_files() {
        let files = ["1\n2\n", "3\n", "", "4\n5\n"];
        for (count, expected) in
            [(0, ""), (1, "5\n"), (2, "4\n5\n"), (3, "3\n4\n5\n"), (4, "2\n3\n4\n5\n")]
        {
            assert_eq!(last(&files, count), expected, "{count}");
        }
        assert_eq!(last(&files, u64::MAX), "1\n2\n3\n4\n5\n");
    }

    #[test]
    fn a_line_that_is_not_complete_does_not_count() {
        assert_eq!(last(&["1\n2\n3"], 1), "2\n3");
        assert_eq!(last(&["1\n2\n3"], 0), "3");
    }

    #[test]
    fn lines_may_be_longer_than_a_block() {
        let line = format!("{}\n", "x".repeat(3 * BLOCK));
        let text = line.repeat(3);
        assert_eq!(last(&[&text], 2).len(), 2 * line.len());
    }
}
