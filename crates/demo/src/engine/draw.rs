//! The picture: the command, the processes, and the time line or the calls of one question.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Stylize as _},
    text::{Line, Span, Text},
    widgets::Paragraph,
};
use report::columns::wrapped;

use super::{
    ClientKind, EngineScene, ProcessState, calls,
    rows::{self, Paths},
};
use crate::Language;

/// Draws the scene into `area`.
pub fn draw(scene: &EngineScene, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let lines = lines(scene, width, height, language);
    frame.render_widget(Paragraph::new(Text::from(lines)), area);
}

/// The same as text, where there is no terminal.
pub fn summary(scene: &EngineScene, language: Language) -> String {
    const PAGE: usize = 80;
    let lines = lines(scene, PAGE, usize::MAX, language);
    lines.iter().map(|line| format!("{}\n", line.to_string().trim_end())).collect()
}

fn lines(
    scene: &EngineScene,
    width: usize,
    height: usize,
    language: Language,
) -> Vec<Line<'static>> {
    let mut head = command(scene, width, language);
    head.extend(processes(scene, width, language));
    let tail = output(scene, width, language);
    let room = height.saturating_sub(head.len() + tail.len());
    let body = match scene.question {
        None if scene.records.is_empty() => without_records(scene, width, language),
        Some(question) => calls::page(scene, question, (width, room), language),
        None => {
            let whole = rows::lines(scene, width, Paths::Whole, language);
            match whole.len() <= room {
                true => whole,
                false => rows::lines(scene, width, Paths::Short, language),
            }
        }
    };
    // What is newest is seen where there is no room for all of it.
    let hidden = body.len().saturating_sub(room);
    let spare = room.saturating_sub(body.len());
    let blank = |at_least: usize| (spare >= at_least && height < usize::MAX).then(Line::default);
    let (first, second) = (blank(1), blank(2));
    head.into_iter()
        .chain(first)
        .chain(body.into_iter().skip(hidden))
        .chain(second)
        .chain(tail)
        .collect()
}

/// What to say of the daemon's end, and of the next one's beginning, for which nobody asks.
pub(super) fn without_records(
    scene: &EngineScene,
    width: usize,
    language: Language,
) -> Vec<Line<'static>> {
    let is_up = scene.container.is_some_and(|container| container.is_alive);
    let words = match (scene.daemon, is_up) {
        (ProcessState { pid: 0, .. }, _) => return Vec::new(),
        (ProcessState { is_alive: false, .. }, true) => language.either(
            "Nobody answers requests now, and the container runs on: its supervisor is the parent of its \
             first process, holds its streams and writes its log.",
            "现在没有谁回答请求，容器却继续运行：监督进程是它第一个进程的父进程，持有它的输入输出流，并写它的日志。",
        ),
        (ProcessState { is_alive: false, .. }, false) => {
            language.either("Nobody answers requests now.", "现在没有谁回答请求。")
        }
        (_, true) => language.either(
            "The daemon has read its files, found the supervisor of the container, and taken it over: \
             the same process, the same log.",
            "守护进程读取了自己的文件，找到容器的监督进程，接管了容器：同一个进程，同一份日志。",
        ),
        _ => return Vec::new(),
    };
    wrapped(words, width).into_iter().map(|line| Line::from(line.fg(Color::Yellow))).collect()
}

pub(super) fn command(scene: &EngineScene, width: usize, language: Language) -> Vec<Line<'static>> {
    let text = match scene.command.as_str() {
        "" => language
            .either(
                "What does docker run really do? Start with [r].",
                "docker run 究竟做了什么？从 [r] 开始。",
            )
            .to_owned(),
        command => format!("# {command}"),
    };
    wrapped(&text, width).into_iter().map(|line| Line::from(line.bold())).collect()
}

/// Who takes part: the client, the daemon, and the container that stays.
pub(super) fn processes(
    scene: &EngineScene,
    width: usize,
    language: Language,
) -> Vec<Line<'static>> {
    let client = match scene.client {
        ClientKind::Docker => language.either("the docker command", "docker 命令"),
        ClientKind::Requests => language.either(
            "isolab itself, with docker's requests",
            "isolab 自己（发送与 docker 相同的请求）",
        ),
    };
    let busy = match scene.is_busy {
        true => language.either(", at work", "，进行中"),
        false => "",
    };
    let mut parts = vec![
        vec![Span::raw(language.either("client ", "客户端 ")), client.bold(), Span::raw(busy)],
        process(language.either("daemon", "守护进程"), scene.daemon, language),
    ];
    if let Some(container) = scene.container {
        parts.push(process(language.either("container web", "容器 web"), container, language));
    }
    let mut lines = vec![Line::default()];
    for part in parts {
        let more: usize = part.iter().map(Span::width).sum();
        let last = lines.last_mut().expect("it begins with one");
        if last.width() > 0 && last.width() + more + 3 > width {
            lines.push(Line::from(part));
        } else {
            if last.width() > 0 {
                last.push_span("   ");
            }
            last.extend(part);
        }
    }
    lines
}

fn process(name: &str, state: ProcessState, language: Language) -> Vec<Span<'static>> {
    let (words, colour) = match state {
        ProcessState { pid: 0, .. } => {
            (language.either("starting", "正在启动").to_owned(), Color::DarkGray)
        }
        ProcessState { pid, is_alive: true } => {
            (format!("{pid} {}", language.either("runs", "运行中")), Color::Green)
        }
        ProcessState { pid, is_alive: false } => {
            (format!("{pid} {}", language.either("IS DEAD", "已死")), Color::Red)
        }
    };
    vec![Span::raw(format!("{name} ")), words.bold().fg(colour)]
}

/// What the client printed, and what went wrong.
pub(super) fn output(scene: &EngineScene, width: usize, language: Language) -> Vec<Line<'static>> {
    let note = scene.note.as_deref().unwrap_or_default();
    let note = wrapped(note, width).into_iter().filter(|line| !line.is_empty());
    let mut lines: Vec<Line<'static>> = note.map(|line| Line::from(line.fg(Color::Red))).collect();
    if scene.question.is_some() {
        return lines;
    }
    for (at, line) in scene.output.iter().enumerate() {
        let label = if at == 0 { language.either("prints: ", "输出：  ") } else { "        " };
        for line in wrapped(line, width.saturating_sub(8)) {
            lines.push(Line::from_iter([label.fg(Color::DarkGray), line.bold()]));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Demo, Scene, picture::drawn};

    fn screen(scene: &EngineScene, language: Language) -> String {
        drawn((80, 20), |frame| draw(scene, frame, frame.area(), language)).to_string()
    }

    /// The last recorded time line of the command of `key`.
    fn recorded(key: char) -> EngineScene {
        let replay = Demo::Engine.recorded().unwrap();
        let scenes = replay.scenes_after(key).map(|scene| match scene {
            Scene::Engine(scene) => &**scene,
            other => panic!("{other:?} is another demonstration's"),
        });
        let begun = scenes.skip_while(|scene| scene.command.is_empty() || scene.is_busy);
        let own: Vec<&EngineScene> = begun.collect();
        let command = &own[0].command;
        let same = own.iter().take_while(|scene| scene.command == *command);
        let lines = same.filter(|scene| scene.question.is_none());
        (*lines.last().unwrap()).clone()
    }

    #[test]
    fn a_run_is_five_requests_and_five_questions() {
        let screen = screen(&recorded('r'), Language::En);
        for expected in [
            "# docker run --rm -m 64m demo",
            "HEAD /_ping 200",
            "POST /containers/create 201",
            "/attach 101",
            "/wait 200",
            "/start 204  start the container",
            "→ kernel",
            "1 boundary",
            "5 way out",
            "the first process has ended: 0",
            "prints: hello from process 1",
        ] {
            assert!(screen.contains(expected), "{expected}: {screen}");
        }
    }

    #[test]
    fn the_container_outlives_the_daemon() {
        let replay = Demo::Engine.recorded().unwrap();
        let is_it = |scene: &&Scene| match scene {
            Scene::Engine(scene) => {
                !scene.daemon.is_alive && scene.container.is_some_and(|it| it.is_alive)
            }
            _ => false,
        };
        let Some(Scene::Engine(scene)) = replay.scenes_after('k').find(is_it) else {
            panic!("no such scene")
        };
        let screen = screen(scene, Language::En);
        assert!(screen.contains("IS DEAD") && screen.contains("runs"), "{screen}");
    }

    #[test]
    fn no_size_is_too_small() {
        let scene = EngineScene { note: Some("gone".into()), ..recorded('r') };
        for (width, height) in [(1, 1), (3, 40), (40, 3), (17, 17), (300, 100)] {
            drawn((width, height), |frame| draw(&scene, frame, frame.area(), Language::Zh));
        }
    }
}
