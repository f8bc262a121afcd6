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
/// Where [`Signs::hypervisor`] begins with `TCG`, the whole computer is a program (QEMU without KVM):
/// an emulated processor, with its `vmx` or `svm`. Otherwise, a KVM that interprets a guest's ring 0
/// is an interpreter, whatever flags there are. Otherwise an extension is the processor's own, also
/// where another hypervisor passes it on. Without any of these the signs do not tell.
fn carrier(signs: &Signs) -> Carrier {
    todo!("lab 20, step 1: the sign that overrides all others comes first")
}

/// The sentence of the row `metric`: how the microVM compares with the container.
///
/// `None` if one of their two series is missing, or has too few samples to say anything. `data` names
/// the two series, `METRIC/microvm` and `METRIC/container`. `ratio` is that of the medians
/// (`report::ratio`), the microVM's divided by the container's. The relation is what
/// `report::Verdict::of` says, where a difference counts only beyond the noise floor: what
/// `report::noise_floor` says of two series of the same thing, here `process (again)` and `process`.
/// If one of those is missing, there is a sentence nevertheless, without a floor. The intervals of
/// all ratios are drawn with the records' own seed, so that anybody gets the same ones.
fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    todo!("lab 20, step 2: two series, a ratio, a floor, a verdict")
}

/// What of the host is visible inside `sandbox`: one probe each, named `kernel`, `name`, `launcher` and
/// `marker`.
///
/// It is `exposed` when what is seen inside is the host's own. What is visible inside is harmless if it
/// is the sandbox's own: a container has a name too. Where nothing is seen, nothing is exposed, also
/// when the host has nothing either.
fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    todo!("lab 20, step 3: four probes")
}

/// What the evidence says about a claim.
///
/// A claim about hardware virtualization can only be judged on a machine that the processor runs, any
/// other claim everywhere. What was not measured is `NotMeasured`, whatever you believe. All else is
/// `Supported` or `Contradicted`. It compares the two sandboxes that the claim names, as `sentence`
/// does. The relation must be the claimed one, and the factor be reached in its direction: half as
/// much is `Less` by 2. A claim that a probe shows the host, or does not, is about the probe of that
/// name in that sandbox.
fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    todo!("lab 20, step 4: a match on the claim")
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, sentence, probes, judge })
}
