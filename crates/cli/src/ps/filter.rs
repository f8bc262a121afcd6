//! `isolab ps --filter`: which runs are listed.

use sandbox::LedgerEntry;

use super::state;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// It has this label, and with this value if one is given.
    Label(String, Option<String>),
    /// Its name contains this.
    Name(String),
    /// It is in this state.
    Status(String),
}

/// The states that [`state`] names.
const STATES: [&str; 5] = ["starting", "running", "paused", "exited", "dead"];

/// `label=KEY`, `label=KEY=VALUE`, `name=PART` or `status=STATE`.
pub fn parse(text: &str) -> Result<Filter, String> {
    match text.split_once('=') {
        Some(("label", label)) if !label.is_empty() => Ok(match label.split_once('=') {
            Some((key, value)) => Filter::Label(key.into(), Some(value.into())),
            None => Filter::Label(label.into(), None),
        }),
        Some(("name", part)) if !part.is_empty() => Ok(Filter::Name(part.into())),
        Some(("status", state)) if STATES.contains(&state) => Ok(Filter::Status(state.into())),
        Some(("status", state)) => {
            Err(format!("invalid state: {state:?}; use one of {}", STATES.join(", ")))
        }
        _ => Err(format!(
            "invalid filter: {text:?}; use label=KEY, label=KEY=VALUE, name=PART or status=STATE"
        )),
    }
}

/// Whether `entry` is asked for: as with Docker, it has all of the labels, and one of the names and
/// one of the states, where any are given.
pub fn matches(filters: &[Filter], entry: &LedgerEntry) -> bool {
    let any = |is_one: fn(&Filter) -> bool| {
        let mut of_kind = filters.iter().filter(|filter| is_one(filter)).peekable();
        of_kind.peek().is_none() || of_kind.any(|filter| holds(filter, entry))
    };
    let mut labels = filters.iter().filter(|filter| matches!(filter, Filter::Label(..)));
    labels.all(|filter| holds(filter, entry))
        && any(|filter| matches!(filter, Filter::Name(_)))
        && any(|filter| matches!(filter, Filter::Status(_)))
}

fn holds(filter: &Filter, entry: &LedgerEntry) -> bool {
    match filter {
        Filter::Label(key, value) => entry.metadata.has_label(key, value.as_deref()),
        Filter::Name(part) => entry.name.contains(part),
        Filter::Status(status) => state(entry) == status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_what_it_looks_at() {
        let label =
            |key: &str, value: Option<&str>| Filter::Label(key.into(), value.map(Into::into));
        assert_eq!(parse("label=a"), Ok(label("a", None)));
        assert_eq!(parse("label=a="), Ok(label("a", Some(""))));
        assert_eq!(parse("label=a=b=c"), Ok(label("a", Some("b=c"))));
        for wrong in ["", "a", "label", "label=", "name=", "status=", "status=gone", "id=1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_all_needed_and_one_name_is_enough() {
        let mut entry = LedgerEntry::new("box".into(), "microvm", vec![]);
        entry.metadata.labels = [("a".into(), "1".into()), ("b".into(), String::new())].into();
        let cases: [(&[&str], bool); 9] = [
            (&[], true),
            (&["label=a"], true),
            (&["label=a=1", "label=b="], true),
            (&["label=a=1", "label=c"], false),
            (&["label=a=2"], false),
            (&["name=x", "name=bo"], true),
            (&["name=y", "name=z"], false),
            (&["label=a", "status=running"], true),
            (&["label=a", "status=exited"], false),
        ];
        for (filters, expected) in cases {
            let parsed: Vec<Filter> = filters.iter().map(|it| parse(it).unwrap()).collect();
            assert_eq!(matches(&parsed, &entry), expected, "{filters:?}");
        }
    }
}
