//! `isolab-oci`: the runtime that engines start.

use std::process::ExitCode;

fn main() -> ExitCode {
    oci::run(std::env::args_os())
}
