//! Text of others on a terminal.

/// `text` with what a terminal would obey, and what turns the direction of reading around, as
/// letters: `\u{1b}[2J`. A tab is a space.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' => seen.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                seen.extend(letter.escape_unicode());
            }
            control if control.is_control() => seen.extend(control.escape_unicode()),
            other => seen.push(other),
        }
    }
    seen
}

/// The same of the compiler's paragraphs, which are of several lines, and may have colours: those
/// stay as they are.
#[cfg(feature = "runner")]
pub fn visible_with_colours(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            seen.push('\n');
        }
        let mut pieces = line.split("\x1b[");
        seen += &visible(pieces.next().unwrap_or_default());
        for piece in pieces {
            // ECMA-48, "SGR": numbers and semicolons, and an m.
            let end = piece.find(|letter: char| !letter.is_ascii_digit() && letter != ';');
            match end.map(|end| piece.split_at(end)) {
                Some((numbers, rest)) if rest.starts_with('m') => {
                    seen += &format!("\x1b[{numbers}{}", visible(rest));
                }
                _ => seen += &visible(&format!("\x1b[{piece}")),
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        let text = visible("a\x1b[2Jb\u{202e}c\td\u{9b}时");
        assert_eq!(text, "a\\u{1b}[2Jb\\u{202e}c d\\u{9b}时");
    }

    #[test]
    #[cfg(feature = "runner")]
    fn colours_are_no_commands() {
        let text = "\x1b[1;31merror\x1b[0m\n\x1b[2J\x1b]0;x\x07\x1b[3";
        let seen = "\x1b[1;31merror\x1b[0m\n\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{1b}[3";
        assert_eq!(visible_with_colours(text), seen);
    }
}
