//! A bare program as a list of acts, and as machine code of 64-bit mode (Intel SDM, volume 2).
//!
//! It has no loop, so it ends; and whatever it does to itself is done once.

use arbitrary::Arbitrary;
use guest::abi::{CONSOLE_BYTES, DOORBELL, Request, map};

/// An act of a bare program's.
#[derive(Debug, Clone, Arbitrary)]
pub enum Act {
    /// It writes to a port: 1, 2 or 4 bytes.
    Out(Port, Width, u32),
    /// It reads from one.
    In(Port, Width),
    /// It writes so many bytes of its own code, each an exit.
    OutString(Port, u8),
    /// It rings the doorbell with that request and operand.
    Ring(Wish, Operand),
    /// It fills the console buffer with that letter.
    Fill(u8),
    /// It writes a word to an address, be it memory or not.
    Store(Address, u64),
    /// It reads one.
    Load(Address),
    /// It does what is no instruction, breaks, calls a gate, halts.
    Bytes(Special),
}

/// Where in the ports.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Port {
    Doorbell,
    Debug,
    Serial,
    Off,
    Any(u16),
}

impl Port {
    pub fn number(self) -> u16 {
        match self {
            Self::Doorbell => DOORBELL,
            Self::Debug => 0xe9,
            Self::Serial => 0x3f8,
            Self::Off => 0xf4,
            Self::Any(port) => port,
        }
    }
}

/// The request at a doorbell. Whoever waits to be stopped is told elsewhere; here it would only cost
/// time.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Wish {
    Nothing,
    Write,
    Exit,
    Any(u8),
}

impl Wish {
    fn number(self) -> u8 {
        match self {
            Self::Nothing => Request::Nothing as u8,
            Self::Write => Request::Write as u8,
            Self::Exit => Request::Exit as u8,
            Self::Any(number) => number,
        }
    }
}

/// What a request is about: nearly always a length.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Operand {
    Around(i8),
    Short(u16),
    Any(u32),
}

impl Operand {
    /// The word at the doorbell with that request.
    pub fn with(self, wish: Wish) -> u32 {
        let operand = match self {
            Self::Around(by) => (CONSOLE_BYTES as u32).wrapping_add_signed(by.into()),
            Self::Short(length) => length.into(),
            Self::Any(any) => any,
        };
        u32::from(wish.number()) | operand << 8
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Width {
    Byte,
    Word,
    Long,
}

impl Width {
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
        }
    }
}

/// Where in memory. Its own tables are below the program.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Address {
    Tables(u16),
    Console(u16),
    MemoryEnd(i8),
    Device(u32),
    Any(u64),
}

impl Address {
    fn number(self) -> u64 {
        match self {
            Self::Tables(at) => 0x1000 + u64::from(at),
            Self::Console(at) => map::CONSOLE + u64::from(at % 4096),
            Self::MemoryEnd(at) => map::HEAP.wrapping_add_signed(at.into()),
            Self::Device(at) => 0xd000_0000 + u64::from(at % (1 << 28)),
            Self::Any(at) => at,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Special {
    Undefined,
    Break,
    Interrupt(u8),
    Halt,
    Cpuid,
    Syscall,
    NoStack,
    ReadRegister(u32),
}

/// The code of a program that exits when it has done all of it.
pub fn assemble(acts: &[Act]) -> Vec<u8> {
    let mut code = Vec::new();
    for act in acts {
        act.append(&mut code);
    }
    Act::Ring(Wish::Exit, Operand::Short(0)).append(&mut code);
    code
}

impl Act {
    fn append(&self, code: &mut Vec<u8>) {
        match self {
            Self::Out(port, width, value) => {
                code.push(0xb8); // mov eax, value
                code.extend(value.to_le_bytes());
                set_port(code, *port);
                code.extend(match width {
                    Width::Byte => &[0xee][..],
                    Width::Word => &[0x66, 0xef],
                    Width::Long => &[0xef],
                });
            }
            Self::In(port, width) => {
                set_port(code, *port);
                code.extend(match width {
                    Width::Byte => &[0xec][..],
                    Width::Word => &[0x66, 0xed],
                    Width::Long => &[0xed],
                });
            }
            Self::OutString(port, count) => {
                set_port(code, *port);
                code.push(0xb9); // mov ecx, count
                code.extend(u32::from(count % 64).to_le_bytes());
                code.push(0xbe); // mov esi, program
                code.extend((map::PROGRAM as u32).to_le_bytes());
                code.extend([0xf3, 0x6e]); // rep outsb
            }
            Self::Ring(wish, operand) => {
                Self::Out(Port::Doorbell, Width::Long, operand.with(*wish)).append(code);
            }
            Self::Fill(letter) => {
                code.push(0xbf); // mov edi, console
                code.extend((map::CONSOLE as u32).to_le_bytes());
                code.extend([0xb9, 0, 8, 0, 0, 0xb0, *letter, 0xf3, 0xaa]); // mov ecx, 2048; rep stosb
            }
            Self::Store(address, value) => {
                set_address(code, *address);
                code.extend([0x49, 0xb8]); // mov r8, value
                code.extend(value.to_le_bytes());
                code.extend([0x4c, 0x89, 0x07]); // mov [rdi], r8
            }
            Self::Load(address) => {
                set_address(code, *address);
                code.extend([0x48, 0x8b, 0x07]); // mov rax, [rdi]
            }
            Self::Bytes(special) => match special {
                Special::Undefined => code.extend([0x0f, 0x0b]),
                Special::Break => code.push(0xcc),
                Special::Interrupt(vector) => code.extend([0xcd, *vector]),
                Special::Halt => code.push(0xf4),
                Special::Cpuid => code.extend([0x0f, 0xa2]),
                Special::Syscall => code.extend([0x0f, 0x05]),
                Special::NoStack => code.extend([0x31, 0xe4, 0x50]), // xor esp, esp; push rax
                Special::ReadRegister(number) => {
                    code.push(0xb9); // mov ecx, number
                    code.extend(number.to_le_bytes());
                    code.extend([0x0f, 0x32]); // rdmsr
                }
            },
        }
    }
}

fn set_port(code: &mut Vec<u8>, port: Port) {
    code.extend([0x66, 0xba]); // mov dx, port
    code.extend(port.number().to_le_bytes());
}

fn set_address(code: &mut Vec<u8>, address: Address) {
    code.extend([0x48, 0xbf]); // mov rdi, address
    code.extend(address.number().to_le_bytes());
}
