//! Bytes as text: base64 (RFC 4648, section 4), for output that JSON cannot hold.

const DIGITS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `bytes` in base64, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            // That many bytes take one more digit.
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

/// `bytes` in base64, unless they are valid UTF-8 text.
pub fn unless_text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).is_err().then(|| encode(bytes))
}

/// The bytes of padded base64; `None` if it is malformed.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let digits = group.iter().take_while(|digit| **digit != b'=').count();
        let padded = group[digits..].iter().all(|digit| *digit == b'=');
        if group.len() != 4 || digits < 2 || !padded {
            return None;
        }
        let value = |digit: &u8| DIGITS.iter().position(|known| known == digit);
        let bits =
            group[..digits].iter().try_fold(0, |bits, digit| Some(bits << 6 | value(digit)?))?;
        let bits = (bits << (6 * (4 - digits))) as u32;
        bytes.extend(&bits.to_be_bytes()[1..digits]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_the_standard_come_out() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xff, 0xfe, 0xfd, 0xfb]), "//79+w==");
    }

    #[test]
    fn what_is_not_base64_is_none() {
        for text in ["Zg", "Z===", "Zg=a", "Zg ="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn text_needs_none() {
        assert_eq!(unless_text("gr\u{fc}n\0\n".as_bytes()), None);
        assert_eq!(unless_text(b"\xff").as_deref(), Some("/w=="));
    }
}
