//! A curve over the number of instances that are alive: one for each sandbox.

use std::collections::BTreeMap;

use crate::{Unit, comparison::Curve, format::human, spelling, statistics::median};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, text_width},
    colours::Colour,
};

const LEGEND_HEIGHT: i32 = 26;
const HEIGHT: i32 = 220;
const AXIS_HEIGHT: i32 = 32;

/// Medians of all processes, joined by lines; both axes begin at nothing.
pub(super) fn draw(curves: &[Curve], unit: Unit, width: u32) -> Drawing {
    let joined: Vec<_> =
        curves.iter().map(|curve| (curve.column, curve.sandbox, points(curve))).collect();
    let all = || joined.iter().flat_map(|(.., points)| points);
    let most = all().map(|(alive, _)| *alive).max().unwrap_or(0);
    let (low, high) = all()
        .fold((0.0_f64, 0.0_f64), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
    if most == 0 || high <= low {
        return Ok(None);
    }
    let left = [low, high].map(|value| text_width(&human(value, unit))).into_iter().max();
    let pixels = (left.unwrap_or(0) + 12, width as i32 - 24);
    let across = Axis::from_zero(f64::from(most), Unit::Count, pixels);
    let bottom = LEGEND_HEIGHT + HEIGHT;
    let up = |value: f64| bottom - ((value - low) / (high - low) * f64::from(HEIGHT)) as i32;
    let canvas = Canvas::drawn((width, (bottom + AXIS_HEIGHT) as u32), |surface| {
        let mut x = 0;
        for (column, sandbox, _) in &joined {
            let (name, y) = (spelling::name(sandbox), LEGEND_HEIGHT / 2);
            surface.bar((x, y - 2), (x + 14, y + 2), Colour::Sandbox(*column))?;
            surface.text(name, (x + 20, y), Anchor::Left, Colour::Text)?;
            x += 20 + text_width(name) + 16;
        }
        across.draw(surface, LEGEND_HEIGHT, bottom)?;
        for value in [low, low + (high - low) / 2.0, high] {
            let y = up(value);
            surface.line((pixels.0, y), (pixels.1, y), 1, Colour::Grid)?;
            surface.text(&human(value, unit), (pixels.0 - 8, y), Anchor::Right, Colour::Muted)?;
        }
        for (column, _, points) in &joined {
            let at = |(alive, value): (u32, f64)| (across.pixel(f64::from(alive)), up(value));
            for pair in points.windows(2) {
                surface.line(at(pair[0]), at(pair[1]), 2, Colour::Sandbox(*column))?;
            }
        }
        Ok(())
    })?;
    let words = joined.iter().filter_map(|(_, sandbox, points)| {
        let (alive, value) = points.last()?;
        Some(format!("{}: {} with {alive} alive.", spelling::name(sandbox), human(*value, unit)))
    });
    Ok(Some((canvas, words.collect::<Vec<_>>().join(" "))))
}

/// The median of each number of instances.
fn points(curve: &Curve) -> Vec<(u32, f64)> {
    let mut rounds = BTreeMap::<u32, Vec<f64>>::new();
    for sample in curve.samples {
        rounds.entry(sample.round).or_default().push(sample.value);
    }
    rounds.into_iter().filter_map(|(round, values)| Some((round, median(&values)?))).collect()
}
