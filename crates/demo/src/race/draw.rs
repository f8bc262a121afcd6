//! The picture: a lane a start, time from left to right, and below a bar of memory for those that
//! live on.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    text::{Line, Span},
    widgets::Paragraph,
};
use report::columns::{columns, shortened, wrapped};
use sandbox::Milestone;

use super::{Busy, Kind, Lane, Place, Race};
use crate::{Language, script::Words};

/// Bars are at most so many lines high.
const HIGHEST: usize = 3;
const STATUS_LINES: usize = 2;

/// Draws the scene into `area`.
pub fn draw(scene: &Race, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let picture = |room| Picture { width: area.width.into(), room, language }.lines(scene);
    let fits = |lines: &Vec<Line<'static>>| lines.len() <= usize::from(area.height);
    let rooms = (1..=HIGHEST).rev().map(Room::Ample).chain([Room::Short]);
    let lines = rooms.map(picture).find(fits).unwrap_or_else(|| picture(Room::Least));
    frame.render_widget(Paragraph::new(lines), area);
}

/// The numbers of the picture, for who has no terminal.
pub fn summary(scene: &Race, language: Language) -> String {
    let picture = Picture { width: 79, room: Room::Ample(1), language };
    let whole = Race { shown: u32::MAX, ..scene.clone() };
    let lines = picture.lines(&whole);
    let text = lines.iter().map(|line| format!("{line}").trim_end().to_owned() + "\n");
    text.collect()
}

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Bars are so many lines high.
    Ample(usize),
    /// A bar of memory stands beside its numbers.
    Short,
    /// A lane too, of which only two are told.
    Least,
}

/// How it is drawn.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) room: Room,
    pub(super) language: Language,
}

impl Picture {
    fn lines(&self, scene: &Race) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let bold = |text: String| Line::styled(text, Style::new().bold());
        lines.extend(self.wrap(&self.what(scene)).into_iter().map(bold));
        lines.extend(self.status(scene));
        if let Some(starts) = &scene.starts {
            for lane in &starts.lanes {
                lines.extend(self.lane(lane, starts.axis(), scene.shown));
            }
            lines.push(self.axis(starts.axis()));
            lines.extend(self.legend());
        }
        // Only where there is room for it.
        if self.height() > 1 {
            lines.push(Line::default());
        }
        lines.extend(self.crowds(scene));
        lines
    }

    /// What is shown, and how it was measured.
    fn what(&self, scene: &Race) -> String {
        let Some(starts) = &scene.starts else {
            return self.say(Words("Starts of `hello`", "启动 hello")).into();
        };
        let has_linux = starts.lanes.iter().any(|lane| lane.kind == Kind::Linux);
        let linux =
            if has_linux { self.say(Words(" (Linux: 1)", "（Linux 一次）")) } else { "" };
        let rounds = starts.rounds;
        let median = match (starts.place, self.language) {
            (Place::Here, Language::En) => {
                format!("Median of {rounds} real starts each{linux}, in turn")
            }
            (Place::Here, Language::Zh) => {
                format!("真实启动，轮流各 {rounds} 次{linux}，取中位的一次")
            }
            (Place::Nest, Language::En) => {
                format!("In isolab nest, its own clock: median of {rounds} starts{linux}")
            }
            (Place::Nest, Language::Zh) => {
                format!("在 isolab nest 里，按它的时钟：各 {rounds} 次{linux}，取中位的一次")
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

    /// What goes on, or else what came out of it. It always takes the same room.
    fn status(&self, scene: &Race) -> Vec<Line<'static>> {
        let (text, style) = match (&scene.note, scene.busy) {
            (Some(note), _) => (note.clone(), Style::new().fg(Color::Red)),
            (None, Some(busy)) => (self.busy(busy), Style::new().fg(Color::Yellow)),
            (None, None) => (self.result(scene), Style::new()),
        };
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
            (Busy::Booting(Place::Here, seconds), Language::En) => {
                format!("a Linux microVM boots, for {seconds} s now")
            }
            (Busy::Booting(Place::Here, seconds), Language::Zh) => {
                format!("Linux 微型虚拟机正在引导，已经 {seconds} 秒")
            }
            (Busy::Booting(Place::Nest, seconds), Language::En) => format!(
                "This host's KVM cannot boot Linux. An emulated computer that can is switched on \
                 (isolab nest), and all start in there: {seconds} s"
            ),
            (Busy::Booting(Place::Nest, seconds), Language::Zh) => format!(
                "这台主机的 KVM 引导不了 Linux。正在打开一台能引导的模拟计算机（isolab nest），\
                 全部在里面启动：{seconds} 秒"
            ),
            (Busy::Ending, Language::En) => "all are ended".into(),
            (Busy::Ending, Language::Zh) => "正在全部结束".into(),
        }
    }

    /// The first bytes, and how many times the process's time they took; once all were shown.
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
                Language::Zh => format!("，碰过 {} MiB", bytes >> 20),
            });
            let name = lane.kind.words(self.language);
            Some(format!("{name} {} ms{times}{memory}", milliseconds(time)))
        };
        let all: Vec<String> = starts.lanes.iter().filter_map(one).collect();
        let head = self.say(Words("First byte: ", "首字节："));
        format!("{head}{}", all.join(self.say(Words(", ", "，"))))
    }

    /// Pieces in as many lines as they need.
    pub(super) fn packed(
        &self,
        pieces: impl Iterator<Item = Vec<Span<'static>>>,
    ) -> Vec<Line<'static>> {
        let mut lines = vec![Line::default()];
        for piece in pieces {
            let width: usize = piece.iter().map(Span::width).sum();
            let last = lines.last().map_or(0, Line::width);
            // What ends in blanks may lose them at the edge.
            if last > 0 && last + width > self.width + 2 {
                lines.push(Line::default());
            }
            let last = lines.last_mut().expect("it begins with one");
            piece.into_iter().for_each(|span| last.push_span(span));
        }
        lines
    }

    /// Columns for a name before its bar.
    pub(super) fn name(&self) -> usize {
        (columns(Kind::Linux.words(self.language)) + 1).min(self.width)
    }

    /// Columns for a bar.
    pub(super) fn bar(&self) -> usize {
        self.width.saturating_sub(self.name())
    }

    /// Lines for a bar.
    pub(super) fn height(&self) -> usize {
        match self.room {
            Room::Ample(height) => height,
            Room::Short | Room::Least => 1,
        }
    }

    pub(super) fn say(&self, words: Words) -> &'static str {
        words.of(self.language)
    }

    pub(super) fn wrap(&self, text: &str) -> Vec<String> {
        wrapped(text, self.width)
    }
}

/// Microseconds as milliseconds, in three digits or so.
pub(super) fn milliseconds(microseconds: u32) -> String {
    digits(f64::from(microseconds) / 1000.0)
}

fn digits(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Demo,
        picture::drawn,
        race::{Crowd, tests::starts},
    };

    const PROCESS: (Kind, [u32; 5]) = (Kind::Process, [200, 200, 300, 350, 400]);
    const MICROVM: (Kind, [u32; 5]) = (Kind::Microvm, [500, 600, 700, 800, 900]);
    const LINUX: (Kind, [u32; 5]) = (Kind::Linux, [50_000, 220_000, 625_000, 626_000, 637_000]);

    fn crowd(kind: Kind, count: u32) -> Crowd {
        let each = |bytes: u64| bytes * u64::from(count);
        let (inside, launcher, kernel) = (each(20 << 10), each(60 << 10), each(120 << 10));
        Crowd { kind, count, wanted: count, inside, launcher, kernel }
    }

    fn scene(more: &[(Kind, [u32; 5])], shown: u32) -> Race {
        let crowds = vec![crowd(Kind::Container, 20), crowd(Kind::Microvm, 10)];
        let starts = Some(starts(more));
        Race { starts, shown, crowds, available: 3 << 30, ..Race::default() }
    }

    fn screen(scene: &Race, width: u16, height: u16) -> String {
        drawn((width, height), |frame| draw(scene, frame, frame.area(), Language::En)).to_string()
    }

    fn line<'a>(screen: &'a str, begin: &str) -> &'a str {
        let found = screen.lines().find(|line| line.trim_start_matches('"').starts_with(begin));
        found.unwrap_or_else(|| panic!("no line {begin:?} in\n{screen}"))
    }

    fn count(line: &str, sign: char) -> usize {
        line.chars().filter(|letter| *letter == sign).count()
    }

    #[test]
    fn a_phase_is_as_long_as_it_took_and_is_seen_once_it_is_reached() {
        // 66 columns for 4 ms: 0.8 ms are 13, and 2 ms 33.
        let early = screen(&scene(&[PROCESS], 2000), 80, 18);
        let bar = line(&early, "container");
        assert_eq!([count(bar, '█'), count(bar, '▓'), count(bar, '▒')], [13, 18, 2], "{early}");
        assert!(early.contains("▓entered 1.90") && !early.contains("first byte 2.10"), "{early}");
        assert!(!early.contains("First byte:"), "{early}");
        let late = screen(&scene(&[PROCESS], 4000), 80, 18);
        assert!(late.contains("·cleaned 3.10"), "{late}");
        assert!(late.contains("First byte: container 2.10 ms (7.0×), process 0.30 ms"), "{late}");
    }

    #[test]
    fn all_of_it_fits_where_there_is_little_room_and_nothing_is_too_short_to_be_seen() {
        let screen = screen(&scene(&[PROCESS, MICROVM, LINUX], 637_000), 80, 18);
        assert!(screen.contains("Linux microVM 625 ms (2083×), 82 MiB touched"), "{screen}");
        for short in ["process", "container", "microVM"] {
            assert!(line(&screen, short).contains('▏'), "{screen}");
        }
        assert!(screen.contains("800 ms") && screen.contains("10: 2.0 MiB, 200 KiB each"));
        assert!(screen.contains("processes inside"), "{screen}");
    }

    #[test]
    fn where_there_is_least_room_what_matters_is_still_there() {
        let mut scene = scene(&[PROCESS, MICROVM, LINUX], 637_000);
        scene.starts.as_mut().unwrap().unoptimized = true;
        let screen = screen(&scene, 80, 14);
        assert!(screen.contains("▒625    ·637"), "{screen}");
        assert!(screen.contains("▒first byte") && screen.contains("20: 3.9 MiB"), "{screen}");
        assert!(screen.contains("10: 2.0 MiB") && screen.contains("processes inside"), "{screen}");
    }

    #[test]
    fn the_bars_of_memory_have_one_scale() {
        let screen = screen(&scene(&[], 0), 80, 18);
        let bar_of = |numbers: &str| {
            let below = screen.lines().skip_while(|line| !line.contains(numbers)).nth(1);
            count(below.unwrap_or_default(), '░')
        };
        let (twenty, ten) = (bar_of("20: 3.9 MiB"), bar_of("10: 2.0 MiB"));
        assert!(twenty > 20 && twenty.abs_diff(2 * ten) <= 1, "{screen}");
    }

    #[test]
    fn what_could_not_be_had_is_said() {
        let mut scene = scene(&[PROCESS], 4000);
        let starts = scene.starts.as_mut().unwrap();
        starts.lanes[0].missing = Some("no /dev/kvm".into());
        scene.note = Some(format!("[l] {}", "long ".repeat(100)));
        let screen = screen(&scene, 80, 18);
        assert!(line(&screen, "container").contains("no /dev/kvm"), "{screen}");
        assert!(screen.contains("[l] long") && screen.contains('…'), "{screen}");
    }

    #[test]
    fn no_terminal_is_too_small() {
        let mut scene = scene(&[PROCESS, LINUX], 300);
        scene.busy = Some(Busy::Booting(Place::Nest, 3));
        for (width, height) in [(1, 1), (14, 3), (15, 30), (48, 40), (300, 100)] {
            screen(&scene, width, height);
            screen(&Race::default(), width, height);
        }
    }

    #[test]
    fn the_recording_has_a_linux_guest_and_two_crowds_and_ends_with_none() {
        let recorded = Demo::Race.recorded().unwrap();
        let seen = |key: char| {
            let scenes = recorded.scenes_after(key);
            scenes.map(|scene| scene.summary(Language::En)).collect::<Vec<_>>()
        };
        let has = |all: &[String], text: &str| all.iter().any(|one| one.contains(text));
        assert!(has(&seen('l'), "MiB touched"));
        assert!(has(&seen('c'), "20: ") && has(&seen('v'), "to come"));
        let last = seen('k').pop().unwrap();
        assert!(last.contains("container     none") && last.contains("microVM       none"));
    }
}
