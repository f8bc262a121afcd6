//! Texts of others, before a terminal shows them.

/// `text` without what a terminal would obey, and cut after `most` characters.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let is_hidden = |letter: char| {
        letter.is_control()
            // Marks that change the direction of writing, and so what a line seems to say.
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut letters = text.trim().chars().map(|letter| match letter {
        '\n' | '\t' => ' ',
        other => other,
    });
    let kept: String = letters.by_ref().filter(|letter| !is_hidden(*letter)).take(most).collect();
    match letters.next() {
        Some(_) => kept + "..",
        None => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(clean("a\u{1b}[31mred\u{7}\r\nb\u{202e}c", 80), "a[31mred bc");
        assert_eq!(clean(&"x".repeat(1000), 5), "xxxxx..");
        assert_eq!(clean("  short ", 80), "short");
    }
}
