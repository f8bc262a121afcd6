//! The times in a log: RFC 3339, UTC.

use std::time::Duration;

/// The time since 1970 of `2026-11-29T07:00:00.123456789Z`, with up to nine digits of a fraction or
/// without one; `None` for other text, and for times before 1970.
pub(super) fn since_1970(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let bytes = whole.as_bytes();
    let separators = [4, 7, 10, 13, 16].map(|at| bytes.get(at).copied());
    if bytes.len() != 19 || separators != [b'-', b'-', b'T', b':', b':'].map(Some) {
        return None;
    }
    let field = |from: usize, to: usize| number(&bytes[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && (1..=9).contains(&fraction.len());
    if !is_valid {
        return None;
    }
    let missing_digits = 9 - fraction.len() as u32;
    let nanoseconds = number(fraction.as_bytes())? * 10u64.pow(missing_digits);
    let seconds = day_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Duration::new(seconds, nanoseconds as u32))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// The number of a day. Years are counted from March, so that a leap day is the last of a year.
fn day_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    const FIRST_OF_MARCH_OF_YEAR_0: u64 = 719_468;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - FIRST_OF_MARCH_OF_YEAR_0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::supervisor::program::clock;

    #[test]
    fn known_times_are_read() {
        for (text, seconds, nanoseconds) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2000-02-29T23:59:59.000000001Z", 951_868_799, 1),
            ("2026-11-29T07:00:00.5Z", 1_795_935_600, 500_000_000),
        ] {
            assert_eq!(since_1970(text), Some(Duration::new(seconds, nanoseconds)), "{text}");
        }
    }

    #[test]
    fn other_text_is_none() {
        for text in [
            "",
            "Z",
            "2026-11-29T07:00:00",
            "2026-11-29T07:00:00+01:00",
            "2026-13-29T07:00:00Z",
            "2026-11-29T07:00:00.Z",
            "2026-11-29T07:00:00.1234567890Z",
            "1969-12-31T23:59:59Z",
            "2026-11-29 07:00:00Z",
            "\u{e9}\u{e9}\u{e9}-11-29T07:00:00Z",
        ] {
            assert_eq!(since_1970(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_supervisor_writes_is_read(seconds in 0u64..253_402_300_800, nanoseconds in 0u32..1_000_000_000) {
            let text = clock::rfc3339(clock::Instant { seconds, nanoseconds });
            let text = std::str::from_utf8(&text).unwrap();
            prop_assert_eq!(since_1970(text), Some(Duration::new(seconds, nanoseconds)), "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.-]{0,32}") {
            since_1970(&text);
        }
    }
}
