//! The picture: the tables side by side, or one process from both sides; below it what happened.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::Line,
    widgets::Paragraph,
};
use report::columns::wrapped;

use super::{Namespaces, Told, column, who};
use crate::Language;

/// Draws the scene into `area`.
pub fn draw(scene: &Namespaces, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let told = told(scene, area.width.into(), language);
    let heights = [Constraint::Fill(1), Constraint::Length(told.len() as u16)];
    let [picture, below] = Layout::vertical(heights).areas(area);
    let size = (picture.width.into(), picture.height.into());
    frame.render_widget(Paragraph::new(lines(scene, size, language)), picture);
    frame.render_widget(Paragraph::new(told), below);
}

/// The same as lines of text, for who has no terminal.
pub fn summary(scene: &Namespaces, language: Language) -> String {
    const SIZE: (usize, usize) = (80, 40);
    let lines = lines(scene, SIZE, language).into_iter().chain(told(scene, SIZE.0, language));
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
    let room = width.saturating_sub(column::LABEL);
    let cell = (room / 4).clamp(column::NARROWEST, column::WIDEST);
    // As many columns beside each other as have room, the others below; the host and the newest
    // first, if not all can be seen.
    let beside = (room / cell).max(1);
    let below = ((height + 1) / (column::HEIGHT + 1)).max(1);
    let skipped = (1 + scene.containers.len()).saturating_sub(beside * below);
    let all = 0..=scene.containers.len();
    let shown: Vec<usize> = match beside * below {
        1 => all.rev().take(1).collect(),
        _ => all.filter(|number| *number == 0 || *number > skipped).collect(),
    };
    let blocks: Vec<&[usize]> = shown.chunks(beside).collect();
    let roomy = height > blocks.len() * (column::HEIGHT + 1);
    let tables = blocks.into_iter().map(|shown| {
        let (mut facts, kinds) = column::table(scene, shown, cell, language);
        if roomy {
            facts.push(Line::default());
        }
        [facts, kinds].concat()
    });
    tables.collect::<Vec<_>>().join(&Line::default())
}

/// What happened, or why it did not.
fn told(scene: &Namespaces, width: usize, language: Language) -> Vec<Line<'static>> {
    let (text, style) = match &scene.note {
        Some(note) => (note.clone(), Style::new().fg(Color::Red)),
        None => (words(scene, language), Style::new().fg(Color::Green)),
    };
    wrapped(&text, width).into_iter().map(|line| Line::styled(line, style)).take(3).collect()
}

fn words(scene: &Namespaces, language: Language) -> String {
    let english = language == Language::En;
    match &scene.told {
        Told::Nothing if english => {
            "A number is a table of the kernel's. Who has the same number shares it.".into()
        }
        Told::Nothing => "每个号码是内核里的一张表；号码相同，用的就是同一张。".into(),
        Told::Asked if english => {
            "Both read the same files, each in its own /proc: status, mountinfo, cgroup.".into()
        }
        Told::Asked => {
            "两边读的是同样的文件，只是各在各的 /proc 里：status、mountinfo、cgroup。".into()
        }
        Told::Started { name } if english => {
            format!("clone3(2) made {name}: NEW tables are its own, the others are the host's.")
        }
        Told::Started { name } => {
            format!("clone3(2) 造出了 {name}：标“新”的表归它自己，其余与宿主机共用。")
        }
        Told::Entered { name } if english => {
            format!("setns(2): one more process uses the tables of {name}. None is new.")
        }
        Told::Entered { name } => {
            format!("setns(2)：又有一个进程用上了 {name} 的那些表，一张也没新建。")
        }
        Told::Killed { name, processes: 1 } if english => {
            format!("SIGKILL to number 1 of {name}: it was alone, and its tables are gone with it.")
        }
        Told::Killed { name, processes } if english => format!(
            "SIGKILL to number 1 of {name}: all {processes} in it ended, its tables are gone."
        ),
        Told::Killed { name, processes } => {
            format!("SIGKILL 发给 {name} 的 1 号：里面 {processes} 个全部结束，它的表也没了。")
        }
        Told::Ended { name } if english => {
            format!("{name} has ended, and not by a key of this screen.")
        }
        Told::Ended { name } => format!("{name} 已经结束，不是这里按的键。"),
    }
}
