//! What the textbook says, and what was measured.

use crate::{Comparison, lesson};

/// A claim of the textbook beside the measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What it is about.
    pub subject: &'static str,
    /// What the textbook says.
    pub claim: &'static str,
    /// What was measured.
    pub measured: String,
    /// Whether that is the same.
    pub holding: Holding,
    /// What has to be known to read the two side by side; empty if nothing.
    pub note: &'static str,
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// As the textbook says.
    Holds,
    /// The order is right, the size is not.
    InDirection,
    /// Something else was measured.
    NotWhatWeMeasured,
    /// This run cannot tell.
    CannotTell,
}

impl Holding {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InDirection => "holds in direction, not in size",
            Self::NotWhatWeMeasured => "not what we measured",
            Self::CannotTell => "this run cannot tell",
        }
    }

    pub(crate) fn holds_if(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::NotWhatWeMeasured }
    }
}

/// All claims, in the order of the lesson.
pub fn claims(comparison: &Comparison) -> Vec<Claim> {
    let all: [fn(&Comparison) -> Claim; 9] = [
        lesson::container_startup,
        lesson::microvm_startup,
        lesson::container_speed,
        lesson::microvm_speed,
        lesson::disk,
        lesson::density,
        lesson::isolation,
        lesson::tenths,
        lesson::shared_out,
    ];
    all.iter().map(|claim| claim(comparison)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Records, example};

    fn holding(records: &Records, claim: &str) -> Holding {
        let claims = claims(&Comparison::of(records));
        claims.iter().find(|c| c.claim.contains(claim)).unwrap().holding
    }

    fn set(records: &mut Records, metric: &str, sandbox: &str, value: f64) {
        let series = records.series.iter_mut();
        for series in series.filter(|s| s.metric == metric && s.sandbox == sandbox) {
            series.samples.iter_mut().for_each(|sample| sample.value = value);
        }
    }

    #[test]
    fn a_machine_that_boots_in_two_minutes_is_the_textbooks() {
        let mut records = example::records();
        assert_eq!(holding(&records, "starts in minutes"), Holding::NotWhatWeMeasured);
        set(&mut records, "startup.cold.first_byte", "microvm", 5e6);
        assert_eq!(holding(&records, "starts in minutes"), Holding::InDirection);
        set(&mut records, "startup.cold.first_byte", "microvm", 120e9);
        assert_eq!(holding(&records, "starts in minutes"), Holding::Holds);
    }

    #[test]
    fn half_the_speed_lost_is_the_textbooks() {
        let mut records = example::records();
        assert_eq!(holding(&records, "about half"), Holding::NotWhatWeMeasured);
        set(&mut records, "compute.spin", "microvm", 2.9);
        assert_eq!(holding(&records, "about half"), Holding::Holds);
    }

    #[test]
    fn few_instances_show_nothing_about_density() {
        let mut records = example::records();
        assert_eq!(holding(&records, "hundreds"), Holding::NotWhatWeMeasured);
        set(&mut records, "density.count", "microvm", 24.0);
        set(&mut records, "density.count", "container", 24.0);
        assert_eq!(holding(&records, "hundreds"), Holding::CannotTell);
    }

    #[test]
    fn slices_of_a_tenth_hold_only_for_real_time_programs() {
        let records = example::records();
        assert_eq!(holding(&records, "ten tenths"), Holding::InDirection);
        assert_eq!(holding(&records, "as they are told"), Holding::Holds);
    }

    #[test]
    fn without_measurements_no_claim_is_judged() {
        let records = Records { series: vec![], probes: vec![], ..example::records() };
        let claims = claims(&Comparison::of(&records));
        assert!(claims.iter().all(|claim| claim.holding == Holding::CannotTell));
    }
}
