//! The options of `isolab run`, as its help lists them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Arg, ArgMatches, Args, Command, ValueEnum, parser::ValueSource};

use super::{
    attach::AttachArguments,
    debugger::DebuggerArguments,
    detach::DetachArguments,
    docker::WithoutEffect,
    image::ImageArguments,
    limits::{LimitArguments, ResourceArguments},
    metadata::MetadataArguments,
    mounts::MountArguments,
    network::NetworkArguments,
    power::PowerArguments,
    walls::ContainerArguments,
};
use crate::{kinds::Kind, linux::LinuxArguments, names, program, units};

/// Run a program in isolation from the host.
///
/// Without --json, the program uses the standard input and output of this command, and the exit code
/// is the program's: 128 plus the signal number if a signal ended it, 127 if it was not found, 126 if
/// it cannot be executed. 125 means that isolab itself failed, 2 a usage error. A Linux guest that
/// powers off or halts before its program has ended gives 0, one that reboots 129, and one that panics
/// 125; standard error tells which.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sandbox to run it in
    #[arg(long = "in", value_enum, default_value = "container", value_name = "SANDBOX")]
    pub(super) kind: Kind,
    /// Name for `isolab ps`, `exec` and `stop` [default: a random name]
    #[arg(long, value_parser = names::given)]
    pub(super) name: Option<String>,
    /// Print the outcome as one JSON object that includes the program's output. Output that is not UTF-8
    /// is in output_base64 and errors_base64, which are null otherwise
    #[arg(long, conflicts_with = "terminal")]
    pub(super) json: bool,
    /// Print a trace on standard error afterwards: the system calls that set up the sandbox, or with
    /// `exits` every VM exit and what handled it
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true,
        default_missing_value = "calls")]
    pub(super) trace: Option<TraceKind>,
    /// Print a summary of VM exits on standard error afterwards
    #[arg(long)]
    pub(super) stats: bool,
    /// Timeout after which it is killed: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = units::deadline, allow_hyphen_values = true)]
    pub(super) deadline: Option<Duration>,
    /// Allocate a terminal for it, connected to this one
    #[arg(short = 't', long = "tty")]
    pub(super) terminal: bool,
    /// Keep standard input open for `isolab attach`, with -d; without -d it always is
    #[arg(short = 'i', long)]
    pub(super) interactive: bool,
    /// Set an environment variable, or pass on the caller's with NAME alone; may be repeated
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    pub(super) environment: Vec<OsString>,
    /// Read environment variables from a file, one per line; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,
    /// Working directory
    #[arg(short = 'w', long, value_name = "DIRECTORY")]
    pub(super) workdir: Option<PathBuf>,
    /// Command to run; PROGRAM and its words become its arguments
    #[arg(long, value_name = "COMMAND")]
    pub(super) entrypoint: Option<OsString>,
    /// Write its name to this file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Option<PathBuf>,
    #[command(flatten)]
    pub(super) image: ImageArguments,
    #[command(flatten)]
    pub(super) attach: AttachArguments,
    #[command(flatten)]
    pub(super) detach: DetachArguments,
    #[command(flatten)]
    pub(super) metadata: MetadataArguments,
    #[command(flatten)]
    pub(super) limits: LimitArguments,
    #[command(flatten)]
    pub(super) network: NetworkArguments,
    #[command(flatten)]
    pub(super) container: ContainerArguments,
    #[command(flatten)]
    pub(super) resources: ResourceArguments,
    #[command(flatten)]
    pub(super) power: PowerArguments,
    #[command(flatten)]
    pub(super) mounts: MountArguments,
    #[command(flatten)]
    pub(super) microvm: MicrovmArguments,
    #[command(flatten)]
    pub(super) debugger: DebuggerArguments,
    #[command(flatten)]
    pub(super) linux: LinuxArguments,
    #[command(flatten)]
    pub(super) without_effect: WithoutEffect,
    /// Built-in program and its numbers, a command, or for a microVM a FILE.bin or FILE.elf.
    /// After `--` it is always a command; @NAME is always a built-in program
    #[arg(required_unless_present_any = ["entrypoint", "image"], trailing_var_arg = true, value_name = "PROGRAM")]
    pub(super) words: Vec<OsString>,
    /// The long names of the options that were given.
    #[arg(skip)]
    pub(super) given: Vec<String>,
    /// Whether `--` stood before those words.
    #[arg(skip)]
    pub(super) behind_dashes: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for microVMs")]
pub(super) struct MicrovmArguments {
    /// CPU mode in which FILE starts [default: 64-bit ring 0 for .elf, otherwise as a boot sector]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(super) mode: Option<Mode>,
}

/// What to trace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TraceKind {
    /// The system calls that set up the sandbox
    #[value(alias = "story")]
    Calls,
    /// Each VM exit
    Exits,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Mode {
    /// 16-bit real mode at 0x7c00
    Real16,
    /// 64-bit ring 0
    Long64,
    /// 64-bit ring 3
    User64,
}

/// The built-in programs and examples, for the end of the help.
pub fn after_help() -> String {
    format!(
        "Built-in programs (a command of the same name is written behind --):\n{}\n\
         Examples:\n  \
         isolab run -- /bin/sh -c 'echo $$; hostname'\n  \
         isolab run -t --name box --memory 64M -- /bin/sh\n  \
         isolab run --in microvm --trace hello\n  \
         isolab run --image 127.0.0.1:5000/class/hello:1\n",
        program::builtins()
    )
}

impl Arguments {
    /// Keeps what the parser's values do not tell: which options stand on the command line `line`,
    /// and whether `--` stands before the program. `command` is the parser, `matches` what it found.
    pub fn note(&mut self, line: &[OsString], command: &Command, matches: &ArgMatches) {
        let is_given = |option: &&Arg| {
            matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let given = command.get_arguments().filter(is_given);
        self.given = given.filter_map(Arg::get_long).map(str::to_owned).collect();
        // The program's words are the last of the command line, as they are.
        let before = line.len().checked_sub(self.words.len() + 1);
        self.behind_dashes = before.is_some_and(|at| line[at] == "--");
    }
}

/// The words of a command line, with `--trace exits` in the one way in which an option may be left
/// without its value. A program called exits is said with its path.
pub fn spell(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut spelt: Vec<OsString> = Vec::new();
    for word in words {
        match spelt.last_mut() {
            Some(last) if last == "--trace" && word == "exits" => *last = "--trace=exits".into(),
            _ => spelt.push(word),
        }
    }
    spelt
}
