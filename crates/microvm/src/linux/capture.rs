//! Capturing all that is in a machine that stands still.

use super::{Recipe, hardware::Hardware};
use crate::{
    error::Result,
    machine::Machine,
    memory::Memory,
    snapshot::{Captured, chips, cpu, memory::Content},
};

/// All that is in a machine none of whose processors runs, `processors` what they know; its memory
/// goes where `write` brings it.
///
/// # Errors
///
/// When KVM does not tell something, and those of `write`.
pub fn capture(
    recipe: &Recipe,
    processors: Vec<cpu::State>,
    machine: &Machine,
    hardware: &Hardware,
    write: impl FnOnce(&Memory) -> Result<Content>,
) -> Result<Captured> {
    let _quiet = hardware.hold();
    Ok(Captured {
        recipe: recipe.clone(),
        processors,
        chips: chips::State::of(machine)?,
        devices: hardware.save(),
        memory: write(machine.memory().expect("a guest that ran has memory"))?,
    })
}
