//! Figures that others have published, to be read beside the measured ones.

use std::sync::LazyLock;

pub use crate::relevance::Relevance;
use crate::{catalogue::Group, relevance};

/// The figures; values are text because conditions differ too much to compute with.
static FIGURES: LazyLock<Vec<PublishedFigure>> = LazyLock::new(|| {
    records(include_str!("reference.csv")).skip(1).filter_map(PublishedFigure::of).collect()
});

/// A published figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedFigure {
    /// What was measured, in the word of the collection.
    pub quantity: String,
    /// Of what.
    pub system: String,
    /// The value with its unit.
    pub value: String,
    /// Under which conditions; empty if the source does not say. What was recalled rather than read
    /// says so in brackets.
    pub conditions: String,
    /// Where it is published, and where there.
    pub source: String,
    /// The metric beside which it belongs, and why it does not compare.
    pub relevance: Relevance,
}

impl PublishedFigure {
    /// The columns: id, metric, system, value, unit, conditions, source, year, locator.
    fn of(columns: Vec<String>) -> Option<Self> {
        let [_, quantity, system, value, unit, conditions, source, year, locator] =
            <[String; 9]>::try_from(columns).ok()?;
        let year = if source.contains(&year) { String::new() } else { format!(", {year}") };
        let locator = if locator.is_empty() { locator } else { format!("; {locator}") };
        Some(Self {
            relevance: relevance::of(&quantity)?,
            system: system.replace('_', " "),
            value: format!("{value} {unit}").trim_end().to_owned(),
            conditions,
            source: format!("{source}{year}{locator}"),
            quantity: quantity.replace('_', " "),
        })
    }
}

/// The published figures for `metric`.
pub fn published(metric: &str) -> impl Iterator<Item = &'static PublishedFigure> {
    FIGURES.iter().filter(move |figure| figure.relevance.metric == metric)
}

/// The published figures of a question, and of its metrics, whether they were measured or not.
pub(crate) fn of_question(group: &Group) -> impl Iterator<Item = &'static PublishedFigure> {
    FIGURES.iter().filter(move |figure| {
        crate::catalogue::find(figure.relevance.metric).is_some_and(|(of, _)| of == group)
    })
}

/// The records of comma-separated values (RFC 4180): a field in quotes may hold commas, and quotes
/// that are doubled.
fn records(text: &str) -> impl Iterator<Item = Vec<String>> {
    text.lines().map(|line| {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                other => field.push(other),
            }
        }
        fields.push(field);
        fields
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn every_figure_of_the_collection_has_its_place_and_a_source() {
        let all = records(include_str!("reference.csv")).count() - 1;
        assert_eq!(FIGURES.len(), all, "a figure has no place in relevance.rs");
        assert_eq!(all, 218);
        for figure in FIGURES.iter() {
            let metric = figure.relevance.metric;
            let known =
                catalogue::find(metric).is_some() || metric.starts_with(crate::metric::PROBE);
            assert!(known, "{figure:?}");
            assert!(figure.source.len() > 12 && !figure.value.is_empty(), "{figure:?}");
            assert!(figure.relevance.differs.len() > 20, "{figure:?}");
        }
    }

    #[test]
    fn nothing_private_is_in_the_collection() {
        let text = include_str!("reference.csv");
        for word in ["/work", "/home/", "/tmp/", "stored", "session"] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn a_field_in_quotes_may_hold_commas_and_quotes() {
        let fields = records("a,\"b, \"\"c\"\"\",\n").next().unwrap();
        assert_eq!(fields, ["a", "b, \"c\"", ""]);
    }
}
