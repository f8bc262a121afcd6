//! Figures that others have published, to be read beside the measured ones.

use std::sync::LazyLock;

use serde::Deserialize;

/// The figures; values are text because conditions differ too much to compute with.
static FIGURES: LazyLock<Vec<PublishedFigure>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("reference.json")).expect("a test reads the same text")
});

/// A published figure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublishedFigure {
    /// The metric beside which it belongs.
    pub metric: String,
    /// What was measured by others.
    pub system: String,
    /// The value with its unit.
    pub value: String,
    /// Under which conditions.
    pub conditions: String,
    /// Where it is published.
    pub source: String,
}

/// The published figures for `metric`.
pub fn published(metric: &str) -> impl Iterator<Item = &'static PublishedFigure> {
    FIGURES.iter().filter(move |figure| figure.metric == metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn every_figure_is_of_a_known_metric_and_has_a_source() {
        assert!(!FIGURES.is_empty());
        for figure in FIGURES.iter() {
            assert!(catalogue::find(&figure.metric).is_some(), "{figure:?}");
            assert!(figure.source.len() > 20 && !figure.value.is_empty(), "{figure:?}");
        }
    }
}
