//! `isolab lab`: lessons that the kernel itself grades. The work is done in [`lab::runner`].

mod front;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use lab::runner::{self, Answer, Desk, Error, Style, Table, check::Options};

use crate::{
    end::End,
    failure::Failure,
    language::Spoken,
    output::{self, Ink},
};
use front::Terminal;

/// Learn it by writing it: lessons in which you write the heart of a container runner and of a
/// virtual machine monitor, each graded by what the kernel says.
///
/// NUMBER is a lab's number or name; without it the last one is meant. The exit code is 0 for a
/// pass, 1 for a fail, 3 if it cannot be told, 2 for a wrong call and 125 if isolab itself failed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    spoken: Spoken,
    /// Where the labs are [default: here, or in a folder above]
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
    AtDesk(AtDesk),
    /// Make one page and one table of many students' exports.
    Class {
        /// The exports
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Where index.html and class.csv go
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Remove what killed checks left behind.
    Clean,
    /// Judge a program with isolab's own check of that lab.
    #[command(hide = true)]
    Judge {
        lab: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Give up all of root's powers and run a program.
    #[command(hide = true)]
    AsUser {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// What needs the labs and the progress.
#[derive(Debug, Subcommand)]
enum AtDesk {
    /// List the labs: what each takes, and how far you are.
    List,
    /// Begin a lab: what it is about, and where to begin.
    Start(Number),
    /// Build your program, run its check, and say what the kernel showed.
    Check {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        how: How,
    },
    /// Build and check now and at every save; the files are looked at every 300 ms.
    Watch {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        how: How,
    },
    /// Say one more hint on what failed last.
    Hint(One),
    /// Show what the kernel said in the last check.
    Why(One),
    /// Put your file back as it was at first; a copy of yours is kept.
    Reset(One),
    /// Show the solution, once you have passed.
    Solution {
        #[command(flatten)]
        one: One,
        /// Show it before that; your progress will say so
        #[arg(long)]
        reveal: bool,
    },
    /// Write down what you have done, for your teacher.
    Export {
        /// Your name [default: that of your account]
        #[arg(long, value_name = "STUDENT")]
        name: Option<String>,
        /// Write it to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Judge skeletons, solutions and wrong answers: the truth table of the labs.
    Verify(Verify),
    /// Make the beginning of a lab of your own: small, but whole.
    New {
        /// Its name: small letters, digits and dashes
        #[arg(value_name = "NAME")]
        name: String,
        /// Its title [default: the name]
        #[arg(long, value_name = "TITLE")]
        title: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Number {
    /// The lab's number or name
    #[arg(value_name = "NUMBER")]
    lab: String,
}

#[derive(Debug, Args)]
struct Verify {
    /// The labs' numbers or names [default: all]
    #[arg(value_name = "NUMBER")]
    numbers: Vec<String>,
    /// The solutions also while every processor is busy
    #[arg(long)]
    load: bool,
    /// So often, where the verdict depends on measured times
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: Option<u32>,
    /// In the nest, the labs that behave differently there
    #[arg(long)]
    nest: bool,
    /// Judge the rows in this file, which were built elsewhere
    #[arg(long, value_name = "FILE", hide = true)]
    built: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct One {
    /// The lab's number or name [default: the last one]
    #[arg(value_name = "NUMBER")]
    lab: Option<String>,
}

#[derive(Debug, Args)]
struct How {
    /// Do not ask for guesses
    #[arg(long)]
    no_predict: bool,
    /// Guess a number beforehand; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    predict: Vec<String>,
    /// Run the check in the nest, an emulated computer that has all that it takes
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
    let language = arguments.spoken.language();
    let style = Style { language, width: front::width(), colours: Ink::of_output().is_on() };
    let failed = |error: Error| Failure::of_lab(&error, language);
    let answer = match &arguments.command {
        Command::Clean => runner::clean(&style),
        Command::Judge { lab, words } => {
            return Ok(judge::judge(lab, &["lab", "judge", lab], words).unwrap_or(2));
        }
        Command::AsUser { words } => {
            return Err(Failure::at("run a program as another user")(runner::become_user(words)));
        }
        Command::Class { files, out } => runner::class(files, out, &style),
        Command::AtDesk(AtDesk::Verify(Verify { built: Some(file), .. })) => {
            let end = End::listen().map_err(Failure::at("set the handlers of signals"))?;
            runner::inside(file, Some(end.told()))
        }
        Command::AtDesk(command) => {
            let (desk, remark) =
                Desk::open(arguments.labs.as_deref(), style, judge::CHECKS).map_err(failed)?;
            if let Some(remark) = remark {
                output::remark(&format!("isolab: {remark}\n"));
            }
            let mut front = Terminal::new(language, arguments.json)?;
            let answer = command.answer(&desk, &mut front, arguments.json);
            front.clear();
            answer
        }
    };
    arguments.print(&answer.map_err(failed)?)
}

impl AtDesk {
    fn answer(&self, desk: &Desk, front: &mut Terminal, json: bool) -> runner::Result<Answer> {
        let lab = |one: &One| desk.lab(one.lab.as_deref());
        match self {
            Self::List => runner::list(desk),
            Self::Start(number) => runner::start(desk, desk.lab(Some(&number.lab))?),
            Self::Check { one, how } => {
                runner::check::check(desk, lab(one)?, &how.options(json), front)
            }
            Self::Watch { one, how } => runner::watch(desk, lab(one)?, &how.options(json), front),
            Self::Export { name, out } => runner::export(desk, name.as_deref(), out.as_deref()),
            Self::New { name, title } => runner::new(desk, name, title.as_deref()),
            Self::Hint(one) => runner::hint(desk, lab(one)?),
            Self::Why(one) => runner::why(desk, lab(one)?),
            Self::Reset(one) => runner::reset(desk, lab(one)?),
            Self::Solution { one, reveal } => runner::solution(desk, lab(one)?, *reveal),
            Self::Verify(verify) => {
                let labs = verify.numbers.clone();
                let Verify { load, repeat, nest, .. } = *verify;
                runner::verify(desk, &Table { labs, load, repeat, nest }, front)
            }
        }
    }
}

impl Arguments {
    /// Prints the answer and gives its exit code.
    fn print(&self, answer: &Answer) -> Result<u8, Failure> {
        match self.json {
            // One that was told as it came has nothing more to say.
            true if answer.json.is_null() => {}
            true => output::print_json(&answer.json)?,
            false => output::print(&answer.text)?,
        }
        Ok(answer.code)
    }
}
