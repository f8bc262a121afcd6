//! A sheet to draw on, in pixels, with the few strokes that the charts need.

use plotters::{
    backend::SVGBackend,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle, Text},
    style::{
        Color, FontStyle, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::colours::{Ink, classed};

/// Why a stroke could not be drawn.
pub(crate) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// The size of most text, and of titles. Readable from the last row where the page fills a wall.
pub(crate) const TEXT: i32 = 14;
pub(crate) const TITLE: i32 = 15;

/// A finished drawing.
pub(crate) struct Canvas {
    svg: String,
    size: (u32, u32),
}

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Held {
    Left,
    Middle,
    Right,
}

/// A sheet that is being drawn on.
pub(crate) struct Pen<'a> {
    area: DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
}

impl Canvas {
    /// A sheet of that size, with what `draw` draws on it.
    pub(crate) fn drawn(
        size: (u32, u32),
        draw: impl FnOnce(&Pen) -> Result<(), DrawError>,
    ) -> Result<Self, DrawError> {
        let mut svg = String::new();
        let pen = Pen { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
        draw(&pen)?;
        pen.area.present()?;
        drop(pen);
        Ok(Self { svg, size })
    }

    /// The SVG to put into a page, with a title and a description.
    pub(crate) fn svg(&self, title: &str, description: &str) -> String {
        let (width, height) = self.size;
        let body = self.svg.split_once('>').map_or("", |(_, body)| body);
        format!(
            "<svg role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\"><title>{}</title><desc>{}</desc>{}",
            crate::html::escaped(title),
            crate::html::escaped(description),
            classed(body.trim_start()),
        )
    }
}

impl Pen<'_> {
    /// Text whose vertical middle is at `y`.
    pub(crate) fn text(
        &self,
        text: &str,
        (x, y): (i32, i32),
        held: Held,
        ink: Ink,
    ) -> Result<(), DrawError> {
        self.write(text, (x, y), held, ink, TEXT, FontStyle::Normal)
    }

    /// A title.
    pub(crate) fn title(&self, text: &str, at: (i32, i32)) -> Result<(), DrawError> {
        self.write(text, at, Held::Left, Ink::Text, TITLE, FontStyle::Bold)
    }

    fn write(
        &self,
        text: &str,
        at: (i32, i32),
        held: Held,
        ink: Ink,
        size: i32,
        style: FontStyle,
    ) -> Result<(), DrawError> {
        let horizontal = match held {
            Held::Left => HPos::Left,
            Held::Middle => HPos::Center,
            Held::Right => HPos::Right,
        };
        // A control character would make the file unreadable as XML.
        let text: String =
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let colour = ink.number();
        // The backend divides the size by 1.24, the height of a line.
        let font = TextStyle::from(("sans-serif", f64::from(size) * 1.24, style))
            .color(&colour)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area.draw(&Text::new(text, at, font))
    }

    /// A straight line.
    pub(crate) fn line(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        width: u32,
        ink: Ink,
    ) -> Result<(), DrawError> {
        let style: ShapeStyle = ink.number().stroke_width(width);
        self.area.draw(&PathElement::new([from, to], style))
    }

    /// A filled rectangle between two corners.
    pub(crate) fn bar(&self, from: (i32, i32), to: (i32, i32), ink: Ink) -> Result<(), DrawError> {
        self.area.draw(&Rectangle::new([from, to], ink.number().filled()))
    }

    /// A dot of a cloud.
    pub(crate) fn dot(&self, at: (i32, i32), ink: Ink) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(at, 3, ink.number().filled()))
    }
}

/// About how wide a text is; a little more than it will be in any usual font.
pub(crate) fn text_width(text: &str) -> i32 {
    let narrow = |c: char| matches!(c, ' ' | '.' | ',' | 'i' | 'l' | 't' | 'f' | '1');
    let tenths: i32 = text.chars().map(|c| if narrow(c) { 45 } else { 63 }).sum();
    tenths * TEXT / 100 + 1
}

/// `text` cut so that it fits into `width`.
pub(crate) fn fitting(text: &str, width: i32) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.to_owned();
    while !short.is_empty() && text_width(&short) + text_width("…") > width {
        short.pop();
    }
    short + "…"
}
