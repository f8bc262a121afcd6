//! A program of Rust as a sequence of words from which names, comments, layout and values are gone.

/// No answer has more words; what is behind them is not compared.
const MOST: usize = 20_000;
/// How many words in a row are one piece that is compared.
const PIECE: usize = 10;

/// Words that mean something to the compiler: the others are names.
const KEYWORDS: [&str; 38] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "type",
    "unsafe", "use", "where", "while",
];

/// The words of a text: with `names` as they are, otherwise each name as `x`, each value as `0`.
pub(super) fn tokens(text: &str, names: bool) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    while at < letters.len() && tokens.len() < MOST {
        let (letter, next) = (letters[at], letters.get(at + 1).copied().unwrap_or(' '));
        let begin = at;
        match letter {
            _ if letter.is_whitespace() => at += 1,
            '/' if next == '/' => at = end_of(&letters, at, |it| it == '\n'),
            '/' if next == '*' => at = behind_comment(&letters, at),
            '"' => {
                at = behind_string(&letters, at);
                tokens.push(value(&letters[begin..at], names));
            }
            'r' | 'b' | 'c' if raw_quotes(&letters, at).is_some() => {
                at = behind_raw(&letters, at);
                tokens.push(value(&letters[begin..at], names));
            }
            '\'' => {
                at = behind_quote(&letters, at);
                tokens.push(value(&letters[begin..at], names));
            }
            _ if letter.is_ascii_digit() => {
                at = end_of(&letters, at, |it| !is_name(it));
                tokens.push(value(&letters[begin..at], names));
            }
            _ if is_name(letter) => {
                at = end_of(&letters, at, |it| !is_name(it));
                let word: String = letters[begin..at].iter().collect();
                let kept = names || KEYWORDS.contains(&word.as_str());
                tokens.push(if kept { word } else { "x".to_owned() });
            }
            _ => {
                at += 1;
                tokens.push(letter.to_string());
            }
        }
    }
    tokens
}

/// The pieces of a sequence of words: a number for each, sorted, each once.
pub(super) fn pieces(tokens: &[String]) -> Vec<u64> {
    let mut pieces: Vec<u64> = tokens.windows(PIECE).map(digest).collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// FNV-1a. Who makes two pieces collide gains nothing but a suspicion.
fn digest(tokens: &[String]) -> u64 {
    let bytes = tokens.iter().flat_map(|token| token.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn value(letters: &[char], names: bool) -> String {
    if names { letters.iter().collect() } else { "0".to_owned() }
}

fn end_of(letters: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    letters[from..].iter().position(|it| is_end(*it)).map_or(letters.len(), |count| from + count)
}

/// Comments of this kind may be in each other.
fn behind_comment(letters: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < letters.len() {
        match (letters[at], letters[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    letters.len()
}

fn behind_string(letters: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// How many `#` a raw string has that begins here, if one does.
fn raw_quotes(letters: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    while at < from + 2 && matches!(letters.get(at), Some('b' | 'c' | 'r')) {
        at += 1;
    }
    (letters.get(at - 1) == Some(&'r')).then_some(())?;
    let hashes = letters[at..].iter().take_while(|it| **it == '#').count();
    (letters.get(at + hashes) == Some(&'"')).then_some(hashes)
}

fn behind_raw(letters: &[char], from: usize) -> usize {
    let hashes = raw_quotes(letters, from).unwrap_or(0);
    let mut at = end_of(letters, from, |it| it == '"') + 1;
    while at < letters.len() {
        let closing = letters[at + 1..].iter().take(hashes).filter(|it| **it == '#').count();
        if letters[at] == '"' && closing == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    letters.len()
}

/// A letter in quotes, or a lifetime.
fn behind_quote(letters: &[char], from: usize) -> usize {
    match (letters.get(from + 1), letters.get(from + 2)) {
        (Some('\\'), _) => {
            let end = end_of(letters, (from + 3).min(letters.len()), |it| it == '\'' || it == '\n');
            (end + 1).min(letters.len())
        }
        (Some(_), Some('\'')) => from + 3,
        _ => end_of(letters, from + 1, |it| !it.is_alphanumeric() && it != '_').max(from + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> String {
        tokens(text, false).join(" ")
    }

    #[test]
    fn names_comments_values_and_layout_do_not_count() {
        let one = "// mine\nfn share(n: u32) -> u32 { /* a /* b */ c */ n + 17 }";
        let other = "fn cut(weight:u32)->u32{weight+4_000}";
        assert_eq!(bare(one), "fn x ( x : x ) - > x { x + 0 }");
        assert_eq!(bare(one), bare(other));
        assert_ne!(bare(one), bare("fn f(n: u32) -> u32 { n * 17 }"));
        assert_ne!(tokens(one, true), tokens(other, true));
    }

    #[test]
    fn strings_letters_and_lifetimes_end_where_they_end() {
        assert_eq!(
            bare(r##"f("a\"b", 'x', '\'', b'y', r#"c"d"#, br"e") g"##),
            "x ( 0 , 0 , 0 , x 0 , 0 , 0 ) x"
        );
        assert_eq!(bare("fn f<'a>(x: &'a str)"), "fn x < 0 > ( x : & 0 x )");
        for broken in ["\"", "'", "'\\", "/*", "r#\"", "b", "'\\u{1", "r", "/* */ r#"] {
            tokens(broken, false);
        }
    }

    #[test]
    fn pieces_are_those_of_words_in_a_row() {
        let text: Vec<String> = (0..PIECE + 2).map(|it| it.to_string()).collect();
        assert_eq!(pieces(&text).len(), 3);
        assert!(pieces(&text[..PIECE - 1]).is_empty());
    }
}
