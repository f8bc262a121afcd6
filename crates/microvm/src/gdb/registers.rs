//! The registers as gdb numbers them: first those that every description of an x86 processor has.
//!
//! What the vector unit holds is left out: gdb shows it as unavailable.

use kvm_bindings::{kvm_regs, kvm_sregs};

use super::packet;

/// How wide the processor is, for the debugger. It is told once, at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As of an 80386: for a boot sector, with `set architecture i8086` in gdb.
    Bits32,
    /// As of every later one.
    Bits64,
}

/// In gdb's order (gdb/features/i386/64bit-core.xml).
const NAMES_64: [&str; 16] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
/// In gdb's order (gdb/features/i386/32bit-core.xml).
const NAMES_32: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS: [&str; 6] = ["cs", "ss", "ds", "es", "fs", "gs"];
const VECTORS: usize = 8;
const OF_VECTORS: [&str; 8] = ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"];

impl Width {
    fn general(self) -> usize {
        match self {
            Self::Bits32 => NAMES_32.len(),
            Self::Bits64 => NAMES_64.len(),
        }
    }

    /// The bytes of a general register.
    fn bytes(self) -> usize {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }

    /// The description for the debugger (gdb's manual, "Target Descriptions").
    pub fn description(self) -> String {
        let (architecture, names, suffix): (_, &[&str], _) = match self {
            Self::Bits32 => ("i386", &NAMES_32, "e"),
            Self::Bits64 => ("i386:x86-64", &NAMES_64, "r"),
        };
        let bits = 8 * self.bytes();
        let mut text = format!(
            "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>\
             <architecture>{architecture}</architecture><feature name=\"org.gnu.gdb.i386.core\">"
        );
        let mut add = |name: &str, bits: usize, kind: &str| {
            text += &format!("<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\"/>");
        };
        for name in names {
            let kind = match *name {
                "rsp" | "rbp" | "esp" | "ebp" => "data_ptr",
                _ if bits == 64 => "int64",
                _ => "int32",
            };
            add(name, bits, kind);
        }
        add(&format!("{suffix}ip"), bits, "code_ptr");
        add("eflags", 32, "int32");
        SEGMENTS.iter().for_each(|name| add(name, 32, "int32"));
        (0..VECTORS).for_each(|number| add(&format!("st{number}"), 80, "i387_ext"));
        OF_VECTORS.iter().for_each(|name| add(name, 32, "int"));
        text + "</feature></target>"
    }

    /// All of them in hexadecimal digits, as `g` wants them.
    pub fn show(self, registers: &kvm_regs, special: &kvm_sregs) -> String {
        let numbers = 0..self.general() + 8;
        let known = numbers.filter_map(|number| self.show_one(number, registers, special));
        let unavailable = VECTORS * 10 + OF_VECTORS.len() * 4;
        known.collect::<String>() + &"xx".repeat(unavailable)
    }

    /// One of them, as `p` wants it; nothing if there is no such register.
    pub fn show_one(
        self,
        number: usize,
        registers: &kvm_regs,
        special: &kvm_sregs,
    ) -> Option<String> {
        let mut registers = *registers;
        let general = self.general();
        if let Some(place) = self.place(number, &mut registers) {
            let bytes = place.to_le_bytes();
            let width = if number == general + 1 { 4 } else { self.bytes() };
            return Some(packet::hex(&bytes[..width]));
        }
        let segments =
            [&special.cs, &special.ss, &special.ds, &special.es, &special.fs, &special.gs];
        let rest = number - general - 2;
        if let Some(segment) = segments.get(rest) {
            return Some(packet::hex(&u32::from(segment.selector).to_le_bytes()));
        }
        match rest - segments.len() {
            0..VECTORS => Some("xx".repeat(10)),
            8..16 => Some("xx".repeat(4)),
            _ => None,
        }
    }

    /// Sets one of them to the little-endian number in `bytes`; whether it can be set.
    pub fn set(self, number: usize, bytes: &[u8], registers: &mut kvm_regs) -> bool {
        let width = if number == self.general() + 1 { 4 } else { self.bytes() };
        let Some(place) = self.place(number, registers).filter(|_| bytes.len() == width) else {
            return false;
        };
        let mut value = [0; 8];
        value[..width].copy_from_slice(bytes);
        *place = u64::from_le_bytes(value);
        true
    }

    /// Sets all that can be set to what `g` would have shown; whether it was as long.
    pub fn set_all(self, mut bytes: &[u8], registers: &mut kvm_regs) -> bool {
        for number in 0..self.general() + 2 {
            let width = if number == self.general() + 1 { 4 } else { self.bytes() };
            let Some((own, rest)) = bytes.split_at_checked(width) else { return false };
            self.set(number, own, registers);
            bytes = rest;
        }
        true
    }

    /// Where KVM has a general register, the instruction pointer or the flags.
    fn place(self, number: usize, all: &mut kvm_regs) -> Option<&mut u64> {
        let general = self.general();
        Some(match (self, number) {
            (_, number) if number == general => &mut all.rip,
            (_, number) if number == general + 1 => &mut all.rflags,
            (Self::Bits64, 0) | (Self::Bits32, 0) => &mut all.rax,
            (Self::Bits64, 1) | (Self::Bits32, 3) => &mut all.rbx,
            (Self::Bits64, 2) | (Self::Bits32, 1) => &mut all.rcx,
            (Self::Bits64, 3) | (Self::Bits32, 2) => &mut all.rdx,
            (Self::Bits64, 4) | (Self::Bits32, 6) => &mut all.rsi,
            (Self::Bits64, 5) | (Self::Bits32, 7) => &mut all.rdi,
            (Self::Bits64, 6) | (Self::Bits32, 5) => &mut all.rbp,
            (Self::Bits64, 7) | (Self::Bits32, 4) => &mut all.rsp,
            (Self::Bits64, 8) => &mut all.r8,
            (Self::Bits64, 9) => &mut all.r9,
            (Self::Bits64, 10) => &mut all.r10,
            (Self::Bits64, 11) => &mut all.r11,
            (Self::Bits64, 12) => &mut all.r12,
            (Self::Bits64, 13) => &mut all.r13,
            (Self::Bits64, 14) => &mut all.r14,
            (Self::Bits64, 15) => &mut all.r15,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_shown_and_no_other_changes() {
        for width in [Width::Bits32, Width::Bits64] {
            let special = kvm_sregs::default();
            for number in 0..width.general() + 2 {
                let mut registers = kvm_regs::default();
                let length = width.show_one(number, &registers, &special).unwrap().len() / 2;
                let bytes: Vec<u8> = (1..=length as u8).collect();
                assert!(width.set(number, &bytes, &mut registers), "{number}");
                for other in 0..width.general() + 2 {
                    let shown = width.show_one(other, &registers, &special).unwrap();
                    assert_eq!(shown == packet::hex(&bytes), number == other, "{number} {other}");
                }
                assert!(!width.set(number, &bytes[1..], &mut registers));
            }
            assert!(!width.set(width.general() + 2, &[0; 4], &mut kvm_regs::default()));
            assert_eq!(width.show_one(width.general() + 24, &kvm_regs::default(), &special), None);
        }
    }

    #[test]
    fn all_are_as_many_as_are_described_and_come_back_as_they_were() {
        for (width, bytes) in [(Width::Bits32, 8 * 4 + 8 * 4), (Width::Bits64, 17 * 8 + 7 * 4)] {
            let registers =
                kvm_regs { rax: 1, rsp: 2, rip: 3, rflags: 4, r15: 0, ..kvm_regs::default() };
            let shown = width.show(&registers, &kvm_sregs::default());
            assert_eq!(shown.len(), 2 * (bytes + 8 * 10 + 8 * 4), "{width:?}");
            assert_eq!(width.description().matches("<reg ").count(), width.general() + 24);
            let known = packet::bytes(&shown.as_bytes()[..2 * bytes]).unwrap();
            let mut set = kvm_regs::default();
            assert!(width.set_all(&known, &mut set));
            assert_eq!(set, registers);
            assert!(!width.set_all(&known[..20], &mut set));
        }
    }
}
