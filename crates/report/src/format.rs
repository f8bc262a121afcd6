//! Numbers as people read them: three digits and a unit.

use jiff::Timestamp;

use crate::{Interval, Unit};

const TIMES: &[(f64, &str)] = &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
const BYTES: &[(f64, &str)] = &[
    (1.0, "B"),
    (1024.0, "KiB"),
    (1_048_576.0, "MiB"),
    (1_073_741_824.0, "GiB"),
    (1_099_511_627_776.0, "TiB"),
];
const RATES: &[(f64, &str)] = &[(1.0, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s")];

/// `value` with three digits and its unit: `62.1 µs`, `1.17 ms`, `540 KiB`, `10.0 %`.
pub fn human(value: f64, unit: Unit) -> String {
    if value < 0.0 {
        return format!("−{}", human(-value, unit));
    }
    match unit {
        Unit::Nanoseconds => scaled(value, TIMES),
        Unit::Bytes => scaled(value, BYTES),
        Unit::BytesPerSecond => scaled(value, RATES),
        Unit::Count if value.fract() == 0.0 => format!("{value:.0}"),
        Unit::Count => digits(value),
        Unit::Share => format!("{:.1} %", value * 100.0),
    }
}

/// As [`human`], for running text: no line ends between the number and its unit.
pub(crate) fn in_sentence(value: f64, unit: Unit) -> String {
    human(value, unit).replace(' ', "\u{a0}")
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    // 999.6 ns is 1.00 µs, not 1000 ns; but 1000 KiB is less than a MiB and needs four digits.
    let fits = |(size, _): &&(f64, &str)| value >= size * 0.9995;
    let (size, name) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("{} {name}", digits(value / size))
}

/// Three digits, or all those before the point.
pub(crate) fn digits(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Half the width of `interval` in percent of `middle`: `±3%`, and `±<1%` or `±>99%` beyond.
pub fn spread(middle: f64, interval: Interval) -> String {
    if middle == 0.0 {
        return String::new();
    }
    match (interval.high - interval.low) / 2.0 / middle.abs() * 100.0 {
        ..0.95 => "±<1%".to_owned(),
        percent @ ..99.5 => format!("±{percent:.0}%"),
        _ => "±>99%".to_owned(),
    }
}

/// How many times: `1.02×`, `780×`, `0.31×`.
pub fn times(ratio: f64) -> String {
    match ratio {
        ..0.00995 => "<0.01×".to_owned(),
        ..9999.5 => format!("{}×", digits(ratio)),
        _ => ">9999×".to_owned(),
    }
}

/// A day and time of day, UTC.
pub fn date(unix_seconds: u64) -> String {
    // Records are somebody's file: a time after the year 9999 is shown as its last.
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(human(62_123.0, Unit::Nanoseconds), "62.1 µs");
        assert_eq!(human(999.7, Unit::Nanoseconds), "1.00 µs");
        assert_eq!(human(1.4644, Unit::Nanoseconds), "1.46 ns");
        assert_eq!(human(8192.0, Unit::Bytes), "8.00 KiB");
        assert_eq!(human(1_040_000.0, Unit::Bytes), "1016 KiB");
        assert_eq!(human(19_163_784_944.0, Unit::BytesPerSecond), "19.2 GB/s");
        assert_eq!(human(200.0, Unit::Count), "200");
        assert_eq!(human(0.0996, Unit::Share), "10.0 %");
        assert_eq!(human(0.0, Unit::Nanoseconds), "0 ns");
        assert_eq!(human(-4096.0, Unit::Bytes), "−4.00 KiB");
    }

    #[test]
    fn spreads_and_ratios_are_short() {
        assert_eq!(spread(100.0, Interval { low: 97.0, high: 103.0 }), "±3%");
        assert_eq!(spread(100.0, Interval { low: 99.6, high: 100.4 }), "±<1%");
        assert_eq!(spread(100.0, Interval { low: 10.0, high: 900.0 }), "±>99%");
        assert_eq!(times(1.0236), "1.02×");
        assert_eq!(times(781.4), "781×");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(1_709_210_096), "2024-02-29 12:34 UTC");
        assert_eq!(date(1_795_484_730), "2026-11-24 01:45 UTC");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn numbers_stay_short(value in 0.0..1e14f64) {
            for unit in [Unit::Nanoseconds, Unit::Bytes, Unit::BytesPerSecond] {
                prop_assert!(human(value, unit).chars().count() <= 11, "{}", human(value, unit));
            }
            prop_assert!(times(value).chars().count() <= 6);
        }

        #[test]
        fn every_second_has_a_date(seconds in any::<u64>()) {
            prop_assert!(date(seconds).ends_with("UTC"));
        }
    }
}
