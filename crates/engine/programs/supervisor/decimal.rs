//! Numbers as text.

/// Writes `number` in decimal digits to the start of `to`. Returns how many digits it has.
pub fn decimal(to: &mut [u8], number: u64) -> usize {
    let mut count = 1;
    let mut rest = number / 10;
    while rest > 0 {
        count += 1;
        rest /= 10;
    }
    rest = number;
    for digit in to[..count].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    count
}
