//! Colours as classes, so that the reader's choice of light or dark decides.
//!
//! The drawing library writes colours as numbers; each number below stands for a class and is
//! replaced by it afterwards. The hues are those of Okabe and Ito (2008), which people who see few
//! colours can tell apart, darker or lighter as the paper needs it.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What is drawn with a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Titles and numbers.
    Text,
    /// Labels of axes.
    Muted,
    /// Lines to follow with the eye.
    Grid,
    /// What it should be.
    Expected,
    /// A sandbox, by its column.
    Sandbox(usize),
    /// The paper, for what is drawn on something else.
    Paper,
}

const SANDBOXES: usize = 5;

impl Colour {
    /// The number that stands for it in the library's output.
    pub(crate) fn number(self) -> RGBColor {
        let index = |index: usize, count: usize| (index % count) as u8;
        match self {
            Self::Text => RGBColor(1, 0, 0),
            Self::Muted => RGBColor(1, 0, 1),
            Self::Grid => RGBColor(1, 0, 2),
            Self::Expected => RGBColor(1, 0, 3),
            Self::Paper => RGBColor(1, 0, 4),
            Self::Sandbox(column) => RGBColor(1, 1, index(column, SANDBOXES)),
        }
    }

    fn class(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Expected => "expected".to_owned(),
            Self::Paper => "paper".to_owned(),
            Self::Sandbox(column) => format!("s{}", column % SANDBOXES),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [Self::Text, Self::Muted, Self::Grid, Self::Expected, Self::Paper]
            .into_iter()
            .chain((0..SANDBOXES).map(Self::Sandbox))
    }
}

/// The class of a sandbox, for the same colour in tables.
pub(crate) fn class_of(column: usize) -> String {
    Colour::Sandbox(column).class()
}

/// The library's SVG with classes for colours, and each cloud of dots as one path.
pub(crate) fn classed(svg: &str) -> String {
    let mut text = String::with_capacity(svg.len());
    let mut dots: Option<String> = None;
    for line in svg.lines() {
        let dot = (line.starts_with("<circle") && line.contains("r=\"3\"")).then(|| {
            Some((attribute(line, "cx")?, attribute(line, "cy")?, attribute(line, "fill")?))
        });
        if let Some(Some((x, y, fill))) = dot {
            if dots.as_deref() != Some(fill) {
                if dots.is_some() {
                    text.push_str("\"/>\n");
                }
                write!(text, "<path class=\"dots\" stroke=\"{fill}\" d=\"").ok();
                dots = Some(fill.to_owned());
            }
            write!(text, "M{x} {y}h0").ok();
            continue;
        }
        if dots.take().is_some() {
            text.push_str("\"/>\n");
        }
        text.push_str(line);
        text.push('\n');
    }
    for colour in Colour::all() {
        let RGBColor(red, green, blue) = colour.number();
        let number = format!("#{red:02X}{green:02X}{blue:02X}");
        let class = colour.class();
        text = text
            .replace(
                &format!("class=\"dots\" stroke=\"{number}\""),
                &format!("class=\"dots {class}-line\""),
            )
            .replace(&format!("fill=\"{number}\""), &format!("class=\"{class}\""))
            .replace(&format!("stroke=\"{number}\""), &format!("class=\"{class}-line\""));
    }
    text.replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" font-family=\"sans-serif\"", "")
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The classes, for light and dark paper.
pub(crate) const STYLE: &str = include_str!("chart.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_colour() {
        for colour in Colour::all() {
            let class = colour.class();
            assert!(STYLE.contains(&format!(".{class}{{")), "{class}");
            assert!(STYLE.contains(&format!(".{class}-line{{")), "{class}-line");
        }
    }

    #[test]
    fn a_cloud_of_dots_becomes_one_path() {
        let svg = "<circle cx=\"1\" cy=\"2\" r=\"3\" opacity=\"1\" fill=\"#010100\"/>\n\
                   <circle cx=\"4\" cy=\"5\" r=\"3\" opacity=\"1\" fill=\"#010100\"/>\n\
                   <line stroke=\"#010002\"/>";
        assert_eq!(
            classed(svg),
            "<path class=\"dots s0-line\" d=\"M1 2h0M4 5h0\"/>\n<line class=\"grid-line\"/>\n"
        );
    }
}
