//! The keys that leave a run: which they are, and where they are among what is typed.

/// The bytes of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DetachKeys(Vec<u8>);

/// Reads them: letters, or ctrl- and a letter.
pub(super) fn keys(text: &str) -> Result<DetachKeys, String> {
    let wrong = |key: &str| format!("{key:?} is not a key: use a letter, or ctrl-a to ctrl-z");
    let key = |key: &str| match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([letter], _) if letter.is_ascii_graphic() => Ok(*letter),
        // The control characters are 64 below the letters (ascii(7)).
        (_, Some([letter])) if (b'@'..=b'_').contains(&letter.to_ascii_uppercase()) => {
            Ok(letter.to_ascii_uppercase() - 64)
        }
        _ => Err(wrong(key)),
    };
    text.split(',').map(key).collect::<Result<_, _>>().map(DetachKeys)
}

/// Finds the keys among what is typed, over several reads.
pub(super) struct KeyMatcher {
    keys: Vec<u8>,
    matched: usize,
}

impl KeyMatcher {
    pub(super) fn of(keys: &DetachKeys) -> Self {
        Self { keys: keys.0.clone(), matched: 0 }
    }

    /// What of `typed` is to be passed on, and whether the keys came, which ends it.
    pub(super) fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (passed, true);
                }
            } else {
                // The first ones are held back until it is known that they were only typed.
                passed.extend(&self.keys[..self.matched]);
                self.matched = usize::from(self.keys.first() == Some(byte));
                if self.matched == 0 {
                    passed.push(*byte);
                }
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_or_control_characters() {
        assert_eq!(keys("ctrl-p,ctrl-q"), Ok(DetachKeys(vec![16, 17])));
        assert_eq!(keys("a,ctrl-@,ctrl-]"), Ok(DetachKeys(vec![b'a', 0, 29])));
        for text in ["", "ctrl-", "ctrl-pp", "ab", "ctrl-1", "a,,b"] {
            assert!(keys(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_only_begins_as_the_keys_is_passed_on() {
        let mut keys = KeyMatcher { keys: vec![16, 17], matched: 0 };
        assert_eq!(keys.pass(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.pass(b"\x10b"), (b"\x10\x10b".to_vec(), false));
        assert_eq!(keys.pass(b"\x10"), (b"".to_vec(), false));
        assert_eq!(keys.pass(b"\x11x"), (b"".to_vec(), true));
    }
}
