//! Packets of gdb's remote serial protocol: `$` text `#` checksum.
//!
//! A debugger is its user's own, but what comes over a port of this host can come from anybody on
//! it: no packet is longer than a bound, and what is none is answered as the protocol has it.

/// No packet of a debugger's is longer; it is told so, and keeps to it.
pub const LONGEST: usize = 4096;

/// What a debugger says.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A packet that came whole.
    Packet(Vec<u8>),
    /// A packet with a wrong checksum: it is to come again.
    Broken,
    /// Ctrl-C.
    Interrupt,
}

/// Takes the first thing that is said whole off `input`.
pub fn take(input: &mut Vec<u8>) -> Option<Received> {
    const INTERRUPT: u8 = 3;
    // Acknowledgments, and whatever else is between packets.
    let begins = |byte: &u8| matches!(*byte, b'$' | INTERRUPT);
    let start = input.iter().position(begins).unwrap_or(input.len());
    input.drain(..start);
    if *input.first()? == INTERRUPT {
        input.remove(0);
        return Some(Received::Interrupt);
    }
    let Some(end) = input.iter().position(|byte| *byte == b'#') else {
        // Nothing that begins so becomes a packet any more.
        if input.len() > LONGEST {
            input.clear();
        }
        return None;
    };
    let sum = input.get(end + 1..end + 3)?;
    let sum = std::str::from_utf8(sum).ok().and_then(|sum| u8::from_str_radix(sum, 16).ok());
    let text = input[1..end].to_vec();
    input.drain(..end + 3);
    match sum == Some(checksum(&text)) {
        true => Some(Received::Packet(text)),
        false => Some(Received::Broken),
    }
}

/// A packet with this text.
pub fn packet(text: &[u8]) -> Vec<u8> {
    let mut packet = vec![b'$'];
    // What means something to the protocol is escaped.
    for byte in text {
        match byte {
            b'$' | b'#' | b'}' | b'*' => packet.extend([b'}', byte ^ 0x20]),
            byte => packet.push(*byte),
        }
    }
    let sum = checksum(&packet[1..]);
    packet.extend(format!("#{sum:02x}").bytes());
    packet
}

fn checksum(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits say.
pub fn bytes(hex: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = hex.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// A number in hexadecimal digits.
pub fn number(hex: &[u8]) -> Option<u64> {
    let hex = std::str::from_utf8(hex).ok()?;
    u64::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_come_out_of_whatever_is_between_them() {
        let mut input = b"++$g#67+$m0,4#\x03$".to_vec();
        assert_eq!(take(&mut input), Some(Received::Packet(b"g".into())));
        assert_eq!(take(&mut input), Some(Received::Broken), "its checksum is not one");
        let mut input = b"-\x03$g#68".to_vec();
        assert_eq!(take(&mut input), Some(Received::Interrupt));
        assert_eq!(take(&mut input), Some(Received::Broken));
        for part in [&b"$"[..], b"$m0", b"$m0,4#f", b"", b"+++"] {
            assert_eq!(take(&mut part.to_vec()), None, "{part:?}");
        }
    }

    #[test]
    fn what_becomes_no_packet_does_not_grow() {
        let mut input = vec![b'$'];
        for _ in 0..100 {
            input.extend([b'x'; 1000]);
            assert_eq!(take(&mut input), None);
            assert!(input.len() <= LONGEST + 1000);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(text in "[ -\"%-)+-|~]{0,60}") {
            let mut input = packet(text.as_bytes());
            prop_assert_eq!(take(&mut input), Some(Received::Packet(text.into_bytes())));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut input = bytes.clone();
            while take(&mut input).is_some() {}
            let _ = (super::bytes(&bytes), number(&bytes));
        }
    }
}
