//! The picture for the page: the walls and the attempts as a table, and the transcript of one.

use super::{Attempt, Breakout, Verdict, Wall, draw, table, words};
use crate::{
    Language,
    markup::{self, element, paragraphs, text},
};

/// The scene as HTML.
pub(super) fn page(scene: &Breakout, language: Language) -> String {
    let targets = paragraphs("parts", &draw::targets(scene, markup::WHOLE, language));
    let heading = text("h2", "", &draw::heading(scene, language));
    let transcript = element("div", "fill", &transcript(scene, language));
    let why = paragraphs("big", &draw::why(scene, markup::WHOLE, language));
    [targets, verdicts(scene, language), heading, transcript, why].concat()
}

fn verdicts(scene: &Breakout, language: Language) -> String {
    let chosen =
        |name: String, is: bool| element("th", if is { "name chosen" } else { "name" }, &name);
    let walls = Wall::ALL
        .map(|wall| chosen(text("span", "", wall.words().of(language)), scene.wall == Some(wall)));
    let head = element("th", "", "") + &walls.concat();
    let row = |attempt: Attempt| {
        let name = format!("{} {}", attempt.key(), attempt.words().of(language));
        let cell = |wall: Wall| {
            let trial = scene.trial(wall, attempt);
            let colour = table::style(trial.verdict).fg.map_or("w", markup::class);
            let sign = match trial.verdict {
                Verdict::Escaped => "verdict escaped",
                Verdict::Contained => "verdict contained",
                _ => "verdict",
            };
            let verdict = text("strong", colour, trial.verdict.words().of(language));
            element(
                "td",
                sign,
                &(verdict
                    + " "
                    + &text("span", "code", &table::evidence(attempt, trial, language))),
            )
        };
        let name = chosen(text("span", "", &name), scene.attempt == attempt);
        markup::row(&[name].into_iter().chain(Wall::ALL.map(cell)).collect::<Vec<_>>())
    };
    markup::table("verdicts ruled", &markup::row(&[head]), &Attempt::ALL.map(row).concat())
}

/// What the chosen attempt did, a row for each step.
fn transcript(scene: &Breakout, language: Language) -> String {
    let Some(wall) = scene.wall else { return String::new() };
    let steps = &scene.trial(wall, scene.attempt).steps;
    let row = |step: &super::Step| {
        let colour = draw::colour(&step.result).fg.map_or("w", markup::class);
        markup::row(&[
            text("td", "code", &step.call),
            text("td", &format!("code s {colour}"), &step.result),
            text("td", "d", words::purpose(&step.call).of(language)),
        ])
    };
    let heads = language.either("call|result|what it is for", "调用|结果|目的").split('|');
    let head: String = heads.map(|head| text("th", "", head)).collect();
    markup::table("steps ruled", &markup::row(&[head]), &steps.iter().map(row).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Wall};
    use crate::{Demo, Language, Scene};

    #[test]
    fn every_wall_and_every_attempt_has_its_verdict() {
        let recorded = Demo::Breakout.recorded().unwrap();
        let pages = recorded.scenes().map(|scene| match scene {
            Scene::Breakout(scene) => super::page(scene, Language::En),
            other => panic!("{other:?}"),
        });
        let verdicts = |page: &String| page.matches("class=\"verdict ").count();
        let page = pages.max_by_key(verdicts).unwrap();
        assert_eq!(verdicts(&page), Wall::ALL.len() * Attempt::ALL.len(), "{page}");
        assert!(page.contains("<td class=\"code\">"), "{page}");
    }
}
