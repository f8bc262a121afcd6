//! How long from nothing to a program's first byte?
//!
//! From the call of `spawn` to the first byte of `hello` at the host, in a process that has
//! spawned before. Not measured: the launcher's own start, and freeing what the sandbox held.

mod common;

use common::{Scale, sandboxes, until};
use report::metric;
use sandbox::Milestone;

const METRIC: &str = metric::STARTUP_FIRST_BYTE;

fn main() {
    common::main(&[(METRIC, Scale::Each(1.0))], |criterion| {
        until(criterion, METRIC, Milestone::FirstByte, &sandboxes());
    });
}
