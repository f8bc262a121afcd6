//! Times as text: RFC 3339 in UTC with nanoseconds, which sorts chronologically.

use std::time::SystemTime;

use jiff::Timestamp;

/// `2026-11-28T13:14:15.000000001Z`.
pub fn rfc3339(time: SystemTime) -> String {
    // A clock before 1970 or after 9999 is wrong anyway.
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{:.9}", timestamp.max(Timestamp::UNIX_EPOCH))
}

/// Whether `time`, in the format of [`rfc3339`], is at or after `since`, which may be as short as a
/// day (`2026-11-28`).
pub fn is_since(time: &str, since: &str) -> bool {
    // Without the Z, a longer text is a later time in the same second.
    time.trim_end_matches('Z') >= since.trim_end_matches('Z')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn text(seconds: u64, nanoseconds: u32) -> String {
        rfc3339(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
    }

    #[test]
    fn instants_are_those_of_date() {
        assert_eq!(text(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(text(951_782_400, 0), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(text(1_795_870_455, 5), "2026-11-28T12:54:15.000000005Z");
        assert_eq!(text(4_102_444_799, 999_999_999), "2099-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn text_sorts_as_time_does() {
        let time = text(1_795_870_455, 500_000_000);
        for since in ["2026-11-28", "2026-11-28T12:54:15Z", "2026-11-28T12:54:15.5", "2025-12-31"] {
            assert!(is_since(&time, since), "{since}");
        }
        for since in ["2026-11-29", "2026-11-28T12:54:15.6Z", "2026-11-28T12:54:16Z"] {
            assert!(!is_since(&time, since), "{since}");
        }
    }
}
