//! How a container's first process has ended, as its supervisor has recorded it.

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// The exit code, or 128 and the number of the signal that killed it.
    pub status: u32,
    /// When that was.
    pub time: SystemTime,
}

/// The record in that directory; `None` if the process has not ended, or its supervisor was killed
/// before.
pub fn read_exit(directory: &Path) -> Option<ExitRecord> {
    const LONGEST: u64 = 64;
    let mut text = String::new();
    let file = File::open(directory.join("exit")).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    parse(&text)
}

/// Reads `STATUS SECONDS NANOSECONDS OOM\n`, the time since 1970.
fn parse(text: &str) -> Option<ExitRecord> {
    let numbers: Vec<u64> =
        text.strip_suffix('\n')?.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let &[status, seconds, nanoseconds, _] = numbers.as_slice() else { return None };
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|number| *number < 1_000_000_000)?;
    let time = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
    Some(ExitRecord { status: u32::try_from(status).ok()?, time })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_read() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        assert_eq!(parse("137 1700000000 5 0\n"), Some(ExitRecord { status: 137, time }));
    }

    #[test]
    fn half_a_record_is_none() {
        for text in
            ["", "137 1700000000 5 0", "137\n", "1 2 3 4 5\n", "1 2 1000000000 0\n", "- 1 1 0\n"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(read_exit(tempfile::tempdir().unwrap().path()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9 \n-]{0,64}") {
            parse(&text);
        }
    }
}
