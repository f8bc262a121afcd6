//! A picture of character cells as HTML: what the terminal shows, for the page.

use ratatui::{
    Frame, Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr as _;

/// What `draw` puts on a screen of this size that is not a terminal.
pub(crate) fn drawn((columns, rows): (u16, u16), draw: impl FnOnce(&mut Frame<'_>)) -> TestBackend {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(_) = terminal.draw(draw);
    terminal.backend().clone()
}

/// The classes of the page's style sheet; each theme gives them its own colours.
fn class(colour: Color) -> &'static str {
    match colour {
        Color::Red => "r",
        Color::Green => "g",
        Color::Yellow => "y",
        Color::Blue => "b",
        Color::Magenta => "m",
        Color::Cyan => "c",
        Color::DarkGray | Color::Gray => "d",
        _ => "w",
    }
}

/// The picture, a line of spans for each row.
pub(crate) fn html(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut html = String::new();
    for y in 0..area.height {
        let mut open = None;
        let mut x = 0;
        while x < area.width {
            let cell = &buffer[(x, y)];
            // A Chinese letter is two cells wide; the second of them is not drawn.
            x += cell.symbol().width().max(1) as u16;
            let has = |modifier| cell.modifier.contains(modifier);
            let style = (class(cell.fg), has(Modifier::BOLD), has(Modifier::REVERSED));
            if open != Some(style) {
                if open.is_some() {
                    html += "</span>";
                }
                let bold = if style.1 { " s" } else { "" };
                let inverse = if style.2 { " i" } else { "" };
                html += &format!("<span class=\"{}{bold}{inverse}\">", style.0);
                open = Some(style);
            }
            let letter = report::html::escaped(cell.symbol());
            // Not every browser has a font in which it is exactly so wide.
            html += &if cell.symbol().width() == 2 { format!("<i>{letter}</i>") } else { letter };
        }
        if open.is_some() {
            html += "</span>";
        }
        html.push('\n');
    }
    html
}

#[cfg(test)]
mod tests {
    use ratatui::{layout::Rect, style::Style};

    use super::*;

    #[test]
    fn letters_of_html_are_quoted_and_colours_are_classes() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        buffer.set_string(0, 0, "<b>", Style::new().fg(Color::Red));
        assert_eq!(html(&buffer), "<span class=\"r\">&lt;b&gt;</span><span class=\"w\"> </span>\n");
    }

    #[test]
    fn a_wide_letter_takes_the_place_of_two() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 1));
        buffer.set_string(0, 0, "一秒x", Style::new());
        assert_eq!(html(&buffer), "<span class=\"w\"><i>一</i><i>秒</i>x</span>\n");
    }
}
