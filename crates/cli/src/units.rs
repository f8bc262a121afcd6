//! Sizes and times as people write them.

use std::{ffi::OsString, str::FromStr as _, time::Duration};

use container::{devices::DeviceRule, privileges::Rlimit};
use nix::sys::signal::Signal;
use sandbox::CpuQuota;

/// `64M`, `1.5G`, `65536`: bytes, with the powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("invalid size: {text:?}; use a number of bytes such as 64M or 1G");
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(1 << shift).ok_or_else(wrong)?,
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| wrong())? * (1u64 << shift) as f64;
            if bytes >= u64::MAX as f64 {
                return Err(wrong());
            }
            bytes as u64
        }
    };
    if bytes == 0 {
        return Err(format!("invalid size: {text:?} is zero; use at least 1M"));
    }
    Ok(bytes)
}

/// A size of memory. A number that is too small for any program lacks its unit.
pub fn memory(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 64 << 10;
    match size(text)? {
        bytes if bytes >= LEAST => Ok(bytes),
        bytes if text.ends_with(|last: char| last.is_ascii_digit()) => {
            Err(format!("{bytes} bytes of memory are too few: is a unit missing, as in {text}M?"))
        }
        bytes => Err(format!("{bytes} bytes of memory are too few: use at least 64K")),
    }
}

/// `size=64M`.
pub fn storage_size(text: &str) -> Result<u64, String> {
    match text.strip_prefix("size=") {
        Some(bytes) => size(bytes),
        None => Err(format!("invalid storage option: {text:?}; isolab supports size=SIZE only")),
    }
}

/// `c 42:* rwm`: kind, major and minor number of devices, and what may be done with them.
pub fn device_rule(text: &str) -> Result<DeviceRule, String> {
    let wrong = |_| format!("invalid device rule: {text:?}; use one such as 'c 42:* rwm'");
    text.parse().map_err(wrong)
}

/// A size, or -1 for no limit.
pub fn size_or_unlimited(text: &str) -> Result<i64, String> {
    match text {
        "-1" => Ok(-1),
        text => size(text)?.try_into().map_err(|_| format!("invalid size: {text:?} is too large")),
    }
}

/// `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid time: {text:?}; use a number such as 10s, 500ms or 2m");
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// A time in which something has to stop; -1 is for ever.
pub fn stop_timeout(text: &str) -> Result<Duration, String> {
    match text {
        "-1" => Ok(Duration::MAX),
        text => time(text),
    }
}

/// A signal by its name or its number: `TERM`, `SIGTERM`, `15`.
pub fn signal(text: &str) -> Result<Signal, String> {
    let number = text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    number.or_else(|| Signal::from_str(&name).ok()).ok_or_else(|| {
        format!("invalid signal: {text:?}; `kill -l` lists them, such as TERM, USR1, 9")
    })
}

/// A signal that can ask for an end, and that a launcher passes on.
pub fn stop_signal(text: &str) -> Result<Signal, String> {
    match signal(text)? {
        Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => {
            Err(format!("{text} suspends a process and does not end it"))
        }
        Signal::SIGCHLD => Err(format!("{text} tells a process of its children and ends none")),
        signal => Ok(signal),
    }
}

/// A time that is not zero.
pub fn deadline(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("invalid timeout: it must be longer than zero".into()),
        deadline => Ok(deadline),
    }
}

/// `0.5`: processors.
pub fn cpus(text: &str) -> Result<CpuQuota, String> {
    let number = text
        .parse()
        .map_err(|_| format!("invalid CPU count: {text:?}; use a number such as 0.5"))?;
    CpuQuota::cpus(number).map_err(|error| error.to_string())
}

/// A number from 1 on.
pub fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("invalid number: {text:?}; use one from 1 to {}", u32::MAX)),
    }
}

/// A limit on processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pids {
    /// This many.
    AtMost(u32),
    /// As many as the host has.
    Unlimited,
}

/// A number from 1 on, or `max`, which others write as -1.
pub fn pids(text: &str) -> Result<Pids, String> {
    match text {
        "max" | "unlimited" | "-1" => Ok(Pids::Unlimited),
        number => count(number).map(Pids::AtMost),
    }
}

/// A weight that the kernel takes.
pub fn weight(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(weight) if (1..=10_000).contains(&weight) => Ok(weight),
        _ => Err(format!("invalid weight: {text:?}; use a number from 1 to 10000 (default 100)")),
    }
}

/// `nofile=1024:4096`: a limit of a process, soft and hard; -1 is none.
pub fn ulimit(text: &str) -> Result<Rlimit, String> {
    let wrong =
        || format!("invalid ulimit: {text:?}; use one such as nofile=1024 or nofile=1024:4096");
    let (kind, values) = text.split_once('=').ok_or_else(wrong)?;
    let value = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        number => number.parse().map_err(|_| wrong()),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(soft)?, value(hard)?);
    if soft > hard {
        return Err(format!("invalid ulimit: {text:?}; the soft limit exceeds the hard limit"));
    }
    Ok(Rlimit { kind: kind.into(), soft, hard })
}

/// CPU shares as Docker counts them, of which 1024 are a weight of 100: as a weight.
pub fn shares(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(shares) if (2..=262_144).contains(&shares) => {
            Ok((shares * 100).div_ceil(1024).clamp(1, 10_000))
        }
        _ => Err(format!(
            "invalid CPU shares: {text:?}; use a number from 2 to 262144 (default 1024)"
        )),
    }
}

/// `NAME=VALUE` of a setting.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("invalid setting: {text:?}; use NAME=VALUE")),
    }
}

/// `NAME=VALUE` of an environment.
pub fn variable(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("invalid variable: {text:?}; use NAME=VALUE")),
    }
}

/// `12.3 MiB`, for tables.
pub fn show_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1.5K"), Ok(1536));
        assert_eq!(size("65536"), Ok(65536));
        for wrong in ["", "0", "-5M", "64Q", "M", "1e3", "99999999T", "1.2.3M", "nan", "0.0001"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "-1s", "5y", "s", "1e9"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(deadline("0").is_err());
    }

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        for text in ["15", "TERM", "sigterm", "SIGTERM"] {
            assert_eq!(signal(text), Ok(Signal::SIGTERM), "{text}");
        }
        for text in ["", "0", "99", "-9", "NONE"] {
            assert!(signal(text).is_err(), "{text}");
        }
        for text in ["STOP", "SIGTSTP", "17"] {
            assert!(signal(text).is_ok() && stop_signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert!(variable("=b").is_err());
        assert!(variable("A").is_err());
    }
}
