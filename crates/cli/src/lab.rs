//! `isolab lab`: lessons that the kernel itself grades. The work is done in [`lab::runner`].

mod class;
mod front;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use lab::runner::{self, Answer, Error, LabContext, Style, Table, check::Options};

use crate::{
    ansi::Ansi, failure::Failure, language::LanguageOption, output, stderr,
    termination::TerminationSignals,
};
use class::ClassArguments;
use front::Terminal;

/// Learn by building: labs in which you write the heart of a container runner and of a virtual
/// machine monitor, graded by the state of the kernel.
///
/// NUMBER is a lab's number or name (default: the last one used). The exit code is 0 for a pass, 1
/// for a fail, 3 if undecided, 2 for a usage error and 125 if isolab itself failed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    language: LanguageOption,
    /// Directory of the labs [default: the current one or a parent]
    #[arg(long, global = true, value_name = "FOLDER")]
    labs: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  isolab lab list
  isolab lab start 01
  isolab lab check
  isolab lab hint
";

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnCourse(OnCourse),
    /// Combine the exports of many students into one page and one table; hand out labs.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Class(ClassArguments),
    /// Remove what killed checks left behind.
    Clean,
    /// Check a program with isolab's own check of that lab.
    #[command(hide = true)]
    Judge {
        lab: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Drop all privileges of root and run a program.
    #[command(hide = true)]
    AsUser {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// What needs the labs and the progress.
#[derive(Debug, Subcommand)]
enum OnCourse {
    /// List the labs, their requirements and your progress.
    List,
    /// Start a lab: what it is about, and where to begin.
    Start(Number),
    /// Build your program, run the check, and show what the kernel reports.
    Check {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        how: How,
    },
    /// Build and check now and whenever a file is saved (polled every 300 ms).
    Watch {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        how: How,
    },
    /// Show the next hint for the last failure.
    Hint(One),
    /// Show what the kernel reported in the last check.
    Why(One),
    /// Reset your file to the skeleton; a copy of yours is kept.
    Reset(One),
    /// Show the solution, once you have passed.
    Solution {
        #[command(flatten)]
        one: One,
        /// Show it before you have passed; your progress will record this
        #[arg(long)]
        reveal: bool,
    },
    /// Export your progress for your teacher.
    Export {
        /// Your name [default: your account's]
        #[arg(long, value_name = "STUDENT")]
        name: Option<String>,
        /// Output file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check skeletons, solutions and wrong answers: the truth table of the labs.
    Verify(Verify),
    /// Create a small but complete lab of your own to build on.
    New {
        /// Name of the lab: lowercase letters, digits and dashes
        #[arg(value_name = "NAME")]
        name: String,
        /// Title [default: the name]
        #[arg(long, value_name = "TITLE")]
        title: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Number {
    /// Number or name of the lab
    #[arg(value_name = "NUMBER")]
    lab: String,
}

#[derive(Debug, Args)]
struct Verify {
    /// Numbers or names of labs [default: all]
    #[arg(value_name = "NUMBER")]
    numbers: Vec<String>,
    /// Also check the solutions while every CPU is busy
    #[arg(long)]
    load: bool,
    /// Number of repetitions under load; without --load of the timing labs only
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: Option<u32>,
    /// Run labs that behave differently in the nest there
    #[arg(long)]
    nest: bool,
    /// Instead check each solution with one thing changed by machine, and list what passes
    #[arg(long, conflicts_with_all = ["load", "repeat", "built"])]
    mutate: bool,
    /// Check the rows in this file, which were built elsewhere
    #[arg(long, value_name = "FILE", hide = true)]
    built: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct One {
    /// Number or name of the lab [default: the last one used]
    #[arg(value_name = "NUMBER")]
    lab: Option<String>,
}

#[derive(Debug, Args)]
struct How {
    /// Do not ask for predictions
    #[arg(long)]
    no_predict: bool,
    /// Predict a number beforehand; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    predict: Vec<String>,
    /// Run the check in the nest, an emulated computer that meets all requirements
    #[arg(long)]
    nest: bool,
}

impl How {
    fn options(&self, json: bool) -> Options {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Options {
            ask: terminal && !self.no_predict && !json,
            predict: self.predict.clone(),
            nest: self.nest,
        }
    }
}

/// Does what is asked and gives the exit code.
pub fn lab(arguments: &Arguments) -> Result<u8, Failure> {
    let language = arguments.language.chosen();
    let style = Style { language, width: front::width(), colours: Ansi::of_output().is_on() };
    let failed = |error: Error| Failure::of_lab(&error, language);
    let answer = match &arguments.command {
        Command::Clean => runner::clean(&style),
        Command::Judge { lab, words } => {
            return Ok(judge::judge(lab, &["lab", "judge", lab], words).unwrap_or(2));
        }
        Command::AsUser { words } => {
            return Err(Failure::at("run a program as another user")(runner::become_user(words)));
        }
        Command::Class(ClassArguments { command: None, files, out }) => {
            let out = out.as_deref().expect("clap requires it with files");
            runner::class(files, out, &style)
        }
        Command::OnCourse(OnCourse::Verify(Verify { built: Some(file), .. })) => {
            let signals =
                TerminationSignals::listen().map_err(Failure::at("set the handlers of signals"))?;
            runner::inside(file, Some(signals.readable()))
        }
        Command::Class(ClassArguments { command: Some(command), .. }) => {
            arguments.on_course(style, |context, front| command.answer(context, front))?
        }
        Command::OnCourse(command) => arguments
            .on_course(style, |context, front| command.answer(context, front, arguments.json))?,
    };
    arguments.print(&answer.map_err(failed)?)
}

impl OnCourse {
    fn answer(
        &self,
        context: &LabContext,
        front: &mut Terminal,
        json: bool,
    ) -> runner::Result<Answer> {
        let lab = |one: &One| context.lab(one.lab.as_deref());
        match self {
            Self::List => runner::list(context),
            Self::Start(number) => runner::start(context, context.lab(Some(&number.lab))?),
            Self::Check { one, how } => {
                runner::check::check(context, lab(one)?, &how.options(json), front)
            }
            Self::Watch { one, how } => {
                runner::watch(context, lab(one)?, &how.options(json), front)
            }
            Self::Export { name, out } => runner::export(context, name.as_deref(), out.as_deref()),
            Self::New { name, title } => runner::new(context, name, title.as_deref()),
            Self::Hint(one) => runner::hint(context, lab(one)?),
            Self::Why(one) => runner::why(context, lab(one)?),
            Self::Reset(one) => runner::reset(context, lab(one)?),
            Self::Solution { one, reveal } => runner::solution(context, lab(one)?, *reveal),
            Self::Verify(verify) => {
                context.needs_solutions(&verify.numbers)?;
                let labs = verify.numbers.clone();
                let Verify { load, repeat, nest, mutate, .. } = *verify;
                runner::verify(context, &Table { labs, load, repeat, nest, mutate }, front)
            }
        }
    }
}

impl Arguments {
    /// Does what needs the labs and the progress.
    fn on_course(
        &self,
        style: Style,
        act: impl FnOnce(&LabContext, &mut Terminal) -> runner::Result<Answer>,
    ) -> Result<runner::Result<Answer>, Failure> {
        let opened = LabContext::open(self.labs.as_deref(), style, judge::CHECKS);
        let (context, remark) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(remark) = remark {
            stderr::remark(&format!("isolab: {remark}\n"));
        }
        let mut front = Terminal::new(style.language, self.json)?;
        let answer = act(&context, &mut front);
        front.clear();
        Ok(answer)
    }

    /// Prints the answer and gives its exit code.
    fn print(&self, answer: &Answer) -> Result<u8, Failure> {
        match self.json {
            // A front that has printed it already prints nothing more.
            true if answer.json.is_null() => {}
            true => output::print_json(&answer.json)?,
            false => output::print(&answer.text)?,
        }
        Ok(answer.code)
    }
}
