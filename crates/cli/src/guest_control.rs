//! A running Linux guest, asked through the socket of its launcher: for `isolab pause`, `unpause`,
//! `inspect`, `dump` and `snapshot save --from`.

use std::{
    fs::{self, File},
    io,
    os::unix::{fs::OpenOptionsExt as _, net::UnixStream},
    path::PathBuf,
};

use clap::Args;
use microvm::monitor_request::{self, TIMEOUT};
use sandbox::{Ledger, LedgerEntry};
use serde_json::Value;

use crate::{background, failure::Failure};

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
    let answer = monitor_request::ask(&stream, request, files);
    let answer = answer.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            Failure::refused(format!("{}: no answer within {TIMEOUT:?}", action())).help(format!(
                "does it still run? `isolab ps` lists it; `isolab stop {name}` ends it"
            ))
        }
        _ => Failure::at(action())(error),
    })?;
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
