//! Two things that are both missing are taken for the same thing.

use std::process::ExitCode;

use report::Probe;
use verdict::{Answer, VisibleState};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    let mut probes = solution::probes(sandbox, inside, host);
    let same = [
        inside.kernel == host.kernel,
        inside.name == host.name,
        inside.launcher == host.launcher,
        inside.marker == host.marker,
    ];
    probes.iter_mut().zip(same).for_each(|(probe, same)| probe.exposed = same);
    probes
}

fn main() -> ExitCode {
    verdict::program(&Answer { probes, ..solution::ANSWER })
}
