//! What the lesson says of CPU time.

use super::{Median, NANOSECONDS_PER_SECOND, lies_within, measured, value};
use crate::{
    Comparison, Unit,
    claim::{Claim, Conclusion},
    comparison::{BASE, Evidence},
    metric,
};

pub(crate) fn tenths(comparison: &Comparison) -> Claim {
    let slices = [metric::SLICES_RR_SLICE, metric::SLICES_NORMAL_SLICE];
    let [real_time, normal] = slices.map(|metric| comparison.median(metric, BASE));
    let tenth = (0.08 * NANOSECONDS_PER_SECOND, 0.12 * NANOSECONDS_PER_SECOND);
    let [of_real_time, of_normal] =
        slices.map(|metric| lies_within(comparison.range(metric, BASE), tenth, ("one turn", BASE)));
    Claim {
        subject: "CPU time",
        claim: "one second is cut into ten tenths, one for each of ten programs",
        measured: measured([
            (&real_time, format!("{} a turn under SCHED_RR", value(&real_time, Unit::Nanoseconds))),
            (&normal, format!("{} for normal programs", value(&normal, Unit::Nanoseconds))),
        ]),
        distance: match normal.get() {
            Ok(_) => format!("pieces of {} for normal programs", value(&normal, Unit::Nanoseconds)),
            Err(_) => String::new(),
        },
        conclusion: of_real_time.and(of_normal).map(|(real_time, normal)| {
            match (real_time, normal) {
                (_, true) => Conclusion::Holds,
                (true, _) => Conclusion::InDirection,
                _ => Conclusion::Otherwise,
            }
        }),
        note: "Literally so for SCHED_RR, whose turn is 100 ms. Normal programs get the same \
               tenth of the time in much smaller pieces.",
    }
}

pub(crate) fn without_cgroups(comparison: &Comparison) -> Claim {
    // That there are slices without a cgroup is shown by the one time that there were.
    let slice = comparison.median(metric::SLICES_NORMAL_SLICE, BASE);
    Claim {
        subject: "CPU time",
        claim: "there are slices because of cgroups",
        measured: measured([(
            &slice,
            format!("ten plain processes take turns of {}", value(&slice, Unit::Nanoseconds)),
        )]),
        distance: "ten plain processes have slices too".to_owned(),
        conclusion: slice.map(|_| Conclusion::Otherwise),
        note: "The scheduler cuts the time of whatever wants to run. A cgroup says how much of it \
               each group gets, and how much at most.",
    }
}

pub(crate) fn throughput(comparison: &Comparison) -> Claim {
    // The work of ten against that of one, or else what ten programs had of the CPU together.
    let work = comparison.median(metric::SLICES_TOGETHER, BASE).map(|(part, _)| part);
    let shares = comparison.sum_of_ten(metric::SLICES_NORMAL_SHARE, BASE);
    let by_work = work.get().is_ok();
    let (together, range) = match by_work {
        true => (work, comparison.range(metric::SLICES_TOGETHER, BASE)),
        false => (shares, comparison.range_of_ten(metric::SLICES_NORMAL_SHARE, BASE)),
    };
    let text = together.get().map_or(String::new(), |part| format!("{part:.2}"));
    Claim {
        subject: "CPU time",
        claim: "one task then, ten tasks now",
        measured: match (text.as_str(), by_work) {
            ("", _) => String::new(),
            (text, true) => format!("ten programs together do {text} of the work of one"),
            (text, false) => format!("ten programs together had {text} of one CPU"),
        },
        distance: format!("ten tasks, each a tenth as fast: together {text} of one"),
        conclusion: range.map(|range| Conclusion::holds_if(range.low >= 9.0)),
        note: "Slices let ten tasks go on at once; they do not make the CPU do more.",
    }
}

pub(crate) fn shared_out(comparison: &Comparison) -> Claim {
    // The sandbox that keeps limits.
    let shares = [
        (metric::SLICES_QUOTA10, 0.1),
        (metric::SLICES_QUOTA50, 0.5),
        (metric::SLICES_WEIGHT1, 1.0 / 7.0),
        (metric::SLICES_WEIGHT2, 2.0 / 7.0),
        (metric::SLICES_WEIGHT4, 4.0 / 7.0),
    ];
    let text = |(share, asked): &(Median, f64)| {
        let share = share.get().map_or(String::new(), |(share, _)| format!("{:.1}", share * 100.0));
        format!("{share} of {:.1}\u{a0}%", asked * 100.0)
    };
    let kept = shares.map(|(metric, asked)| {
        let range = comparison.range(metric, "container");
        lies_within(range, (asked * 0.85, asked * 1.15), ("share", "container"))
    });
    let shares = shares.map(|(metric, asked)| (comparison.median(metric, "container"), asked));
    Claim {
        subject: "CPU time",
        claim: "cgroups share it out as they are told",
        measured: measured(shares.iter().map(|share| (&share.0, text(share)))),
        distance: "other shares than were asked for".to_owned(),
        conclusion: Evidence::all(kept)
            .map(|kept| Conclusion::holds_if(kept.iter().all(|kept| *kept))),
        note: "Measured share of the share that was asked for: quotas of 10 and 50 %, weights 1:2:4.",
    }
}
