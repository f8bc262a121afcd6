//! Signals by name or number, as clients write them.

use crate::error::{ApiError, Result};

/// The signal that `text` means: `KILL`, `SIGKILL`, `9`.
///
/// # Errors
///
/// 400, with dockerd's words.
pub fn parse(text: &str) -> Result<i32> {
    host::signal_number(text).ok_or_else(|| ApiError::invalid(format!("Invalid signal: {text}")))
}
