//! What the textbook says, and what was measured.

pub use crate::claim::{Claim, Conclusion};

use crate::{Comparison, lesson};

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
    use crate::{Records, example, metric};

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
        set(&mut records, metric::STARTUP_COLD_FIRST_BYTE, "microvm", 5e6);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::InDirection));
        set(&mut records, metric::STARTUP_COLD_FIRST_BYTE, "microvm", 120e9);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::Holds));
    }

    #[test]
    fn half_the_speed_lost_is_the_textbooks() {
        let mut records = example::records();
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::NotWhatWeMeasured));
        set(&mut records, metric::COMPUTE_SPIN, "microvm", 2.9);
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::Holds));
    }

    #[test]
    fn few_instances_show_nothing_about_density() {
        let mut records = example::records();
        assert_eq!(conclusion(&records, "hundreds"), Some(Conclusion::NotWhatWeMeasured));
        set(&mut records, metric::DENSITY_COUNT, "microvm", 24.0);
        set(&mut records, metric::DENSITY_COUNT, "container", 24.0);
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
