//! What the textbook says, and what was measured.

use crate::{
    Comparison,
    comparison::{Evidence, Missing},
    lesson,
};

/// A claim of the textbook beside the measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What it is about.
    pub subject: &'static str,
    /// What the textbook says.
    pub claim: &'static str,
    /// What was measured; empty if nothing was.
    pub measured: String,
    /// Whether that is the same, or what is missing to tell.
    pub conclusion: Evidence<Conclusion>,
    /// What has to be known to read the two side by side; empty if nothing.
    pub note: &'static str,
}

/// What complete data say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// As the textbook says.
    Holds,
    /// The order is right, the size is not.
    InDirection,
    /// Something else was measured.
    NotWhatWeMeasured,
}

impl Conclusion {
    pub(crate) fn holds_if(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::NotWhatWeMeasured }
    }
}

impl Claim {
    /// The conclusion, if this run allows one.
    pub fn concluded(&self) -> Option<Conclusion> {
        self.conclusion.get().ok().copied()
    }

    /// The verdict in words.
    pub fn verdict(&self) -> &'static str {
        match self.concluded() {
            Some(Conclusion::Holds) => "holds",
            Some(Conclusion::InDirection) => "holds in direction, not in size",
            Some(Conclusion::NotWhatWeMeasured) => "not what we measured",
            None => "this run cannot tell",
        }
    }

    /// What is missing for a verdict, if anything is, and what was measured.
    pub fn basis(&self) -> String {
        match self.conclusion.get().map_err(Missing::words) {
            Ok(_) => self.measured.clone(),
            Err(missing) if self.measured.is_empty() => format!("missing: {missing}"),
            Err(missing) => format!("missing: {missing}; measured: {}", self.measured),
        }
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

    fn conclusion(records: &Records, claim: &str) -> Option<Conclusion> {
        let claims = claims(&Comparison::of(records));
        claims.iter().find(|c| c.claim.contains(claim)).unwrap().concluded()
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
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::NotWhatWeMeasured));
        set(&mut records, "startup.cold.first_byte", "microvm", 5e6);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::InDirection));
        set(&mut records, "startup.cold.first_byte", "microvm", 120e9);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::Holds));
    }

    #[test]
    fn half_the_speed_lost_is_the_textbooks() {
        let mut records = example::records();
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::NotWhatWeMeasured));
        set(&mut records, "compute.spin", "microvm", 2.9);
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::Holds));
    }

    #[test]
    fn few_instances_show_nothing_about_density() {
        let mut records = example::records();
        assert_eq!(conclusion(&records, "hundreds"), Some(Conclusion::NotWhatWeMeasured));
        set(&mut records, "density.count", "microvm", 24.0);
        set(&mut records, "density.count", "container", 24.0);
        assert_eq!(conclusion(&records, "hundreds"), None);
    }

    #[test]
    fn slices_of_a_tenth_hold_only_for_real_time_programs() {
        let records = example::records();
        assert_eq!(conclusion(&records, "ten tenths"), Some(Conclusion::InDirection));
        assert_eq!(conclusion(&records, "as they are told"), Some(Conclusion::Holds));
    }

    #[test]
    fn without_measurements_no_claim_is_judged() {
        let records = Records { series: vec![], probes: vec![], ..example::records() };
        let claims = claims(&Comparison::of(&records));
        assert!(claims.iter().all(|claim| claim.concluded().is_none()));
    }
}
