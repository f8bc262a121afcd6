//! How the numbers were made, in English and Chinese: every sentence follows from the records.

mod computed;
mod rates;
mod taken;

use crate::{
    Comparison,
    conditions::{MOST_PRESSURE, MOST_STEAL},
    metric,
    statistics::quantile,
};
use computed::{computed, judged};
use taken::{amounts, taken};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Provenance, Records, example, words};
    use crate::{Method, Order};

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
