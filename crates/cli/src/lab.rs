//! `isolab lab`: lessons that the kernel itself grades. The work is done in [`lab::runner`].

mod front;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum};
use lab::{
    catalogue::Language,
    runner::{self, Answer, Desk, Error, Style, check::Options},
};

use crate::{
    failure::Failure,
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
    /// The language of what is said [default: that of the locale]
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<Lang>,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Zh,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the labs: what each takes, and how far you are.
    List,
    /// Build your program, run its check, and say what the kernel showed.
    Check {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        how: How,
    },
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
    let language = match arguments.lang {
        Some(Lang::En) => Language::En,
        Some(Lang::Zh) => Language::Zh,
        None => Language::of_locale(),
    };
    let style = Style { language, width: front::width(), colours: Ink::of_output().is_on() };
    let failed = |error: Error| Failure::of_lab(&error, language);
    let (desk, remark) = Desk::open(arguments.labs.as_deref(), style).map_err(failed)?;
    if let Some(remark) = remark {
        output::remark(&format!("isolab: {remark}\n"));
    }
    let mut front = Terminal::new(language)?;
    let answer = arguments.answer(&desk, &mut front);
    front.clear();
    let answer = answer.map_err(failed)?;
    arguments.print(&answer)?;
    Ok(answer.code)
}

impl Arguments {
    fn answer(&self, desk: &Desk, front: &mut Terminal) -> runner::Result<Answer> {
        match &self.command {
            Command::List => runner::list(desk),
            Command::Check { one, how } => {
                let lab = desk.lab(one.lab.as_deref())?;
                runner::check::check(desk, lab, &how.options(self.json), front)
            }
        }
    }

    fn print(&self, answer: &Answer) -> Result<(), Failure> {
        match self.json {
            true => output::print_json(&answer.json),
            false => output::print(&answer.text),
        }
    }
}
