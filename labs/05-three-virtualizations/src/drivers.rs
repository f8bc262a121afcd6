//! The guests: what a driver in the guest's kernel would do, in a few instructions each.
//!
//! ```text
//!   guest physical memory, mapped one to one; the program runs in 64-bit ring 3
//!   0x000000  tables of the library's making
//!   0x100000  one of the programs below
//!   0x120000  the bytes that are to leave
//!   0x140000  the ring: how many bytes were ever put in; at 0x140040, ever taken out
//!   0x141000  the ring's 256 bytes
//!   0x200000  not memory, until map_shared puts a page of the host there
//! ```

use crate::{
    BYTES, DOORBELL, LINE_STATUS, READY_TO_SEND, SEND, SIZE,
    device::{STOP, THERE, WANTED},
    ring::{HEAD, RING},
};

/// Where the program is.
pub(crate) const CODE: u64 = 0x10_0000;
/// Where its bytes are.
pub(crate) const DATA: u64 = 0x12_0000;
/// Where the guest expects its device.
pub(crate) const DEVICE: u64 = 0x20_0000;
/// Writing to this port ends a guest.
pub(crate) const END: u8 = 0xf4;

/// How the guest's driver sends its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// As the driver of a serial device does: before each byte it reads the line status until there
    /// is room, then it writes the byte to `port`.
    Polling {
        /// The port.
        port: u16,
    },
    /// With a single instruction, `rep outsb`, which writes all bytes to `port`.
    Repeated {
        /// The port.
        port: u16,
    },
    /// Into the ring; the driver rings the doorbell after so many bytes, and after the last one.
    Ring {
        /// How many; the ring has room for [`SIZE`].
        bytes_per_doorbell: u32,
    },
}

impl Driver {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Polling { .. } => "polling",
            Self::Repeated { .. } => "repeated",
            Self::Ring { .. } => "ring",
        }
    }

    /// The driver in machine code.
    pub(crate) fn code(self) -> Vec<u8> {
        match self {
            Self::Polling { port } => polling(port),
            Self::Repeated { port } => {
                let mut code = Code::default();
                code.set(SOURCE, DATA).set(COUNT, BYTES as u64).set(PORT, port.into());
                code.put(&[0xf3, 0x6e]).end() // rep outsb
            }
            Self::Ring { bytes_per_doorbell } => ring(bytes_per_doorbell.max(1)),
        }
    }
}

fn polling(port: u16) -> Vec<u8> {
    let mut code = Code::default();
    code.set(SOURCE, DATA).set(COUNT, BYTES as u64);
    let next = code.here();
    code.set(PORT, LINE_STATUS.into());
    let wait = code.here();
    code.put(&[0xec]); // in al, dx
    code.put(&[0xa8, READY_TO_SEND]); // test al, READY_TO_SEND
    code.jump(IF_ZERO, wait);
    code.set(PORT, port.into());
    code.put(&[0xac]); // lodsb: al = the next byte
    code.put(&[0xee]); // out dx, al
    code.put(&[0xff, 0xc9]); // dec ecx
    code.jump(IF_NOT_ZERO, next);
    debug_assert_eq!(SEND + 5, LINE_STATUS);
    code.end()
}

fn ring(bytes_per_doorbell: u32) -> Vec<u8> {
    const MASK: u8 = (SIZE - 1) as u8;
    const RING_DOORBELL: [u8; 2] = [0xe6, DOORBELL as u8]; // out DOORBELL, al
    let mut code = Code::default();
    code.set(SOURCE, DATA).set(COUNT, BYTES as u64).set(BATCH, bytes_per_doorbell.into());
    code.put(&[0x8b, 0x3c, 0x25]).word(HEAD); // mov edi, [HEAD]
    let next = code.here();
    code.put(&[0xac]); // lodsb
    code.put(&[0x40, 0x0f, 0xb6, 0xd7]); // movzx edx, dil: a ring of 256 bytes
    const { assert!(MASK == u8::MAX) }
    code.put(&[0x88, 0x82]).word(RING); // mov [RING + edx], al
    code.put(&[0xff, 0xc7]); // inc edi
    code.put(&[0x89, 0x3c, 0x25]).word(HEAD); // mov [HEAD], edi
    code.put(&[0xff, 0xcb]); // dec ebx
    code.put(&[0x75, 2 + 5]); // jnz over the doorbell
    code.put(&RING_DOORBELL).set(BATCH, bytes_per_doorbell.into());
    code.put(&[0xff, 0xc9]); // dec ecx
    code.jump(IF_NOT_ZERO, next);
    code.put(&[0x81, 0xfb]).word(bytes_per_doorbell.into()); // cmp ebx, bytes_per_doorbell
    code.put(&[0x74, 2]); // je over the doorbell: nothing is left in the ring
    code.put(&RING_DOORBELL).end()
}

/// A guest that lies: it says that there are 5000 bytes more in the ring than it has put there.
pub(crate) fn hostile() -> Vec<u8> {
    const LIE: u64 = 5000;
    let mut code = Code::default();
    code.put(&[0x81, 0x04, 0x25]).word(HEAD).word(LIE); // add dword [HEAD], LIE
    code.put(&[0xe6, DOORBELL as u8]).end() // out DOORBELL, al
}

/// A guest with a device of its own: it waits for a word in the device's page, stores its bytes
/// there, then the same word, and ends when it is told to. None of these instructions leaves it.
pub(crate) fn passthrough() -> Vec<u8> {
    let mut code = Code::default();
    let wait = code.here();
    code.put(&[0xf3, 0x90]); // pause
    code.put(&[0x8b, 0x04, 0x25]).word(DEVICE + WANTED); // mov eax, [WANTED]
    code.put(&[0x85, 0xc0]); // test eax, eax
    code.jump(IF_ZERO, wait);
    code.set(SOURCE, DATA).set(TARGET, DEVICE).set(COUNT, BYTES as u64);
    code.put(&[0xf3, 0xa4]); // rep movsb
    code.put(&[0x89, 0x04, 0x25]).word(DEVICE + THERE); // mov [THERE], eax
    let wait = code.here();
    code.put(&[0xf3, 0x90]); // pause
    code.put(&[0x8b, 0x0c, 0x25]).word(DEVICE + STOP); // mov ecx, [STOP]
    code.put(&[0x85, 0xc9]); // test ecx, ecx
    code.jump(IF_ZERO, wait);
    code.end()
}

/// `mov r32, imm32` of the registers that the programs use.
const SOURCE: u8 = 0xbe; // esi
const TARGET: u8 = 0xbf; // edi
const COUNT: u8 = 0xb9; // ecx
const PORT: u8 = 0xba; // edx
const BATCH: u8 = 0xbb; // ebx
/// Short jumps.
const IF_ZERO: u8 = 0x74;
const IF_NOT_ZERO: u8 = 0x75;

/// Machine code that is being written (Intel SDM, volume 2).
#[derive(Debug, Default)]
struct Code(Vec<u8>);

impl Code {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn word(&mut self, value: u64) -> &mut Self {
        self.put(&(value as u32).to_le_bytes())
    }

    fn set(&mut self, register: u8, value: u64) -> &mut Self {
        self.put(&[register]).word(value)
    }

    fn here(&self) -> usize {
        self.0.len()
    }

    /// A jump back to `target`.
    fn jump(&mut self, condition: u8, target: usize) {
        let distance = target as isize - (self.0.len() + 2) as isize;
        self.put(&[condition, distance as u8]);
    }

    /// The end of a program, after which nothing comes.
    fn end(&mut self) -> Vec<u8> {
        self.put(&[0xe6, END, 0xeb, 0xfe]); // out END, al; jmp to itself
        std::mem::take(&mut self.0)
    }
}
