//! Identifiers of objects.

use rustix::rand::{GetRandomFlags, getrandom};

/// A new identifier: 64 hexadecimal digits, as Docker's.
pub fn new_id() -> String {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        // It is interrupted only while the kernel has no random numbers yet (getrandom(2)).
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (new_id(), new_id());
        assert!(one != other && one.len() == 64);
        assert!(one.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
