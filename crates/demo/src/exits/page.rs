//! The picture for the page: guest, KVM and isolab below each other, the exits beside them, and a bar
//! for the exits of each kind of I/O.

use super::{
    Exits, TIMES, Way, boxes,
    draw::{COUNTED, mode_words},
    numbers::counted,
    stream,
};
use crate::{
    Language,
    markup::{self, Bar, element, text},
};

/// The scene as HTML.
pub(super) fn page(scene: &Exits, language: Language) -> String {
    let roles: String = boxes::roles(scene, language).iter().map(role).collect();
    let columns = element("div", "roles", &roles) + &element("div", "cut", &exits(scene, language));
    let note = scene.note.as_ref().map(|note| markup::status("r", note));
    [
        text("h2", "", mode_words(scene).of(language)),
        note.unwrap_or_default(),
        element("div", "columns", &columns),
        counts(scene, language),
    ]
    .concat()
}

fn role(role: &boxes::Role) -> String {
    let lines: String =
        role.lines.iter().filter(|line| !line.is_empty()).map(|line| text("p", "", line)).collect();
    let block = element(
        "section",
        if role.is_lit { "role lit" } else { "role" },
        &(text("strong", "", &role.title) + &lines),
    );
    // Its room is kept where nothing goes on, so that the boxes stay where they are.
    let next = if role.to_next.is_empty() { "\u{a0}" } else { role.to_next.trim() };
    block + &text("p", "next code", next)
}

/// The exits that isolab handled, and what to say where there was none.
fn exits(scene: &Exits, language: Language) -> String {
    let kinds = ["n", "", "", "n"];
    let heads = stream::heads(language).into_iter().zip(kinds);
    let heads: String = heads.map(|(head, kind)| text("th", kind, head)).collect();
    let rows = scene.stream.iter().map(|exit| {
        let kinds =
            kinds.map(|kind| format!("{kind} code{}", if exit.is_end() { " d" } else { "" }));
        let cells = exit.cells(language);
        let cells = cells.iter().zip(&kinds).map(|(cell, kind)| text("td", kind, cell));
        markup::row(&cells.collect::<Vec<_>>())
    });
    let rows: String = rows.collect();
    let only = stream::nothing_else(scene, language).map(|only| markup::status("", &only));
    [
        text("h2", "", &stream::stream_title(scene, language)),
        markup::table("exits", &markup::row(&[heads]), &rows),
        only.unwrap_or_default(),
    ]
    .concat()
}

/// How many exits each kind of I/O needs, all on one axis.
fn counts(scene: &Exits, language: Language) -> String {
    let row = |way: Way| {
        let (number, more) = counted(scene, way);
        let name = way.name().of(language);
        let said = number.map_or("?".to_owned(), |number| number.to_string());
        let most = f64::from(number.unwrap_or(0).max(TIMES));
        let bar = Bar::new(&format!("{name}: {said}")).grid(10);
        let bar = bar.part("c", 0.0, f64::from(number.unwrap_or(0)) / most);
        let class = if scene.way == Some(way) { "name chosen" } else { "name" };
        markup::row(&[
            element("th", class, &text("span", "", name)),
            text("td", "n count", &said),
            element("td", "lane", &bar.svg()),
            text("td", "d n", &more.unwrap_or_default()),
        ])
    };
    let rows: String = Way::ALL.into_iter().map(row).collect();
    text("p", "d", COUNTED.of(language)) + &markup::table("counts", "", &rows)
}

#[cfg(test)]
mod tests {
    use crate::{Demo, Language, Scene, exits::Way};

    #[test]
    fn what_was_counted_is_a_number_and_a_bar_and_what_was_not_is_unknown() {
        let recorded = Demo::Exits.recorded().unwrap();
        let scenes: Vec<_> = recorded.scenes().collect();
        let page = |scene: &Scene| match scene {
            Scene::Exits(scene) => super::page(scene, Language::En),
            other => panic!("{other:?}"),
        };
        let first = page(scenes[0]);
        assert_eq!(first.matches("count\">?<").count(), Way::ALL.len(), "{first}");
        let last = page(scenes[scenes.len() - 1]);
        for number in [">1000<", ">1<", ">0<"] {
            assert!(last.contains(&format!("count\"{number}")), "{last}");
        }
        // The bytes of full virtualization fill the axis.
        assert!(last.contains("width=\"100%\" height=\"100%\"/></svg>"), "{last}");
    }
}
