//! The figures of the table for a terminal, held against the raw samples.

use super::{figures::Figure, raw::Raw, readme::metric};
use crate::{catalogue::GROUPS, records::is_second_run, spelling};

/// The figures of the comparison in a table. Its cells are read by their words: a number with its
/// unit, a spread, a ratio.
pub(super) fn figures(table: &str, raw: &Raw) -> Vec<Figure> {
    let mut figures = Vec::new();
    let (mut sandboxes, mut group) = (Vec::new(), "");
    for line in table.lines().take_while(|line| !line.starts_with("Median, ±")) {
        let heads = heads(line, raw);
        let known = GROUPS.iter().find(|(known, _)| known.title == line);
        if line.starts_with("!") || line.is_empty() {
            continue;
        } else if !heads.is_empty() {
            (sandboxes, group) = (heads, "");
        } else if let Some((known, _)) = known {
            group = known.title;
        } else if let Some(row) = line.strip_prefix("  ").filter(|_| !group.is_empty()) {
            figures.extend(of_row(row, group, &sandboxes, raw));
        } else {
            // A question that the catalogue does not know has titles that are no titles of ours.
            group = "";
        }
    }
    figures
}

/// The sandboxes that stand in the head of a block.
fn heads(line: &str, raw: &Raw) -> Vec<String> {
    if !line.starts_with("     ") {
        return Vec::new();
    }
    let names = raw.series.iter().map(|series| series.sandbox.as_str());
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in names.filter(|name| !is_second_run(name)) {
        let spelled = format!(" {} ", spelling::name(name));
        let at = format!("{line} ").find(&spelled);
        if let Some(at) = at.filter(|at| found.iter().all(|(known, _)| known != at)) {
            found.push((at, name.to_owned()));
        }
    }
    found.sort_unstable();
    // `microVM` also stands in `Linux microVM`.
    let inner = |(at, name): &(usize, String)| {
        name == "microvm"
            && line[..*at].ends_with(spelling::name("linux").split(' ').next().unwrap_or(""))
    };
    found.retain(|head| !inner(head));
    found.into_iter().map(|(_, name)| name).collect()
}

/// The cells of a row from left to right.
fn of_row(row: &str, group: &str, sandboxes: &[String], raw: &Raw) -> Vec<Figure> {
    let titles = GROUPS.iter().filter(|(known, _)| known.title == group);
    let titles = titles.flat_map(|(_, metrics)| *metrics).map(|metric| metric.title);
    let Some(title) = titles.filter(|title| row.starts_with(title)).max_by_key(|it| it.len())
    else {
        return Vec::new();
    };
    let metric = metric(raw, Some(group), title);
    let mut words = row[title.len()..].split_whitespace().peekable();
    // The letters of footnotes.
    let marks =
        |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == ',');
    words.next_if(marks);
    let mut figures = Vec::new();
    for sandbox in sandboxes {
        let Some(value) = words.next() else { break };
        if value == "–" {
            words.next_if(marks);
            continue;
        }
        let count = raw.find(&metric, sandbox).is_some_and(|series| series.unit == "count");
        let unit = if count { None } else { words.next() };
        let spread = words.next_if(|word| word.starts_with('±')).map(str::to_owned);
        let is_ratio = |word: &&str| word.starts_with('≈') || word.contains('×');
        let ratio = words.next_if(is_ratio).map(|word| {
            word.trim_end_matches(|letter: char| letter.is_ascii_lowercase() || letter == ',')
                .to_owned()
        });
        words.next_if(|word| marks(word) && word.len() <= 5);
        figures.push(Figure {
            metric: metric.clone(),
            sandbox: sandbox.clone(),
            base: "process".to_owned(),
            median: Some([Some(value), unit].into_iter().flatten().collect::<Vec<_>>().join(" ")),
            spread,
            ratio,
            ..Figure::default()
        });
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{example, table, verify::figures};

    #[test]
    fn every_figure_of_the_table_is_read_and_one_that_was_changed_is_found() {
        let records = example::records();
        let raw = Raw::of(&serde_json::to_vec(&records).unwrap()).unwrap();
        for columns in [80, 110] {
            let text = table(&records, columns, false);
            let read = figures(&text, &raw);
            let own = raw.series.iter().filter(|series| !series.sandbox.ends_with(" (again)"));
            let known = own.filter(|series| crate::catalogue::find(&series.metric).is_some());
            let missing: Vec<_> = known
                .filter(|series| {
                    !read
                        .iter()
                        .any(|it| it.metric == series.metric && it.sandbox == series.sandbox)
                })
                .map(|series| format!("{} of {}", series.metric, series.sandbox))
                .collect();
            assert!(missing.is_empty(), "{missing:?}\n{text}");
            let faults: Vec<String> =
                read.iter().flat_map(|figure| figures::check_one(&raw, figure)).collect();
            assert!(faults.is_empty(), "{faults:#?}\n{text}");
            let changed = text.replacen("×", "9×", 1);
            let read = figures(&changed, &raw);
            assert_eq!(read.iter().flat_map(|it| figures::check_one(&raw, it)).count(), 1);
        }
    }
}
