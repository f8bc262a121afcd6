//! What somebody says of sandboxes, and what the data say of that.

use report::metric;
use serde::{Deserialize, Serialize};

use crate::Relation;

/// Something said of sandboxes that can be held against data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Claim {
    /// `sandbox` has less or more of `metric` than `base`, by this factor at least; or the same.
    Compares {
        /// What is compared.
        metric: String,
        /// Whose value.
        sandbox: String,
        /// With whose.
        base: String,
        /// How it is said to be.
        relation: Relation,
        /// By how much at least, 1 or more: 2 is twice as much, or half as much.
        factor: f64,
        /// Whether it is said of virtual machines that the processor itself carries (VT-x, SVM).
        hardware: bool,
    },
    /// This probe, in this sandbox, shows the host or does not.
    Shows {
        /// Which probe.
        probe: String,
        /// In which sandbox.
        sandbox: String,
        /// Whether the host is said to show.
        exposed: bool,
    },
}

/// What data say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judgement {
    /// It is so.
    Supported,
    /// It is not so.
    Contradicted,
    /// They say nothing of it.
    NotMeasured,
}

/// What textbooks say, as claims.
pub fn textbook() -> Vec<(&'static str, Claim)> {
    use Relation::{Less, More, Same};
    let compares = |metric: &str, (sandbox, base): (&str, &str), relation, factor, hardware| {
        let (metric, sandbox, base) = (metric.into(), sandbox.into(), base.into());
        Claim::Compares { metric, sandbox, base, relation, factor, hardware }
    };
    let shows = |probe: &str, sandbox: &str, exposed| Claim::Shows {
        probe: probe.into(),
        sandbox: sandbox.into(),
        exposed,
    };
    let both = ("microvm", "container");
    vec![
        (
            "a container starts in seconds, a virtual machine in minutes",
            compares(metric::STARTUP_FIRST_BYTE, both, More, 60.0, false),
        ),
        (
            "a container computes as fast as a process",
            compares(metric::COMPUTE_SPIN, ("container", "process"), Same, 1.0, false),
        ),
        (
            "hardware virtualization costs half of the speed",
            compares(metric::COMPUTE_SPIN, ("microvm", "process"), More, 2.0, true),
        ),
        (
            "a container needs megabytes of memory, a virtual machine gigabytes",
            compares(metric::FOOTPRINT_MEMORY, both, More, 1000.0, false),
        ),
        (
            "a container needs kilobytes of disk, a virtual machine gigabytes",
            compares(metric::FOOTPRINT_DISK, both, More, 1000.0, false),
        ),
        (
            "hundreds of containers fit where tens of virtual machines do",
            compares(metric::DENSITY_COUNT, both, Less, 10.0, false),
        ),
        ("a container hides the host's kernel", shows("kernel", "container", false)),
        ("a container hides the host's processes", shows("launcher", "container", false)),
        ("a virtual machine hides the host's kernel", shows("kernel", "microvm", false)),
    ]
}
