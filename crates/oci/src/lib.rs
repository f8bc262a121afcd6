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
mod machine;
mod options;
mod output;
mod preserved;
mod record;
mod signals;
mod store;
mod systemd;
mod translate;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

use log::Log;

pub use error::{Error, Result};

/// The version of the specification that is implemented.
pub const SPEC_VERSION: &str = "1.2.1";

/// Does what the command line says, and gives the exit code: 0, 1 for an error, and of a program that
/// was run or executed in the foreground that program's. The first word is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    code(arguments).into()
}

/// The same as a number.
pub fn code(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let options = match options::Options::try_parse_from(&words) {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let words_of_it: Vec<&str> = first.split_whitespace().collect();
            Log::of_words(&words).error(words_of_it.join(" ").trim_start_matches("error: "));
            return 1;
        }
        Err(help) => {
            let _ = help.print(); // nobody reads it
            return 0;
        }
    };
    let log = Log::of(&options.global);
    match commands::run(&options, &log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error.to_string());
            options.command.code_of_failure()
        }
    }
}
