//! The flags of an instruction: `--name=value`, taken one by one; what is left is refused.

use std::time::Duration;

use parse_dockerfile::Flag;

use super::{
    context::Context,
    error::{Error, Problem, excerpt},
};

/// No instruction takes as many.
const MOST_FLAGS: usize = 32;

/// Flags that were not taken yet.
pub(super) struct Flags<'a> {
    context: &'a Context<'a>,
    instruction: &'static str,
    left: Vec<Given>,
}

struct Given {
    at: usize,
    name: String,
    value: Option<String>,
}

impl<'a> Flags<'a> {
    pub(super) fn of(
        context: &'a Context<'a>,
        instruction: &'static str,
        flags: &[Flag<'_>],
    ) -> Result<Self, Error> {
        if let Some(flag) = flags.get(MOST_FLAGS) {
            let many = format!("more than {MOST_FLAGS} flags");
            return Err(context.error(flag.span().start, Problem::Syntax(many)));
        }
        let mut left: Vec<Given> = Vec::with_capacity(flags.len());
        for flag in flags {
            let (at, name) = (flag.span().start, flag.name.value.to_string());
            let value = flag.value.as_ref().map(|value| value.value.to_string());
            if left.iter().any(|other| other.name == name) && name != "mount" && name != "exclude" {
                return Err(context.error(at, Problem::FlagTwice(excerpt(&name))));
            }
            left.push(Given { at, name, value });
        }
        Ok(Self { context, instruction, left })
    }

    fn find(&mut self, name: &str) -> Option<Given> {
        let index = self.left.iter().position(|flag| flag.name == name)?;
        Some(self.left.remove(index))
    }

    fn refuse(&self, flag: &Given, expected: &'static str) -> Error {
        let value = excerpt(flag.value.as_deref().unwrap_or_default());
        let problem = Problem::FlagValue { flag: flag.name.clone(), value, expected };
        self.context.error(flag.at, problem)
    }

    /// The value of a flag that must have one.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, Error> {
        let Some(flag) = self.find(name) else { return Ok(None) };
        match &flag.value {
            Some(value) if value.contains(['"', '\'']) => {
                Err(self.refuse(&flag, "leave the quotes out"))
            }
            Some(value) if !value.is_empty() => Ok(Some(value.clone())),
            _ => Err(self.refuse(&flag, "it needs a value, as in --name=value")),
        }
    }

    /// A flag that is on or off.
    pub(super) fn switch(&mut self, name: &str) -> Result<bool, Error> {
        let Some(flag) = self.find(name) else { return Ok(false) };
        match flag.value.as_deref() {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.refuse(&flag, "true or false")),
        }
    }

    pub(super) fn duration(&mut self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(flag) = self.find(name) else { return Ok(None) };
        let duration = flag.value.as_deref().and_then(duration);
        match duration {
            Some(length) if length.is_zero() || length >= Duration::from_millis(1) => Ok(duration),
            _ => Err(self.refuse(&flag, "a time of at least 1ms, such as 500ms, 30s or 1m30s")),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u32>, Error> {
        let Some(flag) = self.find(name) else { return Ok(None) };
        match flag.value.as_deref().map(str::parse::<i32>) {
            Some(Ok(number)) if number >= 0 => Ok(Some(number.unsigned_abs())),
            _ => Err(self.refuse(&flag, "a number")),
        }
    }

    /// Refuses the flags that nobody took.
    pub(super) fn none_left(self, way_out: fn(&str) -> &'static str) -> Result<(), Error> {
        let Some(flag) = self.left.into_iter().next() else { return Ok(()) };
        let (name, way_out) = (excerpt(&flag.name), way_out(&flag.name));
        let problem = Problem::Flag { instruction: self.instruction, flag: name, way_out };
        Err(self.context.error(flag.at, problem))
    }
}

/// A time as Go writes it: numbers, each with a unit.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|other: char| !other.is_ascii_digit() && other != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|other: char| other.is_ascii_digit() || other == '.');
        let unit_end = unit.map_or(rest.len(), |length| digits + length);
        let seconds = match &rest[digits..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit_end..];
    }
    // An image says it in nanoseconds, in 63 bits.
    (!text.is_empty() && i64::try_from(sum.as_nanos()).is_ok()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_go_writes_them() {
        let millis = |text| duration(text).map(|length| length.as_millis());
        for (text, length) in [
            ("0", Some(0)),
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1s500000us", Some(1500)),
            ("30", None),
            ("", None),
            ("s", None),
            ("1d", None),
            ("-1s", None),
            ("1..5s", None),
            ("999999999999h", None),
        ] {
            assert_eq!(millis(text), length, "{text}");
        }
    }
}
