//! Finding the exception in whose handler a virtual CPU has halted.
//!
//! Each handler is one `hlt` ([`tables::HALTS`]), so the instruction pointer gives the vector; the
//! rest is in the frame that the processor pushed (SDM volume 3, section 6.14).

use kvm_bindings::{kvm_regs, kvm_sregs};

use crate::{fault::Fault, memory::Memory, registers::CR0_PE, tables};

/// The exception in whose handler the CPU halted; `None` if it halted elsewhere.
///
/// All is read from memory that the guest may have changed: then this names some other
/// exception, and that is all.
pub fn halted_in_handler(
    registers: &kvm_regs,
    state: &kvm_sregs,
    memory: &Memory,
) -> Option<Fault> {
    let vector = registers.rip.checked_sub(tables::HALTS + 1)?;
    if vector >= tables::VECTORS || state.cs.selector & 3 != 0 {
        return None;
    }
    let vector = vector as u8;
    if state.cr0 & CR0_PE == 0 {
        // Real mode pushed flags, code segment and instruction pointer, 16 bits each.
        let mut frame = [0; 4];
        let stack = state.ss.base.wrapping_add(registers.rsp & 0xffff);
        memory.read("exception frame", stack, &mut frame).ok()?;
        let [ip, cs] =
            [[frame[0], frame[1]], [frame[2], frame[3]]].map(u16::from_le_bytes).map(u64::from);
        return Some(Fault::Exception {
            vector,
            rip: cs * 16 + ip,
            ring: 0,
            code: None,
            address: None,
        });
    }
    let mut frame = [0; 24];
    memory.read("exception frame", registers.rsp, &mut frame).ok()?;
    let words = frame.as_chunks().0;
    let [first, second, third] = [words[0], words[1], words[2]].map(u64::from_le_bytes);
    let (code, rip, cs) = match vector {
        8 | 10..=14 | 17 | 21 | 29 | 30 => (Some(first), second, third),
        _ => (None, first, second),
    };
    const PAGE_FAULT: u8 = 14;
    let address = (vector == PAGE_FAULT).then_some(state.cr2);
    Some(Fault::Exception { vector, rip, ring: (cs & 3) as u8, code, address })
}
