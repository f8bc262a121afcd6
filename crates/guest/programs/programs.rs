//! Selects the workload: `build.rs` compiles each shell once for each.

#[cfg_attr(program = "hello", path = "hello.rs")]
#[cfg_attr(program = "spin", path = "spin.rs")]
#[cfg_attr(program = "stream", path = "stream.rs")]
#[cfg_attr(program = "chase", path = "chase.rs")]
#[cfg_attr(program = "touch", path = "touch.rs")]
#[cfg_attr(program = "cross", path = "cross.rs")]
#[cfg_attr(program = "slices", path = "slices.rs")]
#[cfg_attr(program = "idle", path = "idle.rs")]
mod workload;

pub use workload::run;
