//! `isolab kernel get --distribution`: the disk of a whole distribution, for peers that boot it.

use std::{ops::ControlFlow, time::Instant};

use measure::peers::distribution::{self, DistributionError, Progress};
use report::{Unit, format::human};
use serde_json::json;

use crate::{failure::Failure, output};

/// Makes it, and says how long that took and how large it is.
pub(super) fn make(json: bool) -> Result<u8, Failure> {
    let began = Instant::now();
    let made = super::interruptible(|shown, interruption| {
        let made = distribution::make(&mut |progress| {
            match progress {
                Progress::Waiting => {
                    shown.show("waiting for another isolab that is making a distribution");
                }
                Progress::Step("") => shown.show("starting mmdebstrap"),
                Progress::Step(step) => shown.show(step),
            }
            interruption.check()
        });
        made.map_err(|error| match interruption.check() {
            ControlFlow::Break(()) => DistributionError::Interrupted.into(),
            ControlFlow::Continue(()) => Failure::from(error),
        })
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes = made.stored_bytes().map_err(Failure::at("look at the distribution's disk"))?;
    if json {
        output::print_json(&json!({
            "name": made.name(),
            "disk": made.disk(),
            "kernel": made.kernel(),
            "initrd": made.initrd(),
            "bytes": bytes,
            "seconds": seconds,
        }))?;
        return Ok(0);
    }
    output::print(&format!(
        "{} is there: {} on disk, made in {seconds:.0} s\n`isolab compare` boots it to its login \
         prompt in the rows qemu-kvm-login and qemu-tcg-login\n",
        made.name(),
        human(bytes as f64, Unit::Bytes),
    ))?;
    Ok(0)
}
