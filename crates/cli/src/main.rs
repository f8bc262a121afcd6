//! The `isolab` command: every part of the laboratory by one name.
//!
//! One file a command; each has its `Arguments` and a function that does the work and gives the
//! exit code or a [`Failure`].
#![forbid(unsafe_code)]

mod base64;
mod clean;
mod compare;
mod completions;
mod demo;
mod doctor;
mod end;
mod exec;
mod exits;
mod failure;
mod kernel;
mod kinds;
mod lab;
mod language;
mod linux;
mod list;
mod names;
mod nest;
mod output;
mod program;
mod ps;
mod relay;
mod report_command;
mod run;
mod snapshot;
mod stop;
mod trace;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// An isolation laboratory: runs a program as a plain process, in a container or in a microVM,
/// tells how each of them keeps it apart from the host, and measures them against each other.
#[derive(Debug, Parser)]
#[command(name = "isolab", version, propagate_version = true, max_term_width = 100)]
struct Isolab {
    #[command(subcommand)]
    command: Command,
}

// Deferred: the arguments of a command are built when it is the one that was asked for.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Run a program apart from the host.
    Run(Box<run::Arguments>),
    /// List what is running.
    Ps(ps::Arguments),
    /// Run a command in a running container.
    Exec(exec::Arguments),
    /// Stop what is running, first by asking.
    Stop(stop::Arguments),
    /// Remove what killed launchers left behind.
    Clean(clean::Arguments),
    /// Say what this host has and lacks for isolation, and how to mend it.
    Doctor(doctor::Arguments),
    /// Measure every sandbox on this host and write a report.
    Compare(compare::CompareArgs),
    /// Draw a report anew from its records.
    Report(report_command::Arguments),
    #[command(hide = true)]
    Measure(compare::MeasureArgs),
    /// List the kernels for Linux guests, get one, choose one.
    Kernel(kernel::Arguments),
    /// Save Linux guests, and let any number of them go on from there.
    Snapshot(snapshot::Arguments),
    /// Run isolab in an emulated computer that has hardware virtualization.
    Nest(Box<nest::Arguments>),
    /// Learn it by writing it: lessons that the kernel itself grades.
    Lab(Box<lab::Arguments>),
    /// Show what the kernel does, live, for the front of a class.
    Demo(Box<demo::Arguments>),
    #[command(hide = true)]
    Starts,
    /// List the built-in programs with their arguments.
    List,
    /// Print the completions for a shell.
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let command = match Isolab::try_parse_from(run::spell(std::env::args_os())) {
        Ok(isolab) => isolab.command,
        Err(error) => return failure::explain(&error),
    };
    let done = match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Ps(arguments) => ps::ps(&arguments),
        Command::Exec(arguments) => exec::exec(&arguments),
        Command::Stop(arguments) => stop::stop(&arguments),
        Command::Clean(arguments) => clean::clean(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Report(arguments) => report_command::report(&arguments),
        Command::Measure(arguments) => compare::measure(&arguments)
            .map(|()| 0)
            .map_err(Failure::at("answer the process that compares")),
        Command::Kernel(arguments) => kernel::kernel(&arguments),
        Command::Snapshot(arguments) => snapshot::snapshot(&arguments),
        Command::Nest(arguments) => nest::nest(&arguments),
        Command::Lab(arguments) => lab::lab(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Starts => demo::starts(),
        Command::List => list::list(),
        Command::Completions(arguments) => completions::completions(&arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}
