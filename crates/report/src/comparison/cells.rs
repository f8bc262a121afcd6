//! The cells of a comparison: one metric or one probe in one sandbox.

use std::borrow::Cow;

use crate::{
    Gap, Interval, Probe, Ratio, Sample, Unit, Verdict, catalogue::Better, spelling::prose,
};

/// One metric in all sandboxes.
#[derive(Debug)]
pub struct Row<'a> {
    /// The name of the metric.
    pub metric: &'a str,
    /// What to call it.
    pub title: &'a str,
    /// What it is, in one line; empty if it is not in the catalogue.
    pub explanation: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What it should be, if it was asked for.
    pub expected: Option<f64>,
    /// The unit; `None` if nothing of it was measured.
    pub unit: Option<Unit>,
    /// One for each of [`super::Comparison::sandboxes`].
    pub cells: Vec<Cell<'a>>,
    /// How far apart two measurements of the same thing were, as a ratio of at least 1.
    pub noise_floor: Option<f64>,
    /// The formula, if it was not measured but computed.
    pub derived: Option<&'static str>,
    /// Why a verdict on it would be doubtful: what else the host did.
    pub disturbed: Option<String>,
}

/// One metric in one sandbox.
#[derive(Debug)]
pub enum Cell<'a> {
    /// It was measured.
    Measured(Measured<'a>),
    /// It could not be, with the reason.
    Gap(&'a Gap),
    /// There are samples, and none of them is a number that a measurement gives.
    Unusable,
    /// The records say nothing of it.
    Absent,
}

/// A measured value.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The median of the samples.
    pub median: f64,
    /// Where it lies with 95 % confidence; `None` of fewer than five processes, of a constant, and
    /// of what was derived.
    pub interval: Option<Interval>,
    /// Whether all samples are the same size or count.
    pub constant: bool,
    /// The ratio to the base, and what it shows; `None` for the base itself, and where either of
    /// the two is missing or incomplete.
    pub against_base: Option<(Ratio, Verdict)>,
    /// Why the number is not what it seems.
    pub caveat: Option<&'a str>,
    /// Why there are not more samples, where measuring failed before its end.
    pub incomplete: Option<&'a Gap>,
    /// The samples that are numbers which a measurement gives; never empty.
    pub samples: Cow<'a, [Sample]>,
    /// How many samples are none.
    pub unusable: usize,
}

/// The points of a metric over the number of instances, in one sandbox.
#[derive(Debug)]
pub(crate) struct Curve<'a> {
    /// The sandbox, and its column.
    pub(crate) sandbox: &'a str,
    pub(crate) column: usize,
    /// The round of a sample is how many were alive.
    pub(crate) samples: &'a [Sample],
}

/// What a probe has shown in one sandbox.
#[derive(Debug, Clone, Copy)]
pub enum Look<'a> {
    /// It was made.
    Answered(&'a Probe),
    /// It could not be, with the reason.
    Failed(&'a Gap),
    /// The records say nothing of it.
    Absent,
}

impl<'a> Look<'a> {
    /// Whether the host showed through; `None` if that was not determined.
    pub fn exposed(self) -> Option<bool> {
        if let Look::Answered(probe) = self { Some(probe.exposed) } else { None }
    }

    /// A sign for it, and what was seen, or why nothing was.
    pub(crate) fn words(self) -> (&'static str, Cow<'a, str>) {
        match self {
            Look::Answered(probe) if probe.exposed => ("●", prose(&probe.seen).into()),
            Look::Answered(probe) => ("○", prose(&probe.seen).into()),
            Look::Failed(gap) => ("–", format!("not seen: {}", prose(&gap.reason)).into()),
            Look::Absent => ("–", "not looked at".into()),
        }
    }
}

impl Row<'_> {
    /// The caveat that all its cells have, where there are several.
    pub fn common_caveat(&self) -> Option<&str> {
        let mut caveats =
            self.cells.iter().filter_map(|cell| cell.measured()).map(|cell| cell.caveat);
        let first = caveats.next()??;
        let mut others = caveats.peekable();
        others.peek()?;
        others.all(|caveat| caveat == Some(first)).then_some(first)
    }
}

impl Cell<'_> {
    /// The measured value, if there is one.
    pub fn measured(&self) -> Option<&Measured<'_>> {
        if let Cell::Measured(measured) = self { Some(measured) } else { None }
    }

    /// Why there is no value, or not all of it, and what to do about it; `None` if it is complete.
    pub fn why_not(&self) -> Option<(Cow<'_, str>, &str)> {
        Some(match self {
            Cell::Measured(Measured { incomplete, samples, .. }) => {
                let gap = (*incomplete)?;
                let count = samples.len();
                (
                    format!("measuring ended after {}: {}", counted(count), prose(&gap.reason))
                        .into(),
                    &gap.fix,
                )
            }
            Cell::Gap(gap) => (prose(&gap.reason).into(), &gap.fix),
            Cell::Unusable => ("its samples are not numbers that a measurement gives".into(), ""),
            Cell::Absent => ("this run did not measure it, and does not say why".into(), ""),
        })
    }
}

/// `1 sample`, `2 samples`.
pub(crate) fn counted(samples: usize) -> String {
    format!("{samples} sample{}", if samples == 1 { "" } else { "s" })
}
