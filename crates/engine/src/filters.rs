//! Filters of lists: the query parameter `filters`, a JSON object.
//!
//! ```text
//!   {"dangling": ["true"], "label": ["a=b", "c"]}         since API 1.22
//!   {"dangling": {"true": true}}                          the older form, which clients still send
//! ```

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::{
    error::{ApiError, Result},
    time,
};

/// Names of filters and the values of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Set(BTreeMap<String, bool>),
}

impl Filters {
    /// Reads them; an empty text has none.
    ///
    /// # Errors
    ///
    /// 400 when they are not such an object, or a name is not one of `known`.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = |_| ApiError::invalid("invalid filter");
        let read: BTreeMap<String, Values> = serde_json::from_str(text).map_err(invalid)?;
        let values = |values| match values {
            Values::List(list) => list,
            Values::Set(set) => {
                set.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
            }
        };
        let filters: BTreeMap<String, Vec<String>> =
            read.into_iter().map(|(name, found)| (name, values(found))).collect();
        match filters.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(ApiError::invalid(format!("invalid filter '{name}'"))),
            None => Ok(Self(filters)),
        }
    }

    /// Adds a value.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_default().push(value.to_owned());
    }

    /// The values of a name.
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether there is no value of that name, or one for which `matches` holds.
    pub fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        let values = self.values(name);
        values.is_empty() || values.iter().any(|value| matches(value))
    }

    /// Whether the labels of which `value` finds one have all that the filter `label` asks for, `KEY` or
    /// `KEY=VALUE`, and none that `label!` names.
    pub fn labels<'a>(&self, value: impl Fn(&str) -> Option<&'a String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, expected)) => value(key).is_some_and(|found| found == expected),
            None => value(wanted).is_some(),
        };
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }

    /// The value of a filter that is true or false, if it is there.
    ///
    /// # Errors
    ///
    /// 400 when it is neither, or both.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.values(name) {
            [] => Ok(None),
            [one] if matches!(one.as_str(), "1" | "true") => Ok(Some(true)),
            [one] if matches!(one.as_str(), "0" | "false") => Ok(Some(false)),
            values => {
                let values = values.join(" ");
                Err(ApiError::invalid(format!("invalid filter '{name}=[{values}]'")))
            }
        }
    }

    /// The instant of a filter such as `until`, in seconds since 1970, if it is there.
    ///
    /// # Errors
    ///
    /// 400 when it is not one instant.
    pub fn instant(&self, name: &str) -> Result<Option<i64>> {
        let seconds = |since: Duration| i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        match self.values(name) {
            [] => Ok(None),
            [one] => match time::of_query(one) {
                Some(since) => Ok(Some(seconds(since))),
                None => Err(ApiError::invalid(format!("invalid filter '{name}={one}'"))),
            },
            _ => Err(ApiError::invalid(format!("more than one {name} filter specified"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_two_forms() {
        for text in [r#"{"a":["x","y"]}"#, r#"{"a":{"x":true,"y":true,"z":false}}"#] {
            let filters = Filters::parse(text, &["a"]).unwrap();
            let mut values = filters.values("a").to_vec();
            values.sort();
            assert_eq!(values, ["x", "y"]);
            assert!(filters.any("a", |value| value == "x") && filters.any("b", |_| false));
        }
        for bad in ["{", "[]", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"b":["x"]}"#] {
            assert_eq!(Filters::parse(bad, &["a"]).unwrap_err().status, 400, "{bad}");
        }
        assert_eq!(Filters::parse("", &[]).unwrap(), Filters::default());
    }

    #[test]
    fn labels_are_all_of_some_and_none_of_others() {
        let one = "1".to_owned();
        let fits = |text: &str| {
            let filters = Filters::parse(text, &["label", "label!"]).unwrap();
            filters.labels(|key| (key == "a").then_some(&one))
        };
        assert!(fits(r#"{"label":["a","a=1"],"label!":["b"]}"#));
        assert!(!fits(r#"{"label":["a","b"]}"#) && !fits(r#"{"label!":["a=1"]}"#));
    }

    #[test]
    fn a_flag_is_true_or_false_and_not_both() {
        let flag = |text: &str| Filters::parse(text, &["dangling"]).unwrap().flag("dangling");
        assert_eq!(flag(r#"{"dangling":["true"]}"#).unwrap(), Some(true));
        assert_eq!(flag(r#"{"dangling":["0"]}"#).unwrap(), Some(false));
        assert_eq!(flag("").unwrap(), None);
        let both = flag(r#"{"dangling":["true","false"]}"#).unwrap_err();
        assert!(both.message.contains("'dangling=[true false]'"), "{}", both.message);
    }
}
