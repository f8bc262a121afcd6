//! The figures of a README, read back from its tables.

use super::{figures::Figure, raw::Raw};
use crate::{catalogue::GROUPS, spelling};

/// The digest that the README names.
pub(super) fn digest(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once("SHA-256 of the records: `")?;
    rest.split('`').next()
}

/// The figures of the comparison and of the peers.
pub(super) fn figures(readme: &str, raw: &Raw) -> Vec<Figure> {
    let mut figures = comparison(readme, raw);
    figures.extend(peers(readme, raw));
    figures
}

fn comparison(readme: &str, raw: &Raw) -> Vec<Figure> {
    let mut rows = table(readme, "\n## The comparison\n");
    let Some(head) = rows.next() else { return Vec::new() };
    let sandboxes: Vec<Option<&str>> = head.iter().skip(1).map(|name| sandbox(raw, name)).collect();
    let mut figures = Vec::new();
    let mut group = String::new();
    for row in rows {
        let Some((title, cells)) = row.split_first() else { continue };
        if let Some(title) = title.strip_prefix("**").and_then(|it| it.strip_suffix("**")) {
            title.clone_into(&mut group);
            continue;
        }
        let metric = metric(raw, Some(&group), title);
        for (cell, sandbox) in cells.iter().zip(&sandboxes) {
            if let (Some(sandbox), true) = (sandbox, cell != "–") {
                let figure = Figure { metric: metric.clone(), ..figure(cell) };
                figures.push(Figure { sandbox: (*sandbox).to_owned(), ..figure });
            }
        }
    }
    figures
}

/// Columns: peer, what, its value, the container's, the microVM's, times the container's.
fn peers(readme: &str, raw: &Raw) -> Vec<Figure> {
    let mut figures = Vec::new();
    for row in table(readme, "\n## Peers, in the same rounds\n").skip(1) {
        let [peer, title, value, container, microvm, ratio] = row.as_slice() else { continue };
        let metric = metric(raw, None, title);
        let Some(peer) = sandbox(raw, peer) else { continue };
        let ratio = Some(ratio.clone()).filter(|ratio| !ratio.is_empty());
        let base = "container".to_owned();
        figures.push(Figure {
            metric: metric.clone(),
            sandbox: peer.to_owned(),
            base,
            ratio,
            ..figure(value)
        });
        for (cell, name) in [(container, "container"), (microvm, "microvm")] {
            if cell != "–" {
                let sandbox = name.to_owned();
                let figure = Figure { metric: metric.clone(), sandbox, bare: true, ..figure(cell) };
                figures.push(figure);
            }
        }
    }
    figures
}

/// `149 µs ±4% … 2.25×`.
fn figure(cell: &str) -> Figure {
    let mut figure = Figure { base: "process".to_owned(), ..Figure::default() };
    let mut value = Vec::new();
    for word in cell.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "…" => {}
            word if word.starts_with('±') => figure.spread = Some(word.to_owned()),
            word if word.ends_with('×') || word == "≈" => figure.ratio = Some(word.to_owned()),
            word => value.push(word),
        }
    }
    figure.median = Some(value.join(" ")).filter(|value| !value.is_empty());
    figure
}

/// The rows of the first table behind a heading, without the line of dashes.
fn table<'a>(readme: &'a str, heading: &str) -> impl Iterator<Item = Vec<String>> + use<'a> {
    let section = readme.split_once(heading).map_or("", |(_, section)| section);
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|'));
    lines.filter(|line| !line.starts_with("|---")).map(cells)
}

/// The cells of a row; a bar behind a backslash is part of a text.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut cell, mut letters) = (Vec::new(), String::new(), row.chars().skip(1));
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => cell.extend(letters.next()),
            '|' => cells
                .push(std::mem::take(&mut cell).trim().replace("&lt;", "<").replace("&amp;", "&")),
            letter => cell.push(letter),
        }
    }
    cells
}

/// The sandbox that is spelled so.
fn sandbox<'a>(raw: &'a Raw, spelled: &str) -> Option<&'a str> {
    let names = raw.series.iter().map(|series| series.sandbox.as_str());
    names.into_iter().find(|name| spelling::name(name) == spelled)
}

/// The metric of that title, in a question if it is known; footnotes behind the title are left out.
pub(super) fn metric(raw: &Raw, group: Option<&str>, title: &str) -> String {
    let mut title = title;
    while let Some((before, mark)) = title.rsplit_once(" (")
        && mark.ends_with(')')
        && mark.len() <= 3
    {
        title = before;
    }
    let groups = GROUPS.iter().filter(|(known, _)| group.is_none_or(|group| group == known.title));
    let mut known = groups.flat_map(|(_, metrics)| *metrics).filter(|metric| metric.title == title);
    let measured = |name: &str| raw.series.iter().any(|series| series.metric == name);
    let metric = known.find(|metric| group.is_some() || measured(metric.name));
    metric.map_or(title, |metric| metric.name).to_owned()
}
