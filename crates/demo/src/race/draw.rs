//! The picture: a lane for each start, time from left to right, and below a bar of memory for each
//! kind of idle instances.

use ratatui::{Frame, layout::Rect, style::Style, text::Line, widgets::Paragraph};

use super::{
    Race,
    picture::{Picture, Room},
};
use crate::Language;

/// The greatest height of a bar, in lines.
const HIGHEST: usize = 3;

/// Draws the scene into `area`.
pub fn draw(scene: &Race, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let picture = |room| Picture { width: area.width.into(), room, language }.lines(scene);
    let fits = |lines: &Vec<Line<'static>>| lines.len() <= usize::from(area.height);
    let rooms = (1..=HIGHEST).rev().map(Room::Ample).chain([Room::Short]);
    let lines = rooms.map(picture).find(fits).unwrap_or_else(|| picture(Room::Least));
    frame.render_widget(Paragraph::new(lines), area);
}

/// The numbers of the picture, where there is no terminal.
pub fn summary(scene: &Race, language: Language) -> String {
    let picture = Picture { width: 79, room: Room::Ample(1), language };
    let whole = Race { shown: u32::MAX, ..scene.clone() };
    let lines = picture.lines(&whole);
    let text = lines.iter().map(|line| format!("{line}").trim_end().to_owned() + "\n");
    text.collect()
}

impl Picture {
    fn lines(&self, scene: &Race) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let bold = |text: String| Line::styled(text, Style::new().bold());
        lines.extend(self.wrap(&self.what(scene)).into_iter().map(bold));
        lines.extend(self.status(scene));
        if let Some(starts) = &scene.starts {
            lines.extend(self.legend());
            for lane in &starts.lanes {
                lines.extend(self.lane(lane, starts.axis(), scene.shown));
            }
            lines.push(self.axis(starts.axis()));
        }
        // Only where there is room for it.
        if self.height() > 1 {
            lines.push(Line::default());
        }
        lines.extend(self.idle_bars(scene));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Demo,
        picture::drawn,
        race::{Busy, IdleInstances, Kind, Testbed, tests::starts},
    };

    const PROCESS: (Kind, [u32; 5]) = (Kind::Process, [200, 200, 300, 350, 400]);
    const MICROVM: (Kind, [u32; 5]) = (Kind::Microvm, [500, 600, 700, 800, 900]);
    const LINUX: (Kind, [u32; 5]) = (Kind::Linux, [50_000, 220_000, 625_000, 626_000, 637_000]);

    fn idle(kind: Kind, count: u32) -> IdleInstances {
        let each = |bytes: u64| bytes * u64::from(count);
        let (inside, launcher, kernel) = (each(20 << 10), each(60 << 10), each(120 << 10));
        IdleInstances { kind, count, requested: count, inside, launcher, kernel }
    }

    fn scene(more: &[(Kind, [u32; 5])], shown: u32) -> Race {
        let idle = vec![idle(Kind::Container, 20), idle(Kind::Microvm, 10)];
        let starts = Some(starts(more));
        Race { starts, shown, idle, available: 3 << 30, ..Race::default() }
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
        assert!(early.contains("█created     ▓entered     ▒first byte"), "{early}");
        assert!(early.contains("█0.80        ▓1.90        ") && !early.contains("2.10"), "{early}");
        assert!(!early.contains("First byte:"), "{early}");
        let late = screen(&scene(&[PROCESS], 4000), 80, 18);
        assert!(late.contains("·3.10"), "{late}");
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
        assert!(screen.contains("processes (PSS)"), "{screen}");
    }

    #[test]
    fn where_there_is_least_room_what_matters_is_still_there() {
        let mut scene = scene(&[PROCESS, MICROVM, LINUX], 637_000);
        scene.starts.as_mut().unwrap().unoptimized = true;
        let screen = screen(&scene, 80, 14);
        assert!(screen.contains("▒625    ·637"), "{screen}");
        assert!(screen.contains("▒first byte") && screen.contains("20: 3.9 MiB"), "{screen}");
        assert!(screen.contains("10: 2.0 MiB") && screen.contains("processes (PSS)"), "{screen}");
    }

    #[test]
    fn the_bars_of_memory_have_one_scale() {
        let screen = screen(&scene(&[], 0), 80, 18);
        let bar_of = |numbers: &str| {
            let below = screen.lines().skip_while(|line| !line.contains(numbers)).nth(1);
            count(below.unwrap_or_default(), '□')
        };
        let (twenty, ten) = (bar_of("20: 3.9 MiB"), bar_of("10: 2.0 MiB"));
        assert!(twenty > 20 && twenty.abs_diff(2 * ten) <= 1, "{screen}");
    }

    #[test]
    fn what_is_missing_is_shown() {
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
        scene.busy = Some(Busy::Booting(Testbed::Nest, 3));
        for (width, height) in [(1, 1), (14, 3), (15, 30), (48, 40), (300, 100)] {
            screen(&scene, width, height);
            screen(&Race::default(), width, height);
        }
    }

    #[test]
    fn the_recording_has_a_linux_guest_and_idle_instances_and_ends_with_none() {
        let recorded = Demo::Race.recorded().unwrap();
        let seen = |key: char| {
            let scenes = recorded.scenes_after(key);
            scenes.map(|scene| scene.summary(Language::En)).collect::<Vec<_>>()
        };
        let has = |all: &[String], text: &str| all.iter().any(|one| one.contains(text));
        assert!(has(&seen('l'), "MiB touched"));
        assert!(has(&seen('c'), "20: ") && has(&seen('v'), "starting"));
        let last = seen('k').pop().unwrap();
        assert!(last.contains("container     none: [c]") && last.contains("none: [v]"), "{last}");
    }
}
