//! The lines above the lanes: what is shown and how it was measured, what is going on, the result.

use ratatui::{
    style::{Color, Style},
    text::Line,
};
use report::columns::shortened;
use sandbox::Milestone;

use super::{
    Busy, Kind, Lane, Race, Testbed,
    picture::{Picture, milliseconds},
};
use crate::{Language, script::Words};

/// The status always takes this many lines, so that what is below does not move.
const STATUS_LINES: usize = 2;

impl Picture {
    /// What is shown, and how it was measured.
    pub(super) fn what(&self, scene: &Race) -> String {
        let Some(starts) = &scene.starts else {
            return self.say(Words("Starting `hello`", "启动 hello")).into();
        };
        let has_linux = starts.lanes.iter().any(|lane| lane.kind == Kind::Linux);
        let linux =
            if has_linux { self.say(Words(" (Linux: 1)", "（Linux 一次）")) } else { "" };
        let rounds = starts.rounds;
        let median = match (starts.testbed, self.language) {
            (Testbed::Host, Language::En) => {
                format!("Median of {rounds} real starts each{linux}, alternating")
            }
            (Testbed::Host, Language::Zh) => {
                format!("真实启动，轮流各 {rounds} 次{linux}，取中位数")
            }
            (Testbed::Nest, Language::En) => {
                format!("In `isolab nest`, by its clock: median of {rounds} starts{linux}")
            }
            (Testbed::Nest, Language::Zh) => {
                format!("在 isolab nest 中，按它的时钟：各 {rounds} 次{linux}，取中位数")
            }
        };
        let slower = match (self.language, starts.slower()) {
            (_, 1) => String::new(),
            (Language::En, slower) => format!("; {slower} times slower"),
            (Language::Zh, slower) => format!("；放慢 {slower} 倍"),
        };
        let unoptimized = match starts.unoptimized {
            true => self.say(Words(" (debug build)", "（调试版）")),
            false => "",
        };
        format!("{median}{slower}{unoptimized}")
    }

    /// What is going on or failed, or else the result, and its colour.
    pub(super) fn news(&self, scene: &Race) -> (String, Color) {
        match (&scene.note, scene.busy) {
            (Some(note), _) => (note.clone(), Color::Red),
            (None, Some(busy)) => (self.busy(busy), Color::Yellow),
            (None, None) => (self.result(scene), Color::Reset),
        }
    }

    /// The same in lines.
    pub(super) fn status(&self, scene: &Race) -> Vec<Line<'static>> {
        let (text, colour) = self.news(scene);
        let style = Style::new().fg(colour);
        let mut lines = self.wrap(&text);
        if lines.len() > STATUS_LINES {
            let rest = lines.split_off(STATUS_LINES - 1).join(" ");
            lines.push(shortened(&rest, self.width));
        }
        lines.resize(STATUS_LINES, String::new());
        lines.into_iter().map(|line| Line::styled(line, style)).collect()
    }

    fn busy(&self, busy: Busy) -> String {
        match (busy, self.language) {
            (Busy::Measuring(rounds), Language::En) => format!("measuring: round {rounds}"),
            (Busy::Measuring(rounds), Language::Zh) => format!("测量中：第 {rounds} 轮"),
            (Busy::Booting(Testbed::Host, seconds), Language::En) => {
                format!("a Linux microVM is booting: {seconds} s")
            }
            (Busy::Booting(Testbed::Host, seconds), Language::Zh) => {
                format!("Linux 微型虚拟机正在启动：{seconds} 秒")
            }
            (Busy::Booting(Testbed::Nest, seconds), Language::En) => format!(
                "This host's KVM cannot boot Linux. All four start in an emulated computer instead \
                 (isolab nest): {seconds} s"
            ),
            (Busy::Booting(Testbed::Nest, seconds), Language::Zh) => format!(
                "这台主机的 KVM 无法启动 Linux。改为在一台模拟的计算机（isolab nest）中启动全部四种：\
                 {seconds} 秒"
            ),
            (Busy::Ending, Language::En) => "ending all of them".into(),
            (Busy::Ending, Language::Zh) => "正在全部结束".into(),
        }
    }

    /// The times of the first bytes, and their ratios to the process's; shown at the end.
    fn result(&self, scene: &Race) -> String {
        let Some(starts) = &scene.starts else { return String::new() };
        if scene.shown < starts.end() {
            return String::new();
        }
        let first = |lane: &Lane| lane.at(Milestone::FirstByte);
        let floor = starts.lanes.iter().find(|lane| lane.kind == Kind::Process).and_then(first);
        let one = |lane: &Lane| {
            let time = first(lane)?;
            let times = floor.filter(|_| lane.kind != Kind::Process);
            let times = times.map_or(String::new(), |floor| {
                let times = f64::from(time) / f64::from(floor.max(1));
                let decimals = usize::from(times < 9.95);
                format!(" ({times:.decimals$}×)")
            });
            let memory = lane.memory.map_or(String::new(), |bytes| match self.language {
                Language::En => format!(", {} MiB touched", bytes >> 20),
                Language::Zh => format!("，访问过 {} MiB", bytes >> 20),
            });
            let name = lane.kind.words(self.language);
            Some(format!("{name} {} ms{times}{memory}", milliseconds(time)))
        };
        let all: Vec<String> = starts.lanes.iter().filter_map(one).collect();
        let head = self.say(Words("First byte: ", "首字节："));
        format!("{head}{}", all.join(self.say(Words(", ", "，"))))
    }
}
