//! Signals by name or number, as clients write them.

use nix::sys::signal::Signal;

use crate::error::{ApiError, Result};

/// The signal that `text` means: `KILL`, `SIGKILL`, `9`.
///
/// # Errors
///
/// 400, with dockerd's words.
pub fn parse(text: &str) -> Result<i32> {
    let invalid = || ApiError::invalid(format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number).ok_or_else(invalid);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, sign: i32, base: i32| {
        let rest = name.strip_prefix(prefix)?;
        let offset = match rest {
            "" => 0,
            rest => rest.get(1..)?.parse::<i32>().ok()? * sign,
        };
        Some(base + offset).filter(|number| (34..=64).contains(number))
    };
    let named = format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32);
    named
        .or_else(|| real_time("RTMIN", 1, 34))
        .or_else(|| real_time("RTMAX", -1, 64))
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("KILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+1", 35), ("SIGRTMAX-1", 63)]
        {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in ["", "0", "65", "-1", "NOSUCH", "RTMIN+99"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
