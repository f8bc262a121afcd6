//! The OCI runtime: what containerd, podman, Docker and Kubernetes start for each container.
//!
//! An engine prepares a *bundle*, a directory with `config.json` and a root file system, and calls a
//! program several times: `create`, `start`, `kill`, `delete`. Each call is a process of its own; what
//! one has to know of the others is a file below `--root`. Between the calls nothing of ours runs.
//!
//! ```text
//!   engine ── create ──> config.json ── translate ──> container::Spec ── create ──> waits
//!          ── start  ──> state.json ── container::State ── start ──────────────────> runs
//!          ── kill, exec, pause, ps, update ..
//!          ── delete ──> everything is removed
//! ```
//!
//! Sources: the OCI runtime specification 1.2 (config.md, config-linux.md, runtime.md, features.md), and
//! runc(8) for the command line and exit codes, which the specification leaves open.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod bundle;
mod commands;
mod config;
mod console;
mod error;
mod log;
mod options;
mod record;
mod store;
mod systemd;
mod translate;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

pub use error::{Error, Result};

/// The version of the specification that is implemented.
pub const SPEC_VERSION: &str = "1.2.1";

/// Does what the command line says, and gives the exit code: 0, 1 for an error, and of a program that
/// was run or executed in the foreground that program's.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match options::Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(error) => {
            // Help and the version go to standard output, with exit code 0.
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return code.into();
        }
    };
    log::open(&options.global);
    match commands::run(&options) {
        Ok(code) => code.into(),
        Err(error) => {
            log::fatal(&error);
            options.command.code_of_failure().into()
        }
    }
}
