//! `isolab engine watch`: what the daemon is asked for and does, on one time line.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

use clap::Args;
use engine::watch::{
    WatchRecord,
    client::{Records, WatchError},
};

use super::timeline::Timeline;
use crate::{
    ansi::Ansi, blocking::write, failure::Failure, language::LanguageOption, output, stderr,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Socket of the daemon [default: the same as the daemon's]
    #[arg(short = 'H', long = "host", value_name = "SOCKET", value_parser = super::listen::unix)]
    host: Option<PathBuf>,
    /// Print each record as a JSON object, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    language: LanguageOption,
}

pub(super) const EXAMPLES: &str = "Examples:
  isolab engine watch                      # and in another terminal: docker run ...
  isolab engine watch -H /tmp/engine.sock
  isolab engine watch --json | jq 'select(.kind == \"step\")'
  curl -N --unix-socket /run/isolab/engine.sock http://isolab/isolab/watch
";

/// Prints the time line until the daemon ends, or nobody reads any more.
pub(super) fn watch(arguments: &Arguments) -> Result<u8, Failure> {
    let language = arguments.language.chosen();
    let missing = || {
        Failure::refused("no directory for the socket: HOME is not set").help("name one with -H")
    };
    let socket = arguments.host.clone().or_else(super::usual_socket).ok_or_else(missing)?;
    let mut records = Records::of(&socket).map_err(of_watch)?;
    let watching = language.either("watching; ctrl-C ends it", "正在观察；按 ctrl-C 结束");
    stderr::remark(&format!("isolab: {watching}\n"));
    let mut timeline = Timeline::new(language, Ansi::of_output(), width());
    while let Some(record) = records.read().map_err(of_watch)? {
        let text = match arguments.json {
            true => json(&record)?,
            false => timeline.lines(&record),
        };
        match write(io::stdout(), &text) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(0),
            written => written.map_err(Failure::at("write to standard output"))?,
        }
    }
    output::print(&timeline.rest())?;
    let ended = language.either("the daemon has ended", "守护进程已结束");
    stderr::remark(&format!("isolab: {ended}\n"));
    Ok(0)
}

/// The columns of the terminal.
pub(super) fn width() -> usize {
    usize::from(host::terminal_size().1).clamp(60, 120)
}

fn json(record: &WatchRecord) -> Result<String, Failure> {
    let text = serde_json::to_string(record);
    text.map(|text| text + "\n").map_err(|error| Failure::at("print a record")(error.into()))
}

fn of_watch(error: WatchError) -> Failure {
    let help = match &error {
        WatchError::Connect { .. } => {
            Some("start one with `isolab engine`, or name its socket with -H")
        }
        WatchError::Refused { .. } => {
            Some("only a daemon of isolab can be watched: `isolab engine`")
        }
        WatchError::Read(_) => None,
    };
    let error: Box<dyn std::error::Error> = Box::new(error);
    let failure = Failure::from(error);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
