//! A rule as Docker's command line has it: `c 42:* rwm`.

use std::str::FromStr;

use super::{Access, DeviceKind, DeviceRule};

/// Text that is not a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a device rule such as 'c 42:* rwm'")]
pub struct InvalidRule;

impl FromStr for DeviceRule {
    type Err = InvalidRule;

    /// A rule that allows what its three words name; `*` stands for all numbers.
    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [kind, numbers, access] = words.as_slice() else { return Err(InvalidRule) };
        let kind = match *kind {
            "a" => DeviceKind::All,
            "c" => DeviceKind::Char,
            "b" => DeviceKind::Block,
            _ => return Err(InvalidRule),
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            number => number.parse().map(Some).map_err(|_| InvalidRule),
        };
        let (major, minor) = numbers.split_once(':').ok_or(InvalidRule)?;
        let (major, minor) = (number(major)?, number(minor)?);
        let access = Access::try_from((*access).to_owned()).map_err(|_| InvalidRule)?;
        Ok(Self { allow: true, kind, major, minor, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_three_words() {
        let rule = "c 42:* rwm".parse::<DeviceRule>().unwrap();
        assert_eq!((rule.major, rule.minor), (Some(42), None));
        for bad in ["", "c 42 rwm", "x 1:1 r", "c a:1 r", "c 1:1 x"] {
            assert!(bad.parse::<DeviceRule>().is_err(), "{bad}");
        }
    }
}
