//! Generates a program in classic BPF, the language of seccomp(2) filters, from its end.
//!
//! Jumps go only forward, and conditional ones by 255 instructions at most. If the program is
//! generated from the end, the target of a jump exists before the jump, and its distance is known.
//! A return value that several jumps share is generated once.

use crate::Error;

/// One instruction: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    /// How many instructions a jump skips if its condition holds, and if not.
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

impl Instruction {
    /// The 8 bytes of the structure, as a number.
    pub(super) fn word(self) -> u64 {
        let ([a, b], [e, f, g, h]) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        u64::from_ne_bytes([a, b, self.jt, self.jf, e, f, g, h])
    }
}

pub(super) const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
pub(super) const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
pub(super) const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
pub(super) const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
pub(super) const JUMP_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
pub(super) const JUMP_GREATER_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in `struct seccomp_data` (linux/seccomp.h): the number, the architecture, the address of
/// the call, six arguments of 64 bits.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
pub(super) const ARGUMENTS: u32 = 16;

/// AUDIT_ARCH_X86_64 of linux/audit.h: EM_X86_64, 64 bits, little-endian.
pub(super) const X86_64: u32 = 62 | 0x8000_0000 | 0x4000_0000;

/// AUDIT_ARCH_I386: EM_386, 32 bits, little-endian.
pub(super) const I386: u32 = 3 | 0x4000_0000;

/// The calls of the x32 ABI have separate numbers, from here on, with the same architecture.
pub(super) const X32: u32 = 1 << 30;

/// The answer for unknown calls.
pub(super) const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// A position in the program, counted from its end, so that it stays valid when instructions are
/// prepended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program, from its last instruction to its first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
    /// The return instructions that exist already.
    answers: Vec<(u32, Label)>,
}

impl Assembler {
    /// Returns `value`, by an existing instruction if a jump can reach it.
    pub(super) fn answer(&mut self, value: u32) -> Label {
        let mut near = self.answers.iter().rev().take_while(|it| self.distance(it.1) < NEAR);
        if let Some((_, label)) = near.find(|it| it.0 == value) {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, value);
        self.answers.push((value, label));
        label
    }

    /// Loads 32 bits of the structure and continues at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        if self.distance(next) > 0 {
            self.jump(next);
        }
        self.push(LOAD, 0, 0, offset)
    }

    pub(super) fn branch(&mut self, code: u16, k: u32, holds: Label, fails: Label) -> Label {
        let holds = self.near(holds);
        let fails = self.near(fails);
        let [jt, jf] = [holds, fails].map(|label| self.distance(label) as u8);
        self.push(code, jt, jf, k)
    }

    /// A position within reach of a conditional jump that leads to `label`.
    fn near(&mut self, label: Label) -> Label {
        if self.distance(label) < NEAR { label } else { self.jump(label) }
    }

    fn jump(&mut self, label: Label) -> Label {
        self.push(JUMP, 0, 0, self.distance(label) as u32)
    }

    /// How many instructions the next generated one would have to skip.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label.0
    }

    pub(super) fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len())
    }

    /// The program, unless it is too long for the kernel.
    pub(super) fn finish(mut self) -> Result<Vec<Instruction>, Error> {
        const MOST: usize = libc::BPF_MAXINSNS as usize;
        self.reversed.reverse();
        match self.reversed.len() {
            instructions if instructions > MOST => Err(Error::SeccompTooLong { instructions }),
            _ => Ok(self.reversed),
        }
    }
}

/// A conditional jump skips up to 255 instructions; another one may be inserted between.
const NEAR: usize = 255;
