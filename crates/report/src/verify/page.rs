//! The figures of a page, read back from its cells.

use super::figures::Figure;

/// The digest that the page names.
pub(super) fn digest(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("name=\"records-sha256\" content=\"")?;
    rest.split('"').next()
}

/// The figures of all cells that say what they are of.
pub(super) fn figures(page: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    for cell in page.split("<td ").skip(1) {
        let cell = cell.split("</td>").next().unwrap_or(cell);
        let (head, body) = cell.split_once('>').unwrap_or((cell, ""));
        let (Some(metric), Some(sandbox)) =
            (attribute(head, "data-metric"), attribute(head, "data-sandbox"))
        else {
            continue;
        };
        let base = attribute(head, "data-base").unwrap_or_else(|| "process".to_owned());
        let bare = !body.contains("data-figure=\"spread\"");
        let mut figure = Figure { metric, sandbox, base, bare, ..Figure::default() };
        for part in body.split('<') {
            let (tag, text) = part.split_once('>').unwrap_or((part, ""));
            let text = Some(unescaped(text)).filter(|text| !text.is_empty());
            match attribute(tag, "data-figure").as_deref() {
                Some("median") => figure.median = text,
                Some("spread") => figure.spread = text,
                Some("ratio") => {
                    figure.shows = Some(tag.contains("data-shows=\"difference\""));
                    figure.ratio = text;
                }
                _ => {}
            }
        }
        merge(&mut figures, figure);
    }
    figures
}

/// The cell of a ratio stands beside that of the value it belongs to.
fn merge(figures: &mut Vec<Figure>, figure: Figure) {
    let alone = figure.median.is_none() && figure.spread.is_none();
    match figures.last_mut() {
        Some(last)
            if alone
                && last.ratio.is_none()
                && (&last.metric, &last.sandbox) == (&figure.metric, &figure.sandbox) =>
        {
            let Figure { base, ratio, shows, .. } = figure;
            (last.base, last.ratio, last.shows) = (base, ratio, shows);
        }
        // The cell of a ratio that there is not.
        _ if alone && figure.ratio.is_none() => {}
        _ => figures.push(figure),
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(unescaped)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}
