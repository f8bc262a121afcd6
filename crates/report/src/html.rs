//! Text in HTML and SVG.

/// `text` in which nothing is markup, neither between tags nor inside an attribute. Characters that
/// XML 1.0 does not allow become U+FFFD, because one of them would make a whole SVG unreadable.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            escaped("<b onload=\"x\">'&\u{1b}"),
            "&lt;b onload=&quot;x&quot;&gt;&#39;&amp;\u{fffd}"
        );
    }
}
