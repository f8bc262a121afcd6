//! What a ratio shows, and what it does not.

use crate::Ratio;

/// What the comparison of two series shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// The value is smaller: this part of the base's, below 1.
    Less(f64),
    /// The value is larger: so many times the base's, above 1.
    More(f64),
    /// The interval spans 1, or the difference is no larger than that of a thing from itself.
    NoDifferenceShown,
    /// Too few processes to say, or a host that was too busy; the ratio is only what it is.
    TooFewSamples(f64),
}

impl Verdict {
    /// The verdict on `ratio`, where measuring the same thing twice gave ratios up to
    /// `noise_floor`, a number of at least 1.
    pub fn of(ratio: &Ratio, noise_floor: Option<f64>) -> Self {
        let Some(interval) = ratio.interval else { return Self::TooFewSamples(ratio.value) };
        let floor = noise_floor.unwrap_or(1.0).max(1.0);
        if interval.contains(1.0) || within(ratio.value, floor) {
            Self::NoDifferenceShown
        } else if ratio.value < 1.0 {
            Self::Less(ratio.value)
        } else {
            Self::More(ratio.value)
        }
    }
}

/// How far apart two measurements of the same thing may lie: the farther end of the interval of
/// their ratio, as a number of at least 1.
pub fn noise_floor(again: &Ratio) -> f64 {
    let ends = again.interval.map_or([again.value; 2], |interval| [interval.low, interval.high]);
    ends.into_iter().map(|end| end.max(1.0 / end)).fold(1.0, f64::max)
}

fn within(ratio: f64, floor: f64) -> bool {
    (1.0 / floor..=floor).contains(&ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interval;

    fn ratio(low: f64, value: f64, high: f64) -> Ratio {
        Ratio { value, interval: Some(Interval { low, high }), paired: true }
    }

    #[test]
    fn an_interval_that_spans_one_shows_no_difference() {
        assert_eq!(Verdict::of(&ratio(0.9, 1.2, 1.4), None), Verdict::NoDifferenceShown);
        assert_eq!(Verdict::of(&ratio(1.1, 1.2, 1.4), None), Verdict::More(1.2));
        assert_eq!(Verdict::of(&ratio(0.4, 0.5, 0.6), None), Verdict::Less(0.5));
    }

    #[test]
    fn a_difference_within_the_noise_floor_is_not_shown() {
        let floor = noise_floor(&ratio(0.8, 0.95, 1.01));
        assert!((floor - 1.25).abs() < 1e-12);
        assert_eq!(Verdict::of(&ratio(1.1, 1.2, 1.24), Some(floor)), Verdict::NoDifferenceShown);
        assert_eq!(Verdict::of(&ratio(0.7, 0.81, 0.9), Some(floor)), Verdict::NoDifferenceShown);
        assert_eq!(Verdict::of(&ratio(1.2, 1.3, 1.4), Some(floor)), Verdict::More(1.3));
    }

    #[test]
    fn one_sample_is_too_few() {
        let ratio = Ratio { value: 3.0, interval: None, paired: false };
        assert_eq!(Verdict::of(&ratio, None), Verdict::TooFewSamples(3.0));
    }
}
