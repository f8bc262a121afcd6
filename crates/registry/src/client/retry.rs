//! Retries: when a request that failed is sent again.
//!
//! Waiting grows with each attempt, so that a registry that is overloaded is not kept so, and
//! differs from client to client, so that a class does not come back at the same moment.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{Failure, Progress};

/// How often a request is sent at most.
const ATTEMPTS: u32 = 5;

/// After so many bytes more, a new failure is not the same one again.
pub(super) const ACHIEVEMENT: u64 = 1 << 20;

/// Who is asked to wait longer tells its user instead.
const MOST: Duration = Duration::from_secs(60);

/// A user who has stopped it does not wait for the end of a pause.
const SLICE: Duration = Duration::from_millis(50);

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Retry {
    attempt: u32,
    base: Duration,
}

impl Retry {
    /// Waits about `base` before the second attempt, twice as long before the third.
    pub(super) fn new(base: Duration) -> Self {
        Self { attempt: 1, base }
    }

    /// Begins to count anew, after something was achieved.
    pub(super) fn reset(&mut self) {
        self.attempt = 1;
    }

    /// Waits for the next attempt after `failure`.
    ///
    /// # Errors
    ///
    /// `failure`, if there is no next attempt.
    pub(super) fn after(
        &mut self,
        failure: Failure,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let asked = match &failure {
            Failure::Busy { wait, .. } => *wait,
            _ => None,
        };
        if !failure.is_transient()
            || self.attempt >= ATTEMPTS
            || asked.is_some_and(|wait| wait > MOST)
        {
            return Err(failure);
        }
        let grown = self.base * 2u32.pow(self.attempt - 1);
        let pause = jitter(grown).max(asked.unwrap_or_default());
        self.attempt += 1;
        progress.retrying(self.attempt, pause, &failure);
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if progress.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            thread::sleep(left.min(SLICE));
        }
        Ok(())
    }
}

/// Between the half and the whole of `pause`.
fn jitter(pause: Duration) -> Duration {
    // The keys of a RandomState are random; nothing here needs more than that.
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random & 0xffff).unwrap_or_default();
    pause / 2 + pause / 2 * part / 0xffff
}

/// The value of `Retry-After`: seconds or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(seconds_of_date(value)?).saturating_sub(now))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970 (RFC 9110, 5.6.7).
fn seconds_of_date(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next().filter(|word| word.len() == 3)?;
    let month = MONTHS.find(month).filter(|at| at % 3 == 0)? as u64 / 3 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock =
        words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|n| *n < 62));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    (words.next()? == "GMT").then_some(())?;
    // A year that begins in March has its leap day at its end.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    const DAYS_TO_1970: u64 = 719_468;
    Some(((days - DAYS_TO_1970) * 24 + hours) * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_the_standard() {
        // RFC 9110's example, and date(1)'s answers.
        assert_eq!(seconds_of_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds_of_date("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(retry_after(" 7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for text in [
            "",
            "-1",
            "soon",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 anF 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "1e3",
        ] {
            assert_eq!(retry_after(text), None, "{text}");
        }
    }

    #[test]
    fn attempts_have_an_end_and_a_refusal_is_not_repeated() {
        let busy = |wait| Failure::Busy { status: 503, detail: String::new(), wait };
        let mut retry = Retry::new(Duration::from_millis(1));
        for _ in 1..ATTEMPTS {
            retry.after(busy(None), &()).unwrap();
        }
        retry.after(busy(None), &()).unwrap_err();
        retry.reset();
        retry.after(busy(Some(Duration::from_secs(3600))), &()).unwrap_err();
        let refused = Failure::Rejected { status: 400, detail: String::new() };
        retry.after(refused, &()).unwrap_err();
        retry.after(busy(Some(Duration::from_millis(5))), &()).unwrap();
    }

    #[test]
    fn pauses_differ_and_are_bounded() {
        let pauses: Vec<_> = (0..50).map(|_| jitter(Duration::from_secs(1))).collect();
        assert!(pauses.iter().all(|pause| (500..=1000).contains(&pause.as_millis())));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
