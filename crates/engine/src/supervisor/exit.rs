//! The file `exit`, in which a supervisor has written how the first process ended.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How a first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// Its exit code, or 128 and the signal that killed it.
    pub status: u32,
    /// When.
    pub time: SystemTime,
}

/// Reads it in `directory`; `None` if there is none, or it was cut off.
pub fn read_exit(directory: &Path) -> Option<ExitRecord> {
    parse(&fs::read_to_string(directory.join("exit")).ok()?)
}

/// `STATUS SECONDS NANOSECONDS` and a newline.
fn parse(text: &str) -> Option<ExitRecord> {
    let mut numbers = text.strip_suffix('\n')?.split(' ');
    let status = numbers.next()?.parse().ok()?;
    let (seconds, nanoseconds) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let since = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanoseconds))?;
    Some(ExitRecord { status, time: UNIX_EPOCH.checked_add(since)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_cut_off_is_none() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        let whole = "137 1700000000 5 0\n";
        assert_eq!(parse(whole), Some(ExitRecord { status: 137, time }));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }
}
