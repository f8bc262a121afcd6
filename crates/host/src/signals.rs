//! Signals by name or number, as people write them (signal(7)).

use nix::sys::signal::Signal;

/// The first and the last real-time signal that programs may use: the C library keeps two for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// The number that `text` means: `KILL`, `sigkill`, `9`, `RTMIN+1`; `None` if no signal has it.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=*REAL_TIME.end()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, sign: i32, base: i32| {
        let offset = match name.strip_prefix(prefix)? {
            "" => 0,
            rest => rest.get(1..)?.parse::<i32>().ok()? * sign,
        };
        Some(base + offset).filter(|number| REAL_TIME.contains(number))
    };
    let named = format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32);
    named
        .or_else(|| real_time("RTMIN", 1, *REAL_TIME.start()))
        .or_else(|| real_time("RTMAX", -1, *REAL_TIME.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let good = [("KILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+1", 35), ("SIGRTMAX-1", 63)];
        for (text, number) in good {
            assert_eq!(signal_number(text), Some(number), "{text}");
        }
        for bad in ["", "0", "65", "-1", "NOSUCH", "RTMIN+99"] {
            assert_eq!(signal_number(bad), None, "{bad}");
        }
    }
}
