//! The instructions of a Dockerfile, as data. Variables in them are not expanded yet.

use std::time::Duration;

use super::position::Position;

/// An instruction, and where and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where it begins.
    pub position: Position,
    /// Its text, continued lines joined.
    pub text: String,
    /// What it says.
    pub instruction: Instruction,
}

/// What a line of a Dockerfile says.
///
/// <https://docs.docker.com/reference/dockerfile/>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Begins a stage.
    From(From),
    /// Runs a command in the stage, and keeps what it changed.
    Run(Command),
    /// Copies files of the context, of another stage or of an image.
    Copy(Copy),
    /// Copies files of the context, and unpacks archives.
    Add(Copy),
    /// Sets environment variables of the image.
    Env(Vec<(String, String)>),
    /// Declares variables of the build, with a value if none is given to the build.
    Arg(Vec<(String, Option<String>)>),
    /// The directory in which commands run.
    Workdir(String),
    /// Who runs commands.
    User(String),
    /// Ports at which the program listens.
    Expose(Vec<String>),
    /// Directories that are kept outside of the container.
    Volume(Vec<String>),
    /// Metadata.
    Label(Vec<(String, String)>),
    /// What a container runs.
    Entrypoint(Command),
    /// What it runs unless told otherwise, or arguments of its entrypoint.
    Cmd(Command),
    /// The shell of commands that are not arrays.
    Shell(Vec<String>),
    /// The signal that ends a container.
    StopSignal(String),
    /// How to see whether a container works.
    Healthcheck(Healthcheck),
    /// An instruction for the build of an image on top of this one.
    Onbuild(Box<Located>),
    /// Who made the image.
    Maintainer(String),
}

impl Instruction {
    /// Its keyword.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::From(_) => "FROM",
            Self::Run(_) => "RUN",
            Self::Copy(_) => "COPY",
            Self::Add(_) => "ADD",
            Self::Env(_) => "ENV",
            Self::Arg(_) => "ARG",
            Self::Workdir(_) => "WORKDIR",
            Self::User(_) => "USER",
            Self::Expose(_) => "EXPOSE",
            Self::Volume(_) => "VOLUME",
            Self::Label(_) => "LABEL",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Cmd(_) => "CMD",
            Self::Shell(_) => "SHELL",
            Self::StopSignal(_) => "STOPSIGNAL",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Onbuild(_) => "ONBUILD",
            Self::Maintainer(_) => "MAINTAINER",
        }
    }
}

/// A stage's first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, an earlier stage, or `scratch`.
    pub image: String,
    /// `--platform`.
    pub platform: Option<String>,
    /// What it is called, in lower case: `AS name`.
    pub name: Option<String>,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell.
    Shell(String),
    /// A JSON array: the program and its arguments.
    Exec(Vec<String>),
}

/// Files to copy, of `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied; at least one.
    pub sources: Vec<String>,
    /// Where to.
    pub destination: String,
    /// `--from`: a stage, its number, or an image.
    pub from: Option<String>,
    /// `--chown`: the owner.
    pub chown: Option<String>,
    /// `--chmod`: the permissions.
    pub chmod: Option<String>,
}

/// How to see whether a container works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// Not at all, whatever the base image says.
    None,
    /// By a command.
    Check {
        /// The command: 0 is healthy.
        command: Command,
        /// Between two checks.
        interval: Option<Duration>,
        /// For one check.
        timeout: Option<Duration>,
        /// Within which failures do not count.
        start_period: Option<Duration>,
        /// Between checks within the start period.
        start_interval: Option<Duration>,
        /// Failures in a row that make it unhealthy.
        retries: Option<u32>,
    },
}
