//! Text in columns of a terminal, in an alphabet and in Chinese characters, which take two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How many columns `text` takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text` with blanks behind it up to `width` columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `text` in at most `width` columns, with the sign that something is left out.
pub fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        if columns(&short) + letter.width().unwrap_or(0) + 1 > width {
            break;
        }
        short.push(letter);
    }
    short + "…"
}

/// The lines of `text`, at most `width` columns each: broken between words, and between Chinese
/// characters, but never before a closing mark or behind an opening one.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for Piece { text: mut piece, blank } in pieces(text) {
        let gap = usize::from(blank && !line.is_empty());
        if !line.is_empty() && columns(&line) + gap + columns(&piece) > width {
            lines.push(std::mem::take(&mut line));
        } else if gap > 0 {
            line.push(' ');
        }
        // A word longer than a line, such as a path, is cut where the line ends.
        while columns(&piece) > width {
            let mut cut = piece.len();
            let mut taken = 0;
            for (at, letter) in piece.char_indices() {
                taken += letter.width().unwrap_or(0);
                if taken > width {
                    cut = at;
                    break;
                }
            }
            let rest = piece.split_off(cut);
            lines.push(std::mem::replace(&mut piece, rest));
        }
        line.push_str(&piece);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// What is never broken, and whether a blank stands before it.
struct Piece {
    text: String,
    blank: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    const CLOSING: &str = "，。、；：！？）》」』”’…";
    const OPENING: &str = "（《「『“‘";
    let is_wide = |letter: char| letter.width() == Some(2);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut blank = false;
    let mut before: Option<char> = None;
    for letter in text.chars() {
        if letter == ' ' || letter == '\n' {
            (blank, before) = (true, None);
            continue;
        }
        let holds = before.is_some_and(|before| {
            CLOSING.contains(letter)
                || OPENING.contains(before)
                || !(is_wide(letter) || is_wide(before))
        });
        match pieces.last_mut() {
            Some(piece) if holds => piece.text.push(letter),
            _ => pieces.push(Piece { text: letter.to_string(), blank }),
        }
        (blank, before) = (false, Some(letter));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_too_wide_and_no_letter_is_lost() {
        let texts = [
            "short words and /a/very/long/path/without/any/blank/in/it then more",
            "sethostname(2) 改的是调用者所在 UTS 命名空间里的名字：这里改到了宿主机自己的。",
        ];
        for text in texts {
            for width in 8..60 {
                let lines = wrapped(text, width);
                assert!(lines.iter().all(|line| columns(line) <= width), "{width}: {lines:?}");
                let letters = |text: &str| text.split_whitespace().collect::<String>();
                assert_eq!(letters(&lines.concat()), letters(text));
            }
        }
    }

    #[test]
    fn chinese_marks_do_not_begin_a_line() {
        for width in 8..40 {
            for line in wrapped("程序已经结束，它的进程还在运行（在宿主机上）。一个也不留。", width)
            {
                assert!(!line.starts_with(['，', '。', '）']), "{width}: {line}");
                assert!(!line.ends_with('（'), "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_short_text_has_its_columns_counted() {
        assert_eq!(padded("名字", 6), "名字  ");
        assert_eq!(shortened("命名空间", 5), "命名…");
        assert_eq!(shortened("name", 4), "name");
    }
}
