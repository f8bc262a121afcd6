//! Filters of lists: the query parameter `filters`, a JSON object.
//!
//! ```text
//!   {"dangling": ["true"], "label": ["a=b", "c"]}         since API 1.22
//!   {"dangling": {"true": true}}                          the older form, which clients still send
//! ```

use std::{collections::BTreeMap, time::Duration};

use image::{dockerfile::pattern::Pattern, reference::Reference, store::Store};
use serde::Deserialize;

use super::{
    catalog::StoredImage,
    error::{ImageError, Result},
    names,
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
        let invalid = |_| ImageError::Invalid("invalid filter".into());
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
            Some(name) => Err(ImageError::Invalid(format!("invalid filter '{name}'"))),
            None => Ok(Self(filters)),
        }
    }

    /// Adds a value.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_default().push(value.to_owned());
    }

    /// The values of a filter; empty if it is not there.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a filter that is true or false, if it is there.
    ///
    /// # Errors
    ///
    /// 400 when it is neither, or both.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            [] => Ok(None),
            [one] if matches!(one.as_str(), "1" | "true") => Ok(Some(true)),
            [one] if matches!(one.as_str(), "0" | "false") => Ok(Some(false)),
            values => {
                let values = values.join(" ");
                Err(ImageError::Invalid(format!("invalid filter '{name}=[{values}]'")))
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
        match self.get(name) {
            [] => Ok(None),
            [one] => match crate::time::of_query(one) {
                Some(since) => Ok(Some(seconds(since))),
                None => Err(ImageError::Invalid(format!("invalid filter '{name}={one}'"))),
            },
            _ => Err(ImageError::Invalid(format!("more than one {name} filter specified"))),
        }
    }
}

/// Which images a request is about.
#[derive(Debug, Default)]
pub struct Criteria {
    dangling: Option<bool>,
    labels: Vec<String>,
    other_labels: Vec<String>,
    /// Older than this.
    before: Option<i64>,
    since: Option<i64>,
    patterns: Vec<Pattern>,
}

impl Criteria {
    /// What a list may be filtered by.
    pub const OF_LIST: &[&str] =
        &["dangling", "label", "label!", "before", "since", "until", "reference"];
    /// What is pruned may be filtered by.
    pub const OF_PRUNE: &[&str] = &["dangling", "label", "label!", "until"];

    /// Those that `filters` say, among `images`.
    ///
    /// # Errors
    ///
    /// 400 when a value is invalid, 404 when an image that one names does not exist.
    pub fn new(filters: &Filters, images: &[StoredImage], store: &Store) -> Result<Self> {
        let created = |name: &str| -> Result<Vec<i64>> {
            let find = |text: &String| names::find_in(images.to_vec(), store, text);
            filters.get(name).iter().map(|text| Ok(find(text)?.image.created())).collect()
        };
        let before = created("before")?.into_iter().chain(filters.instant("until")?).min();
        let pattern = |text: &String| {
            let malformed = |error| ImageError::Invalid(format!("invalid pattern: {error}"));
            Pattern::of_names(text).map_err(malformed)
        };
        Ok(Self {
            dangling: filters.flag("dangling")?,
            labels: filters.get("label").to_vec(),
            other_labels: filters.get("label!").to_vec(),
            before,
            since: created("since")?.into_iter().max(),
            patterns: filters.get("reference").iter().map(pattern).collect::<Result<_>>()?,
        })
    }

    /// Whether it is about this image.
    pub fn fits(&self, image: &StoredImage) -> bool {
        let labels = &image.image.config.config.labels;
        let has = |label: &String| match label.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
            None => labels.contains_key(label),
        };
        self.dangling.is_none_or(|dangling| dangling == image.is_dangling())
            && self.labels.iter().all(has)
            && !self.other_labels.iter().any(has)
            && self.before.is_none_or(|before| image.created() < before)
            && self.since.is_none_or(|since| image.created() > since)
            && (self.patterns.is_empty()
                || image.references.iter().any(|(name, _)| self.fits_name(name)))
    }

    /// Whether a list shows this name of an image that fits: `docker images busybox` shows no others.
    pub fn fits_name(&self, name: &Reference) -> bool {
        let (whole, repository) = (name.familiar(), name.familiar_name());
        let fits = |pattern: &Pattern| pattern.matches(&whole) || pattern.matches(&repository);
        self.patterns.is_empty() || self.patterns.iter().any(fits)
    }

    /// The same with that value of `dangling`.
    #[must_use]
    pub(super) fn dangling(self, dangling: Option<bool>) -> Self {
        Self { dangling, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_filters_are_read_and_others_refused() {
        let known = &["dangling", "label"][..];
        let new = Filters::parse(r#"{"dangling":["true"],"label":["a","b=c"]}"#, known).unwrap();
        let old =
            Filters::parse(r#"{"dangling":{"true":true},"label":{"a":true,"b=c":true}}"#, known);
        assert_eq!(new, old.unwrap());
        assert_eq!(new.flag("dangling"), Ok(Some(true)));
        assert_eq!(new.get("label"), ["a", "b=c"]);
        for bad in ["[]", "{", r#"{"x":["1"]}"#, r#"{"label":"a"}"#, r#"{"label":{"a":1}}"#] {
            assert_eq!(Filters::parse(bad, known).unwrap_err().status(), 400, "{bad}");
        }
        let both = Filters::parse(r#"{"dangling":["true","false"]}"#, known).unwrap();
        assert!(both.flag("dangling").unwrap_err().to_string().contains("'dangling=[true false]'"));
    }
}
