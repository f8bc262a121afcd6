//! The picture: the layers in three columns, and what the kernel did at the last key.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::Line,
    widgets::Paragraph,
};
use report::columns::wrapped;

use super::{Layers, row::Widths, table::Table};
use crate::Language;

/// Rows that are drawn even when they are empty: those of the image, and what a container makes.
const ROWS: usize = 9;
/// Lines for what the kernel did, so that nothing below them moves.
const STATUS_LINES: usize = 3;

/// Draws the scene into `area`.
pub fn draw(scene: &Layers, frame: &mut Frame<'_>, area: Rect, language: Language) {
    let widths = Widths::of(area.width.into(), scene.image.is_some());
    let height = usize::from(area.height);
    let status = status(scene, area.width.into(), language);
    let status_lines = status.len().max(STATUS_LINES);
    let mut table = Table::of(scene, widths, language);
    if table.height() + status_lines > height {
        table.shorten();
    }
    let room = height.saturating_sub(table.height() + status_lines);
    table
        .rows
        .resize_with((table.rows.len() + room).min(ROWS.max(table.rows.len())), Line::default);
    let heights = [
        Constraint::Max(table.height() as u16),
        Constraint::Length(status.len() as u16),
        Constraint::Fill(1),
    ];
    let [upper, lower, rest] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(table.lines()), upper);
    frame.render_widget(Paragraph::new(status), lower);
    let on_the_host = language.either("On the host: ", "在宿主机上：");
    let (directory, number) = (&scene.directory, scene.container);
    let files = match &scene.image {
        None => format!("{on_the_host}{directory}/{{lower,{number}/upper}}"),
        // The layers of an image are where it is kept.
        Some(_) => format!("{on_the_host}{directory}/{number}/upper"),
    };
    let files = wrapped(&files, area.width.into());
    if let Some(above) = usize::from(rest.height).checked_sub(files.len()) {
        let bottom = Rect { y: rest.y + above as u16, height: files.len() as u16, ..rest };
        let files: Vec<Line<'static>> = files.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(files).fg(Color::DarkGray), bottom);
    }
}

/// The picture as text, where there is no terminal.
pub fn summary(scene: &Layers, language: Language) -> String {
    const WIDTH: usize = 79;
    let mut lines = Table::of(scene, Widths::of(WIDTH, scene.image.is_some()), language).lines();
    lines.extend(status(scene, WIDTH, language));
    lines.iter().map(|line| format!("{}\n", line.to_string().trim_end())).collect()
}

/// What the kernel did, and what went wrong.
fn status(scene: &Layers, width: usize, language: Language) -> Vec<Line<'static>> {
    let (text, style) = match &scene.note {
        Some(note) => (note.clone(), Style::new().fg(Color::Red)),
        None if scene.rows.iter().any(|row| row.changed) => {
            (format!("* {}", scene.words(language)), Style::new())
        }
        None => (scene.words(language), Style::new()),
    };
    wrapped(&text, width).into_iter().map(|text| Line::styled(text, style)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Demo, Scene,
        layers::{Found, LastChange, RealImage, Row},
        picture::drawn,
    };

    fn row(path: &str, cells: [Option<Found>; 3]) -> Row {
        let [lower, upper, merged] = cells;
        Row { path: path.into(), lower, upper, merged, changed: path == "gone", layer: None }
    }

    fn scene() -> Layers {
        let file = |bytes| Some(Found::File(bytes));
        let directory = Some(Found::Directory);
        let rows = vec![
            row("copied", [file(2048), Some(Found::CopiedUp(2048)), file(2048)]),
            row("gone", [file(12), Some(Found::Whiteout), None]),
            row("lib/", [directory, Some(Found::Opaque), directory]),
            row("lib/old", [file(12), None, None]),
            row("same", [file(12), None, file(12)]),
            row("made", [None, file(8), file(8)]),
        ];
        Layers {
            container: 2,
            rows,
            lower_bytes: 1 << 20,
            upper_bytes: [Some(0), Some(4096)],
            last_change: LastChange::Hidden { path: "gone".into() },
            directory: "/layers".into(),
            note: None,
            image: None,
        }
    }

    fn screen(scene: &Layers, width: u16, height: u16, language: Language) -> String {
        drawn((width, height), |frame| draw(scene, frame, frame.area(), language)).to_string()
    }

    #[test]
    fn a_line_goes_as_far_as_the_file_is_seen() {
        let screen = screen(&scene(), 80, 18, Language::En);
        for line in [
            " copied         2 KiB ────────────▶ 2 KiB copied up ──────────▶ 2 KiB",
            "*gone           12 B ─────────────┤ whiteout c 0:0              gone",
            " lib/           directory ────────┤ opaque directory ─────────▶ directory",
            " lib/old        12 B ─────────────┤ hidden by lib/              gone",
            " same           12 B ─────────────────────────────────────────▶ 12 B",
            " made                               8 B new ──────────────────▶ 8 B",
            " space          1.0 MiB, shared     4 KiB; container 1: 0 B     none of its own",
            "* gone stays in lower.",
            "On the host: /layers/{lower,2/upper}",
        ] {
            assert!(screen.contains(line), "{line}\n{screen}");
        }
    }

    #[test]
    fn of_a_real_image_each_name_has_its_layer() {
        let mut scene = scene();
        scene.image = Some(RealImage { name: "class/hello:1".into(), layers: 3 });
        scene.rows[0].layer = Some(1);
        let whiteout = row("a/directory/of/a/file", [Some(Found::Whiteout), None, None]);
        scene.rows.push(Row { layer: Some(3), ..whiteout });
        let wide = screen(&scene, 80, 20, Language::En);
        for line in [
            "class/hello:1 (3)    written by",
            " copied           2 KiB, layer 1 ────▶ 2 KiB copied up ───────▶ 2 KiB",
            " …ctory/of/a/file whiteout, layer 3                             gone",
            "On the host: /layers/2/upper",
        ] {
            assert!(wide.contains(line), "{line}\n{wide}");
        }
        let narrow = screen(&scene, 48, 40, Language::Zh);
        assert!(narrow.contains("2 KiB @1"), "{narrow}");
    }

    #[test]
    fn a_phone_has_all_columns() {
        let screen = screen(&scene(), 48, 40, Language::En);
        for line in [
            " copied      2 KiB ──▶ 2 KiB copied ──▶ 2 KiB",
            "*gone        12 B ───┤ whiteout c 0:0   gone",
            " lib/        dir ────┤ opaque dir ────▶ dir",
            " lib/old     12 B ───┤ by lib/          gone",
            " space       1.0 MiB   4 KiB            none",
            "             shared    container 1: 0 B",
        ] {
            assert!(screen.contains(line), "{line}\n{screen}");
        }
    }

    #[test]
    fn where_there_is_little_room_all_rows_and_the_space_they_take_are_seen() {
        let rows = scene().rows.len() as u16;
        let screen = screen(&scene(), 80, 1 + rows + 1 + 3, Language::En);
        assert!(!screen.contains("read-only"), "{screen}");
        for text in [" copied ", " made ", " space ", "* gone stays"] {
            assert!(screen.contains(text), "{text}\n{screen}");
        }
    }

    #[test]
    fn a_failure_replaces_what_the_kernel_did() {
        let scene = Layers { note: Some("[w] it failed".into()), ..scene() };
        let screen = screen(&scene, 80, 18, Language::En);
        assert!(screen.contains("[w] it failed") && !screen.contains("stays in lower"), "{screen}");
    }

    #[test]
    fn no_terminal_is_too_small_or_too_large() {
        for (width, height) in [(1, 1), (3, 40), (30, 8), (48, 10), (80, 3), (300, 100)] {
            for language in [Language::En, Language::Zh] {
                screen(&scene(), width, height, language);
            }
        }
    }

    #[test]
    fn what_was_recorded_is_what_the_steps_promise() {
        let recorded = Demo::Layers.recorded().unwrap();
        let seen: String = recorded
            .scenes()
            .map(|scene| match scene {
                Scene::Layers(scene) => screen(scene, 80, 20, Language::En),
                other => panic!("{other:?}"),
            })
            .collect();
        for line in [
            "upper is empty",
            "*note-1                             12 B new ─────────────────▶ 12 B",
            "*database       1.0 MiB ──────────▶ 1.0 MiB copied up ────────▶ 1.0 MiB",
            "1,048,576 bytes",
            "one byte written, nothing copied",
            "*application    24 KiB ───────────┤ whiteout c 0:0              gone",
            "note-1 was in upper only",
            "*lib/           directory ────────┤ opaque directory ─────────▶ directory",
            "overlay.opaque=y",
            "container 1: 1.0 MiB",
            "container 2: 0 B",
            "all are undone",
        ] {
            assert!(seen.contains(line), "{line}");
        }
    }
}
