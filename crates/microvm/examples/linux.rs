//! Boots a Linux guest: `cargo run --example linux VMLINUX INITRAMFS INIT [ARGUMENT...]`.
//!
//! Say what happened on standard error: milestones, exits, and the story if `TRACE` is set.

use std::{env, time::Duration};

use microvm::LinuxVm;
use sandbox::{Limits, Milestone, Sandbox as _, Stdio, Workload};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [kernel, initramfs, init @ ..] = words.as_slice() else {
        eprintln!("usage: linux VMLINUX INITRAMFS INIT [ARGUMENT...]");
        std::process::exit(2);
    };
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let mut machine = LinuxVm::new(kernel);
    machine.initramfs = vec![initramfs.into()];
    machine.limits = Limits { vcpus: number("VCPUS"), ..Limits::default() };
    let mut workload = Workload::command(init);
    workload.trace = env::var("TRACE").is_ok();
    workload.stdio = if env::var("CAPTURE").is_ok() { Stdio::Capture } else { Stdio::Inherit };
    workload.deadline = number("DEADLINE").map(|seconds| Duration::from_secs(seconds.into()));
    let outcome = match machine.run(&workload) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprintln!("  because {error}");
                cause = error.source();
            }
            std::process::exit(125);
        }
    };
    for step in &outcome.story.steps {
        eprintln!("{:>10.1?}  {}", step.took, step.call);
    }
    for milestone in Milestone::ALL {
        eprintln!("{milestone:?} {:?}", outcome.timeline.since_start(milestone));
    }
    let exits: u64 = outcome.usage.crossings.iter().map(|crossing| crossing.count).sum();
    eprintln!("{exits} exits: {:?}", outcome.usage.crossings);
    eprintln!("{} bytes captured, {:?}", outcome.output.len(), outcome.status);
    std::process::exit(outcome.status.code().into());
}
