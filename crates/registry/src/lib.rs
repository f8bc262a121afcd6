//! The distribution protocol, both ends.
#![forbid(unsafe_code)]
