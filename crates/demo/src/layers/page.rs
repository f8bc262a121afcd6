//! The picture for the page: a row for each name, with a line from the layer that has it to what is
//! seen.

use ratatui::style::Color;

use super::{
    Layers, Row,
    row::{Arrow, Cells, cells},
    table,
    words::size,
};
use crate::{
    Language,
    markup::{self, element, text},
};

/// The scene as HTML.
pub(super) fn page(scene: &Layers, language: Language) -> String {
    let about = table::about(scene, false, language);
    let column = |(name, about): (&str, &String)| {
        element("th", "", &(text("strong", "w", name) + " " + &text("span", "", about)))
    };
    let heads = ["lower", "upper", "merged"].into_iter().zip(&about).map(column);
    let head: Vec<String> = [element("th", "", "")].into_iter().chain(heads).collect();
    let rows: String = scene.rows.iter().map(|it| row(scene, it, language)).collect();
    let body = rows + &space(scene, language);
    let table = markup::table("layers ruled", &markup::row(&head), &body);
    let status = match &scene.note {
        Some(note) => markup::status("r", note),
        None => markup::status("", &scene.words(language)),
    };
    let on_the_host = language.either("On the host: ", "在宿主机上：");
    let (directory, number) = (&scene.directory, scene.container);
    let files = match &scene.image {
        None => format!("{on_the_host}{directory}/{{lower,{number}/upper}}"),
        Some(_) => format!("{on_the_host}{directory}/{number}/upper"),
    };
    [element("div", "fill", &table), status, text("p", "d code", &files)].concat()
}

fn row(scene: &Layers, row: &Row, language: Language) -> String {
    let Cells { lower, upper, merged } = cells(scene, row, false, language);
    let name = if row.changed { "name code changed" } else { "name code" };
    markup::row(&[
        text("th", name, &row.path),
        led(&lower.0, lower.1, Some(lower.2)),
        led(&upper.0, upper.1, upper.2),
        text("td", colour(merged.1), &merged.0),
    ])
}

/// A text, and the line from it to the next cell.
fn led(what: &str, end: Arrow, of: Option<Color>) -> String {
    let way = match end {
        Arrow::Through => "through",
        Arrow::To => "to",
        Arrow::Stop => "stop",
        Arrow::Nothing => "",
    };
    let what = if what.is_empty() { String::new() } else { text("span", colour(of), what) };
    let way = if way.is_empty() {
        String::new()
    } else {
        element("i", &format!("{way} {}", colour(of)), "")
    };
    element("td", "", &element("div", "led", &(what + &way)))
}

fn colour(of: Option<Color>) -> &'static str {
    of.map_or("w", markup::class)
}

/// What each layer takes; what is merged is a view of them.
fn space(scene: &Layers, language: Language) -> String {
    let bytes = |at: usize| scene.upper_bytes.get(at).copied().flatten();
    let (one, other) = (scene.container.saturating_sub(1), 2usize.saturating_sub(scene.container));
    let lower = format!(
        "{}{}",
        size(scene.lower_bytes),
        match bytes(other) {
            Some(_) => language.either(", shared", "，共用"),
            None => "",
        }
    );
    let others = bytes(other).map_or(String::new(), |bytes| {
        let name = language.either("; container", "；容器");
        format!("{name} {}: {}", other + 1, size(bytes))
    });
    let upper = bytes(one).map_or(String::new(), size) + &others;
    markup::row(&[
        text("th", "name", language.either("space", "占用空间")),
        text("td", "s", &lower),
        text("td", "s", &upper),
        text("td", "s", language.either("none of its own", "自身不占")),
    ])
}

#[cfg(test)]
mod tests {
    use crate::{Demo, Language, Scene};

    #[test]
    fn a_line_goes_from_each_layer_as_far_as_the_file_is_seen() {
        let pages = Demo::Layers.recorded().unwrap();
        let pages: String = pages
            .scenes()
            .map(|scene| match scene {
                Scene::Layers(scene) => super::page(scene, Language::En),
                other => panic!("{other:?}"),
            })
            .collect();
        for way in ["<i class=\"through ", "<i class=\"to ", "<i class=\"stop "] {
            assert!(pages.contains(way), "{way}");
        }
        assert!(pages.contains("whiteout c 0:0") && pages.contains("none of its own"));
    }
}
