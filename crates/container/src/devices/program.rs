//! The rules for version 2: a BPF program that the kernel runs whenever a process of the cgroup
//! opens a device or makes a node for one.
//!
//! It is eBPF, eleven registers of 64 bits. The kernel passes the address of a `struct
//! bpf_cgroup_dev_ctx` (linux/bpf.h) in r1, denies access if r0 is 0, and verifies before the first
//! run that the program is safe on all paths:
//!
//! ```text
//!   0   access_type   lower half: 1 block, 2 character device
//!                     upper half: 1 make a node, 2 read, 4 write, or several
//!   4   major
//!   8   minor
//! ```
//!
//! The last rule that matches counts, so the program tries the last one first. r3 holds the
//! requested accesses that no rule has allowed yet. Consecutive rules of the same kind with the
//! same effect form a group:
//!
//! ```text
//!        r2 = kind   r3 = access   r4 = major << 20 | minor   r5 = major   r6 = minor
//!        r2 != char -> next
//!        r4 == 1:3 -> found     r4 == 1:5 -> found     r5 != 136 -> next
//! found: r3 &= not rw           r3 != 0 -> next        return 1
//! next:  the group before it
//! ```
//!
//! As in a seccomp filter, jumps go forward, so the program is generated from its end. The kernel's
//! verifier follows both ways of each jump with everything it knows about the registers. That takes
//! most of the load time, so groups share their tests, and both numbers are in one register. With
//! three jumps for each rule it took three times as long.

use super::{Access, DeviceKind, DeviceRule};

/// One instruction: `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// The destination in the lower four bits, the source in the upper ones.
    pub(super) registers: u8,
    /// How many instructions a jump skips, or the distance of a field from the address.
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

// Opcodes (Documentation/bpf/standardization/instruction-set.rst), on the lower 32 bits of
// registers.
/// `destination = *(u32 *)(source + offset)`: BPF_LDX | BPF_MEM | BPF_W
pub(super) const LOAD: u8 = 0x61;
/// `destination = immediate`: BPF_ALU | BPF_MOV | BPF_K
pub(super) const SET: u8 = 0xb4;
/// `destination = source`: BPF_ALU | BPF_MOV | BPF_X
pub(super) const COPY: u8 = 0xbc;
/// `destination &= immediate`: BPF_ALU | BPF_AND | BPF_K
pub(super) const AND: u8 = 0x54;
/// `destination |= source`: BPF_ALU | BPF_OR | BPF_X
pub(super) const OR: u8 = 0x4c;
/// `destination <<= immediate`: BPF_ALU | BPF_LSH | BPF_K
pub(super) const SHIFT_LEFT: u8 = 0x64;
/// `destination >>= immediate`: BPF_ALU | BPF_RSH | BPF_K
pub(super) const SHIFT_RIGHT: u8 = 0x74;
/// `if destination == immediate skip offset`: BPF_JMP32 | BPF_JEQ | BPF_K
pub(super) const SKIP_IF_EQUAL: u8 = 0x16;
/// `if destination != immediate skip offset`: BPF_JMP32 | BPF_JNE | BPF_K
pub(super) const SKIP_IF_NOT_EQUAL: u8 = 0x56;
/// `return r0`: BPF_JMP | BPF_EXIT
pub(super) const RETURN: u8 = 0x95;

const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ASKED: u8 = 3;
const DEVICE: u8 = 4;
const MAJOR: u8 = 5;
const MINOR: u8 = 6;
/// r1, once the fields are loaded.
const SCRATCH: u8 = CONTEXT;

/// BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
pub(super) const BLOCK: u32 = 1;
pub(super) const CHAR: u32 = 2;

/// The kernel's `dev_t` has 12 bits for the major and 20 for the minor number (linux/kdev_t.h).
pub(super) const MINOR_BITS: i32 = 20;

/// Whether such a device can exist.
fn exists(rule: &&DeviceRule) -> bool {
    rule.major.is_none_or(|major| major < 1 << 12)
        && rule.minor.is_none_or(|minor| minor < 1 << MINOR_BITS)
}

/// The program for `rules`.
pub(super) fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let says_something = |rule: &&DeviceRule| exists(rule) && rule.access != Access::NONE;
    let rules: Vec<DeviceRule> = rules.iter().filter(says_something).copied().collect();
    let alike = |one: &DeviceRule, other: &DeviceRule| {
        (one.kind, one.allow, one.access) == (other.kind, other.allow, other.access)
    };
    let mut writer = Writer { reversed: Vec::new() };
    writer.answer(false);
    for group in rules.chunk_by(alike).flat_map(|group| group.chunks(MOST_IN_A_GROUP)) {
        writer.group(group);
    }
    writer.load_fields();
    writer.reversed.reverse();
    writer.reversed
}

/// Jumps skip at most one group, and have 15 bits.
const MOST_IN_A_GROUP: usize = 1000;

/// Generates a program from its end.
struct Writer {
    reversed: Vec<Instruction>,
}

impl Writer {
    /// Adds code that applies these rules if one of them matches, and otherwise continues with the
    /// code generated so far.
    fn group(&mut self, rules: &[DeviceRule]) {
        if rules.iter().any(DeviceRule::is_total) {
            // Earlier rules never apply, and the verifier rejects unreachable code.
            self.reversed.clear();
            return self.answer(rules[0].allow);
        }
        let next = self.reversed.len();
        self.say(&rules[0], next);
        if rules.iter().all(|rule| (rule.major, rule.minor) != (None, None)) {
            let found = self.reversed.len();
            self.compare(&rules[0], SKIP_IF_NOT_EQUAL, next);
            for rule in &rules[1..] {
                self.compare(rule, SKIP_IF_EQUAL, found);
            }
        }
        match rules[0].kind {
            DeviceKind::All => {}
            DeviceKind::Char => self.skip_to(next, SKIP_IF_NOT_EQUAL, KIND, CHAR),
            DeviceKind::Block => self.skip_to(next, SKIP_IF_NOT_EQUAL, KIND, BLOCK),
        }
    }

    /// Adds the effect of a rule on a device that it matches.
    fn say(&mut self, rule: &DeviceRule, next: usize) {
        self.answer(rule.allow);
        let access = i32::from(rule.access.bits());
        if rule.access == Access::ALL {
            // The rule covers every access.
        } else if rule.allow {
            self.skip_to(next, SKIP_IF_NOT_EQUAL, ASKED, 0);
            self.push(AND, ASKED, 0, 0, !access);
        } else {
            self.skip_to(next, SKIP_IF_EQUAL, SCRATCH, 0);
            self.push(AND, SCRATCH, 0, 0, access);
            self.push(COPY, SCRATCH, ASKED, 0, 0);
        }
    }

    /// Compares the numbers of a device with those of a rule, if it has any.
    fn compare(&mut self, rule: &DeviceRule, code: u8, target: usize) {
        match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => {
                self.skip_to(target, code, DEVICE, major << MINOR_BITS | minor);
            }
            (Some(major), None) => self.skip_to(target, code, MAJOR, major),
            (None, minor) => self.skip_to(target, code, MINOR, minor.unwrap_or_default()),
        }
    }

    /// Loads the fields of the context into registers.
    fn load_fields(&mut self) {
        self.push(OR, DEVICE, MINOR, 0, 0);
        self.push(SHIFT_LEFT, DEVICE, 0, 0, MINOR_BITS);
        self.push(COPY, DEVICE, MAJOR, 0, 0);
        self.push(LOAD, MINOR, CONTEXT, 8, 0);
        self.push(LOAD, MAJOR, CONTEXT, 4, 0);
        self.push(SHIFT_RIGHT, ASKED, 0, 0, 16);
        self.push(AND, KIND, 0, 0, 0xffff);
        self.push(COPY, ASKED, KIND, 0, 0);
        self.push(LOAD, KIND, CONTEXT, 0, 0);
    }

    fn answer(&mut self, allow: bool) {
        self.push(RETURN, 0, 0, 0, 0);
        self.push(SET, ANSWER, 0, 0, i32::from(allow));
    }

    /// A conditional jump to the position where the program had that length.
    fn skip_to(&mut self, length: usize, code: u8, register: u8, value: u32) {
        let skipped = (self.reversed.len() - length) as i16;
        self.push(code, register, 0, skipped, value.cast_signed());
    }

    fn push(&mut self, code: u8, destination: u8, source: u8, offset: i16, immediate: i32) {
        let registers = destination | source << 4;
        self.reversed.push(Instruction { code, registers, offset, immediate });
    }
}
