//! Medians and quantiles of raw samples.

/// A range in which the true value lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The middle value; the mean of the middle two if there is no middle one. `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    median_in_place(&mut values.to_vec())
}

/// As [`median`], in linear time, leaving the values in another order.
pub(crate) fn median_in_place(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(lower + (upper - lower) / 2.0)
}

/// The value below which the given part of `values` lies, on the straight line between the two
/// nearest samples (Hyndman and Fan's type 7). `None` of nothing.
pub fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, part)
}

pub(crate) fn quantile_of_sorted(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let index = part.clamp(0.0, 1.0) * last as f64;
    let below = sorted[index.floor() as usize];
    let above = sorted[index.ceil() as usize];
    Some(below + (above - below) * index.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quantiles_lie_on_the_line_between_samples() {
        let values = [10.0, 20.0, 30.0, 40.0, 50.0];
        assert_eq!(quantile(&values, 0.25), Some(20.0));
        assert_eq!(quantile(&values, 0.1), Some(14.0));
        assert_eq!(quantile(&values, 1.0), Some(50.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_median_is_the_half_quantile(values in proptest::collection::vec(0.0..1e12f64, 1..60)) {
            let (median, half) = (median(&values).unwrap(), quantile(&values, 0.5).unwrap());
            prop_assert!((median - half).abs() <= 1e-9 * half.max(1.0));
        }

        #[test]
        fn half_of_the_values_lie_on_either_side(values in proptest::collection::vec(0.0..1e12f64, 1..60)) {
            let middle = median(&values).unwrap();
            let below = values.iter().filter(|&&value| value < middle).count();
            let above = values.iter().filter(|&&value| value > middle).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }

        #[test]
        fn the_order_does_not_matter(mut values in proptest::collection::vec(0.0..1e12f64, 1..60)) {
            let before = median(&values);
            values.reverse();
            prop_assert_eq!(median(&values), before);
        }
    }
}
