//! The picture: the targets, who got out of what, and the transcript of one attempt.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style, Stylize as _},
    text::{Line, Span, Text},
    widgets::Paragraph,
};
use report::columns::{columns, padded, shortened, wrapped};

use super::{Breakout, Step, table::table, words};
use crate::Language;

/// Where a line of the transcript has room for what it is for.
const WITH_PURPOSE: usize = 70;
/// As many steps as the longest attempt has.
const STEPS: usize = 7;

/// Draws the scene into `area`.
pub fn draw(scene: &Breakout, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines = targets(scene, width, language);
    let table = table(scene, width, language);
    let why = why(scene, width, language);
    let besides = lines.len() + table.len() + why.len() + 1;
    let (purposes, longest) = match width {
        WITH_PURPOSE.. => (Purposes::Beside, STEPS),
        _ if height >= besides + 2 * STEPS => (Purposes::Below, 2 * STEPS),
        _ => (Purposes::LeftOut, STEPS),
    };
    // What explains keeps its directory, below the longest transcript. There are blank lines where
    // there is room for them.
    let mut transcript = transcript(scene, width, purposes, language);
    transcript.resize(transcript.len().max(longest + 1), Line::default());
    let spare = height.saturating_sub(lines.len() + table.len() + transcript.len() + why.len());
    let blank = |at_least: usize| (spare >= at_least).then(Line::default);
    lines.extend(blank(1));
    lines.extend(table);
    lines.extend(blank(2));
    lines.extend(transcript);
    lines.extend(why);
    frame.render_widget(Paragraph::new(Text::from(lines)), area);
}

/// Where the purposes of the steps are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purposes {
    Beside,
    Below,
    LeftOut,
}

/// What is to be reached, in as many lines as it takes.
pub(super) fn targets(scene: &Breakout, width: usize, language: Language) -> Vec<Line<'static>> {
    let targets = &scene.targets;
    let target = |words: &str, value: String| {
        vec![Span::raw(format!("{words} ")), value.bold(), Span::raw("   ")]
    };
    let (state, colour) = match targets.alive {
        true => (language.either("alive", "活着"), Color::Reset),
        false => (language.either("KILLED", "已杀死"), Color::Red),
    };
    let process = language.either("process", "进程");
    let parts = [
        vec![Span::raw(language.either("Targets: ", "目标："))],
        target(language.either("file", "文件"), format!("{:?}", targets.file)),
        vec![
            format!("{process} ").into(),
            format!("{} {state}", targets.pid).bold().fg(colour),
            "   ".into(),
        ],
        target(
            language.either("isolab's memory", "isolab 的内存"),
            format!("{:?}", targets.memory),
        ),
    ];
    let mut lines = vec![Line::default()];
    for part in parts {
        let last = lines.last_mut().expect("it begins with one");
        let more: usize = part.iter().map(Span::width).sum();
        if last.width() > 0 && last.width() + more > width + 3 {
            lines.push(Line::from(part));
        } else {
            last.extend(part);
        }
    }
    lines
}

/// Which attempt it is, or where to begin.
pub(super) fn heading(scene: &Breakout, language: Language) -> String {
    let Some(wall) = scene.wall else {
        let begin = language.either(
            "Which wall stops which escape? Start with [c].",
            "哪道墙挡得住哪种逃逸？从 [c] 开始。",
        );
        return begin.to_owned();
    };
    let (name, aim) = (wall.words().of(language), scene.attempt.aim().of(language));
    format!("{name} {}: {aim}", scene.attempt.key())
}

/// What the chosen attempt did, line by line.
fn transcript(
    scene: &Breakout,
    width: usize,
    purposes: Purposes,
    language: Language,
) -> Vec<Line<'static>> {
    let head = heading(scene, language);
    let Some(wall) = scene.wall else { return vec![head.bold().into()] };
    let trial = scene.trial(wall, scene.attempt);
    let mut lines = vec![Line::from(padded(&shortened(&head, width), width).bold().underlined())];
    let widest = |of: fn(&Step) -> &str| {
        let widths = trial.steps.iter().map(|step| columns(of(step)));
        widths.max().unwrap_or(0) + 2
    };
    let (calls, results) = (widest(|step| &step.call), widest(|step| &step.result));
    for step in &trial.steps {
        let result = Span::styled(padded(&step.result, results), colour(&step.result));
        let purpose = words::purpose(&step.call).of(language).fg(Color::DarkGray);
        let line = Line::from_iter([Span::raw(padded(&step.call, calls)), result]);
        match purposes {
            Purposes::Beside => lines.push(line + purpose),
            Purposes::Below => {
                // A phone has no room for both beside each other.
                if calls + columns(&step.result) > width {
                    let result = Span::styled(step.result.clone(), colour(&step.result));
                    let below = Line::from_iter(["  ".into(), result]);
                    lines.extend([Line::from(step.call.clone()), below]);
                } else {
                    lines.push(line);
                }
                lines.push(Line::from_iter(["  ".into(), purpose]));
            }
            Purposes::LeftOut => lines.push(line),
        }
    }
    lines
}

/// Highlights what was read from a target, and what ended an attempt.
pub(super) fn colour(result: &str) -> Style {
    let ended = result.starts_with(|first: char| first.is_ascii_uppercase());
    match result.starts_with('"') {
        true => Style::new().fg(Color::Red).bold(),
        false if ended || result.contains('(') => Style::new().fg(Color::Green).bold(),
        false => Style::new(),
    }
}

/// Why it ended so, and what went wrong.
pub(super) fn why(scene: &Breakout, width: usize, language: Language) -> Vec<Line<'static>> {
    let reason = scene.wall.map_or("", |wall| {
        let trial = scene.trial(wall, scene.attempt);
        words::reason(wall, scene.attempt, trial).of(language)
    });
    let reason = wrapped(reason, width).into_iter().map(|line| Line::from(line.fg(Color::Yellow)));
    let note = scene.note.as_deref().unwrap_or_default();
    let note = wrapped(note, width).into_iter().filter(|line| !line.is_empty());
    note.map(|line| Line::from(line.fg(Color::Red))).chain(reason).collect()
}

/// The table and the transcript as text, where there is no terminal.
pub fn summary(scene: &Breakout, language: Language) -> String {
    const PAGE: usize = 80;
    let mut lines = targets(scene, PAGE, language);
    lines.extend(table(scene, PAGE, language));
    lines.extend(transcript(scene, PAGE, Purposes::Beside, language));
    lines.extend(why(scene, PAGE, language));
    lines.iter().map(|line| format!("{}\n", line.to_string().trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Demo, Scene,
        breakout::{Attempt, TargetState, Trial, Verdict, Wall},
        picture::drawn,
    };

    fn step(call: &str, result: &str) -> Step {
        Step { call: call.into(), result: result.into() }
    }

    /// chroot was tried, and a container did not hold back the second attempt.
    fn scene() -> Breakout {
        let targets =
            TargetState { file: "a1b2".into(), pid: 77, alive: false, memory: "c3d4".into() };
        let trials = Default::default();
        let (wall, attempt) = (Some(Wall::Chroot), Attempt::File);
        let mut scene = Breakout { targets, trials, wall, attempt, note: None };
        let steps = vec![step("chroot(\"deeper\")", "0"), step("read(target)", "\"a1b2\"")];
        scene.trials[0][0] = Trial { verdict: Verdict::Escaped, steps };
        let steps = vec![step("process_vm_readv", "EPERM"), step("kill(9, 0)", "ESRCH")];
        scene.trials[2][2] = Trial { verdict: Verdict::Contained, steps };
        scene
    }

    fn screen(scene: &Breakout, width: u16, height: u16, language: Language) -> String {
        drawn((width, height), |frame| draw(scene, frame, frame.area(), language)).to_string()
    }

    #[test]
    fn each_verdict_has_a_word_and_its_evidence() {
        let screen = screen(&scene(), 80, 18, Language::En);
        assert!(screen.contains("1 file    ✗ OUT read a1b2  · "), "{screen}");
        // What only asks does not decide.
        assert!(screen.contains("3 memory  ·                ·                ✓ held EPERM"));
        assert!(screen.contains("process 77 KILLED"), "{screen}");
        assert!(screen.contains("read(target)      \"a1b2\"  by its path on the host"), "{screen}");
        assert!(screen.contains("Why: chroot(2) only changes"), "{screen}");
    }

    #[test]
    fn on_a_phone_columns_are_narrow_and_purposes_are_below() {
        let screen = screen(&scene(), 48, 40, Language::En);
        assert!(screen.contains("✗ OUT       ·           ·           ·"), "{screen}");
        assert!(screen.contains("\"read a1b2   "), "{screen}");
        assert!(screen.contains("\"  moves the root below it"), "{screen}");
    }

    #[test]
    fn what_went_wrong_is_on_the_screen_and_no_size_is_too_small() {
        let scene = Breakout { note: Some("open \"/dev/kvm\": gone".into()), ..scene() };
        assert!(screen(&scene, 80, 18, Language::En).contains("open \"/dev/kvm\": gone"));
        for (width, height) in [(1, 1), (3, 40), (40, 3), (17, 17), (300, 100)] {
            screen(&scene, width, height, Language::Zh);
        }
    }

    #[test]
    fn the_recording_fills_the_table_wall_by_wall() {
        let recorded = Demo::Breakout.recorded().unwrap();
        let mut scenes = recorded.scenes_after('m');
        let last = scenes.find_map(|scene| match scene {
            Scene::Breakout(scene) if scene.attempt == Attempt::Memory => Some(scene),
            _ => None,
        });
        let screen = screen(last.unwrap(), 80, 20, Language::En);
        let rows: Vec<&str> = screen.lines().skip(3).take(3).collect();
        let verdicts = |row: &str| -> Vec<bool> {
            row.chars().filter(|mark| "✓✗".contains(*mark)).map(|mark| mark == '✓').collect()
        };
        assert_eq!(verdicts(rows[0]), [false, true, true, true], "{screen}");
        assert_eq!(verdicts(rows[1]), [false, false, true, true], "{screen}");
        assert_eq!(verdicts(rows[2]), [false, false, true, true], "{screen}");
        for expected in ["ENOENT", "ESRCH", "RIP 0x0", "unknown", "page fault"] {
            assert!(rows.concat().contains(expected), "{expected}: {screen}");
        }
        assert!(screen.contains("mov al, [0x40000000]      0xff"), "{screen}");
    }

    #[test]
    fn every_recorded_step_says_what_it_is_for_and_every_end_why() {
        for scene in Demo::Breakout.recorded().unwrap().scenes() {
            let Scene::Breakout(scene) = scene else { panic!("another demonstration") };
            for (wall, attempt) in
                Wall::ALL.into_iter().flat_map(|wall| Attempt::ALL.map(|attempt| (wall, attempt)))
            {
                let trial = scene.trial(wall, attempt);
                assert!(trial.steps.len() <= STEPS, "{:?}", trial.steps);
                for language in [Language::En, Language::Zh] {
                    for step in &trial.steps {
                        let purpose = words::purpose(&step.call).of(language);
                        assert!((1..28).contains(&columns(purpose)), "{}", step.call);
                    }
                    let ended = !matches!(trial.verdict, Verdict::Untried | Verdict::Running);
                    let reason = words::reason(wall, attempt, trial).of(language);
                    assert_eq!(ended, !reason.is_empty());
                    assert!(wrapped(reason, 80).len() <= 2, "{reason}");
                }
            }
        }
    }
}
