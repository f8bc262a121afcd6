//! A guest that broke off: what it did, and where it was.

use std::fmt;

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION,
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, kvm_run,
};
use kvm_ioctls::{VcpuExit, VcpuFd};
use sandbox::ExitReason;

use crate::exit_counts::ExitCounts;

/// Something that no program may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An exception, and nobody inside to handle it.
    Exception {
        /// Its number.
        vector: u8,
        /// The instruction that caused it, or the one after it (SDM volume 3, section 6.5).
        rip: u64,
        /// The ring of that instruction.
        ring: u8,
        /// Its error code, if it has one.
        code: Option<u64>,
        /// The address that could not be reached, for a page fault.
        address: Option<u64>,
    },
    /// The processor gave up.
    TripleFault,
    /// It asked to write more than its console buffer holds.
    LongWrite {
        /// So many bytes.
        length: usize,
    },
    /// It rang for something that there is not.
    UnknownRequest {
        /// The number of the request.
        number: u8,
    },
    /// KVM failed (KVM_EXIT_INTERNAL_ERROR).
    Internal {
        /// Its reason, one of `KVM_INTERNAL_ERROR_*`.
        suberror: u32,
        /// The instruction that it could not emulate, if it tells.
        instruction: Vec<u8>,
    },
    /// KVM could not go on.
    Broken {
        /// KVM's own name for the reason.
        name: &'static str,
        /// What it says beside.
        detail: Option<u64>,
    },
}

impl Fault {
    /// The fault end that is an `exit` which this machine has no answer to.
    pub(crate) fn of(exit: &VcpuExit<'_>) -> Self {
        let (name, detail) = match exit {
            VcpuExit::FailEntry(reason, _) => ("KVM_EXIT_FAIL_ENTRY", Some(*reason)),
            VcpuExit::MemoryFault { gpa, .. } => ("KVM_EXIT_MEMORY_FAULT", Some(*gpa)),
            VcpuExit::SystemEvent(event, _) => ("KVM_EXIT_SYSTEM_EVENT", Some((*event).into())),
            VcpuExit::Hypercall(call) => ("KVM_EXIT_HYPERCALL", Some(call.nr)),
            VcpuExit::Exception => ("KVM_EXIT_EXCEPTION", None),
            VcpuExit::Debug(_) => ("KVM_EXIT_DEBUG", None),
            VcpuExit::Unsupported(number) => {
                ("an exit reason unknown to isolab", Some((*number).into()))
            }
            _ => ("an exit that was not asked for", None),
        };
        Self::Broken { name, detail }
    }

    /// What KVM says of its failure, when `KVM_RUN` has just ended with `KVM_EXIT_INTERNAL_ERROR`
    /// (KVM's API, 5.1 "The kvm_run structure").
    pub(crate) fn internal(run: &kvm_run) -> Self {
        // SAFETY: all members of the union are plain numbers, for which any bits are a value.
        let internal = unsafe { run.__bindgen_anon_1.internal };
        // Of an instruction: flags, then its length and at most 15 bytes of it, in two words.
        const WITH_BYTES: u64 = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES as u64;
        let [flags, first, second, ..] = internal.data;
        let has_bytes = internal.suberror == KVM_INTERNAL_ERROR_EMULATION
            && internal.ndata >= 3
            && flags & WITH_BYTES != 0;
        let instruction = match [first, second].map(u64::to_le_bytes).as_flattened() {
            [length, bytes @ ..] if has_bytes => {
                bytes[..bytes.len().min(usize::from(*length))].to_vec()
            }
            _ => Vec::new(),
        };
        Self::Internal { suberror: internal.suberror, instruction }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "KVM_EXIT_INTERNAL_ERROR",
            Self::Broken { name, .. } => name,
            _ => "fault",
        }
    }
}

/// Names of exceptions, SDM volume 3, table 6-1.
fn exception_name(vector: u8) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid task state",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection",
        14 => "page fault",
        16 => "floating-point error",
        17 => "alignment check",
        19 => "SIMD floating-point error",
        _ => "interrupt",
    }
}

/// Names of KVM's internal errors, `include/uapi/linux/kvm.h`.
fn internal_name(suberror: u32) -> &'static str {
    match suberror {
        KVM_INTERNAL_ERROR_EMULATION => "it could not emulate an instruction",
        KVM_INTERNAL_ERROR_SIMUL_EX => "two exceptions at once",
        KVM_INTERNAL_ERROR_DELIVERY_EV => "a VM exit while delivering an exception or interrupt",
        KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => "an unknown exit reason",
        _ => "a reason unknown to isolab",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exception { vector, rip, ring, code, address } => {
                let name = exception_name(*vector);
                write!(out, "exception {vector} ({name}) at RIP {rip:#x} in ring {ring}")?;
                if let Some(address) = address {
                    write!(out, ", touching {address:#x}")?;
                }
                match code {
                    Some(code) => write!(out, ", error code {code:#x}"),
                    None => Ok(()),
                }
            }
            Self::TripleFault => out.write_str("triple fault (KVM_EXIT_SHUTDOWN)"),
            Self::LongWrite { length } => write!(
                out,
                "asked to write {length} bytes of its console buffer, which has {}",
                guest::abi::CONSOLE_BYTES
            ),
            Self::UnknownRequest { number } => {
                write!(out, "rang the doorbell for request {number}, which does not exist")
            }
            Self::Internal { suberror, instruction } => {
                let reason = internal_name(*suberror);
                write!(out, "KVM_EXIT_INTERNAL_ERROR, suberror {suberror}: {reason}")?;
                instruction.iter().enumerate().try_for_each(|(index, byte)| {
                    let before = if index == 0 { ": " } else { " " };
                    write!(out, "{before}{byte:02x}")
                })
            }
            Self::Broken { name, detail: Some(detail) } => write!(out, "{name} ({detail:#x})"),
            Self::Broken { name, detail: None } => out.write_str(name),
        }
    }
}

/// Where a guest was when it was stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct VcpuState {
    /// The next instruction; `None` if KVM does not tell.
    pub rip: Option<u64>,
    /// Its ring.
    pub ring: Option<u8>,
    /// The last exits before, the latest at the end.
    pub exits: Vec<ExitReason>,
}

impl VcpuState {
    /// Where `cpu` is now.
    pub(crate) fn of(cpu: &VcpuFd, exit_counts: &ExitCounts) -> Self {
        Self {
            rip: cpu.get_regs().ok().map(|registers| registers.rip),
            ring: cpu.get_sregs().ok().map(|state| (state.cs.selector & 3) as u8),
            exits: exit_counts.last(),
        }
    }
}

impl fmt::Display for VcpuState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rip, self.ring) {
            (Some(rip), Some(ring)) => write!(out, "it was at RIP {rip:#x} in ring {ring}")?,
            _ => out.write_str("it was at an unknown RIP")?,
        }
        match &*self.exits {
            [] => out.write_str("; it had not left for the host yet"),
            exits => {
                let names: Vec<String> = exits.iter().map(ToString::to_string).collect();
                write!(out, "; its last exits: {}", names.join(", "))
            }
        }
    }
}

/// A guest that broke off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest stopped with {fault}")]
pub struct GuestFault {
    /// What it did.
    pub fault: Fault,
    /// Where it was.
    #[source]
    pub vcpu_state: VcpuState,
}
