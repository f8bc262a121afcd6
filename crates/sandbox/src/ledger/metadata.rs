//! Metadata of a run, given by its caller: labels to find it by, and how to stop it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Metadata of a run. It does not affect how the program runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Labels by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, as in the OCI runtime specification, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The number of the signal that asks the program to end; `None` means SIGTERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<i32>,
    /// The stop timeout in milliseconds; `None` means the default of the stopping command, and
    /// `u64::MAX` means no timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout_ms: Option<u64>,
}

impl Metadata {
    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it has the label `key`, and with this value if one is given.
    pub fn has_label(&self, key: &str, value: Option<&str>) -> bool {
        let found = self.labels.get(key);
        found.is_some_and(|found| value.is_none_or(|value| found == value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_any_is_as_long_as_before() {
        let entry = crate::LedgerEntry::new("x".into(), "process", vec![]);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains("metadata"), "{text}");
        assert_eq!(serde_json::from_str::<crate::LedgerEntry>(&text).unwrap(), entry);
    }

    #[test]
    fn a_label_is_found_by_its_key_or_with_its_value() {
        let labels = BTreeMap::from([("a".into(), String::new()), ("b".into(), "1".into())]);
        let metadata = Metadata { labels, ..Metadata::default() };
        assert!(metadata.has_label("a", None) && metadata.has_label("a", Some("")));
        assert!(metadata.has_label("b", Some("1")) && !metadata.has_label("b", Some("")));
        assert!(!metadata.has_label("c", None) && !metadata.is_empty());
    }
}
