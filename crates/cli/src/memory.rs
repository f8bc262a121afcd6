//! The message about a workload that the kernel's OOM killer has killed.

use sandbox::{OutOfMemory, Outcome, Status};

use crate::stderr;

/// Says it on standard error, if it was.
pub fn remark(outcome: &Outcome) {
    if let Some(killed) = outcome.usage.out_of_memory {
        stderr::remark(&format!("isolab: {}\n", words(killed, outcome.status)));
    }
}

fn words(OutOfMemory { kills, limit_bytes }: OutOfMemory, status: Status) -> String {
    const SIGKILL: i32 = 9;
    let reason = match limit_bytes {
        Some(bytes) => format!("killed by its memory limit ({})", size(bytes)),
        None => "killed because the host, or a limit around isolab, had no memory left".into(),
    };
    // A shell tells of its child's end so.
    let is_whole = status.code() == Status::Signaled(SIGKILL).code();
    match (is_whole, kills) {
        (true, _) => reason,
        (false, 1) => format!("one of its processes was {reason}"),
        (false, kills) => format!("{kills} of its processes were {reason}"),
    }
}

/// `64 MiB`: in the largest unit that leaves a whole number.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = |(_, shift): &&(&str, u32)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(whole) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_in_the_unit_of_whoever_gave_it() {
        let cases = [
            (64 << 20, "64 MiB"),
            (1 << 30, "1 GiB"),
            (1536 << 20, "1536 MiB"),
            (4097, "4097 bytes"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_child_that_was_killed_is_not_the_program() {
        let killed = OutOfMemory { kills: 2, limit_bytes: Some(64 << 20) };
        let limit = "killed by its memory limit (64 MiB)";
        assert_eq!(words(killed, Status::Signaled(9)), limit);
        assert_eq!(words(killed, Status::Exited(137)), limit);
        assert_eq!(words(killed, Status::Exited(0)), format!("2 of its processes were {limit}"));
        let around = OutOfMemory { kills: 1, limit_bytes: None };
        assert!(words(around, Status::Signaled(9)).contains("host"));
    }
}
