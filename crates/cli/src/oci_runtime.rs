//! `isolab oci`: the OCI runtime, which is a program of its own too (`isolab-oci`).

use std::ffi::OsString;

use clap::Args;

/// Create and run containers from OCI bundles, as containerd, podman and Docker ask for them.
///
/// The same as the program `isolab-oci`, which engines are given as their runtime.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Arguments {
    /// The runtime's own options and command; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Does it and gives the exit code. The runtime has reported its failure by then, in its log too.
pub fn run(arguments: &Arguments) -> u8 {
    run_words(&arguments.words)
}

/// The same with the words after `oci`.
pub fn run_words(words: &[OsString]) -> u8 {
    ::oci::code(std::iter::once("isolab-oci".into()).chain(words.iter().cloned()))
}
