//! The picture for the page: a bar for each start with its phases, and below a bar for the idle
//! instances of a kind, in which each instance is a block.

use sandbox::Milestone;

use super::{
    IdleInstances, Lane, Race, Starts, bars,
    lanes::PHASES,
    picture::{Picture, milliseconds},
};
use crate::{
    Language,
    markup::{self, Bar, element, text},
    script::Words,
};

/// What is drawn for each phase: each has a pattern or a brightness of its own, too.
const PHASE_CLASSES: [&str; Milestone::ALL.len()] = ["c", "others", "y", "m", "dotted"];

/// The scene as HTML.
pub(super) fn page(scene: &Race, language: Language) -> String {
    let picture = Picture::unwrapped(language);
    let (news, colour) = picture.news(scene);
    let class = markup::class(colour);
    let news = match news.as_str() {
        // Its room is kept, so that what is below does not move.
        "" => text("p", "big", "\u{a0}"),
        news => markup::status(&format!("big {class}"), news),
    };
    let starts = scene.starts.as_ref().map(|starts| lanes(starts, scene.shown, language));
    [text("h2", "", &picture.what(scene)), news, starts.unwrap_or_default(), idle(scene, language)]
        .concat()
}

/// The lanes; the heads of their numbers are the key to their parts.
fn lanes(starts: &Starts, shown: u32, language: Language) -> String {
    let axis = starts.axis();
    let marks = (0..=4).map(|mark| f64::from(axis) / 4000.0 * f64::from(mark));
    let mut marks: Vec<String> =
        marks.map(|mark| format!("{}", (mark * 1e3).round() / 1e3)).collect();
    if let Some(last) = marks.last_mut() {
        last.push_str(" ms");
    }
    let heads = PHASES.iter().zip(PHASE_CLASSES).map(|((_, _, words), class)| {
        let name = report::html::escaped(words.of(language));
        element("th", "n", &(markup::swatch(class) + &name))
    });
    let first = [element("th", "", ""), element("th", "lane", &markup::scale(&marks))];
    let head: Vec<String> = first.into_iter().chain(heads).collect();
    let row = |lane: &Lane| {
        let name = text("th", "name", lane.kind.words(language));
        if let Some(reason) = &lane.missing {
            return markup::row(&[
                name,
                format!("<td colspan=\"6\" class=\"r\">{}</td>", report::html::escaped(reason)),
            ]);
        }
        let numbers = lane.reached.iter().map(|reached| match reached {
            None => text("td", "n", "–"),
            Some(time) if *time <= shown => text("td", "n", &milliseconds(*time)),
            Some(_) => element("td", "n", ""),
        });
        let bar = bar(lane, axis, shown, language).svg();
        let cells = [name, element("td", "lane", &bar)];
        markup::row(&cells.into_iter().chain(numbers).collect::<Vec<_>>())
    };
    let body: String = starts.lanes.iter().map(row).collect();
    element("div", "fill", &markup::table("stack five", &markup::row(&head), &body))
}

fn bar(lane: &Lane, axis: u32, shown: u32, language: Language) -> Bar {
    let phases = PHASES.iter().zip(&lane.reached);
    let words = phases.filter_map(|((_, _, words), reached)| {
        Some(format!("{} {} ms", words.of(language), milliseconds((*reached)?)))
    });
    let label = format!("{}: {}", lane.kind.words(language), words.collect::<Vec<_>>().join(", "));
    let at = |time: u32| f64::from(time.min(shown)) / f64::from(axis.max(1));
    let mut from = 0;
    let bar = Bar::new(&label).grid(8);
    let parts = lane.reached.iter().zip(PHASE_CLASSES);
    let bar = parts.fold(bar, |bar, (reached, class)| {
        let Some(reached) = *reached else { return bar };
        let bar = bar.part(class, at(from), at(reached));
        from = reached;
        bar
    });
    if shown > 0 { bar.start() } else { bar }
}

/// The idle instances: a block for each, as wide as its part of all their memory, in which the parts
/// of it lie above each other.
fn idle(scene: &Race, language: Language) -> String {
    const CLASSES: [&str; 3] = ["b", "g", "others"];
    let whole = bars::scale(scene);
    let mebibytes = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let available = scene.available as f64 / f64::from(1 << 30);
    let title = match language {
        Language::En => {
            format!("Memory of idle instances, in MiB (MemAvailable: {available:.1} GiB)")
        }
        Language::Zh => format!("空闲实例占用的内存，单位 MiB（MemAvailable：{available:.1} GiB）"),
    };
    let about = Words(
        "Each block is one instance, as wide as its memory (PSS of processes; of the kernel slab, stacks, page tables).",
        "每一块是一个实例，宽度代表它占用的内存（进程按 PSS 计；内核部分是 slab、内核栈和页表）。",
    );
    let heads = bars::PARTS.iter().zip(CLASSES).map(|((_, _, words), class)| {
        let name = report::html::escaped(bars::short(words.of(language)));
        element("th", "n", &(markup::swatch(class) + &name))
    });
    let marks = (0..=4).map(|mark| (whole >> 20) * mark / 4);
    let marks: Vec<String> = marks.map(|mark| mark.to_string()).collect();
    let first = [element("th", "", ""), element("th", "lane", &markup::scale(&marks))];
    let sums = [Words("all", "合计"), Words("KiB each", "平均 KiB")];
    let sums = sums.map(|words| text("th", "n", words.of(language)));
    let head: Vec<String> = first.into_iter().chain(heads).chain(sums).collect();
    let row = |idle: &IdleInstances| {
        let name = match idle.count {
            0 => idle.kind.words(language).to_owned(),
            count => format!("{count} × {}", idle.kind.words(language)),
        };
        let drawing = match idle.count {
            0 => text("p", "hint", &bars::how_to_begin(idle.kind, language)),
            count => {
                let label = format!("{name}: {} MiB", mebibytes(idle.bytes()));
                let parts = [idle.inside, idle.launcher, idle.kernel];
                blocks(Bar::new(&label).grid(4), count, parts, whole, CLASSES).svg()
            }
        };
        let parts = [idle.inside, idle.launcher, idle.kernel, idle.bytes()].map(mebibytes);
        let each = (idle.bytes() / u64::from(idle.count.max(1))) >> 10;
        let numbers = parts.into_iter().chain([each.to_string()]);
        let numbers =
            numbers.map(|number| text("td", "n", if idle.count > 0 { &number } else { "" }));
        let more = match (idle.requested.saturating_sub(idle.count), language) {
            (0, _) => String::new(),
            (more, Language::En) => format!(", {more} starting"),
            (more, Language::Zh) => format!("，还要启动 {more} 个"),
        };
        let cells = [text("th", "name", &(name + &more)), element("td", "lane", &drawing)];
        markup::row(&cells.into_iter().chain(numbers).collect::<Vec<_>>())
    };
    let body: String = scene.idle.iter().map(row).collect();
    let table = markup::table("stack five", &markup::row(&head), &body);
    [text("h2", "", &title), element("div", "fill", &table), text("p", "d", about.of(language))]
        .concat()
}

fn blocks(bar: Bar, count: u32, parts: [u64; 3], whole: u64, classes: [&str; 3]) -> Bar {
    /// Between two of them.
    const GAP: f64 = 0.001;
    let sum: u64 = parts.iter().sum();
    let width = sum as f64 / whole.max(1) as f64 / f64::from(count);
    (0..count).fold(bar, |bar, number| {
        let from = f64::from(number) * width;
        let mut top = 0.0;
        parts.iter().zip(classes).fold(bar, |bar, (part, class)| {
            let bottom = top + *part as f64 / sum.max(1) as f64;
            let block = bar.block(class, (from, (from + width - GAP).max(from)), (top, bottom));
            top = bottom;
            block
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::{Kind, tests::starts};

    #[test]
    fn a_phase_is_drawn_as_far_as_it_is_shown() {
        let scene = Race { starts: Some(starts(&[])), shown: 1000, ..Race::default() };
        let page = page(&scene, Language::En);
        // 0.8 ms of an axis of 4 ms, and 0.2 ms of the next phase.
        assert!(page.contains("class=\"c\" x=\"0%\" y=\"0%\" width=\"20%\""), "{page}");
        assert!(page.contains("class=\"others\" x=\"20%\" y=\"0%\" width=\"5%\""), "{page}");
        assert!(page.contains(">0.80<") && !page.contains(">1.90<"), "{page}");
    }

    #[test]
    fn every_idle_instance_is_a_block_and_where_there_is_none_the_key_is_named() {
        let idle = |kind, count: u32| {
            let [inside, launcher, kernel] = [1, 2, 3].map(|part| (u64::from(count) * part) << 12);
            IdleInstances { kind, count, requested: count, inside, launcher, kernel }
        };
        let all = vec![idle(Kind::Container, 10), idle(Kind::Microvm, 0)];
        let page = page(&Race { idle: all, ..Race::default() }, Language::En);
        assert_eq!(page.matches("<rect class=\"g\"").count(), 10 + 1, "{page}");
        assert!(page.contains("none: [v] starts ten") && !page.contains("[c]"), "{page}");
    }
}
