//! How the numbers were made, in English and Chinese: every sentence follows from the records.

mod rates;

use std::collections::BTreeSet;

use crate::{
    Comparison, Method, Order,
    comparison::{Measured, Row},
    conditions::{MOST_PRESSURE, MOST_STEAL},
    interval::{FEWEST, WIDER},
    metric,
    statistics::quantile,
};

/// A sentence in both languages of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) en: String,
    pub(crate) zh: String,
}

/// A sentence.
pub(crate) fn sentence(en: impl Into<String>, zh: impl Into<String>) -> Sentence {
    Sentence { en: en.into(), zh: zh.into() }
}

/// How it was measured and computed.
pub(crate) fn sentences(comparison: &Comparison) -> Vec<Sentence> {
    let mut all = match &comparison.provenance.method {
        Some(method) => taken(method),
        None => vec![not_recorded(comparison.version)],
    };
    all.extend(amounts(comparison));
    all.extend(login(comparison));
    all.extend(twice(comparison));
    all.extend(computed());
    all.extend(outliers(comparison));
    all.extend(rates::sentences(comparison));
    all.push(conditions(comparison));
    all.extend(judged());
    all
}

fn not_recorded(version: u32) -> Sentence {
    match version {
        1 => sentence(
            "These records have version 1 of the format, which does not say how it was measured: \
             neither the order, nor the warm-up, nor what else the host did is known.",
            "这些记录是第 1 版格式，没有写明测量方法：次序、预热以及宿主机当时还在做什么，都无从知道。",
        ),
        _ => sentence(
            "The method is not recorded: neither the order nor the warm-up is known.",
            "记录中没有写明测量方法：次序和预热无从知道。",
        ),
    }
}

/// How the samples were taken.
fn taken(method: &Method) -> Vec<Sentence> {
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
fn amounts(comparison: &Comparison) -> Option<Sentence> {
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

/// From which event to which a machine with a distribution was measured.
fn login(comparison: &Comparison) -> Option<Sentence> {
    comparison.find(metric::STARTUP_LOGIN)?.unit?;
    Some(sentence(
        "The rows to login start QEMU with a whole distribution on a disk: its kernel and its initrd, \
         which QEMU loads as a boot loader would, its systemd, and a getty on the serial port. The time \
         runs from before the start of QEMU's process until `login:` could be read on that port; the \
         machine is killed then, so that its end is not measured. It boots once in each process, from \
         a disk that stays as it is, with the memory of the other machines and without a network. Under \
         TCG its processor is emulated: that time is shown, and nothing is judged by it.",
        "“到登录提示”的各行用 QEMU 启动装在磁盘上的整个发行版：它自己的内核和 initrd（由 QEMU 像引导程序那样装入）、\
         systemd，以及串口上的 getty。时间从启动 QEMU 进程之前算起，到能从串口读到 `login:` 为止；\
         随后直接杀死虚拟机，因此不测量它的结束。每个进程启动它一次，磁盘内容保持不变，\
         内存与其他虚拟机相同，没有网络。在 TCG 下处理器是模拟的：这个时间只列出，不用来作判断。",
    ))
}

fn twice(comparison: &Comparison) -> Option<Sentence> {
    let rows = comparison.questions.iter().flat_map(|question| &question.rows);
    let floors = rows.filter(|row| row.noise_floor.is_some()).count();
    Some(match (floors, &comparison.provenance.method) {
        (0, None) => return None,
        (0, Some(_)) => sentence(
            "Nothing was measured twice, or too few times: there is no noise floor.",
            "没有任何沙箱被测量两次，或次数太少：没有噪声下限。",
        ),
        (count, _) => sentence(
            format!(
                "In {count} rows the same sandbox was measured twice under two names. The farther \
                 end of the interval of that ratio is the noise floor of the row: a smaller \
                 difference is nothing."
            ),
            format!(
                "有 {count} 行把同一个沙箱用两个名字各测了一次。两者比值的区间中离 1 较远的一端就是\
                 该行的噪声下限：比它更小的差别不算差别。"
            ),
        ),
    })
}

/// How this report computes; the same of all records.
fn computed() -> [Sentence; 3] {
    [
        sentence(
            format!(
                "A value is the median of all samples. Its interval of 95 % is Student's, {WIDER} \
                 times as wide, over the medians of the processes on a logarithmic scale: a process is one observation, \
                 however many rounds or programs it measured. Fewer than {FEWEST} processes have no \
                 interval; neither has a size that was the same each time, nor a derived figure."
            ),
            format!(
                "数值是全部样本的中位数。95 % 区间是对各进程中位数（取对数）求的 Student 区间，再放宽到 {WIDER} 倍：\
                 一个进程无论测了多少轮、多少个程序，都只算一次观测。少于 {FEWEST} 个进程没有区间；\
                 每次都相同的大小和推算出来的数也没有区间。"
            ),
        ),
        sentence(
            "A ratio is that of the medians. Where the same processes measured both sides, their \
             ratios are the observations; else the interval is Welch's.",
            "比值是中位数之比。两边由相同的进程测得时，以各进程内的比值为观测；否则用 Welch 区间。",
        ),
        sentence(
            "A ratio whose interval spans 1, or that is within the noise floor, is printed as ≈: no \
             difference shown. That does not say that there is none.",
            "区间包含 1 或落在噪声下限之内的比值印作 ≈：没有显示出差别。这并不等于没有差别。",
        ),
    ]
}

/// Samples far from the others, counted.
fn outliers(comparison: &Comparison) -> Option<Sentence> {
    let (mut far, mut all) = (0, 0);
    let rows = comparison.questions.iter().flat_map(|question| &question.rows);
    for measured in rows.flat_map(|row| &row.cells).filter_map(|cell| cell.measured()) {
        let values: Vec<f64> = measured.samples.iter().map(|sample| sample.value).collect();
        let (Some(low), Some(high)) = (quantile(&values, 0.25), quantile(&values, 0.75)) else {
            continue;
        };
        let reach = 3.0 * (high - low);
        let beyond = |value: &&f64| **value < low - reach || **value > high + reach;
        far += values.iter().filter(beyond).count();
        all += values.len();
    }
    (all > 0).then(|| {
        sentence(
            format!(
                "Outliers: {far} of {all} samples lie farther from the quartiles than three times \
                 the distance between them (Tukey's far out). All of them are in the medians and \
                 in the charts; none is dropped."
            ),
            format!(
                "离群值：{all} 个样本中有 {far} 个离四分位数的距离超过四分位距的三倍（Tukey 的“远离群”）。\
                 它们都计入中位数，也都画在图上；一个也没有丢弃。"
            ),
        )
    })
}

/// What else the host did.
fn conditions(comparison: &Comparison) -> Sentence {
    let conditions = &comparison.provenance.conditions;
    let most = |value: fn(&crate::Condition) -> Option<f64>| {
        conditions.iter().filter_map(value).reduce(f64::max)
    };
    let percent = |share: Option<f64>| share.map(|share| format!("{:.1} %", share * 100.0));
    let steal = percent(most(|condition| condition.steal));
    let pressure = percent(most(|condition| condition.cpu_pressure));
    if conditions.is_empty() {
        return sentence(
            "Steal and CPU pressure during the measurement are not recorded: nobody can say whether \
             the host was quiet.",
            "记录中没有测量期间的 steal 和 CPU 压力：无法知道宿主机当时是否空闲。",
        );
    }
    let (count, limits) = (conditions.len(), (MOST_STEAL * 100.0, MOST_PRESSURE * 100.0));
    let en = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    let zh = |value: &Option<String>| value.clone().unwrap_or_else(|| "未知".to_owned());
    sentence(
        format!(
            "Steal and CPU pressure were read {count} times meanwhile: at most {} and {}. Where \
             the usual reading of a part is above {} % or {} %, no verdict rests on its times; \
             programs that share a CPU on purpose may wait for it.",
            en(&steal),
            en(&pressure),
            limits.0,
            limits.1
        ),
        format!(
            "测量期间读取了 {count} 次 steal 和 CPU 压力：最高分别为 {} 和 {}。某一部分的读数中位数超过 \
             {} % 或 {} % 时，不对其时间下结论；有意共用一个 CPU 的程序除外。",
            zh(&steal),
            zh(&pressure),
            limits.0,
            limits.1
        ),
    )
}

fn judged() -> [Sentence; 2] {
    [
        sentence(
            "A claim of the textbook is judged by the whole interval, and by complete data only. \
             Where a measurement that it speaks of failed, was not made, or has too few processes, \
             this run cannot tell, and names what is missing; unless what is there decides alone.",
            "对教科书的说法，以整个区间并且只用完整的数据来判断。所涉及的测量失败了、没有做或进程太少时，\
             本次运行就无法判断，并写明缺什么；除非已有的数据单独就足以判断。",
        ),
        sentence(
            "What the lesson says of virtual machines is judged by a machine with an operating \
             system, not by a microVM that boots no kernel.",
            "教科书关于虚拟机的说法，用带操作系统的虚拟机来判断，而不是用不启动内核的 microVM。",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Provenance, Records, example, words};

    fn all(records: &Records) -> String {
        let sentences = sentences(&Comparison::of(records));
        assert!(sentences.iter().all(|it| !it.en.is_empty() && it.zh.contains('。')));
        sentences.iter().map(|sentence| sentence.en.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_bench_tells_no_method_that_was_not_used() {
        let mut bench = example::records();
        bench.provenance = Provenance { command: "cargo bench".into(), ..Provenance::default() };
        bench.series.retain(|series| !series.sandbox.ends_with("(again)"));
        let text = all(&bench);
        for words in ["interleaved", "twice", "warm-up and", "seed"] {
            assert!(!text.contains(words), "{words}: {text}");
        }
        assert!(text.contains("not recorded"), "{text}");
        let comparison = Comparison::of(&bench);
        let startup = words::group_method(&comparison, &comparison.questions[0]);
        assert!(startup.starts_with("How these were measured is not"), "{startup}");
    }

    #[test]
    fn a_start_to_the_login_prompt_is_described_where_it_was_measured() {
        assert!(!all(&example::records()).contains("login:"));
        let text = all(&example::with_logins(example::records()));
        assert!(text.contains("from before the start of QEMU's process until `login:`"), "{text}");
    }

    #[test]
    fn the_method_is_that_of_the_records() {
        let mut records = example::records();
        records.version = 1;
        assert!(all(&records).contains("version 1 of the format"));
        let method = |order, warm_up| Method {
            processes: 8,
            rounds: 50,
            warm_up,
            order,
            measured_twice: true,
        };
        records.provenance.method = Some(method(Order::Balanced, 10));
        let (part, steal) = ("startup".to_owned(), Some(0.021));
        let condition = Condition { seconds: 1.0, part, steal, cpu_pressure: None };
        records.provenance.conditions = vec![condition];
        let text = all(&records);
        for words in
            ["up to 8, with up to 50", "up to 10 rounds", "Williams", "2.1 % and not known"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        records.provenance.method = Some(method(Order::Consecutive, 0));
        let text = all(&records);
        assert!(text.contains("before those of the next") && text.contains("no warm-up"), "{text}");
    }
}
