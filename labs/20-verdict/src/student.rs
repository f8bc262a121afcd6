//! Lab 20: the textbook's comparison of containers and virtual machines, from your own data.
//!
//! Write the four functions. `isolab lab check 20` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::process::ExitCode;

use report::{Probe, Ratio, Records, Series, Verdict, noise_floor, ratio};
use verdict::{
    Answer, Carrier, Claim, Evidence, Judgement, Relation, Sentence, Signs, VisibleState,
};

/// What runs a virtual machine on a host with these signs?
///
/// No sign alone decides. `vmx` or `svm` may be present but emulated, when the whole processor is a
/// program (QEMU's TCG says so in [`Signs::hypervisor`]). `/dev/kvm` may be present but interpret a
/// guest's ring 0. An outer hypervisor alone decides nothing: it can pass the extension on.
fn carrier(signs: &Signs) -> Carrier {
    todo!("lab 20, step 1: the sign that overrides all others comes first")
}

/// The sentence of the row `metric`: how the microVM compares with the container. `None` if that was
/// not measured: a series is missing, or has too few samples to say anything.
///
/// `data` names the two series, `METRIC/microvm` and `METRIC/container`. `ratio` is that of the
/// medians (`report::ratio`, with the records' own seed). The relation is what `report::Verdict::of`
/// says, where a difference counts only beyond the noise floor: the difference between two series of the
/// same thing, here `process (again)` and `process` (`report::noise_floor`).
fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    todo!("lab 20, step 2: two series, a ratio, a floor, a verdict")
}

/// What of the host is visible inside `sandbox`: one probe each, named `kernel`, `name`, `launcher` and
/// `marker`, which is `exposed` when what is seen inside is the host's own.
///
/// What is visible inside is harmless if it is the sandbox's own: a container has a name too.
fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    todo!("lab 20, step 3: four probes")
}

/// What the evidence says about a claim.
///
/// A claim about hardware virtualization can only be judged on a machine that the processor runs.
/// What was not measured is `NotMeasured`, whatever you believe. A factor must be reached in the
/// claimed direction: half as much is `Less` by 2.
fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    todo!("lab 20, step 4: a match on the claim")
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, sentence, probes, judge })
}
