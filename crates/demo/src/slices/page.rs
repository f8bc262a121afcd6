//! The picture for the page: a lane of SVG for each worker, and its numbers beside it.

use super::{Row, Slices, draw::COLOURS, words};
use crate::{
    Language,
    markup::{self, Bar, element, text},
    script::Words,
};

/// The scene as HTML.
pub(super) fn page(scene: &Slices, language: Language) -> String {
    let names = words::names(scene, language);
    // A phone has room for the share and the slice.
    let class = |number: usize| if number.is_multiple_of(2) { "n" } else { "n wide" };
    let heads = names.iter().enumerate().map(|(number, name)| text("th", class(number), name));
    let marks = (0..=5).map(|mark| format!("{}", mark * scene.milliseconds / 5));
    let mut marks: Vec<String> = marks.collect();
    if let Some(last) = marks.last_mut() {
        last.push_str(" ms");
    }
    let axis = element("th", "lane", &markup::scale(&marks));
    let head: Vec<String> = [element("th", "", ""), axis].into_iter().chain(heads).collect();
    let one = |(row, colour): (&Row, &str)| {
        let numbers = words::numbers(row);
        let cells = numbers.iter().enumerate();
        let cells = cells.map(|(number, value)| text("td", class(number), value));
        let bar = lane(row, colour, scene.milliseconds, language).svg();
        let first = [text("th", "name", &row.name), element("td", "lane", &bar)];
        markup::row(&first.into_iter().chain(cells).collect::<Vec<_>>())
    };
    let colours = COLOURS.iter().cycle().map(|colour| markup::class(*colour));
    let others = scene.others(language);
    let workers: String = scene.rows.iter().zip(colours).map(one).collect();
    let body = workers + &one((&others, "others"));
    let key = [
        ("c", Words("ran on the processor", "占用处理器运行")),
        (
            "others",
            Words("other programs, the kernel, the host, or idle", "其他程序、内核、宿主机或空闲"),
        ),
    ];
    let notes = [
        words::throttled(scene, language).map(|note| text("p", "", &note)),
        scene.about_cut(language).map(|note| markup::status("y", &note)),
        words::processor(scene, language).map(|note| text("p", "d", &note)),
        Some(text("p", "d", &words::sources(scene, language))),
        scene.note.as_ref().map(|note| markup::status("r", note)),
    ];
    [
        text("h2", "", scene.mode.words(language)),
        element("div", "fill", &markup::table("lanes", &markup::row(&head), &body)),
        markup::legend(&key, language),
        notes.into_iter().flatten().collect(),
    ]
    .concat()
}

fn lane(row: &Row, class: &str, milliseconds: u32, language: Language) -> Bar {
    let whole = f64::from(milliseconds.max(1)) * 100.0;
    let (count, share) = (row.runs.len(), row.share * 100.0);
    let label = match language {
        Language::En => format!("{}: {count} stretches, {share:.1} % of the time", row.name),
        Language::Zh => format!("{}：{count} 段，占 {share:.1} % 的时间", row.name),
    };
    row.runs.iter().fold(Bar::new(&label).grid(10), |bar, &(begin, length)| {
        let begin = f64::from(begin);
        bar.part(class, begin / whole, (begin + f64::from(length)) / whole)
    })
}

#[cfg(test)]
mod tests {
    use crate::{Demo, Language, Scene};

    #[test]
    fn every_stretch_of_a_worker_is_a_part_of_its_lane() {
        let recorded = Demo::Slices.recorded().unwrap();
        let Some(Scene::Slices(scene)) = recorded.scenes().last() else { panic!("not of slices") };
        let page = super::page(scene, Language::En);
        let drawn = page.matches("<rect class=").count();
        let runs: usize = scene.rows.iter().map(|row| row.runs.len()).sum();
        assert!(drawn > runs && runs > 10, "{drawn} of {runs}");
        assert_eq!(page.matches("role=\"img\"").count(), scene.rows.len() + 1);
    }
}
