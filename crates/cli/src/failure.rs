//! Why a command of isolab failed, and how that is printed.

use std::{error::Error as StdError, fmt, io};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use measure::peers::distribution::DistributionError;
use sandbox::LedgerError;
pub use sandbox::chain;

use crate::stderr;

/// The exit code of a command that was called wrongly.
const USAGE: u8 = 2;
/// The exit code when isolab itself failed.
const ISOLAB_FAILED: u8 = 125;

/// An error with the way out and the exit code.
#[derive(Debug)]
pub struct Failure {
    cause: Box<dyn StdError + Send + Sync>,
    help: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// The command was called wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { cause: message.into().into(), help: None, code: USAGE }
    }

    /// isolab cannot do what was asked for.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { code: ISOLAB_FAILED, ..Self::usage(message) }
    }

    /// isolab itself failed at `action`.
    pub fn at(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self {
            cause: Action { action, source }.into(),
            help: None,
            code: ISOLAB_FAILED,
        }
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The same as an error, with the way out on a line of its own.
    pub fn into_error(self) -> Box<dyn StdError + Send + Sync> {
        match &self.help {
            Some(help) => format!("{}\n{help}", chain(&*self.cause)).into(),
            None => self.cause,
        }
    }

    /// For a caller that asked for JSON.
    pub fn as_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": chain(&*self.cause), "help": self.help, "code": self.code })
    }

    /// Says it on standard error: the chain of causes in one line, then the way out.
    pub fn print(&self) {
        stderr::remark(&format!("{self}\n"));
    }

    /// The same, at the end of a command: its exit code.
    pub fn end(&self) -> u8 {
        self.print();
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "isolab: {}", chain(&*self.cause))?;
        match &self.help {
            Some(help) => write!(formatter, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<sandbox::Error> for Failure {
    fn from(error: sandbox::Error) -> Self {
        let limit = match error {
            sandbox::Error::Deadline { .. } => Some("`--deadline` sets the limit"),
            _ => None,
        };
        let help = error.fix().or(limit).map(str::to_owned);
        let code = error.exit_code();
        Self { cause: error.into(), help, code }
    }
}

impl From<microvm::Error> for Failure {
    fn from(error: microvm::Error) -> Self {
        let help = error.fix();
        Self { cause: error.into(), help, code: ISOLAB_FAILED }
    }
}

impl From<DistributionError> for Failure {
    fn from(error: DistributionError) -> Self {
        let help = error.fix().map(str::to_owned);
        Self { cause: error.into(), help, code: ISOLAB_FAILED }
    }
}

impl From<nest::Error> for Failure {
    fn from(error: nest::Error) -> Self {
        let (help, code) = (error.fix(), error.exit_code());
        Self { cause: error.into(), help, code }
    }
}

impl Failure {
    /// A command of the labs did not do its work.
    pub fn of_lab(error: &lab::runner::Error, language: lab::catalogue::Language) -> Self {
        let (cause, help) = (error.message(language).into(), error.fix(language));
        Self { cause, help, code: error.code() }
    }
}

impl From<demo::Error> for Failure {
    fn from(error: demo::Error) -> Self {
        match error {
            demo::Error::Sandbox(error) => error.into(),
            error => Self { cause: error.into(), help: None, code: ISOLAB_FAILED },
        }
    }
}

impl From<Box<dyn StdError>> for Failure {
    fn from(error: Box<dyn StdError>) -> Self {
        Self { cause: chain(&*error).into(), help: None, code: ISOLAB_FAILED }
    }
}

impl From<report::RecordsError> for Failure {
    fn from(error: report::RecordsError) -> Self {
        Self { cause: error.into(), help: None, code: ISOLAB_FAILED }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::BadName { .. } => USAGE,
            _ => ISOLAB_FAILED,
        };
        Self { cause: error.into(), help: None, code }
    }
}

impl From<supervisor::Error> for Failure {
    fn from(error: supervisor::Error) -> Self {
        match error {
            supervisor::Error::Ledger(error) => error.into(),
            error => Self { cause: error.into(), help: None, code: ISOLAB_FAILED },
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{action}")]
struct Action {
    action: String,
    #[source]
    source: io::Error,
}

/// Prints the help that was asked for to standard output; a mistake is a failure like every other.
pub fn explain(error: &clap::Error) -> Result<u8, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(lost) if lost.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::at("write to standard output")(lost))
            }
            _ => Ok(0), // a pipe without a reader: nobody wants more
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Ok(USAGE)
        }
        _ => Err(mistake(&error.render().to_string())),
    }
}

/// The option that the parser does not know, if that is what it has to say.
pub fn unknown_option(error: &clap::Error) -> Option<String> {
    let option = context(error, ContextKind::InvalidArg)?;
    (error.kind() == ErrorKind::UnknownArgument && option.starts_with('-')).then_some(option)
}

/// The command that the parser does not know, if that is what it has to say.
pub fn unknown_command(error: &clap::Error) -> Option<String> {
    context(error, ContextKind::InvalidSubcommand)
}

/// An option that a command does not have, and the one that was probably meant.
pub fn of_unknown_option(option: &str, nearest: Option<String>) -> Failure {
    let failure = Failure::usage(format!("unknown option {option}"));
    match nearest {
        Some(nearest) => failure.help(format!("the nearest is {nearest}; --help lists all")),
        None => failure.help("--help lists all; the options of a program stand behind its name"),
    }
}

/// A command that does not exist, and the one that was probably meant.
pub fn of_unknown_command(word: &str, nearest: Option<String>) -> Failure {
    let failure = Failure::usage(format!("unknown command {word:?}"));
    match nearest {
        Some(nearest) => failure.help(format!("the nearest is `{nearest}`; --help lists all")),
        None => failure.help("--help lists all"),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// One line and the way out, from the parser's paragraphs: `error: ...`, tips, usage.
fn mistake(text: &str) -> Failure {
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let message = paragraphs.first().map_or("", |line| line.trim_start_matches("error: "));
    let failure = Failure::usage(message);
    let tip = paragraphs.iter().find_map(|line| line.strip_prefix("tip: "));
    let usage = paragraphs.iter().find_map(|line| line.strip_prefix("Usage: "));
    match (tip, usage) {
        (Some(tip), _) => failure.help(tip),
        (None, Some(usage)) => failure.help(format!("usage: {usage}")),
        (None, None) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_every_cause_once_and_then_the_way_out() {
        let not_found = io::Error::from(io::ErrorKind::NotFound);
        let failure = Failure::at("open \"x\"")(not_found).help("make x");
        assert_eq!(failure.to_string(), "isolab: open \"x\": entity not found\n  help: make x");
    }

    #[test]
    fn a_mistake_on_the_command_line_is_one_line() {
        let text = "error: unrecognized subcommand 'rum'\n\n  tip: a similar one exists: 'run'\n\n\
                    Usage: isolab <COMMAND>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            mistake(text).to_string(),
            "isolab: unrecognized subcommand 'rum'\n  help: a similar one exists: 'run'"
        );
    }
}
