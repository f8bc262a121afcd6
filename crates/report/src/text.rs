//! Text in columns of a terminal.

/// How many columns `text` takes. All that isolab writes is one column wide; what it quotes may be
/// wider, and then only its own line is out of place.
pub(crate) fn width(text: &str) -> usize {
    text.chars().count()
}

/// `text` with spaces before it.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + &printable(text, columns)
}

/// `text` with spaces after it.
pub(crate) fn pad_right(text: &str, columns: usize) -> String {
    printable(text, columns) + &" ".repeat(columns.saturating_sub(width(text)))
}

/// `text` on one line, without what would move a terminal's cursor, and cut where it is too long.
fn printable(text: &str, columns: usize) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if width(&clean) > columns && columns > 0 {
        clean = clean.chars().take(columns - 1).chain(['…']).collect();
    }
    clean
}

/// `text` in lines of at most `columns`, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    // A no-break space is white space to Unicode, and yet not a place to break a line.
    let space = |c: char| c.is_whitespace() && c != '\u{a0}';
    for word in text.split(space).filter(|word| !word.is_empty()) {
        let mut word: Vec<char> =
            word.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && width(line) + 1 + word.len() > columns {
            lines.push(String::new());
        } else if !line.is_empty() {
            line.push(' ');
        }
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let fits = word.len().min(columns - width(line).min(columns));
            line.extend(word.drain(..fits));
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn columns_are_filled_and_kept() {
        assert_eq!(pad_left("µs", 4), "  µs");
        assert_eq!(pad_right("too long", 4), "too…");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_word_is_lost_and_no_line_too_long(text in "[a-z ]{0,80}", columns in 1..20usize) {
            let lines = wrap(&text, columns);
            prop_assert!(lines.iter().all(|line| width(line) <= columns));
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
