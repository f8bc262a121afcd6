//! The time, as a number and as text by RFC 3339.

/// Time since 1970, UTC.
#[derive(Clone, Copy)]
pub struct Instant {
    pub seconds: u64,
    pub nanoseconds: u32,
}

/// The length of [`rfc3339`].
pub const TEXT: usize = 30;

/// `2026-11-29T07:00:00.123456789Z`, for the years up to 9999.
pub fn rfc3339(instant: Instant) -> [u8; TEXT] {
    const DAY: u64 = 86_400;
    let (year, month, day) = date(instant.seconds / DAY);
    let second = instant.seconds % DAY;
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    put(&mut text[20..29], instant.nanoseconds.into());
    text
}

/// The last decimal digits of `number`, as many as there is space for.
fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970. Years are counted from March, so that a leap day is
/// the last of a year, and days from 1 March of the year 0.
fn date(day: u64) -> (u64, u64, u64) {
    const FOUR_CENTURIES: u64 = 146_097;
    let day = day + 719_468;
    let (era, day) = (day / FOUR_CENTURIES, day % FOUR_CENTURIES);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (next_year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (400 * era + year + next_year, month, day - first + 1)
}
