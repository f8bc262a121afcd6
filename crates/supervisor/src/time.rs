//! Instants as text: RFC 3339 in UTC with nanoseconds, which sorts as time does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-28T13:14:15.000000001Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let nanoseconds = since.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Year, month and day of so many days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01, so that a leap day ends its year: Howard Hinnant, "chrono-compatible
    // low-level date algorithms", civil_from_days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Whether the instant `time`, as [`rfc3339`] writes it, is at or after `since`, which may be as
/// short as a day (`2026-11-28`).
pub fn is_since(time: &str, since: &str) -> bool {
    // Without the Z a longer text is a later instant of the same second.
    time.trim_end_matches('Z') >= since.trim_end_matches('Z')
}

#[cfg(test)]
mod tests {
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
