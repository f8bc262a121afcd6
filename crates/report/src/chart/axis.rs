//! Where numbers lie on a line, and which of them are written below it.

use crate::{Unit, format::human};

use super::canvas::{Anchor, DrawError, Surface, text_width};
use super::colours::Colour;

/// Above this ratio of the largest to the smallest value only a logarithmic scale shows both.
const LARGEST_LINEAR_RATIO: f64 = 8.0;

/// A scale from numbers to pixels.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    unit: Unit,
    /// In logarithms if the scale is logarithmic.
    range: (f64, f64),
    logarithmic: bool,
    pixels: (i32, i32),
}

impl Axis {
    /// A scale on which all of `values` lie; `None` if there are none.
    pub(crate) fn over(
        values: impl Iterator<Item = f64>,
        unit: Unit,
        pixels: (i32, i32),
    ) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        if !low.is_finite() || !high.is_finite() {
            return None;
        }
        let logarithmic = low > 0.0 && high / low > LARGEST_LINEAR_RATIO && unit != Unit::Share;
        let range = match (logarithmic, unit) {
            (true, _) => {
                let (low, high) = (low.ln(), high.ln());
                let margin = (high - low) * 0.04;
                (low - margin, high + margin)
            }
            (false, Unit::Share) => (0.0, (high * 1.06).max(0.01)),
            // A length is to be read from nothing, else a small difference looks large.
            (false, _) if low < 0.0 => (low * 1.04, high.max(0.0) * 1.04),
            (false, _) => (0.0, if high > 0.0 { high * 1.04 } else { 1.0 }),
        };
        Some(Self { unit, range, logarithmic, pixels })
    }

    /// A scale from nothing to `high`.
    pub(crate) fn from_zero(high: f64, unit: Unit, pixels: (i32, i32)) -> Self {
        Self { unit, range: (0.0, high.max(1e-9)), logarithmic: false, pixels }
    }

    /// Whether equal distances are equal ratios.
    pub(crate) fn logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where `value` lies, at an end of the line if it is beyond it.
    pub(crate) fn pixel(&self, value: f64) -> i32 {
        let value = if self.logarithmic { value.ln() } else { value };
        let part = (value - self.range.0) / (self.range.1 - self.range.0);
        let (left, right) = self.pixels;
        left + (part.clamp(0.0, 1.0) * f64::from(right - left)).round() as i32
    }

    /// Draws lines from `top` to `bottom`, with numbers below.
    pub(crate) fn draw(&self, surface: &Surface, top: i32, bottom: i32) -> Result<(), DrawError> {
        for (x, label) in self.labels() {
            surface.line((x, top), (x, bottom), 1, Colour::Grid)?;
            surface.text(&label, (x, bottom + 13), Anchor::Middle, Colour::Muted)?;
        }
        Ok(())
    }

    /// The numbers that fit without touching each other.
    fn labels(&self) -> Vec<(i32, String)> {
        if !self.logarithmic {
            return self.fitting(&self.linear_ticks());
        }
        // The finest steps of which none has to be left out, for even steps are easier to read.
        let steps: &[&[f64]] = match self.unit {
            Unit::Bytes => &[&[1.0, 4.0, 16.0, 64.0, 256.0], &[1.0, 32.0], &[1.0]],
            _ => &[
                &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0],
                &[1.0, 10.0, 100.0],
                &[1.0],
            ],
        };
        let all = steps.iter().map(|steps| self.logarithmic_ticks(steps));
        let mut labels = all.map(|ticks| (ticks.len(), self.fitting(&ticks)));
        let whole = labels.clone().find(|(count, labels)| labels.len() == *count && *count > 1);
        whole.or_else(|| labels.next()).map(|(_, labels)| labels).unwrap_or_default()
    }

    /// Those of the numbers that do not touch the one before.
    fn fitting(&self, ticks: &[f64]) -> Vec<(i32, String)> {
        let mut labels: Vec<(i32, String)> = Vec::new();
        let mut free_from = i32::MIN;
        for &value in ticks {
            let (x, label) = (self.pixel(value), tick(value, self.unit));
            let half = text_width(&label) / 2;
            if x - half >= free_from && labels.last().is_none_or(|(_, last)| *last != label) {
                free_from = x + half + 10;
                labels.push((x, label));
            }
        }
        labels
    }

    fn logarithmic_ticks(&self, steps: &[f64]) -> Vec<f64> {
        let (low, high) = self.range;
        let all = (-2..8)
            .flat_map(|power| steps.iter().map(move |step| base(self.unit).powi(power) * step));
        all.filter(|tick| (low..=high).contains(&tick.ln())).collect()
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let (low, high) = self.range;
        let base = base(self.unit);
        let most = usize::try_from((self.pixels.1 - self.pixels.0) / 66).unwrap_or(1).max(2);
        // A step of 1, 2 or 5 in the unit of the largest number.
        let one = if self.unit == Unit::Share {
            0.01
        } else {
            base.powf((high.max(1e-9)).log(base).floor())
        };
        let rough = (high - low) / most as f64 / one;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|s| s * decade).find(|&s| s >= rough);
        let step = step.unwrap_or(rough) * one;
        let first = (low / step).ceil();
        (0..=most * 2)
            .map(|index| (first + index as f64) * step)
            .take_while(|&tick| tick <= high * (1.0 + 1e-9))
            .collect()
    }
}

/// How many of a unit make the next larger one.
fn base(unit: Unit) -> f64 {
    if unit == Unit::Bytes { 1024.0 } else { 1000.0 }
}

/// As [`human`], without zeros at the end.
fn tick(value: f64, unit: Unit) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = human(value, unit);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_round_numbers_are_written() {
        let labels = |values: [f64; 2], unit| -> Vec<String> {
            let axis = Axis::over(values.into_iter(), unit, (0, 600)).unwrap();
            axis.labels().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels([73.0, 57_000.0], Unit::Nanoseconds), ["100 ns", "1 µs", "10 µs"]);
        assert_eq!(labels([0.0, 0.1], Unit::Share)[..2], ["0", "2 %"]);
        assert_eq!(labels([1.0e6, 1.4e6], Unit::Nanoseconds)[..2], ["0", "200 µs"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn numbers_never_touch_and_all_values_have_a_place(
            low in 0.0..1e17f64, width in 0.0..1e17f64, narrow in any::<bool>(),
        ) {
            for unit in [Unit::Nanoseconds, Unit::Bytes, Unit::BytesPerSecond, Unit::Share] {
                let pixels = (90, if narrow { 300 } else { 680 });
                let axis = Axis::over([low, low + width].into_iter(), unit, pixels).unwrap();
                for value in [low, low + width] {
                    prop_assert!((pixels.0..=pixels.1).contains(&axis.pixel(value)));
                }
                let labels = axis.labels();
                for pair in labels.windows(2) {
                    let gap = pair[1].0 - pair[0].0;
                    let needed = (text_width(&pair[0].1) + text_width(&pair[1].1)) / 2;
                    prop_assert!(gap >= needed, "{labels:?}");
                }
            }
        }
    }
}
