//! What the textbook says, and what was measured.

pub use crate::claim::{Claim, Conclusion};

use crate::{Comparison, lesson};

/// All claims, in the order of the lesson.
pub fn claims(comparison: &Comparison) -> Vec<Claim> {
    let all: [fn(&Comparison) -> Claim; 13] = [
        lesson::container_startup,
        lesson::machine_startup,
        lesson::container_speed,
        lesson::microvm_speed,
        lesson::heavy_io,
        lesson::disk,
        lesson::memory,
        lesson::density,
        lesson::isolation,
        lesson::tenths,
        lesson::without_cgroups,
        lesson::throughput,
        lesson::shared_out,
    ];
    all.iter().map(|claim| claim(comparison)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Records, example, metric};

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
        let boot = |records: &mut Records, time| {
            set(records, metric::LINUX_FIRST_BYTE, "linux", time);
        };
        boot(&mut records, 1e6);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::Otherwise));
        boot(&mut records, 5e8);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::InDirection));
        let words = claims(&Comparison::of(&records))[1].verdict();
        assert_eq!(words, "holds in direction; measured: 120 times faster than a minute");
        boot(&mut records, 120e9);
        assert_eq!(conclusion(&records, "starts in minutes"), Some(Conclusion::Holds));
    }

    #[test]
    fn a_machine_that_boots_a_distribution_is_judged_by_its_login_prompt() {
        let mut records = example::with_logins(example::records());
        let login = |records: &mut Records, time| {
            set(records, metric::STARTUP_LOGIN, "qemu-kvm-login", time);
        };
        let claim = |records: &Records| claims(&Comparison::of(records)).swap_remove(1);
        login(&mut records, 4e9);
        let found = claim(&records);
        assert_eq!(found.verdict(), "holds in direction; measured: 15 times faster than a minute");
        for words in [
            "QEMU/KVM 4.00\u{a0}s to the login prompt of a distribution",
            "to the login prompt of a distribution, emulated",
            "a container 3",
            "a Linux guest",
        ] {
            assert!(found.measured.contains(words), "{words}: {found:?}");
        }
        login(&mut records, 120e9);
        assert_eq!(claim(&records).concluded(), Some(Conclusion::Holds));
        login(&mut records, 1e6);
        assert_eq!(claim(&records).concluded(), Some(Conclusion::Otherwise));
    }

    #[test]
    fn an_emulated_machine_is_shown_and_never_judged_as_a_real_one() {
        let mut records = example::with_logins(example::records());
        let emulated = |series: &crate::Series| series.sandbox == "qemu-tcg-login";
        records.series.retain(|series| emulated(series) || series.sandbox != "qemu-kvm-login");
        let claim = |records: &Records| claims(&Comparison::of(records)).swap_remove(1);
        set(&mut records, metric::STARTUP_LOGIN, "qemu-tcg-login", 120e9);
        // The guest of a real machine decides, whatever the emulated one takes.
        assert_eq!(claim(&records).concluded(), Some(Conclusion::InDirection));
        records.series.retain(|series| series.sandbox != "linux");
        let alone = claim(&records);
        assert_eq!(alone.concluded(), None);
        assert!(alone.measured.contains("QEMU/TCG 120\u{a0}s to the login prompt"), "{alone:?}");
        // One that starts the program is judged for want of another, and the verdict says so.
        let series = records.series.iter();
        let cold = |it: &&crate::Series| {
            it.metric == metric::STARTUP_COLD_FIRST_BYTE && it.sandbox == "container"
        };
        let mut hello = series.clone().find(cold).unwrap().clone();
        hello.sandbox = "qemu-tcg".into();
        records.series.push(hello);
        set(&mut records, metric::STARTUP_COLD_FIRST_BYTE, "qemu-tcg", 2e9);
        let verdict = claim(&records).verdict();
        assert!(verdict.ends_with("30 times faster than a minute, emulated"), "{verdict}");
    }

    #[test]
    fn a_microvm_without_a_kernel_is_not_the_textbooks_machine() {
        let mut records = example::records();
        records.series.retain(|series| series.sandbox != "linux");
        for claim in ["starts in minutes", "virtual machine GB", "tens of virtual", "fewer"] {
            assert_eq!(conclusion(&records, claim), None, "{claim}");
        }
        let claims = claims(&Comparison::of(&records));
        assert!(claims[1].measured.contains("without a kernel"), "{:?}", claims[1]);
    }

    #[test]
    fn four_processes_are_too_few_and_a_busy_host_is_no_witness() {
        let mut few = example::records();
        few.series.iter_mut().for_each(|it| it.samples.retain(|sample| sample.process < 4));
        let mut busy = example::records();
        let condition = |part: &str| Condition {
            seconds: 1.0,
            part: part.into(),
            steal: Some(0.0),
            cpu_pressure: Some(0.8),
        };
        busy.provenance.conditions = ["startup", "cold", "programs", "linux"].map(condition).into();
        for claim in ["starts in minutes", "in seconds", "native speed", "about half"] {
            assert!(conclusion(&example::records(), claim).is_some(), "{claim}");
            assert_eq!(conclusion(&few, claim), None, "{claim}");
            assert_eq!(conclusion(&busy, claim), None, "{claim}");
        }
        assert!(
            conclusion(&busy, "virtual machine GB").is_some(),
            "a size does not wait for a CPU"
        );
    }

    #[test]
    fn half_the_speed_lost_is_the_textbooks() {
        let mut records = example::records();
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::Otherwise));
        set(&mut records, metric::COMPUTE_SPIN, "microvm", 2.9);
        assert_eq!(conclusion(&records, "about half"), Some(Conclusion::Holds));
    }

    #[test]
    fn a_count_that_the_budget_ended_is_a_lower_bound() {
        let mut records = example::records();
        // At least two hundred machines are not tens.
        assert_eq!(conclusion(&records, "tens of virtual"), Some(Conclusion::Otherwise));
        let alive = |records: &mut Records, machines| {
            set(records, metric::DENSITY_COUNT, "linux", machines);
        };
        alive(&mut records, 24.0);
        assert_eq!(conclusion(&records, "tens of virtual"), None);
        let stopped =
            ("density.stopped.linux".to_owned(), "no more could start: no memory".to_owned());
        records.provenance.host.extend([stopped]);
        assert_eq!(conclusion(&records, "tens of virtual"), Some(Conclusion::Holds));
        set(&mut records, metric::DENSITY_COUNT, "container", 24.0);
        assert_eq!(conclusion(&records, "tens of virtual"), None);
    }

    #[test]
    fn ten_plain_processes_have_slices_and_no_more_of_the_cpu() {
        let records = example::records();
        assert_eq!(conclusion(&records, "because of cgroups"), Some(Conclusion::Otherwise));
        assert_eq!(conclusion(&records, "ten tasks now"), Some(Conclusion::Otherwise));
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
