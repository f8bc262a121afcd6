//! How the samples were taken: processes, rounds, order.

use std::collections::BTreeSet;

use super::{Sentence, sentence};
use crate::{
    Comparison, Method, Order,
    comparison::{Measured, Row},
};

/// How the samples were taken.
pub(super) fn taken(method: &Method) -> Vec<Sentence> {
    let Method { processes, rounds, warm_up, order, .. } = method;
    let order = match order {
        Order::Cyclic => sentence(
            "Rounds are interleaved: one of each sandbox, in the same order within a process, begun \
             at another one each time, so that what disturbs the machine disturbs all of them.",
            "各沙箱轮流测量：每轮每个沙箱各一次，同一进程内次序相同，但每轮从不同的沙箱开始，\
             因此干扰会落到所有沙箱上。",
        ),
        Order::Balanced => sentence(
            "Rounds are interleaved in balanced (Williams) squares: each sandbox follows each other \
             one equally often, so that what one leaves behind falls on all of them alike.",
            "各沙箱按平衡（Williams）方阵轮流测量：每个沙箱紧跟在其他每个沙箱之后的次数相同，\
             因此前一个留下的影响会均匀地落到所有沙箱上。",
        ),
        Order::Consecutive => sentence(
            "All samples of one sandbox were taken before those of the next: what disturbed the \
             machine meanwhile disturbed one of them only.",
            "先测完一个沙箱的全部样本，再测下一个：期间的干扰只会落到其中一个沙箱上。",
        ),
    };
    let warm_up = match warm_up {
        0 => sentence("There was no warm-up: every round was kept.", "没有预热：每一轮都保留。"),
        count => sentence(
            format!(
                "Before them, up to {count} rounds in each process were a warm-up and not kept."
            ),
            format!("在此之前，每个进程最多有 {count} 轮作为预热，不予保留。"),
        ),
    };
    let most = sentence(
        format!(
            "The samples are of fresh processes, one after the other: up to {processes}, with up to \
             {rounds} rounds in each."
        ),
        format!("样本来自依次启动的全新进程：最多 {processes} 个，每个进程最多 {rounds} 轮。"),
    );
    vec![most, warm_up, order]
}

/// How many processes and rounds the samples of each question are really of.
pub(super) fn amounts(comparison: &Comparison) -> Option<Sentence> {
    let count = |measured: &Measured| {
        let rounds = measured.samples.iter().map(|sample| (sample.process, sample.round));
        (measured.processes(), rounds.collect::<BTreeSet<_>>().len())
    };
    let of = |rows: &[Row]| {
        let cells = rows.iter().flat_map(|row| &row.cells);
        cells.filter_map(|cell| cell.measured()).map(count).max()
    };
    let parts: Vec<_> = comparison
        .questions
        .iter()
        .filter_map(|question| Some((question.group.title, of(&question.rows)?)))
        .collect();
    let text = |each: fn(&str, usize, usize) -> String, between: &str| {
        let all = parts.iter().map(|(title, (processes, runs))| each(title, *processes, *runs));
        all.collect::<Vec<_>>().join(between)
    };
    let en = text(|title, processes, runs| format!("{title} {processes} and {runs}"), ", ");
    let zh = text(|title, processes, runs| format!("{title} {processes} 个和 {runs} 轮"), "，");
    (!parts.is_empty()).then(|| {
        sentence(
            format!("Processes and rounds in all, by the samples: {en}."),
            format!("按样本统计的进程数和总轮数：{zh}。"),
        )
    })
}
