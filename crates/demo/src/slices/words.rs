//! The numbers and the sentences that the picture and the page have in common.

use super::{Counter, Row, Slices, Switches};
use crate::Language;

/// The names of the numbers.
pub(super) fn names(scene: &Slices, language: Language) -> [&'static str; 4] {
    let counted = scene.counter.map_or("", Counter::name);
    [
        language.either("share", "份额"),
        counted,
        language.either("slice ms", "时间片 ms"),
        language.either("gap ms", "等待 ms"),
    ]
}

/// Share, the same as the kernel counts it, length of a slice, longest gap.
pub(super) fn numbers(row: &Row) -> [String; 4] {
    let percent = |share: f32| format!("{:.1} %", share * 100.0);
    let milliseconds =
        |value: Option<f32>| value.map_or("–".into(), |value| format!("{value:.1}"));
    [
        percent(row.share),
        row.counted.map_or("–".into(), percent),
        milliseconds(row.slice),
        milliseconds(row.gap),
    ]
}

/// What became of the processor besides, as the kernel counts it.
pub(super) fn processor(scene: &Slices, language: Language) -> Option<String> {
    let time = scene.processor?;
    let others = scene.others(language);
    let (number, name, share) = (time.number, &others.name, others.share * 100.0);
    let [workers, idle, steal] = [1.0 - others.share, time.idle, time.steal].map(|it| it * 100.0);
    Some(match language {
        Language::En => format!(
            "CPU {number}: workers {workers:.1} % + {name} {share:.1} % = 100 %. Its idle time was {idle:.0} %, \
             steal {steal:.0} % (/proc/stat)."
        ),
        Language::Zh => format!(
            "CPU {number}：各程序 {workers:.1} % + {name} {share:.1} % = 100 %。其中空闲 {idle:.0} %，\
             被宿主机占用（steal）{steal:.0} %（/proc/stat）。"
        ),
    })
}

/// What the quota did, where there is one.
pub(super) fn throttled(scene: &Slices, language: Language) -> Option<String> {
    let seen = scene.throttled?;
    let (throttled, periods, time) = (seen.throttled, seen.periods, seen.milliseconds);
    Some(match language {
        Language::En => format!(
            "cpu.stat, in this second: nr_throttled {throttled} of nr_periods {periods}; throttled for {time:.0} ms."
        ),
        Language::Zh => format!(
            "cpu.stat，这一秒内：nr_throttled {throttled}，nr_periods {periods}；被限制 {time:.0} 毫秒。"
        ),
    })
}

/// Who saw what is shown.
pub(super) fn sources(scene: &Slices, language: Language) -> String {
    let own = language.either("Measured by the workers' own clocks.", "由各程序按自己的时钟测得。");
    let switches = match (&scene.switches, language) {
        (None, _) => String::new(),
        (Some(Switches::Recorded { given, preempted, processors }), language) => {
            let cpus = processors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            match language {
                Language::En => format!(
                    " Scheduler records (perf), CPU {cpus}: switched in {given} times, preempted {preempted} times."
                ),
                Language::Zh => {
                    format!(
                        "调度器记录（perf），CPU {cpus}：切入 {given} 次，抢占 {preempted} 次。"
                    )
                }
            }
        }
        (Some(Switches::NotAllowed(reason)), Language::En) => {
            format!(" Scheduler records are not permitted here: {reason}.")
        }
        (Some(Switches::NotAllowed(reason)), Language::Zh) => {
            format!("这里不允许读取调度器记录：{reason}。")
        }
    };
    format!("{own}{switches}")
}
