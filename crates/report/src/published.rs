//! Figures that others have published, to be read beside the measured ones.

/// The figures, one a line; values are text because conditions differ too much to compute with.
const FIGURES: &str = include_str!("reference.csv");

/// A published figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
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
pub fn published(metric: &str) -> Vec<Published> {
    all().filter(|figure| figure.metric == metric).collect()
}

fn all() -> impl Iterator<Item = Published> {
    FIGURES.lines().skip(1).filter_map(|line| {
        let [metric, system, value, conditions, source] = fields(line).try_into().ok()?;
        Some(Published { metric, system, value, conditions, source })
    })
}

/// The fields of a line of comma-separated values (RFC 4180, without line breaks in fields).
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().expect("there is always a field").push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn every_line_is_a_figure_of_a_known_metric_with_a_source() {
        let figures: Vec<_> = all().collect();
        assert_eq!(figures.len(), FIGURES.lines().count() - 1);
        for figure in figures {
            assert!(catalogue::find(&figure.metric).is_some(), "{figure:?}");
            assert!(figure.source.len() > 20 && !figure.value.is_empty(), "{figure:?}");
        }
    }

    #[test]
    fn commas_in_quotes_do_not_separate() {
        assert_eq!(fields("a,\"b, c\",d"), ["a", "b, c", "d"]);
    }
}
