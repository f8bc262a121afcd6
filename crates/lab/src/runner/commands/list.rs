//! `isolab lab list`.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::runner::{
    Answer, LabContext, Progress, Result,
    course::{
        Lab,
        needs::{Lack, Need},
    },
    output::text::{Style, beside, columns, padded, shortened},
    progress::{State, clock},
};

/// Columns at least: number, title, track, minutes, needs, state; with the last one 80 in all.
const COLUMNS: [usize; 5] = [4, 25, 11, 5, 13];
const STATE_COLUMNS: usize = 18;

/// All labs, what they take, and how far the student is.
///
/// # Errors
///
/// When the progress cannot be read.
pub fn list(context: &LabContext) -> Result<Answer> {
    let (progress, style) = (context.progress()?, &context.style);
    let mut lacks: BTreeMap<Need, Lack> = BTreeMap::new();
    for need in context.course.labs.iter().flat_map(|lab| &lab.needs) {
        if !lacks.contains_key(need) {
            lacks.extend(need.lack().map(|lack| (*need, lack)));
        }
    }
    let heads = heads(style);
    let rows: Vec<[String; 6]> =
        context.course.labs.iter().map(|lab| cells(lab, &progress, &lacks, style)).collect();
    let widths = widths(std::iter::once(&heads).chain(&rows), style.width);
    let mut text = style.bold(&row(&heads, widths));
    text.push('\n');
    for cells in &rows {
        text += &row(cells, widths);
        text.push('\n');
    }
    text += &lacking(&context.course.labs, &lacks, style);
    let labs: Vec<Value> =
        context.course.labs.iter().map(|lab| as_json(lab, &progress, &lacks, style)).collect();
    Ok(Answer { text, json: json!({ "labs": labs }), code: 0 })
}

fn heads(style: &Style) -> [String; 6] {
    match style.either("en", "zh") {
        "en" => ["lab", "title", "track", "min", "needs", "state"],
        _ => ["编号", "标题", "方向", "分钟", "需要", "进度"],
    }
    .map(str::to_owned)
}

/// As wide as the words, while the terminal has room: needs first, then titles.
fn widths<'a>(rows: impl Iterator<Item = &'a [String; 6]>, terminal: usize) -> [usize; 5] {
    let rows: Vec<_> = rows.collect();
    let mut room = terminal.saturating_sub(COLUMNS.iter().sum::<usize>() + STATE_COLUMNS);
    let mut widths = COLUMNS;
    for at in [4, 1, 2] {
        let longest = rows.iter().map(|cells| columns(&cells[at]) + 1).max().unwrap_or(0);
        let more = longest.saturating_sub(widths[at]).min(room);
        widths[at] += more;
        room -= more;
    }
    widths
}

fn row(cells: &[String; 6], widths: [usize; 5]) -> String {
    let widths = widths.into_iter().map(Some).chain([None]);
    let cells = cells.iter().zip(widths).map(|(cell, width)| match width {
        Some(width) => padded(&shortened(cell, width - 1), width),
        None => cell.clone(),
    });
    cells.collect::<String>().trim_end().to_owned()
}

fn cells(
    lab: &Lab,
    progress: &Progress,
    lacks: &BTreeMap<Need, Lack>,
    style: &Style,
) -> [String; 6] {
    let title = lab.about(style.language).map_or(lab.name.clone(), |about| about.title);
    let needs: Vec<String> = lab
        .needs
        .iter()
        .map(|need| format!("{}{}", if lacks.contains_key(need) { "!" } else { "" }, brief(*need)))
        .collect();
    let track = match lab.track.as_str() {
        "container" => style.either("container", "容器"),
        "microvm" => style.either("microvm", "虚拟机"),
        "measuring" => style.either("measuring", "测量"),
        other => other,
    };
    [
        lab.id.clone(),
        title,
        track.to_owned(),
        lab.minutes.to_string(),
        needs.join(" "),
        state(lab, progress, style),
    ]
}

/// A need in a narrow column.
fn brief(need: Need) -> &'static str {
    match need {
        Need::Namespaces => "ns",
        Need::Cgroups => "cg",
        Need::Realtime => "rt",
        other => other.name(),
    }
}

fn state(lab: &Lab, progress: &Progress, style: &Style) -> String {
    let record = progress.of(&lab.id);
    let day = |time: &Option<String>| time.as_deref().map_or("", clock::day).to_owned();
    match record.state() {
        State::NotBegun => style.either("not begun", "未开始").to_owned(),
        State::Begun => style.either("begun", "进行中").to_owned(),
        State::Revealed => style.either("solution revealed", "已看答案").to_owned(),
        State::Passed => format!("{} {}", style.either("passed", "通过"), day(&record.passed)),
    }
}

/// What this host lacks, a paragraph each.
fn lacking(labs: &[Lab], lacks: &BTreeMap<Need, Lack>, style: &Style) -> String {
    let mut text = String::new();
    for (need, lack) in lacks {
        let ids: Vec<&str> =
            labs.iter().filter(|lab| lab.needs.contains(need)).map(|lab| lab.id.as_str()).collect();
        let (reason, fix) = (lack.reason.get(style.language), lack.fix.get(style.language));
        let said = match style.either("en", "zh") {
            "en" => format!("{reason}; to fix it: {fix} (labs {})", ids.join(" ")),
            _ => format!("{reason}；解决办法：{fix}（实验 {}）", ids.join(" ")),
        };
        let _ = write!(text, "\n{}", beside(&format!("!{}", brief(*need)), &said, 8, style.width));
    }
    if !lacks.is_empty() {
        let offer = style.either(
            "These labs also run in the nest, an emulated computer that has all of it: \
             isolab lab check NUMBER --nest",
            "这些实验也可以在 nest（一台什么都有的模拟计算机）里运行：isolab lab check 编号 --nest",
        );
        let offer = match nest::available() {
            Ok(()) => offer.to_owned(),
            Err(error) => format!("{offer} ({error})"),
        };
        let _ = write!(text, "\n{}", beside("", &offer, 0, style.width));
    }
    text
}

fn as_json(lab: &Lab, progress: &Progress, lacks: &BTreeMap<Need, Lack>, style: &Style) -> Value {
    let record = progress.of(&lab.id);
    let lacking: Vec<Value> = lab
        .needs
        .iter()
        .filter_map(|need| Some((need, lacks.get(need)?)))
        .map(|(need, lack)| {
            json!({
                "need": need,
                "reason": lack.reason.get(style.language),
                "fix": lack.fix.get(style.language),
            })
        })
        .collect();
    json!({
        "lab": lab.id,
        "name": lab.name,
        "title": lab.about(style.language).map(|about| about.title),
        "track": lab.track,
        "minutes": lab.minutes,
        "needs": lab.needs,
        "lacks": lacking,
        "timing": lab.timing,
        "nest": lab.nest,
        "state": record.state(),
        "passed": record.passed,
        "attempts": record.attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fits_into_the_terminal_and_uses_it() {
        let cells = [
            "08",
            "A title that is far too long for it",
            "measuring-long",
            "1000",
            "kvm ns cg root qemu rt",
            "solution revealed",
        ]
        .map(str::to_owned);
        for terminal in [80, 100] {
            let widths = widths([&cells].into_iter(), terminal);
            let row = row(&cells, widths);
            assert!(columns(&row) <= terminal, "{row}");
            assert_eq!(row.contains("far too long for it"), terminal == 100, "{row}");
        }
    }
}
