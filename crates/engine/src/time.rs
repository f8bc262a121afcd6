//! Instants as Docker's API writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// What the API says where nothing has happened yet: Go's zero time.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Now, by RFC 3339 with nanoseconds.
pub fn now() -> String {
    text(SystemTime::now())
}

/// `time` by RFC 3339 in UTC, with nanoseconds.
pub fn text(time: SystemTime) -> String {
    // A clock before 1970 or after 9999 is wrong anyway.
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{:.9}", timestamp.max(Timestamp::UNIX_EPOCH))
}

/// The time since 1970 of a text by RFC 3339; `None` for what is none, or before 1970.
pub fn since_1970(text: &str) -> Option<Duration> {
    let timestamp: Timestamp = text.parse().ok()?;
    Duration::try_from(timestamp.duration_since(Timestamp::UNIX_EPOCH)).ok()
}

/// The instant that a query names: seconds since 1970 with a fraction (`1700000000.5`), a date by RFC
/// 3339, or a duration before now (`10m`), as `docker logs --since` takes them.
pub fn of_query(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.is_empty() && is_digits(whole) && is_digits(fraction) {
        let nanoseconds = format!("{fraction:0<9}");
        return Some(Duration::new(whole.parse().ok()?, nanoseconds.get(..9)?.parse().ok()?));
    }
    since_1970(text).or_else(|| before_now(text))
}

/// `1h30m`, `10s`: that long ago.
fn before_now(text: &str) -> Option<Duration> {
    let mut left = text;
    let mut seconds = 0u64;
    while !left.is_empty() {
        let digits = left.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = left[..digits].parse().ok()?;
        left = &left[digits..];
        let unit = left.find(|letter: char| letter.is_ascii_digit()).unwrap_or(left.len());
        let factor = match &left[..unit] {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(factor)?)?;
        left = &left[unit..];
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    (!text.is_empty()).then(|| now.saturating_sub(Duration::from_secs(seconds)))
}

/// How long ago, as `docker ps` says it: `5 seconds`, `About a minute`, `3 hours`.
pub fn human(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_takes_all_three_forms_of_an_instant() {
        assert_eq!(of_query("1700000000.25"), Some(Duration::new(1_700_000_000, 250_000_000)));
        assert_eq!(of_query("1970-01-01T00:01:00Z"), Some(Duration::from_secs(60)));
        assert!(of_query("1h30m") < of_query("10s"));
        for bad in ["", "x", "10", "1.2.3", "10y", "-1", "999999999999999999999h"] {
            let found = of_query(bad);
            assert!(bad == "10" || found.is_none(), "{bad}: {found:?}");
        }
    }

    #[test]
    fn ages_are_those_of_docker() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3600, "About an hour"),
            (86_400, "24 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 21, "3 weeks"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), words);
        }
    }
}
