//! The supervisor with real processes: a shell as the launcher makes another one as the "container".

mod common;

mod log;
mod process;
mod streams;
mod terminal;
