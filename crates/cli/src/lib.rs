//! The `isolab` command: every part of the laboratory by one name.
//!
//! One file a command; each has its `Arguments` and a function that does the work and gives the
//! exit code or a `Failure`.
#![forbid(unsafe_code)]

mod ansi;
mod attach;
mod background;
mod blocking;
mod cell;
mod clean;
mod compare;
mod completions;
mod cp;
mod demo;
mod doctor;
mod engine;
mod environment;
mod exec;
mod exits;
mod failure;
mod free_link;
mod guest_control;
mod guest_session;
mod image;
mod inspect;
mod kernel;
mod kill;
mod kinds;
mod lab;
mod language;
mod line_files;
mod linux;
mod list;
mod logs;
mod memory;
mod names;
mod nearest;
mod nest;
mod oci_runtime;
mod output;
mod pause;
mod program;
mod ps;
mod registry;
mod relay;
mod report_command;
mod rm;
mod run;
mod snapshot;
mod stats;
mod stderr;
mod stop;
mod streams;
mod supervise;
mod termination;
mod top;
mod trace;
mod units;
mod wait;

use std::{ffi::OsString, process};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use failure::Failure;
use supervisor::base64;

/// The isolation laboratory: run a program as a plain process, in a container or in a microVM, see
/// how each isolates it from the host, and measure them against each other.
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
    /// Run a program in isolation from the host.
    #[command(after_long_help = run::after_help())]
    Run(Box<run::Arguments>),
    /// List what is running.
    Ps(ps::Arguments),
    /// Run a command in a running container or Linux guest.
    Exec(exec::Arguments),
    /// Stop what is running, first by a signal, then by force.
    Stop(stop::Arguments),
    /// Show the output of a background run.
    Logs(logs::Arguments),
    /// Attach this terminal to a background run.
    Attach(attach::Arguments),
    /// Wait until background runs end, and print their exit codes.
    Wait(wait::Arguments),
    /// Send a signal to what is running.
    Kill(kill::Arguments),
    /// Remove background runs that have ended.
    Rm(rm::Arguments),
    /// List the processes of a run.
    Top(top::Arguments),
    /// Show the resource usage of what is running.
    Stats(stats::Arguments),
    /// Print details of runs as JSON.
    Inspect(inspect::Arguments),
    /// Copy files between the host and a container.
    Cp(cp::Arguments),
    /// Pause a container or a Linux guest.
    Pause(pause::Arguments),
    /// Resume what is paused.
    #[command(visible_alias = "resume")]
    Unpause(pause::Arguments),
    /// Write the memory of a Linux guest to a file, for gdb and crash.
    Dump(guest_control::DumpArguments),
    /// Remove what killed launchers left behind.
    Clean(clean::Arguments),
    /// Check what this host offers for isolation, and how to fix what is missing.
    Doctor(doctor::Arguments),
    /// Measure every sandbox on this host and write a report.
    Compare(compare::CompareArgs),
    /// Redraw a report from its records.
    Report(report_command::Arguments),
    #[command(hide = true)]
    Supervise(supervise::Arguments),
    #[command(hide = true)]
    FreeLink(free_link::Arguments),
    #[command(hide = true)]
    Measure(compare::MeasureArgs),
    #[command(hide = true)]
    MeasureClient(compare::ClientArgs),
    #[command(hide = true)]
    MeasureIo,
    /// Build, fetch, keep and exchange images.
    Image(Box<image::Arguments>),
    /// Serve Docker's API, for the docker command.
    Engine(engine::Arguments),
    /// Create and run containers from OCI bundles.
    Oci(oci_runtime::Arguments),
    /// Serve a registry.
    Registry(registry::Arguments),
    /// List, get and choose kernels for Linux guests.
    Kernel(kernel::Arguments),
    /// Save Linux guests, and restore any number of copies.
    Snapshot(snapshot::Arguments),
    /// Run isolab in an emulated computer that has hardware virtualization.
    Nest(Box<nest::Arguments>),
    /// Learn by building: labs graded by the state of the kernel.
    Lab(Box<lab::Arguments>),
    /// Show live what the kernel does, for a class.
    Demo(Box<demo::Arguments>),
    #[command(hide = true)]
    Starts,
    #[command(hide = true)]
    KeepEngine,
    #[command(hide = true)]
    Names(completions::NamesArguments),
    /// List the built-in programs with their arguments.
    List,
    /// Print the completions for a shell.
    Completions(completions::Arguments),
    /// Print the version.
    Version,
}

/// `isolab run` alone: what is started most does not build the arguments of the top level and the
/// names of all other commands first.
#[derive(Debug, Parser)]
#[command(name = "isolab run", bin_name = "isolab run", version)]
struct Run {
    #[command(flatten)]
    arguments: Box<run::Arguments>,
}

/// A command, and whether it is to answer in JSON.
#[derive(Debug)]
struct Request {
    command: Command,
    json: bool,
}

/// The command that `words` ask for. A request for help and a mistake are left to the parser of all
/// commands, so that there is one text for each.
fn parse(words: &[OsString]) -> Result<Request, clap::Error> {
    if let [_, rest @ ..] = words
        && rest.first().is_some_and(|word| word == "run")
    {
        let mut parser = Run::command();
        if let Ok(matches) = parser.try_get_matches_from_mut(rest)
            && let Ok(Run { mut arguments }) = Run::from_arg_matches(&matches)
        {
            arguments.note(words, &parser, &matches);
            return Ok(Request { command: Command::Run(arguments), json: is_json(&matches) });
        }
    }
    parse_among_all(words)
}

fn parse_among_all(words: &[OsString]) -> Result<Request, clap::Error> {
    let mut parser = Isolab::command();
    let matches = parser.try_get_matches_from_mut(words)?;
    let mut isolab =
        Isolab::from_arg_matches(&matches).map_err(|error| error.format(&mut parser))?;
    if let (Command::Run(arguments), Some((name, matches))) =
        (&mut isolab.command, matches.subcommand())
        && let Some(parser) = parser.find_subcommand(name)
    {
        arguments.note(words, parser, matches);
    }
    Ok(Request { command: isolab.command, json: is_json(&matches) })
}

/// Whether the command, or the one below it that was asked for, was given `--json`.
fn is_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, below)) => is_json(below),
        None => matches!(matches.try_get_one::<bool>("json"), Ok(Some(true))),
    }
}

/// All commands with their options, for man pages.
pub fn command() -> clap::Command {
    Isolab::command()
}

/// What `isolab --version` says, for which no parser is built.
const VERSION: &str = concat!("isolab ", env!("CARGO_PKG_VERSION"), "\n");

/// Runs `isolab` with the words of this process's command line, and ends the process.
///
/// For a caller that begins without Rust's start-up code, as isolab's own `main` does, and has looked
/// whether its own caller ignores SIGPIPE.
pub fn main(broken_pipes_were_ignored: bool) -> ! {
    streams::prepare();
    if broken_pipes_were_ignored {
        container::process::keep_broken_pipes();
    }
    let code = run_words(&run::spell(std::env::args_os()));
    process::exit(code.into()) // flushes standard output
}

/// Does what `words` ask for, prints why it could not, and gives the exit code.
fn run_words(words: &[OsString]) -> u8 {
    let (done, json) = match words {
        // Started once for each container and each exec: no parser is built for it.
        [_, engine, launch] if engine == "engine" && launch == "launch" => {
            (Ok(::engine::launch::launch()), false)
        }
        // Started several times for each container of an engine.
        [_, oci, rest @ ..] if oci == "oci" => (Ok(oci_runtime::run_words(rest)), false),
        [_, word] if word == "--version" => (output::print(VERSION).map(|()| 0), false),
        words => match parse(words) {
            Ok(request) => (execute(request.command), request.json),
            Err(error) => (explain(&error, words), asked_for_json(&error, words)),
        },
    };
    done.unwrap_or_else(|failure| {
        if json {
            output::print_json_failure(&failure);
        }
        failure.end()
    })
}

/// Whether a command line that could not be parsed asked for JSON: its options stand before any `--`,
/// and one that is itself refused has no say.
fn asked_for_json(error: &clap::Error, words: &[OsString]) -> bool {
    let is_refused = error.kind() == clap::error::ErrorKind::ArgumentConflict
        && error.to_string().contains("'--json'");
    let mut options = words.iter().take_while(|word| *word != "--");
    !is_refused && options.any(|word| word == "--json")
}

/// Prints the help that was asked for, or says what is wrong with the command line.
fn explain(error: &clap::Error, words: &[OsString]) -> Result<u8, Failure> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let words: Vec<String> = words.iter().map(text).collect();
    let is_run = words.get(1).is_some_and(|word| word == "run");
    if let Some(option) = failure::unknown_option(error) {
        let refused = if is_run { run::refused_option(&option) } else { None };
        let nearest = || nearest::option(Isolab::command(), &words, &option);
        return Err(refused.unwrap_or_else(|| failure::of_unknown_option(&option, nearest())));
    }
    if let Some(word) = failure::unknown_command(error) {
        let nearest = nearest::subcommand(Isolab::command(), &words, &word);
        return Err(failure::of_unknown_command(&word, nearest));
    }
    failure::explain(error)
}

/// Does it and gives the exit code.
fn execute(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Ps(arguments) => ps::ps(&arguments),
        Command::Exec(arguments) => exec::exec(&arguments),
        Command::Stop(arguments) => stop::stop(&arguments),
        Command::Logs(arguments) => logs::logs(&arguments),
        Command::Attach(arguments) => attach::attach(&arguments),
        Command::Wait(arguments) => wait::wait(&arguments),
        Command::Kill(arguments) => kill::kill(&arguments),
        Command::Rm(arguments) => rm::rm(&arguments),
        Command::Top(arguments) => top::top(&arguments),
        Command::Stats(arguments) => stats::stats(&arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Cp(arguments) => cp::cp(&arguments),
        Command::Pause(arguments) => pause::pause(&arguments),
        Command::Unpause(arguments) => pause::unpause(&arguments),
        Command::Dump(arguments) => guest_control::dump_by_name(&arguments),
        Command::Clean(arguments) => clean::clean(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Report(arguments) => report_command::report(&arguments),
        Command::Supervise(arguments) => supervise::supervise(&arguments),
        Command::FreeLink(arguments) => free_link::free_link(&arguments),
        Command::Measure(arguments) => compare::measure(&arguments)
            .map(|()| 0)
            .map_err(Failure::at("answer the process that compares")),
        Command::MeasureClient(arguments) => compare::measure_client(&arguments)
            .map_err(Failure::at("ask the daemon for a container")),
        Command::MeasureIo => compare::measure_io()
            .map(|()| 0)
            .map_err(Failure::at("answer the process that measures")),
        Command::Image(arguments) => image::image(&arguments),
        Command::Engine(arguments) => engine::engine(&arguments),
        Command::Oci(arguments) => Ok(oci_runtime::run(&arguments)),
        Command::Registry(arguments) => registry::registry(&arguments),
        Command::Kernel(arguments) => kernel::kernel(&arguments),
        Command::Snapshot(arguments) => snapshot::snapshot(&arguments),
        Command::Nest(arguments) => nest::nest(&arguments),
        Command::Lab(arguments) => lab::lab(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Starts => demo::starts(),
        Command::KeepEngine => demo::keep_engine(),
        Command::Names(arguments) => completions::print_names(&arguments),
        Command::List => list::list(),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Version => output::print(VERSION).map(|()| 0),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn options(mut command: clap::Command) -> Vec<String> {
        command.build();
        command
            .get_arguments()
            .map(|argument| {
                format!("{:?} {:?} {argument}", argument.get_id(), argument.get_short())
            })
            .collect()
    }

    #[test]
    fn the_version_is_what_the_parser_says() {
        assert_eq!(VERSION, Isolab::command().render_version());
    }

    #[test]
    fn a_run_that_is_parsed_alone_has_the_options_that_it_has_among_all_commands() {
        let mut all = Isolab::command();
        all.build();
        let among_all = all.find_subcommand("run").unwrap().clone();
        assert_eq!(options(Run::command()), options(among_all));
    }

    #[test]
    fn a_run_that_is_parsed_alone_says_what_it_says_among_all_commands() {
        let lines = [
            "run hello",
            "run --memory 64M --cpus 2 --pids 64 --root / -- /bin/true --version",
            "run -t --trace=exits --env A=B /bin/sh -c -V",
            "run --in process --no-such-option hello",
            "run --memory much hello",
            "run --root / --overlay / hello",
            "run",
            "run -V",
            "run --version hello",
            "run --help",
            "run help",
            "ran hello",
        ];
        for line in lines {
            let words: Vec<OsString> =
                std::iter::once("isolab").chain(line.split(' ')).map(OsString::from).collect();
            let said = |parsed: Result<Request, clap::Error>| match parsed {
                Ok(command) => format!("{command:?}"),
                Err(error) => error.render().to_string(),
            };
            assert_eq!(said(parse(&words)), said(parse_among_all(&words)), "{line}");
        }
    }
}
