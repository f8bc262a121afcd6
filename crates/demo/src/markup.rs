//! HTML and SVG for the page. Every text is escaped here, so no scene can bring its own markup.
//!
//! Drawings have no size of their own: what is along an axis is placed in percent, and the style
//! sheet of the page stretches it to the room that there is.

use ratatui::{
    style::{Color, Modifier},
    text::{Line, Span},
};
use report::html::escaped;

use crate::{Language, script::Words};

/// The width of a picture in which no line is broken: the page breaks them itself.
pub(crate) const WHOLE: usize = 1 << 16;

/// The class of a colour, for letters and for what is drawn; each theme gives it its own value.
pub(crate) fn class(colour: Color) -> &'static str {
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

/// An element around markup.
pub(crate) fn element(name: &str, class: &str, inner: &str) -> String {
    match class {
        "" => format!("<{name}>{inner}</{name}>"),
        class => format!("<{name} class=\"{class}\">{inner}</{name}>"),
    }
}

/// An element around a text.
pub(crate) fn text(name: &str, class: &str, text: &str) -> String {
    element(name, class, &escaped(text))
}

/// What happened last: the page reads it out when it changes.
pub(crate) fn status(class: &str, text: &str) -> String {
    format!("<p class=\"status {class}\" data-status>{}</p>", escaped(text))
}

/// A line of a terminal's picture, span by span.
pub(crate) fn line(line: &Line<'_>) -> String {
    let span = |span: &Span<'_>| {
        let bold = if span.style.add_modifier.contains(Modifier::BOLD) { " s" } else { "" };
        text(
            "span",
            &format!("{}{bold}", class(span.style.fg.unwrap_or(Color::Reset))),
            &span.content,
        )
    };
    line.spans.iter().map(span).collect()
}

/// Such lines, a paragraph each.
pub(crate) fn paragraphs(class: &str, lines: &[Line<'_>]) -> String {
    lines.iter().map(|it| element("p", class, &line(it))).collect()
}

/// A row of a table; each cell is whole markup.
pub(crate) fn row(cells: &[String]) -> String {
    element("tr", "", &cells.concat())
}

/// A table with the class `class`, of rows that are whole markup.
pub(crate) fn table(class: &str, head: &str, body: &str) -> String {
    let head = element("thead", "", head);
    element("table", class, &(head + &element("tbody", "", body)))
}

/// A bar along an axis from 0 to 1, in an SVG that is as wide and as high as its room.
pub(crate) struct Bar {
    label: String,
    parts: String,
}

impl Bar {
    /// An empty one; `label` says in words what is drawn.
    pub(crate) fn new(label: &str) -> Self {
        Self { label: escaped(label), parts: String::new() }
    }

    /// Lines across at each of so many equal parts.
    pub(crate) fn grid(mut self, parts: u32) -> Self {
        for number in 0..=parts {
            let at = percent(f64::from(number) / f64::from(parts.max(1)));
            self.parts +=
                &format!("<line class=\"grid\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"100%\"/>");
        }
        self
    }

    /// A part from here to there over the whole height.
    pub(crate) fn part(self, class: &str, from: f64, to: f64) -> Self {
        self.block(class, (from, to), (0.0, 1.0))
    }

    /// A part from here to there, and from one height to another, both from 0 to 1; 0 is the top.
    pub(crate) fn block(
        mut self,
        class: &str,
        (from, to): (f64, f64),
        (top, bottom): (f64, f64),
    ) -> Self {
        let (from, to) = (from.clamp(0.0, 1.0), to.clamp(0.0, 1.0));
        if from < to && top < bottom {
            let [x, width, y, height] = [from, to - from, top, bottom - top].map(percent);
            self.parts += &format!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
            );
        }
        self
    }

    /// A thin line at its beginning: even what is too short to be drawn has begun.
    pub(crate) fn start(mut self) -> Self {
        self.parts += "<rect class=\"w\" x=\"0\" width=\"3\" height=\"100%\"/>";
        self
    }

    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let Self { label, parts } = self;
        format!("<svg class=\"bar\" role=\"img\" aria-label=\"{label}\">{parts}</svg>")
    }
}

/// A number from 0 to 1 as SVG has it, to a thousandth of a percent.
fn percent(part: f64) -> String {
    let text = format!("{:.3}", part * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The scale over bars, with its marks at equal distances.
pub(crate) fn scale(marks: &[String]) -> String {
    let marks: String = marks.iter().map(|mark| text("span", "", mark)).collect();
    element("div", "scale", &marks)
}

/// A sample of a class of parts of bars, before its name.
pub(crate) fn swatch(class: &str) -> String {
    format!(
        "<svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"100%\" height=\"100%\"/></svg>"
    )
}

/// What the parts of bars mean.
pub(crate) fn legend(parts: &[(&str, Words)], language: Language) -> String {
    let part = |(class, words): &(&str, Words)| {
        element("li", "", &(swatch(class) + &escaped(words.of(language))))
    };
    element("ul", "legend", &parts.iter().map(part).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(text("p", "r", "<b>\"&"), "<p class=\"r\">&lt;b&gt;&quot;&amp;</p>");
        assert!(Bar::new("\"><script>").svg().contains("&quot;&gt;&lt;script&gt;"));
        assert!(status("", "<i>").contains("&lt;i&gt;"));
    }

    #[test]
    fn a_part_of_a_bar_is_where_it_is_on_the_axis_and_never_beyond() {
        let bar = Bar::new("x").part("c", 0.25, 0.5).part("y", 0.9, 7.0).part("m", 0.5, 0.5);
        let svg = bar.svg();
        assert!(
            svg.contains("<rect class=\"c\" x=\"25%\" y=\"0%\" width=\"25%\" height=\"100%\"/>")
        );
        assert!(
            svg.contains("<rect class=\"y\" x=\"90%\" y=\"0%\" width=\"10%\" height=\"100%\"/>")
        );
        assert!(!svg.contains("class=\"m\""), "{svg}");
    }
}
