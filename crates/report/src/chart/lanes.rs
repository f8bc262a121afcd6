//! Who ran when: one lane for each program that shared a processor.

use crate::{Lane, ScheduleTrace, Unit, format::human, metric, statistics::median};

use super::{
    Drawing,
    axis::Axis,
    canvas::{Anchor, Canvas, fitting, text_width},
    colours::Colour,
};

const LANE_HEIGHT: i32 = 24;
const TOP: i32 = 4;
const AXIS_HEIGHT: i32 = 30;
/// Narrower stretches look like a grey field; then only the beginning is drawn.
const NARROWEST_STRETCH: f64 = 5.0;

/// The heading of a trace.
pub(super) fn title(trace: &ScheduleTrace, width: u32) -> String {
    let what = match trace.metric.as_str() {
        metric::SLICES_QUOTA10 => "a quota of 10 %",
        metric::SLICES_QUOTA50 => "a quota of 50 %",
        metric::TRACE_WEIGHTS => "weights 1, 2 and 4",
        metric::TRACE_ROUND_ROBIN => "ten SCHED_RR programs",
        metric::TRACE_NORMAL => "ten normal programs",
        other => other,
    };
    let whole = shown(trace, width as i32) == trace.length_nanoseconds;
    format!("Who ran when: {what}{}", if whole { "" } else { " (the beginning, magnified)" })
}

/// One lane a program, from the beginning of the trace.
pub(super) fn draw(trace: &ScheduleTrace, width: u32) -> Drawing {
    if trace.lanes.iter().all(|lane| lane.running.is_empty()) {
        return Ok(None);
    }
    let width = width as i32;
    let labels = trace.lanes.iter().map(|lane| text_width(&lane.label)).max().unwrap_or(0);
    let pixels = (labels.min(110) + 12, width - 28);
    let shown = shown(trace, pixels.1 - pixels.0);
    let axis = Axis::from_zero(shown as f64, Unit::Nanoseconds, pixels);
    // A cgroup's limits are those of a container; the others are plain processes.
    let plain = [metric::TRACE_ROUND_ROBIN, metric::TRACE_NORMAL].contains(&trace.metric.as_str());
    let colour = Colour::Sandbox(usize::from(!plain));
    let bottom = TOP + LANE_HEIGHT * trace.lanes.len() as i32;
    let canvas = Canvas::drawn((width as u32, (bottom + AXIS_HEIGHT) as u32), |surface| {
        axis.draw(surface, TOP, bottom)?;
        for (index, lane) in trace.lanes.iter().enumerate() {
            let y = TOP + LANE_HEIGHT * index as i32 + LANE_HEIGHT / 2;
            surface.text(&fitting(&lane.label, 110), (0, y), Anchor::Left, Colour::Muted)?;
            surface.line((pixels.0, y), (pixels.1, y), 1, Colour::Grid)?;
            for (left, right) in bars(lane, &axis, shown) {
                surface.bar((left, y - 8), (right, y + 8), colour)?;
            }
        }
        Ok(())
    })?;
    let mut description: Vec<String> = trace.lanes.iter().map(describe).collect();
    if shown < trace.length_nanoseconds {
        description.push(format!(
            "The picture shows the first {} of {}.",
            human(shown as f64, Unit::Nanoseconds),
            human(trace.length_nanoseconds as f64, Unit::Nanoseconds)
        ));
    }
    Ok(Some((canvas, description.join(" "))))
}

/// How much of the trace is drawn, so that a usual stretch can be seen.
fn shown(trace: &ScheduleTrace, pixels: i32) -> u64 {
    let stretches = trace.lanes.iter().flat_map(|lane| &lane.running);
    let lengths: Vec<f64> = stretches.map(|(first, last)| (last - first) as f64).collect();
    let usual = median(&lengths).unwrap_or(0.0).max(1.0);
    let most = usual * f64::from(pixels) / NARROWEST_STRETCH;
    if most >= trace.length_nanoseconds as f64 { trace.length_nanoseconds } else { most as u64 }
}

/// The stretches in pixels; those that touch there are drawn as one.
fn bars(lane: &Lane, axis: &Axis, shown: u64) -> Vec<(i32, i32)> {
    let mut running = lane.running.clone();
    running.sort_unstable();
    let mut bars: Vec<(i32, i32)> = Vec::new();
    for (first, last) in running.into_iter().filter(|&(first, _)| first < shown) {
        let left = axis.pixel(first as f64);
        let right = axis.pixel(last.min(shown) as f64).max(left + 1);
        match bars.last_mut() {
            Some(before) if left <= before.1 => before.1 = before.1.max(right),
            _ => bars.push((left, right)),
        }
    }
    bars
}

fn describe(lane: &Lane) -> String {
    let total: u64 =
        lane.running.iter().map(|(first, last)| last - first).fold(0, u64::saturating_add);
    let total = human(total as f64, Unit::Nanoseconds);
    format!("{}: {total} in {} stretches.", lane.label, lane.running.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(running: Vec<(u64, u64)>, length_nanoseconds: u64) -> ScheduleTrace {
        let lane = Lane { label: "a".into(), running };
        ScheduleTrace { metric: metric::TRACE_NORMAL.into(), lanes: vec![lane], length_nanoseconds }
    }

    #[test]
    fn long_slices_are_shown_in_full_and_short_ones_magnified() {
        let long = trace(vec![(0, 100_000_000)], 1_000_000_000);
        assert_eq!(shown(&long, 600), 1_000_000_000);
        let short = trace(vec![(0, 1_000_000)], 1_000_000_000);
        assert_eq!(shown(&short, 600), 120_000_000);
    }

    #[test]
    fn a_million_stretches_become_few_bars() {
        let many = trace((0..1_000_000).map(|i| (i * 2, i * 2 + 1)).collect(), 2_000_000);
        let axis = Axis::from_zero(2_000_000.0, Unit::Nanoseconds, (0, 600));
        assert!(bars(&many.lanes[0], &axis, 2_000_000).len() <= 300);
    }
}
