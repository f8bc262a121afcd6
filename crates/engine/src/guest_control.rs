//! Requests to the monitor of a virtual machine, at its socket beside its entry in the ledger.

use microvm::monitor_request;
use sandbox::{Ledger, LedgerEntry};

use crate::error::{ApiError, Result};

/// Lets the processors of the guest `entry` stand still, all of them when this returns; or lets them
/// go on.
///
/// # Errors
///
/// 500 with the reason, when the monitor does not answer or refuses.
pub(crate) fn pause(ledger: &Ledger, entry: &LedgerEntry, pauses: bool) -> Result<()> {
    let request = if pauses { "pause" } else { "resume" };
    let action = format!("ask the monitor of {} to {request}", entry.name);
    let stream = ledger.connect(entry).map_err(|error| ApiError::of(&error))?;
    let answer = monitor_request::ask(&stream, request, &[]).map_err(ApiError::failed(&action))?;
    match (answer["done"].as_bool(), answer["error"].as_str()) {
        (Some(true), None) => Ok(()),
        (_, Some(why)) => Err(ApiError::internal(format!("{action}: {why}"))),
        _ => Err(ApiError::internal(format!("{action}: it did not answer"))),
    }
}
