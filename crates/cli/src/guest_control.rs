//! A running Linux guest, asked through the socket of its launcher: for `isolab pause`, `unpause`,
//! `inspect`, `dump` and `snapshot save --from`.
//!
//! A request is a line of JSON, and so is its answer; `microvm::linux` has the other end.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, IoSlice, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sandbox::{Ledger, LedgerEntry};
use serde_json::{Value, json};

use crate::{background, failure::Failure};

/// The launcher answers without asking the guest, so it answers soon.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: u64 = 1 << 20;

/// Lets the processors of the guest `entry` stand still, all of them when this returns.
pub fn pause(entry: &LedgerEntry) -> Result<(), Failure> {
    ask(entry, "pause").map(drop)
}

/// Lets them go on.
pub fn resume(entry: &LedgerEntry) -> Result<(), Failure> {
    ask(entry, "resume").map(drop)
}

/// The figures of the guest's machine, `entry`'s.
pub fn inspect(entry: &LedgerEntry) -> Result<Value, Failure> {
    Ok(ask(entry, "inspect")?.1["machine"].take())
}

/// Write the memory and the registers of a Linux guest to a file, as an ELF core.
///
/// The guest stands still meanwhile. `gdb -c FILE` and crash open it; addresses are the guest's
/// physical ones.
#[derive(Debug, Args)]
pub struct DumpArguments {
    /// The name, as `isolab ps` shows it
    name: String,
    /// The file, which does not exist yet
    file: PathBuf,
}

/// `isolab dump`.
pub fn dump_by_name(arguments: &DumpArguments) -> Result<u8, Failure> {
    let entry = background::find_running(&arguments.name)?;
    if entry.sandbox != "linux" {
        let message = format!("{} is a {}: it cannot be dumped", entry.name, entry.sandbox);
        let help = "only a Linux guest can: `isolab run --in linux`; of a process, see gcore(1)";
        return Err(Failure::refused(message).help(help));
    }
    let path = &arguments.file;
    // What a guest has in its memory is nobody else's.
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(Failure::at(format!("make {path:?}")))?;
    let dumped = ask_with(&entry, "dump", &[&file]);
    if dumped.is_err() {
        // It is ours, and not a dump. The error before says more than one here would.
        let _ = fs::remove_file(path);
    }
    dumped.map(|_| 0)
}

/// Asks the launcher of `entry`; gives the connection and the answer.
pub fn ask(entry: &LedgerEntry, request: &str) -> Result<(UnixStream, Value), Failure> {
    ask_with(entry, request, &[])
}

/// The same with files of the caller's, which go along.
pub fn ask_with(
    entry: &LedgerEntry,
    request: &str,
    files: &[&File],
) -> Result<(UnixStream, Value), Failure> {
    let name = &entry.name;
    let action = || format!("ask the launcher of {name} to {request}");
    let stream = Ledger::open()?.connect(entry).map_err(|error| {
        Failure::from(error).help(format!(
            "does it run? `isolab ps` says so; a launcher of another version of isolab answers \
             nobody: `isolab stop {name}` ends it"
        ))
    })?;
    let mut answer = String::new();
    // To write a large memory takes as long as its disk does.
    let timeout = if files.is_empty() { Some(TIMEOUT) } else { None };
    let asked = stream.set_read_timeout(timeout).and_then(|()| {
        send(&stream, &format!("{}\n", json!({ "request": request })), files)?;
        // Without more than the line: what follows it belongs to others.
        let mut line = BufReader::with_capacity(1, (&stream).take(LONGEST));
        line.read_line(&mut answer)
    });
    asked.map_err(|error| match error.kind() {
        // socket(7), SO_RCVTIMEO: a read that times out fails with EAGAIN.
        io::ErrorKind::WouldBlock => {
            Failure::refused(format!("{}: no answer within {TIMEOUT:?}", action())).help(format!(
                "does it still run? `isolab ps` lists it; `isolab stop {name}` ends it"
            ))
        }
        _ => Failure::at(action())(error),
    })?;
    stream.set_read_timeout(None).map_err(Failure::at(action()))?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match (&answer["error"], answer["done"].as_bool()) {
        (Value::String(why), _) => {
            let failure = Failure::refused(format!("{}: {why}", action()));
            Err(match answer["help"].as_str() {
                Some(help) => failure.help(help.replace("NAME", name)),
                None => failure,
            })
        }
        (_, Some(true)) => Ok((stream, answer)),
        _ => Err(Failure::refused(format!("{}: it did not answer", action()))
            .help(format!("does it still run? `isolab ps` says so; `isolab stop {name}` ends it"))),
    }
}

/// Sends a line, and descriptors with it (unix(7), `SCM_RIGHTS`).
fn send(stream: &UnixStream, line: &str, files: &[&File]) -> io::Result<()> {
    let descriptors: Vec<i32> = files.iter().map(|file| file.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let messages = if files.is_empty() { &[] } else { &rights[..] };
    let text = [IoSlice::new(line.as_bytes())];
    // A line fits into the socket whole.
    sendmsg::<()>(stream.as_raw_fd(), &text, messages, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
