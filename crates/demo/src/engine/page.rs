//! The picture for the page: the time line as a table, or the calls of one question.

use sandbox::Question;

use super::{
    EngineScene, calls, draw,
    rows::{self, Paths},
};
use crate::{
    Language,
    markup::{self, element, paragraphs, text},
};

/// The scene as HTML.
pub(super) fn page(scene: &EngineScene, language: Language) -> String {
    let body = match scene.question {
        None if scene.records.is_empty() => {
            paragraphs("big", &draw::without_records(scene, markup::WHOLE, language))
        }
        Some(question) => of_question(scene, question, language),
        None => time_line(scene, language),
    };
    [
        paragraphs("big code", &draw::command(scene, markup::WHOLE, language)),
        paragraphs("parts", &draw::processes(scene, markup::WHOLE, language)),
        element("div", "fill newest", &body),
        paragraphs("code", &draw::output(scene, markup::WHOLE, language)),
    ]
    .concat()
}

fn time_line(scene: &EngineScene, language: Language) -> String {
    /// Names of calls that can be read in one line.
    const CALLS: usize = 110;
    let rows = rows::rows(scene, CALLS, Paths::Whole, language);
    let began = rows.first().map_or(0.0, |row| row.time);
    let row = |row: &rows::Row| {
        let what = text("span", "code", &row.sent) + " " + &text("span", "d", &row.words);
        markup::row(&[
            text("td", "n d", &format!("{:.1}", (row.time - began) * 1e3)),
            text("td", &format!("who {}", markup::class(row.colour)), row.who),
            element("td", "", &what),
        ])
    };
    let head = text("th", "n", "ms") + &element("th", "", "") + &element("th", "", "");
    let body: String = rows.iter().map(row).collect();
    markup::table("events ruled", &markup::row(&[head]), &body)
}

fn of_question(scene: &EngineScene, question: Question, language: Language) -> String {
    let label = language.either("asked: ", "要求：");
    let asked = calls::asked(scene, question, language);
    let asked = asked
        .iter()
        .map(|line| element("p", "", &(text("span", "d", label) + &text("span", "g", line))));
    let asked: String = asked.collect();
    let all = calls::alike(&scene.calls, question);
    let row = |one: &calls::Alike<'_>| {
        let took = format!("{} µs", one.microseconds);
        markup::row(&[text("td", "n d", &took), text("td", "code", &one.words(language))])
    };
    let none = language.either("No call: nothing was started.", "没有调用：没有启动任何东西。");
    let calls = match all.as_slice() {
        [] => text("p", "", none),
        all => markup::table("ruled", "", &all.iter().map(row).collect::<String>()),
    };
    [text("h2", "", &calls::heading(question, language)), asked, calls].concat()
}

#[cfg(test)]
mod tests {
    use crate::{Demo, Language, Scene};

    #[test]
    fn requests_bytes_and_calls_are_rows_of_one_time_line() {
        let recorded = Demo::Engine.recorded().unwrap();
        let longest = recorded.scenes().filter_map(|scene| match scene {
            Scene::Engine(scene) if scene.question.is_none() => Some(scene),
            _ => None,
        });
        let longest = longest.max_by_key(|scene| scene.records.len()).unwrap();
        let page = super::page(longest, Language::En);
        assert!(page.contains("POST") && page.contains("kernel"), "{page}");
        assert!(page.matches("<tr>").count() > 5, "{page}");
    }
}
