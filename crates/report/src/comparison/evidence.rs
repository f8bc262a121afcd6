//! What a statement rests on: all of its data, or what is missing of them.

use crate::spelling::{self, prose};

/// One thing that a run lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What was to be measured, such as `integer loop`.
    pub what: String,
    /// Where.
    pub sandbox: String,
    /// Why it is missing.
    pub why: String,
}

/// What a run lacks to tell something; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(Vec<Lack>);

/// A value computed from complete data, or what is missing of them.
///
/// Only a [`Comparison`](super::Comparison) makes one from records, and whatever is computed from it
/// still lacks what it lacked. So no verdict can come from a measurement that failed or was never
/// made: there is no value to compute it from.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence<T>(Result<T, Missing>);

impl Missing {
    /// What is missing, with the reasons; things that are missing for the same reason together.
    pub fn words(&self) -> String {
        let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for Lack { what, sandbox, why } in &self.0 {
            match groups.iter_mut().find(|group| (group.0, group.1) == (sandbox, why)) {
                Some((.., names)) if names.contains(&what.as_str()) => {}
                Some((.., names)) => names.push(what),
                None => groups.push((sandbox, why, vec![what])),
            }
        }
        let words = groups.into_iter().map(|(sandbox, why, names)| {
            format!("{} in the {} ({})", names.join(", "), spelling::name(sandbox), prose(why))
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

impl<T> Evidence<T> {
    /// The data are there.
    pub(super) fn present(value: T) -> Self {
        Self(Ok(value))
    }

    /// They are not.
    pub(super) fn lacking(lack: Lack) -> Self {
        Self(Err(Missing(vec![lack])))
    }

    /// The value, or what is missing.
    pub fn get(&self) -> Result<&T, &Missing> {
        self.0.as_ref()
    }

    /// What follows from the value.
    pub fn map<U>(self, compute: impl FnOnce(T) -> U) -> Evidence<U> {
        Evidence(self.0.map(compute))
    }

    /// Both values, or all that is missing of either.
    pub fn and<U>(self, other: Evidence<U>) -> Evidence<(T, U)> {
        Evidence(match (self.0, other.0) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(mut one), Err(other)) => {
                one.0.extend(other.0);
                Err(one)
            }
            (Err(missing), Ok(_)) | (Ok(_), Err(missing)) => Err(missing),
        })
    }

    /// What follows from the value and from more data.
    pub(super) fn and_then<U>(self, compute: impl FnOnce(T) -> Evidence<U>) -> Evidence<U> {
        Evidence(self.0.and_then(|value| compute(value).0))
    }

    /// This, or the other where something of this is missing.
    pub fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    /// The same, but missing where the value itself shows that the data do not suffice.
    pub fn unless(self, lack: impl FnOnce(&T) -> Option<Lack>) -> Self {
        Self(self.0.and_then(|value| match lack(&value) {
            Some(lack) => Err(Missing(vec![lack])),
            None => Ok(value),
        }))
    }

    /// All values, or all that is missing.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Evidence<Vec<T>> {
        let none = Evidence::present(Vec::new());
        parts.into_iter().fold(none, |all, part| {
            all.and(part).map(|(mut all, part)| {
                all.push(part);
                all
            })
        })
    }
}

impl Evidence<bool> {
    /// Whether all parts are true: one that is false decides, whatever else is missing.
    pub fn all_true(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.into_iter().collect();
        match parts.iter().any(|part| part.get() == Ok(&false)) {
            true => Self::present(false),
            false => Self::all(parts).map(|_| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking<T>(what: &str, why: &str) -> Evidence<T> {
        Evidence::lacking(Lack { what: what.into(), sandbox: "microvm".into(), why: why.into() })
    }

    #[test]
    fn what_is_missing_of_any_part_is_missing_of_the_whole() {
        let both = Evidence::present(1)
            .and(lacking::<u8>("disk", "full"))
            .and(lacking::<u8>("memory", "full"));
        let both = both.map(|_| "a verdict");
        assert_eq!(both.get().unwrap_err().words(), "disk, memory in the microVM (full)");
        assert_eq!(
            Evidence::all([Evidence::present(1), Evidence::present(2)]).get(),
            Ok(&vec![1, 2])
        );
    }

    #[test]
    fn one_false_part_decides_and_true_ones_do_not() {
        let (yes, no) = (Evidence::present(true), Evidence::present(false));
        let unseen = lacking::<bool>("kernel", "it failed");
        assert_eq!(Evidence::all_true([unseen.clone(), no]).get(), Ok(&false));
        assert!(Evidence::all_true([yes.clone(), unseen]).get().is_err());
        assert_eq!(Evidence::all_true([yes]).get(), Ok(&true));
    }
}
