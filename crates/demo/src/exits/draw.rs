//! The picture: guest, KVM and isolab below each other, the stream beside them, and the counts.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Stylize as _},
    text::Line,
    widgets::{Paragraph, Wrap},
};
use report::columns::columns;

use super::{
    Exits, Way, boxes,
    numbers::{self, time},
    stream::{about_cpuid, stream},
};
use crate::{Language, script::Words, style::DIM};

/// From this width on, the stream is beside the boxes.
const WIDE: u16 = 72;
/// The width of a box then.
const BOX: u16 = 39;

/// What the numbers are.
pub(super) const COUNTED: Words = Words(
    "VM exits to isolab; below: time, exits in KVM",
    "到 isolab 的退出；下方：用时、KVM 处理的退出",
);

/// Draws the scene into `area`.
pub fn draw(scene: &Exits, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let is_wide = area.width >= WIDE;
    let (mode_lines, rows) = if is_wide { (1, 1) } else { (2, 2) };
    let note_lines = if scene.note.is_some() { 2 } else { 0 };
    let needed = mode_lines + boxes::LEAST + note_lines + rows * numbers::HEIGHT;
    let head_lines = u16::from(area.height > needed);
    let heights = [
        Constraint::Length(mode_lines),
        Constraint::Min(boxes::LEAST),
        Constraint::Length(note_lines),
        Constraint::Length(head_lines),
        Constraint::Length(rows * numbers::HEIGHT),
    ];
    let [mode, middle, note, head, counts] = Layout::vertical(heights).areas(area);
    let paragraph = |text: &str| Paragraph::new(text.to_owned()).wrap(Wrap { trim: true });
    frame.render_widget(paragraph(mode_words(scene).of(language)).bold(), mode);
    let text = scene.note.as_deref().unwrap_or_default();
    frame.render_widget(paragraph(text).fg(Color::Red), note);
    let [left, right] = if is_wide {
        let widths = [Constraint::Length(BOX), Constraint::Fill(1)];
        Layout::horizontal(widths).spacing(1).areas(middle)
    } else {
        Layout::vertical([Constraint::Length(boxes::LEAST), Constraint::Fill(1)]).areas(middle)
    };
    boxes::boxes(scene, frame, left, language);
    stream(scene, frame, right, language);
    frame.render_widget(Line::styled(COUNTED.of(language), DIM), head);
    numbers::counts(scene, frame, counts, rows.into(), language);
}

/// What the guest does, or the question before it.
pub(super) fn mode_words(scene: &Exits) -> Words {
    let begin = Words(
        "A guest sends 1000 bytes to the host: how many VM exits does that take?",
        "客户机要把 1000 个字节交给宿主机：需要多少次虚拟机退出？",
    );
    scene.way.map_or(begin, Way::words)
}

/// The numbers of the picture, where there is no terminal.
pub fn summary(scene: &Exits, language: Language) -> String {
    let mut text = format!("{}\n", mode_words(scene).of(language));
    for count in &scene.counts {
        let name = count.way.name().of(language);
        let space = " ".repeat(17usize.saturating_sub(columns(name)));
        let (answered, took) = (count.answered, time(count.took));
        let by_kvm = count.by_kvm.map_or("?".into(), |count| count.to_string());
        text += &match language {
            Language::En => format!(
                "{name}{space}{answered:>5} exits handled by isolab, {by_kvm} by KVM alone, {took}\n"
            ),
            Language::Zh => format!(
                "{name}{space}isolab 处理 {answered:>4} 次，KVM 自行处理 {by_kvm} 次，{took}\n"
            ),
        };
    }
    if let Some(count) = scene.count(Way::Cpuid) {
        text += &format!("{}\n", about_cpuid(count, language));
    }
    if let Some(note) = &scene.note {
        text += &format!("{note}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use sandbox::ExitReason;

    use super::*;
    use crate::{
        Demo, Scene,
        exits::{Count, Exit},
        picture::drawn,
    };

    fn exit(at: f32, port: u16, device: &str) -> Exit {
        Exit { at, reason: ExitReason::Out { port }, device: device.into(), took: 2.5 }
    }

    fn count(way: Way, answered: u32, by_kvm: Option<u64>, took: f32) -> Count {
        Count { way, answered, by_kvm, took, vendor: None }
    }

    /// The third byte has just left; another way was measured before.
    fn sending() -> Exits {
        let stream = [280.0, 240.0, 200.0].map(|at| exit(at, 0x3f8, "console"));
        Exits {
            way: Some(Way::Full),
            slower: Some(5000),
            answered: 3,
            arrived: 3,
            stream: stream.into(),
            counts: vec![count(Way::Para, 1, Some(7), 1234.0)],
            note: None,
        }
    }

    /// `cpuid` is over.
    fn asked() -> Exits {
        let count = count(Way::Cpuid, 0, Some(1004), 40_000.0);
        let stream = vec![exit(40_000.0, 0xf4, "off switch")];
        Exits { way: Some(Way::Cpuid), stream, counts: vec![count], ..Exits::default() }
    }

    fn screen(scene: &Exits, width: u16, height: u16, language: Language) -> String {
        drawn((width, height), |frame| draw(scene, frame, frame.area(), language)).to_string()
    }

    fn assert_shows(screen: &str, expected: &[&str]) {
        for text in expected {
            assert!(screen.contains(text), "{text:?} is not in\n{screen}");
        }
    }

    #[test]
    fn isolab_is_lit_while_it_answers_and_what_it_answers_is_beside_it() {
        let screen = screen(&sending(), 80, 18, Language::En);
        let expected = [
            "○ KVM's role",
            "● QEMU's role",
            "▼ exit: out 0x3f8",
            "▼ KVM_RUN returns",
            "forwarded 3, handled in KVM ...",
            "handled 3, bytes received: 3",
            "newest first: 5000 times slower",
            "   280.0 out 0x3f8 isolab/console    2.5",
            "▀▀█                 ▄█                  ▀▀█ ",
            "1.2 ms, KVM 7",
        ];
        assert_shows(&screen, &expected);
        // What was seen so far is a number of its own, the new one.
        let number = screen.lines().position(|line| line.contains("1.2 ms")).unwrap() - 3;
        assert!(screen.lines().nth(number).unwrap().contains("▀▀█"), "{screen}");
    }

    #[test]
    fn kvm_is_lit_where_it_answered_alone() {
        for (width, height) in [(80, 15), (80, 18), (48, 40), (100, 28)] {
            let screen = screen(&asked(), width, height, Language::En);
            let expected = [
                "● KVM's role",
                "○ QEMU's role",
                "▼ exit: cpuid",
                "forwarded 0, handled in KVM 1004",
                "isolab/the end",
                "No other exit reached isolab.",
                "40.0 ms, KVM 1004",
            ];
            assert_shows(&screen, &expected);
            assert!(!screen.contains("KVM_RUN"), "{screen}");
        }
    }

    #[test]
    fn who_executed_cpuid_is_stated_as_far_as_it_is_known() {
        let cases = [
            // An older recording has only the count.
            (Some(2), None, '○', "KVM counted 2 exits. It is unknown who executed cpuid."),
            (Some(2), Some("AuthenticAMD"), '○', "returned AuthenticAMD: the processor executed"),
            (Some(2), Some(""), '●', "KVM counted 2 exits. It emulated cpuid"),
            (None, Some(""), '●', "no counters (Linux 5.14 and later do). It emulated"),
            (None, Some("GenuineIntel"), '○', "returned GenuineIntel: the processor executed"),
            (Some(1004), Some("GenuineIntel"), '●', "KVM counted 1004 exits: it emulated cpuid."),
        ];
        for (by_kvm, vendor, lit, expected) in cases {
            let mut scene = asked();
            scene.counts[0].by_kvm = by_kvm;
            scene.counts[0].vendor = vendor.map(Into::into);
            assert_shows(&summary(&scene, Language::En), &[expected]);
            for (width, height) in [(80, 15), (80, 18), (48, 40), (100, 28)] {
                let screen = screen(&scene, width, height, Language::En);
                assert!(screen.contains(&format!("{lit} KVM's role")), "{screen}");
                assert_eq!(screen.contains("exit: cpuid"), lit == '●', "{screen}");
                // The stream is beside the boxes, or below them.
                let beside = if width < WIDE { 0 } else { usize::from(BOX) + 1 };
                let column = |line: &str| line.chars().skip(beside).collect::<String>();
                let lines: Vec<String> = screen.lines().map(column).collect();
                let lines = lines.iter().map(|line| line.trim_matches(['"', ' ']));
                assert_shows(&lines.collect::<Vec<_>>().join(" "), &[expected]);
            }
        }
        assert_eq!(count(Way::Full, 1000, Some(5000), 1.0).answerer(), None);
    }

    #[test]
    fn before_the_first_guest_all_numbers_are_to_be_guessed() {
        let screen = screen(&Exits::default(), 80, 18, Language::Zh);
        assert_eq!(screen.matches("▀▀█").count(), Way::ALL.len(), "{screen}");
        assert!(!screen.contains('●') && !screen.contains('▼'), "{screen}");
    }

    #[test]
    fn a_failure_is_shown_in_the_picture_and_in_the_summary() {
        let note = Some("[f] open /dev/kvm: gone; load the module kvm".to_owned());
        let scene = Exits { note, ..asked() };
        assert_shows(&screen(&scene, 80, 18, Language::En), &["open /dev/kvm", "● KVM's role"]);
        assert_shows(&summary(&scene, Language::En), &["open /dev/kvm", "1004 by KVM alone"]);
    }

    #[test]
    fn the_recording_ends_with_the_counts_of_the_lesson() {
        let recorded = Demo::Exits.recorded().unwrap();
        let Some(Scene::Exits(last)) = recorded.scenes().last() else { panic!("not of exits") };
        let answered: Vec<u32> = last.counts.iter().map(|count| count.answered).collect();
        assert_eq!(answered, [1000, 1, 0, 0]);
        let picture = screen(last, 80, 20, Language::En);
        let numbers = [
            "▄█  █▀█ █▀█ █▀█     ▄█                  █▀█                 █▀█",
            " █  █ █ █ █ █ █      █                  █ █                 █ █",
            "▀▀▀ ▀▀▀ ▀▀▀ ▀▀▀     ▀▀▀                 ▀▀▀                 ▀▀▀",
        ];
        assert_shows(&picture, &numbers);
        // Every exit of a byte, and the end, came to isolab; the slow part shows the first ones.
        let first = recorded.scenes_after('f').find_map(|scene| match scene {
            Scene::Exits(scene) if scene.answered > 0 => Some(scene),
            _ => None,
        });
        let first = first.expect("a byte left");
        assert!(first.answered < 5 && first.slower > Some(100), "{first:?}");
        assert_eq!(first.stream.len(), first.answered as usize);
    }
}
