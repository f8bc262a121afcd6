//! Dockerfiles: text to typed instructions, each with its line and column.
//!
//! A Dockerfile is hostile input. What this builder does not do is refused with the place, the
//! reason and the way out; nothing is skipped silently. In the order of their use:
//!
//! | File | |
//! |---|---|
//! | `lines` | logical lines: continuations, comments, the escape directive |
//! | `read`, `flags`, `pairs`, `here` | a line to an [`Instruction`] |
//! | [`stages`] | which stages a target needs |
//! | [`scope`], [`variables`] | the values of variables, and words with variables in them |
//! | [`pattern`], [`ignore`] | names of files with `*`, and `.dockerignore` |
//!
//! <https://docs.docker.com/reference/dockerfile/>

mod context;
mod error;
mod flags;
mod here;
pub mod ignore;
mod instruction;
mod lines;
mod pairs;
pub mod pattern;
mod position;
mod read;
pub(crate) mod remote;
pub mod scope;
pub mod stages;
#[cfg(test)]
mod tests;
pub mod variables;

use self::{context::Reader, lines::LogicalLine};
pub use self::{
    error::{Error, Problem},
    instruction::{Command, Copy, From, Healthcheck, Instruction, Located},
    position::Position,
};

/// Far more than any image has layers.
const MOST_INSTRUCTIONS: usize = 10_000;

/// A Dockerfile: arguments, then stages.
#[derive(Debug, Clone)]
pub struct Dockerfile {
    /// As messages name it.
    pub file: String,
    /// The escape character.
    pub escape: char,
    /// `ARG` before the first `FROM`.
    pub arguments: Vec<Located>,
    /// At least one.
    pub stages: Vec<Stage>,
}

/// What one `FROM` begins.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The `FROM` itself.
    pub from: Located,
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What follows.
    pub instructions: Vec<Located>,
}

impl Dockerfile {
    /// Reads a Dockerfile, which messages call `file`.
    ///
    /// # Errors
    ///
    /// When something in it is malformed or not supported.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        let (escape, lines) = lines::split(file, text)?;
        if let Some(line) = lines.get(MOST_INSTRUCTIONS) {
            return Err(Error::new(file, line.position(0), Problem::TooLong(MOST_INSTRUCTIONS)));
        }
        let reader = Reader { file, escape };
        let (mut arguments, mut stages) = (Vec::new(), Vec::<Stage>::new());
        for line in &lines {
            let located = reader.read(line)?;
            match (&located.instruction, stages.last_mut()) {
                (Instruction::From(from), _) => {
                    let name = from.name.clone();
                    refuse_second(file, &stages, name.as_deref(), &located)?;
                    stages.push(Stage { from: located, name, instructions: Vec::new() });
                }
                (_, Some(stage)) => stage.instructions.push(located),
                (Instruction::Arg(_), None) => arguments.push(located),
                (other, None) => {
                    return Err(Error::new(
                        file,
                        located.position,
                        Problem::BeforeFrom(other.name()),
                    ));
                }
            }
        }
        match stages.is_empty() {
            true => Err(Error::new(file, Position { line: 1, column: 1 }, Problem::NoStage)),
            false => Ok(Self { file: file.to_owned(), escape, arguments, stages }),
        }
    }
}

/// Reads an instruction that is not in a file: an `ONBUILD` trigger of the image `origin`.
///
/// # Errors
///
/// When it is malformed, not supported, or may not be a trigger.
pub fn parse_trigger(origin: &str, text: &str) -> Result<Located, Error> {
    let reader = Reader { file: origin, escape: '\\' };
    let whole = LogicalLine::alone(&format!("ONBUILD {text}"));
    match reader.read(&whole)?.instruction {
        Instruction::Onbuild(trigger) => Ok(*trigger),
        other => {
            let position = Position { line: 1, column: 1 };
            Err(Error::new(origin, position, Problem::Onbuild(other.name())))
        }
    }
}

fn refuse_second(
    file: &str,
    stages: &[Stage],
    name: Option<&str>,
    second: &Located,
) -> Result<(), Error> {
    let first = stages.iter().find(|stage| name.is_some() && stage.name.as_deref() == name);
    match first {
        None => Ok(()),
        Some(first) => {
            let name = name.unwrap_or_default().to_owned();
            let problem = Problem::StageTwice { name, first: first.from.position };
            Err(Error::new(file, second.position, problem))
        }
    }
}
