//! How structures of KVM are written down in a snapshot: as their bytes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A structure of KVM's as its bytes, without the zeros at its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain<T>(pub T);

impl<T: IntoBytes + Immutable> Serialize for Plain<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.as_bytes();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text: String = bytes[..length].iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de, T: IntoBytes + FromBytes> Deserialize<'de> for Plain<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut plain = T::new_zeroed();
        let (pairs, rest) = text.as_bytes().as_chunks();
        let room = plain.as_mut_bytes();
        if !rest.is_empty() || pairs.len() > room.len() {
            let (given, most) = (text.len(), room.len());
            return Err(D::Error::custom(format!("{given} digits for {most} bytes")));
        }
        for (byte, [high, low]) in room.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let value = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
            *byte = value.ok_or_else(|| D::Error::custom("digits that are none"))? as u8;
        }
        Ok(Self(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (bytes, text) in [([1u8, 0, 0xff, 0], "\"0100ff\""), ([0; 4], "\"\"")] {
            assert_eq!(serde_json::to_string(&Plain(bytes)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Plain<[u8; 4]>>(text).unwrap().0, bytes);
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        for text in ["\"0\"", "\"0g\"", "\"+1\"", "\"0000000000\"", "\"\u{fc}\"", "7", "null"] {
            assert!(serde_json::from_str::<Plain<[u8; 4]>>(text).is_err(), "{text}");
        }
    }
}
