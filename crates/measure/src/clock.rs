//! The rate of the time stamp counter, by which built-in programs time themselves.

use sandbox::Native;

use crate::Error;

/// Ticks per second of the time stamp counter, measured against the host's monotonic clock.
///
/// # Errors
///
/// When the clocks cannot be compared.
pub fn tick_rate() -> Result<f64, Error> {
    let unknown = "the rate of the time stamp counter could not be determined";
    Native.clocks()?.map(|(rate, _)| rate).ok_or_else(|| Error::new(unknown))
}
