//! Requests to the monitor of a virtual machine, at its socket beside its entry in the ledger.
//!
//! A request is a line of JSON, and so is its answer; `microvm::linux` has the other end.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    time::Duration,
};

use sandbox::{Ledger, LedgerEntry};
use serde_json::{Value, json};

use crate::error::{ApiError, Result};

/// The monitor answers without asking the guest, so it answers soon.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: u64 = 1 << 20;

/// Lets the processors of the guest `entry` stand still, all of them when this returns; or lets them
/// go on.
///
/// # Errors
///
/// 500 with the reason, when the monitor does not answer or refuses.
pub(crate) fn pause(ledger: &Ledger, entry: &LedgerEntry, pauses: bool) -> Result<()> {
    let request = if pauses { "pause" } else { "resume" };
    let action = format!("ask the monitor of {} to {request}", entry.name);
    let mut stream = ledger.connect(entry).map_err(|error| ApiError::of(&error))?;
    let mut line = String::new();
    let asked = stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| {
        stream.write_all(format!("{}\n", json!({ "request": request })).as_bytes())?;
        BufReader::new((&stream).take(LONGEST)).read_line(&mut line)
    });
    asked.map_err(ApiError::failed(&action))?;
    let answer: Value = serde_json::from_str(&line).unwrap_or_default();
    match (answer["done"].as_bool(), answer["error"].as_str()) {
        (Some(true), None) => Ok(()),
        (_, Some(why)) => Err(ApiError::internal(format!("{action}: {why}"))),
        _ => Err(ApiError::internal(format!("{action}: it did not answer"))),
    }
}
