//! What time it is, as progress files write it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in UTC: `2026-03-01 08:30 UTC`.
pub(crate) fn now() -> String {
    report::format::date(seconds())
}

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The day of a time that [`now`] has given.
pub(crate) fn day(time: &str) -> &str {
    time.split(' ').next().unwrap_or(time)
}
