//! From a built program to a verdict: one check as a process, and the rows of the truth table.

pub(crate) mod check_process;
mod host;
mod load;
pub(crate) mod nested;
pub(crate) mod staged;
pub(crate) mod table;
pub(crate) mod truth;
