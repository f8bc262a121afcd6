//! What is wrong with a Dockerfile, where, and the way out.

use super::position::Position;

/// A problem at a place of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{position}: {problem}")]
pub struct Error {
    /// The file, as it was named.
    pub file: String,
    /// Where in it.
    pub position: Position,
    /// What is wrong there.
    #[source]
    pub problem: Problem,
}

impl Error {
    pub(crate) fn new(file: &str, position: Position, problem: Problem) -> Self {
        Self { file: file.to_owned(), position, problem }
    }
}

/// What can be wrong with a Dockerfile.
#[expect(missing_docs, reason = "the message of each says what it is")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("a Dockerfile has at most {most} bytes")]
    TooLarge { most: usize },
    #[error("a Dockerfile has at most {0} instructions")]
    TooLong(usize),
    #[error("not text in UTF-8 without null bytes")]
    NotText,
    #[error("only one escape directive is allowed")]
    TwoEscapeDirectives,
    #[error("the escape character is \\ or `")]
    EscapeCharacter,
    #[error("{0}")]
    Syntax(String),
    #[error("unknown instruction: {0}; the first word of a line is one of FROM, RUN, COPY, ..")]
    UnknownInstruction(String),
    #[error("no FROM: a Dockerfile begins with the image to build on, such as FROM scratch")]
    NoStage,
    #[error("{0} before the first FROM: only ARG may stand there")]
    BeforeFrom(&'static str),
    #[error("{instruction} --{flag} is not supported: {way_out}")]
    Flag { instruction: &'static str, flag: String, way_out: &'static str },
    #[error("--{flag} has the value \"{value}\": {expected}")]
    FlagValue { flag: String, value: String, expected: &'static str },
    #[error("--{0} is given twice")]
    FlagTwice(String),
    #[error("here-documents are not supported: {0}")]
    HereDocument(&'static str),
    #[error("ADD does not download: RUN a program that does, or download it and COPY the file")]
    Download,
    #[error("invalid stage name \"{0}\": a letter, then letters, digits, '-', '_' and '.'")]
    StageName(String),
    #[error("the stage {name} is there already, at {first}: rename one of them")]
    StageTwice { name: String, first: Position },
    #[error("ONBUILD {0} is not allowed")]
    Onbuild(&'static str),
    #[error("\"{0}\" is not NAME=VALUE")]
    NameValue(String),
    #[error("in \"{word}\": {problem}")]
    Variable { word: String, problem: super::variables::Problem },
    #[error(
        "the name of the base image is empty: {0} expands to nothing; give its variable a \
             value, with ARG NAME=VALUE before the first FROM or with --build-arg"
    )]
    NoBase(String),
    #[error("the stage {from} refers to the stage {to}, which is {}: stages refer to earlier ones",
            if from == to { "itself".to_owned() } else { format!("later, at {position}") })]
    Order { from: String, to: String, position: Position },
    #[error("no stage is called \"{name}\"; {there}")]
    NoTarget { name: String, there: String },
    #[error("{0:?} is not a port: PORT[-PORT][/tcp|/udp|/sctp]")]
    Port(String),
    #[error("{0:?} is not a signal: a name such as SIGTERM or a number up to 64")]
    Signal(String),
    #[error("{0} is empty after its variables are expanded")]
    Empty(&'static str),
    #[error("{value:?} is for another platform: this machine builds for linux/amd64")]
    Platform { value: String },
}

/// Text of a file in a message: short, and nothing that a terminal obeys.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short.escape_debug().to_string()
}
