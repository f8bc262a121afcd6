//! A running Linux guest, asked through the socket of its launcher: for `isolab pause`, `unpause`,
//! `inspect`.
//!
//! A request is a line of JSON, and so is its answer; `microvm::linux` has the other end.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use sandbox::{Entry, Ledger};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The launcher answers without asking the guest, so it answers soon.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: u64 = 1 << 20;

/// Lets the processors of the guest `entry` stand still, all of them when this returns.
pub fn pause(entry: &Entry) -> Result<(), Failure> {
    ask(entry, "pause").map(drop)
}

/// Lets them go on.
pub fn resume(entry: &Entry) -> Result<(), Failure> {
    ask(entry, "resume").map(drop)
}

/// The figures of the guest's machine, `entry`'s.
pub fn inspect(entry: &Entry) -> Result<Value, Failure> {
    Ok(ask(entry, "inspect")?.1["machine"].take())
}

/// Asks the launcher of `entry`; gives the connection and the answer.
pub fn ask(entry: &Entry, request: &str) -> Result<(UnixStream, Value), Failure> {
    let name = &entry.name;
    let action = || format!("ask the launcher of {name} to {request}");
    let stream = Ledger::open()?.connect(entry).map_err(|error| {
        Failure::from(error).help(format!(
            "does it run? `isolab ps` says so; a launcher of another version of isolab answers \
             nobody: `isolab stop {name}` ends it"
        ))
    })?;
    let mut answer = String::new();
    let asked = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| {
        (&stream).write_all(format!("{}\n", json!({ "request": request })).as_bytes())?;
        // Without more than the line: what follows it belongs to others.
        let mut line = BufReader::with_capacity(1, (&stream).take(LONGEST));
        line.read_line(&mut answer)
    });
    asked.map_err(Failure::at(action()))?;
    stream.set_read_timeout(None).map_err(Failure::at(action()))?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match (&answer["error"], answer["done"].as_bool()) {
        (Value::String(why), _) => Err(Failure::refused(format!("{}: {why}", action()))),
        (_, Some(true)) => Ok((stream, answer)),
        _ => Err(Failure::refused(format!("{}: it did not answer", action()))
            .help(format!("does it still run? `isolab ps` says so; `isolab stop {name}` ends it"))),
    }
}
