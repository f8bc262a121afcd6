//! What could make the numbers wrong, as far as the records tell.

use crate::{
    Comparison, Unit, catalogue,
    comparison::{Row, counted},
    conditions::{Disturbed, disturbed},
    method::{Sentence, sentence},
    words::{LEAST, LEAST_ZH, listed},
};

/// What makes all of it doubtful, to be said before the numbers.
pub(crate) fn warnings(comparison: &Comparison) -> Vec<String> {
    let busy = busy(comparison).into_iter();
    let warning = |busy: Sentence| {
        format!("{} These times carry no verdict: measure again on a quiet host.", busy.en)
    };
    busy.map(warning).collect()
}

/// What else the host did, and when.
fn busy(comparison: &Comparison) -> Vec<Sentence> {
    let Disturbed { waited, stolen } = disturbed(comparison.provenance);
    let waited = (!waited.is_empty()).then(|| {
        sentence(
            format!(
                "The host was busy. Programs waited for a CPU during so much of the time: {}.",
                waited.join(", ")
            ),
            format!("宿主机繁忙。程序等待 CPU 的时间比例：{}。", waited.join("，")),
        )
    });
    let stolen = (!stolen.is_empty()).then(|| {
        sentence(
            format!(
                "The host below was busy. So much of the CPU time went to others: {}.",
                stolen.join(", ")
            ),
            format!("下层宿主机繁忙。被其他虚拟机占用的 CPU 时间比例：{}。", stolen.join("，")),
        )
    });
    [waited, stolen].into_iter().flatten().collect()
}

/// All doubts.
pub(crate) fn doubts(comparison: &Comparison) -> Vec<Sentence> {
    let mut doubts = Vec::new();
    let host = &comparison.provenance.host;
    doubts.extend(busy(comparison));
    if comparison.provenance.command.contains("--quick") {
        doubts.push(sentence(
            "This was a quick run: few rounds. The full one is surer.",
            "这是一次快速运行，轮数很少。完整运行更可靠。",
        ));
    }
    let microvm = comparison.has("microvm");
    for (name, fact) in host.iter().filter(|(name, _)| microvm && name.starts_with("kvm")) {
        doubts.push(sentence(
            format!("The microVM is that of this KVM only ({name}: {fact})."),
            format!("microVM 的数值只对这一个 KVM 成立（{name}：{fact}）。"),
        ));
    }
    let load = ["load before", "load after", "steal"];
    let load = load.iter().filter_map(|name| Some(format!("{name}: {}", host.get(*name)?)));
    if let Some(load) = listed(load.collect(), "and") {
        doubts.push(sentence(
            format!("What else the machine had to do: {load}."),
            format!("机器当时的其他负载：{load}。"),
        ));
    }
    if let Some(governor) = host.get("governor") {
        doubts.push(sentence(
            format!("How fast the processor's clock ran: {governor}."),
            format!("处理器的时钟频率：{governor}。"),
        ));
    }
    doubts.extend(of_rows(comparison));
    doubts.extend(unusable(comparison));
    if microvm && comparison.has("container") {
        doubts.push(sentence(LEAST, LEAST_ZH));
    }
    doubts.push(sentence(
        "One machine, one kernel, one day. Ratios travel better than times, and neither travels \
         far: measure on yours.",
        "只是一台机器、一个内核、一天的结果。比值比时间更具普遍性，但都有限：请在自己的机器上测量。",
    ));
    doubts
}

fn of_rows(comparison: &Comparison) -> Vec<Sentence> {
    let mut doubts = Vec::new();
    let rows = || comparison.questions.iter().flat_map(|question| &question.rows);
    let titles = |which: fn(&Row) -> bool| {
        let titles: Vec<&str> = rows().filter(|row| which(row)).map(|row| row.title).collect();
        (!titles.is_empty()).then(|| titles.join(", "))
    };
    let floor = |row: &&Row| row.noise_floor.unwrap_or(1.0);
    if let Some(worst) = rows().max_by(|a, b| floor(a).total_cmp(&floor(b)))
        && let Some(floor) = worst.noise_floor
    {
        let percent = (floor - 1.0) * 100.0;
        doubts.push(sentence(
            format!(
                "Two measurements of the same sandbox may differ by {percent:.0}\u{a0}% at worst \
                 ({}).",
                worst.title
            ),
            format!("同一沙箱的两次测量最多可能相差 {percent:.0} %（{}）。", worst.title),
        ));
    }
    if let Some(few) = titles(too_few) {
        doubts.push(sentence(
            format!("Too few processes for an interval: {few}."),
            format!("进程太少，没有区间：{few}。"),
        ));
    }
    let once = |row: &Row| {
        let ratio = row.cells.iter().filter_map(|cell| cell.measured());
        let mut ratio = ratio.filter(|measured| measured.against_base.is_some());
        row.noise_floor.is_none() && catalogue::measured_twice(row.metric) && ratio.next().is_some()
    };
    if let Some(once) = titles(once) {
        doubts.push(sentence(
            format!(
                "No noise floor, for want of two complete runs of the process, and so no difference \
                 shown: {once}."
            ),
            format!("没有两次完整的进程测量，因而没有噪声下限，也不显示差别：{once}。"),
        ));
    }
    if let Some(derived) = titles(|row| row.derived.is_some()) {
        doubts.push(sentence(
            format!("Derived from other figures rather than measured: {derived}."),
            format!("由其他数值推算而来，并非直接测得：{derived}。"),
        ));
    }
    doubts
}

/// The samples that were left out, in a sentence.
fn unusable(comparison: &Comparison) -> Option<Sentence> {
    let mut left_out = Vec::new();
    for row in comparison.questions.iter().flat_map(|question| &question.rows) {
        for (cell, sandbox) in row.cells.iter().zip(&comparison.sandboxes) {
            if let Some(count) = cell.measured().map(|it| it.unusable).filter(|count| *count > 0) {
                left_out.push(format!("{} of {} in a {sandbox}", counted(count), row.title));
            }
        }
    }
    let left_out = listed(left_out, "and")?;
    Some(sentence(
        format!("Left out, as no measurement gives such a number: {left_out}."),
        format!("以下样本不可能由测量得到，已排除：{left_out}。"),
    ))
}

fn too_few(row: &Row) -> bool {
    let mut measured = row.cells.iter().filter_map(|cell| cell.measured());
    row.derived.is_none()
        && row.unit != Some(Unit::Count)
        && measured.any(|measured| measured.interval.is_none() && !measured.constant)
}
