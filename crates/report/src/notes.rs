//! Footnotes: each caveat has one letter, however often it is pointed to.

/// The footnotes of a table; the first is `a`.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    words: Vec<String>,
}

impl Notes {
    /// The letter of a footnote; the same words have the same one.
    pub(crate) fn mark(&mut self, note: impl Into<String>) -> String {
        let note = note.into();
        let known = self.words.iter().position(|known| *known == note);
        letter(known.unwrap_or_else(|| {
            self.words.push(note);
            self.words.len() - 1
        }))
    }

    /// The letters with their words, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (String, &str)> {
        self.words.iter().enumerate().map(|(index, words)| (letter(index), words.as_str()))
    }
}

/// a, b ... z, aa, ab ... without s: beside a number it would be seconds.
fn letter(index: usize) -> String {
    const LETTERS: &[u8; 25] = b"abcdefghijklmnopqrtuvwxyz";
    let last = char::from(LETTERS[index % LETTERS.len()]);
    match index / LETTERS.len() {
        0 => last.to_string(),
        before => letter(before - 1) + &last.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_caveat_has_one_letter() {
        let mut notes = Notes::default();
        let marks = ["one", "two", "one"].map(|words| notes.mark(words));
        assert_eq!(marks, ["a", "b", "a"]);
        assert_eq!(notes.all().count(), 2);
    }

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!(
            [letter(0), letter(18), letter(24), letter(25), letter(50)],
            ["a", "t", "z", "aa", "ba"]
        );
    }
}
