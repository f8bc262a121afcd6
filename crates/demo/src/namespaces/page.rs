//! The picture for the page: a row for each kind of namespace, in which what is shared is one bar under
//! all that share it, and what is a container's own a block.

use super::{
    Column, Kind, Namespaces,
    column::{FACTS, colour, sum},
    draw::words,
    who::{Interview, NOBODY, TITLE, interview, sides},
};
use crate::{
    Language,
    markup::{self, element, text},
    script::Words,
};

/// The scene as HTML.
pub(super) fn page(scene: &Namespaces, language: Language) -> String {
    let status = match &scene.note {
        Some(note) => markup::status("big r", note),
        None => markup::status("big g", &words(scene, language)),
    };
    let picture = match scene.who {
        true => who(scene, language),
        false => element("div", "fill", &table(scene, language)) + &key(language),
    };
    picture + &status
}

fn table(scene: &Namespaces, language: Language) -> String {
    let all: Vec<&Column> = [&*scene.host].into_iter().chain(&scene.containers).collect();
    let row = |label: &str, class: &str, cell: &dyn Fn(usize, &Column) -> String| {
        let cells = all.iter().enumerate().map(|(number, column)| cell(number, column));
        let cells: Vec<String> = [label.to_owned()].into_iter().chain(cells).collect();
        element("tr", class, &cells.concat())
    };
    let head = row(&element("th", "", ""), "", &|number, column| match number {
        0 => text("th", "name", language.either("host", "宿主机")),
        number => text("th", &format!("name {}", class_of(number)), &column.name),
    });
    let facts = FACTS.map(|(label, fact)| {
        row(&text("th", "d", label.of(language)), "", &|number, column| {
            text("td", "", &fact.of(column, number == 0, language))
        })
    });
    let sums = row(&text("th", "d code", "/proc/PID/ns"), "ruled", &|number, column| {
        text("td", "d", &sum(scene, column, number == 0, language))
    });
    let kinds = Kind::ALL.iter().enumerate().map(|(index, kind)| {
        let label =
            text("span", "code", kind.link) + " " + &text("span", "d", kind.holds(language));
        row(&element("th", "", &label), "kind", &|number, column| {
            namespace(column.tables[index], scene.host.tables[index], number, language)
        })
    });
    let body = [facts.concat(), sums, kinds.collect()].concat();
    markup::table("namespaces", &head, &body)
}

/// A namespace: the host's, one that is shared with it, or one of the container's own.
fn namespace(own: Option<u64>, host: Option<u64>, number: usize, language: Language) -> String {
    let Some(inode) = own else { return element("td", "", "") };
    let (class, words) = match (number, own == host) {
        (0, _) => ("w", inode.to_string()),
        (_, true) => ("w", language.either("same", "共用").to_owned()),
        (number, false) => (class_of(number), format!("{inode} {}", language.either("NEW", "新"))),
    };
    // What is shared goes on from the column before.
    let sign = match (number, own == host) {
        (0, _) => "space first",
        (_, true) => "space shared",
        (_, false) => "space own",
    };
    element("td", sign, &text("span", class, &words))
}

fn class_of(number: usize) -> &'static str {
    colour(number).fg.map_or("w", markup::class)
}

fn key(language: Language) -> String {
    let words = Words(
        "One bar: the same namespace, by its inode in /proc/PID/ns. A framed number: a namespace of its own.",
        "连成一条：同一个命名空间（/proc/PID/ns 中的 inode 相同）。加框的编号：自己的命名空间。",
    );
    text("p", "d", words.of(language))
}

fn who(scene: &Namespaces, language: Language) -> String {
    let title = text("h2", "", TITLE.of(language));
    let Some(Interview { number, words, questions }) = interview(scene, language) else {
        return title + &text("p", "big", NOBODY.of(language));
    };
    let heads = sides(language).map(|side| text("th", "", side));
    let head = [element("th", "", ""), element("th", "", "")].into_iter().chain(heads);
    let row = |question: &super::who::Question| {
        let is_same = question.outside == question.inside;
        let class = if is_same { "d" } else { class_of(number) };
        markup::row(&[
            text("th", "code", question.link),
            text("td", "d", question.words.of(language)),
            text("td", "big", &question.outside),
            text("td", &format!("big {class}"), &question.inside),
        ])
    };
    let rows: String = questions.iter().map(row).collect();
    let table = markup::table("who ruled", &markup::row(&head.collect::<Vec<_>>()), &rows);
    [title, text("p", "", &words), element("div", "fill", &table)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::draw::tests::scene;

    #[test]
    fn what_is_shared_is_one_bar_and_what_is_new_a_block() {
        let page = page(&scene(), Language::En);
        // Two containers of eight kinds: one shares its users and clocks, the other its clocks.
        assert_eq!(page.matches("space first").count(), 8, "{page}");
        assert_eq!(page.matches("space shared").count(), 3, "{page}");
        assert_eq!(page.matches("space own").count(), 13, "{page}");
        assert!(page.contains("4026531021 NEW"), "{page}");
    }

    #[test]
    fn one_process_is_seen_from_both_sides() {
        let page = page(&Namespaces { who: true, ..scene() }, Language::En);
        assert!(page.contains("4 of 6 answers differ") && page.contains("from inside"), "{page}");
    }
}
