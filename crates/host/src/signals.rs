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

/// Signals that the caller of this process ignores, as `nohup` does with SIGHUP.
#[derive(Debug, Clone, Copy)]
pub struct IgnoredSignals(u64);

impl IgnoredSignals {
    /// By the kernel's word (proc_pid_status(5), `SigIgn`).
    pub fn by_the_caller() -> Self {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0))
    }

    /// The same without one, which this process ignores itself.
    #[must_use]
    pub fn without(self, signal: i32) -> Self {
        let bit = u32::try_from(signal - 1).ok().and_then(|bit| 1_u64.checked_shl(bit));
        Self(self.0 & !bit.unwrap_or(0))
    }

    /// Whether it is one of them.
    pub fn has(self, signal: i32) -> bool {
        let bit = u32::try_from(signal - 1).ok().and_then(|bit| self.0.checked_shr(bit));
        bit.is_some_and(|rest| rest & 1 == 1)
    }
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

    #[test]
    fn a_set_of_signals_is_read_as_the_kernel_writes_it() {
        let nohup = IgnoredSignals(1);
        assert!(nohup.has(1) && !nohup.has(2) && !nohup.without(1).has(1));
        let last = IgnoredSignals(1 << 63);
        assert!(last.has(64) && !last.has(63) && !last.has(0) && !last.has(65));
    }
}
