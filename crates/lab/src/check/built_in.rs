//! A check that is part of the program that grades, and not of the checkout that is graded.

use super::{Bench, finding::Checked};

/// The check of a lab.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// The lab's number: `08`.
    pub lab: &'static str,
    /// Its name: `own-name`.
    pub name: &'static str,
    /// The [`digest`] of the sources that the check was built with and that it relies on.
    pub sources: u64,
    /// The check.
    pub check: fn(&mut Bench) -> Checked<()>,
}

/// Those of a lab's sources of which a check is made for: the check itself, and what leads the
/// student's functions.
pub const SOURCES: [&str; 2] = ["check.rs", "src/lib.rs"];

/// Tells one state of the sources from another; it is no proof against anybody.
pub const fn digest(sources: [&[u8]; 2]) -> u64 {
    // FNV-1a.
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut number = 0;
    while number < sources.len() {
        let mut at = 0;
        while at < sources[number].len() {
            digest = (digest ^ sources[number][at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        // Where one file ends and the next begins counts too.
        digest = (digest ^ 0x100).wrapping_mul(0x0100_0000_01b3);
        number += 1;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_a_source_is_seen() {
        let all = [[&b"ab"[..], b"c"], [b"a", b"bc"], [b"ab", b"d"], [b"", b"abc"]].map(digest);
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "{all:x?}");
        }
    }
}
