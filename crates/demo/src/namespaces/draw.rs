//! The picture: the namespaces side by side, or one process from both sides; below it what happened.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::Line,
    widgets::Paragraph,
};
use report::columns::wrapped;

use super::{
    LastChange, Namespaces,
    column::{self, Table},
    who,
};
use crate::Language;

/// Draws the scene into `area`.
pub fn draw(scene: &Namespaces, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let status = status(scene, area.width.into(), language);
    let heights = [Constraint::Fill(1), Constraint::Length(status.len() as u16)];
    let [picture, below] = Layout::vertical(heights).areas(area);
    let size = (picture.width.into(), picture.height.into());
    frame.render_widget(Paragraph::new(lines(scene, size, language)), picture);
    frame.render_widget(Paragraph::new(status), below);
}

/// The same as lines of text, where there is no terminal.
pub fn summary(scene: &Namespaces, language: Language) -> String {
    const SIZE: (usize, usize) = (80, 40);
    let lines = lines(scene, SIZE, language).into_iter().chain(status(scene, SIZE.0, language));
    lines.map(|line| format!("{}\n", line.to_string().trim_end())).collect()
}

fn lines(
    scene: &Namespaces,
    (width, height): (usize, usize),
    language: Language,
) -> Vec<Line<'static>> {
    if scene.who {
        return who::lines(scene, (width, height), language);
    }
    let wide = width.saturating_sub(column::LABEL);
    let cell = (wide / 4).clamp(column::NARROWEST, column::WIDEST);
    // As many columns beside each other as have room, the others below; the host and the newest
    // first, if not all can be seen.
    let beside = (wide / cell).max(1);
    let below = ((height + 1) / (column::HEIGHT + 1)).max(1);
    let skipped = (1 + scene.containers.len()).saturating_sub(beside * below);
    let all = 0..=scene.containers.len();
    let shown: Vec<usize> = match beside * below {
        1 => all.rev().take(1).collect(),
        _ => all.filter(|number| *number == 0 || *number > skipped).collect(),
    };
    let blocks: Vec<&[usize]> = shown.chunks(beside).collect();
    // A blank line is behind each block.
    let room = ((height + 1) / blocks.len()).saturating_sub(1);
    let block = |shown: &&[usize]| {
        let Table { mut facts, sum, kinds } = column::table(scene, shown, cell, language);
        let between = match room.saturating_sub(column::HEIGHT) {
            0 => Vec::new(),
            1 => vec![sum],
            _ => vec![Line::default(), sum],
        };
        facts.truncate(room.saturating_sub(kinds.len()).max(1));
        [facts, between, kinds].concat()
    };
    blocks.iter().map(block).collect::<Vec<_>>().join(&Line::default())
}

/// What happened, or why it did not.
fn status(scene: &Namespaces, width: usize, language: Language) -> Vec<Line<'static>> {
    let (text, style) = match &scene.note {
        Some(note) => (note.clone(), Style::new().fg(Color::Red)),
        None => (words(scene, language), Style::new().fg(Color::Green)),
    };
    wrapped(&text, width).into_iter().map(|line| Line::styled(line, style)).take(3).collect()
}

/// What happened, in words.
pub(super) fn words(scene: &Namespaces, language: Language) -> String {
    let english = language == Language::En;
    match &scene.last_change {
        LastChange::Nothing if english => {
            "Each number is a namespace. Processes with the same number share it.".into()
        }
        LastChange::Nothing => "每个编号代表一个命名空间；编号相同，就是共用同一个。".into(),
        LastChange::Asked if english => {
            "Both read the same files, each in its own /proc: status, mountinfo, cgroup.".into()
        }
        LastChange::Asked => {
            "双方读取相同的文件，但各用自己的 /proc：status、mountinfo、cgroup。".into()
        }
        LastChange::Started { name } if english => {
            format!("clone3(2) made {name}: the NEW namespaces are its own, the others are shared.")
        }
        LastChange::Started { name } => {
            format!("clone3(2) 创建了 {name}：标“新”的命名空间是它自己的，其余与宿主机共用。")
        }
        LastChange::Entered { name } if english => {
            format!("setns(2): another process entered the namespaces of {name}. None is new.")
        }
        LastChange::Entered { name } => {
            format!("setns(2)：又有一个进程进入 {name} 的各个命名空间，没有新建任何一个。")
        }
        LastChange::Killed { name, processes: 1 } if english => {
            format!("SIGKILL to pid 1 of {name}: its only process ended; its namespaces are gone.")
        }
        LastChange::Killed { name, processes } if english => format!(
            "SIGKILL to pid 1 of {name}: {processes} processes ended; its namespaces are gone."
        ),
        LastChange::Killed { name, processes } => {
            format!("向 {name} 的 1 号进程发 SIGKILL：{processes} 个进程结束，命名空间随之释放。")
        }
        LastChange::Ended { name } if english => {
            format!("{name} has ended, but not because of a key pressed here.")
        }
        LastChange::Ended { name } => format!("{name} 已经结束，但不是因为这里的按键。"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        Demo, Scene,
        namespaces::{Answers, Column},
        picture::drawn,
    };

    fn column(name: &str, (pid, user): (u32, u32), inside: u32, tables: [u64; 8]) -> Column {
        let answers = Answers {
            pid: inside,
            host_name: if name.is_empty() { "classroom" } else { name }.into(),
            root: "overlay".into(),
            mounts: 15,
            links: vec!["lo".into()],
            cgroup: "/".into(),
            ..Answers::default()
        };
        Column {
            name: name.into(),
            pid: Some(pid),
            user: Some(user),
            answers: Some(answers),
            processes: Some(1),
            tables: tables.map(|number| Some(4_026_531_000 + number)),
            ..Column::default()
        }
    }

    /// The host, a container that shares its users and clocks, one that shares its clocks alone
    /// and that a process has joined.
    pub(in super::super) fn scene() -> Namespaces {
        let mut second = column("demo-2", (4822, 100_000), 1, [31, 32, 33, 34, 35, 36, 37, 8]);
        second.others = vec![(2, 4830)];
        second.processes = Some(2);
        second.cgroup = Some("/isolab-demo-2".into());
        let first = column("demo-1", (4801, 0), 1, [21, 2, 23, 24, 25, 26, 27, 8]);
        Namespaces {
            host: Box::new(column("", (4711, 0), 4711, [1, 2, 3, 4, 5, 6, 7, 8])),
            containers: vec![first, second],
            who: false,
            last_change: LastChange::Started { name: "demo-2".into() },
            note: None,
        }
    }

    /// The lines that such a screen shows, without the blanks at their ends.
    pub(in super::super) fn screen(
        scene: &Namespaces,
        (width, height): (u16, u16),
        language: Language,
    ) -> Vec<String> {
        let screen = drawn((width, height), |frame| draw(scene, frame, frame.area(), language));
        let buffer = screen.buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn what_is_new_is_marked_by_a_word_and_what_is_shared_too() {
        let screen = screen(&scene(), (80, 18), Language::En);
        let expected = "
                host ────────── demo-1 ──────── demo-2
pid  out → in   4711            4801 → 1        4822 → 1
user out → in   0 root          0 → 0 root      100000 → 0 root
host name       classroom       demo-1          demo-2
can see         1 process       1 process       2 processes
entered (setns)                                 4830 → 2

/proc/PID/ns    8 namespaces    6 NEW, 2 same   7 NEW, 1 same
mnt    mounts   4026531001      4026531021 NEW  4026531031 NEW
user   users    4026531002      same            4026531032 NEW
pid    pids     4026531003      4026531023 NEW  4026531033 NEW
uts    hostname 4026531004      4026531024 NEW  4026531034 NEW
ipc    SysV IPC 4026531005      4026531025 NEW  4026531035 NEW
net    links    4026531006      4026531026 NEW  4026531036 NEW
cgroup paths    4026531007      4026531027 NEW  4026531037 NEW
time   clocks   4026531008      same            same

clone3(2) made demo-2: the NEW namespaces are its own, the others are shared.";
        assert_eq!(format!("\n{}", screen.join("\n")), expected);
    }

    #[test]
    fn a_phone_shows_the_columns_below_each_other() {
        let screen = screen(&scene(), (48, 36), Language::En);
        let head = |words: &[&str]| {
            let has = |line: &String| words.iter().all(|word| line.contains(word));
            screen.iter().position(has).unwrap_or_else(|| panic!("{words:?} in {screen:#?}"))
        };
        assert!(head(&["host", "demo-1"]) + 15 <= head(&["demo-2"]), "{screen:#?}");
        assert_eq!(screen.iter().filter(|line| line.starts_with("time ")).count(), 2);
    }

    #[test]
    fn with_little_room_the_host_the_newest_and_all_kinds_are_kept() {
        let narrow = screen(&scene(), (50, 16), Language::En).join("\n");
        assert!(narrow.contains("host") && narrow.contains("demo-2"), "{narrow}");
        assert!(!narrow.contains("demo-1"), "{narrow}");
        let low = screen(&scene(), (80, 11), Language::En);
        assert!(low[1].starts_with("pid ") && low[9].starts_with("time "), "{low:#?}");
    }

    #[test]
    fn what_happened_takes_one_line_of_eighty_columns() {
        let name = "demo-1".to_owned();
        for last_change in [
            LastChange::Nothing,
            LastChange::Asked,
            LastChange::Started { name: name.clone() },
            LastChange::Entered { name: name.clone() },
            LastChange::Killed { name: name.clone(), processes: 1 },
            LastChange::Killed { name: name.clone(), processes: 4 },
            LastChange::Ended { name },
        ] {
            for language in [Language::En, Language::Zh] {
                let scene = Namespaces { last_change: last_change.clone(), ..scene() };
                assert_eq!(status(&scene, 80, language).len(), 1, "{last_change:?}");
            }
        }
    }

    #[test]
    fn a_failure_replaces_the_status() {
        let note = Some("[s] no more".to_owned());
        let screen = screen(&Namespaces { note, ..scene() }, (80, 18), Language::En);
        assert_eq!(screen[17], "[s] no more");
    }

    #[test]
    fn no_terminal_is_too_small_and_no_scene_too_empty() {
        let mut starting = scene();
        starting.containers.push(Column::default());
        let empty = Namespaces { host: Box::default(), containers: vec![], ..scene() };
        for scene in [scene(), starting, empty] {
            for who in [false, true] {
                for size in [(1, 1), (2, 40), (10, 3), (40, 5), (17, 60), (300, 100)] {
                    for language in [Language::En, Language::Zh] {
                        screen(&Namespaces { who, ..scene.clone() }, size, language);
                    }
                }
            }
        }
    }

    /// What was seen just before the key was pressed again, or at the end.
    fn recorded(key: char) -> Vec<String> {
        let replay = Demo::Namespaces.recorded().unwrap();
        // A step takes four seconds, ten scenes each; it is settled after three.
        let Some(Scene::Namespaces(scene)) = replay.scenes_after(key).nth(30) else {
            panic!("[{key}] is not in the recording")
        };
        screen(scene, (80, 19), Language::En)
    }

    #[test]
    fn the_recording_shows_every_key() {
        let row = |screen: &[String], label: &str| {
            let row = screen.iter().find(|line| line.starts_with(label));
            row.unwrap_or_else(|| panic!("{label} is not in {screen:#?}")).clone()
        };
        let started = recorded('s');
        assert!(row(&started, "/proc/PID/ns").ends_with("6 NEW, 2 same"), "{started:#?}");
        assert!(row(&started, "user   users").ends_with("same"), "{started:#?}");
        let with_users = recorded('u');
        assert!(row(&with_users, "user out").ends_with("100000 → 0 root"), "{with_users:#?}");
        assert!(row(&with_users, "/proc/PID/ns").ends_with("7 NEW, 1 same"), "{with_users:#?}");
        let joined = recorded('e');
        assert!(row(&joined, "entered (setns)").ends_with("→ 2"), "{joined:#?}");
        assert!(row(&joined, "can see").ends_with("2 processes"), "{joined:#?}");
        let tables = |screen: &[String]| -> Vec<String> { screen[8..17].to_vec() };
        assert_eq!(tables(&joined), tables(&with_users), "to enter makes no namespace");
        assert!(recorded('w')[1].contains("6 of 6 answers differ"));
        let killed = recorded('k');
        assert!(!killed[0].contains("demo-2") && killed[0].contains("demo-1"), "{killed:#?}");
    }
}
