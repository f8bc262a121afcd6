//! The page that the kernel and this process share: why `KVM_RUN` came back, and its operands.
//!
//! ```text
//!   struct kvm_run, from mmap(2) on the processor's descriptor (api.rst, section 5)
//!   0x0000  request_interrupt_window
//!   0x0001  immediate_exit
//!   0x0008  exit_reason             KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_HLT ...
//!   0x0020  for KVM_EXIT_IO         for KVM_EXIT_MMIO
//!             direction                phys_addr
//!             size                     data, 8 bytes
//!             port                     len
//!             count                    is_write
//!             data_offset --+
//!                           |
//!   0x....  the bytes  <----+       count values of size bytes each, to or from the port
//! ```

use std::mem::offset_of;

use kvm_bindings::{
    KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT, KVM_EXIT_MMIO, kvm_run,
    kvm_run__bindgen_ty_1__bindgen_ty_4 as Io, kvm_run__bindgen_ty_1__bindgen_ty_6 as Mmio,
};

const OPERANDS: usize = offset_of!(kvm_run, __bindgen_anon_1);

/// The shared page, which is a few pages long, or a copy of one.
#[derive(Debug)]
pub struct RunPage<'p>(&'p mut [u8]);

/// The operands of an exit for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortAccess {
    /// Whether the guest gives bytes (`out`); else it wants some (`in`).
    pub is_out: bool,
    /// The bytes of one value: 1, 2 or 4.
    pub size: usize,
    /// The port.
    pub port: u16,
    /// How many values: more than 1 for a string instruction.
    pub count: usize,
    /// Where in the page the values lie, in either direction.
    pub data_offset: usize,
}

/// The operands of an exit for memory that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Whether the guest gives bytes.
    pub is_write: bool,
    /// The guest's physical address.
    pub address: u64,
    /// How many bytes: 1 to 8.
    pub length: usize,
}

impl<'p> RunPage<'p> {
    /// A page that lies in `bytes`.
    pub fn of(bytes: &'p mut [u8]) -> Self {
        Self(bytes)
    }

    /// Why `KVM_RUN` came back: `KVM_EXIT_IO` and so on.
    pub fn reason(&self) -> u32 {
        self.number(offset_of!(kvm_run, exit_reason), 4) as u32
    }

    /// The operands of `KVM_EXIT_IO`.
    pub fn port_access(&self) -> PortAccess {
        let field = |offset, bytes| self.number(OPERANDS + offset, bytes);
        PortAccess {
            is_out: field(offset_of!(Io, direction), 1) == u64::from(KVM_EXIT_IO_OUT),
            size: field(offset_of!(Io, size), 1) as usize,
            port: field(offset_of!(Io, port), 2) as u16,
            count: field(offset_of!(Io, count), 4) as usize,
            data_offset: field(offset_of!(Io, data_offset), 8) as usize,
        }
    }

    /// The operands of `KVM_EXIT_MMIO`.
    pub fn memory_access(&self) -> MemoryAccess {
        let field = |offset, bytes| self.number(OPERANDS + offset, bytes);
        MemoryAccess {
            is_write: field(offset_of!(Mmio, is_write), 1) != 0,
            address: field(offset_of!(Mmio, phys_addr), 8),
            length: field(offset_of!(Mmio, len), 4) as usize,
        }
    }

    /// The data of `KVM_EXIT_MMIO`: what the guest wrote, or where what it reads must go.
    pub fn memory_data(&mut self) -> &mut [u8] {
        let length = self.memory_access().length;
        let start = OPERANDS + offset_of!(Mmio, data);
        &mut self.0[start..start + length]
    }

    /// All bytes of the page.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0
    }

    fn number(&self, offset: usize, bytes: usize) -> u64 {
        self.0[offset..offset + bytes]
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    }
}

/// An exit as some kernel may leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded<'v> {
    /// For a port.
    Port(PortAccess, &'v [u8]),
    /// For memory that is none, with the 8 bytes of data, of which only `length` are the guest's.
    Memory(MemoryAccess, [u8; 8]),
    /// For another reason.
    Other(u32),
}

/// The bytes of a page as a kernel would leave it with this exit.
pub fn recorded(exit: Recorded<'_>) -> Vec<u8> {
    let mut page = vec![0; 0x3000];
    let mut put = |offset: usize, bytes: &[u8]| {
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    let reason = match exit {
        Recorded::Port(access, values) => {
            let direction = if access.is_out { KVM_EXIT_IO_OUT } else { KVM_EXIT_IO_IN };
            put(OPERANDS + offset_of!(Io, direction), &[direction as u8]);
            put(OPERANDS + offset_of!(Io, size), &[access.size as u8]);
            put(OPERANDS + offset_of!(Io, port), &access.port.to_le_bytes());
            put(OPERANDS + offset_of!(Io, count), &(access.count as u32).to_le_bytes());
            put(OPERANDS + offset_of!(Io, data_offset), &(access.data_offset as u64).to_le_bytes());
            put(access.data_offset, values);
            KVM_EXIT_IO
        }
        Recorded::Memory(access, data) => {
            put(OPERANDS + offset_of!(Mmio, phys_addr), &access.address.to_le_bytes());
            put(OPERANDS + offset_of!(Mmio, data), &data);
            put(OPERANDS + offset_of!(Mmio, len), &(access.length as u32).to_le_bytes());
            put(OPERANDS + offset_of!(Mmio, is_write), &[u8::from(access.is_write)]);
            KVM_EXIT_MMIO
        }
        Recorded::Other(reason) => reason,
    };
    put(offset_of!(kvm_run, exit_reason), &reason.to_le_bytes());
    page
}
