//! A drawing in pixels, with the few shapes that the charts need.

use plotters::{
    backend::SVGBackend,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle, Text},
    style::{
        Color, FontStyle, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::colours::{Colour, classed};

/// Why a shape could not be drawn.
pub(crate) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// The size of most text, and of titles. Readable from the last row where the page fills a wall.
pub(crate) const TEXT: i32 = 14;
pub(crate) const TITLE: i32 = 15;

/// A finished drawing.
pub(crate) struct Canvas {
    svg: String,
    size: (u32, u32),
}

/// Which point of a text its position is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// What a chart is drawn on, in pixels.
pub(crate) struct Surface<'a> {
    area: DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
}

impl Canvas {
    /// A drawing of that size, made by `draw`.
    pub(crate) fn drawn(
        size: (u32, u32),
        draw: impl FnOnce(&Surface) -> Result<(), DrawError>,
    ) -> Result<Self, DrawError> {
        let mut svg = String::new();
        let surface = Surface { area: SVGBackend::with_string(&mut svg, size).into_drawing_area() };
        draw(&surface)?;
        surface.area.present()?;
        drop(surface);
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

impl Surface<'_> {
    /// Text whose vertical middle is at `y`.
    pub(crate) fn text(
        &self,
        text: &str,
        (x, y): (i32, i32),
        anchor: Anchor,
        colour: Colour,
    ) -> Result<(), DrawError> {
        self.write(text, (x, y), anchor, colour, TEXT, FontStyle::Normal)
    }

    /// A title.
    pub(crate) fn title(&self, text: &str, at: (i32, i32)) -> Result<(), DrawError> {
        self.write(text, at, Anchor::Left, Colour::Text, TITLE, FontStyle::Bold)
    }

    fn write(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        colour: Colour,
        size: i32,
        style: FontStyle,
    ) -> Result<(), DrawError> {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // A control character would make the file unreadable as XML.
        let text: String =
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let colour = colour.number();
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
        colour: Colour,
    ) -> Result<(), DrawError> {
        let style: ShapeStyle = colour.number().stroke_width(width);
        self.area.draw(&PathElement::new([from, to], style))
    }

    /// A filled rectangle between two corners.
    pub(crate) fn bar(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: Colour,
    ) -> Result<(), DrawError> {
        self.area.draw(&Rectangle::new([from, to], colour.number().filled()))
    }

    /// A filled mark.
    pub(crate) fn disc(&self, at: (i32, i32), colour: Colour) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(at, 7, colour.number().filled()))
    }

    /// A hollow mark, whose inside hides what is below it.
    pub(crate) fn ring(&self, at: (i32, i32), colour: Colour) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(at, 8, colour.number().filled()))?;
        self.area.draw(&Circle::new(at, 5, Colour::Paper.number().filled()))
    }

    /// A dot of a cloud.
    pub(crate) fn dot(&self, at: (i32, i32), colour: Colour) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(at, 3, colour.number().filled()))
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
