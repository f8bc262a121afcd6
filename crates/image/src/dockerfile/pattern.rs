//! Patterns of file names, by the rules of Go's `filepath.Match` and of `.dockerignore`.
//!
//! | | |
//! |---|---|
//! | `*` | any characters but `/` |
//! | `?` | one character but `/` |
//! | `[a-z]`, `[^a-z]` | one of these, or one other than these |
//! | `\*` | the character itself |
//! | `**/` | any directories, or none; in `.dockerignore` only |
//! | `**` at the end | anything; in `.dockerignore` only |
//!
//! A pattern is matched from its end, a token at a time, against all positions of the path at
//! once: no pattern takes more than its length times the path's.
//!
//! <https://pkg.go.dev/path/filepath#Match>

/// A pattern that was found to be well formed.
#[derive(Debug, Clone)]
pub struct Pattern {
    tokens: Vec<Token>,
}

/// Why a pattern is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pattern {0:?} is malformed: a [ without its ], a range without its end, or a \\ at the end"
)]
pub struct Malformed(pub String);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Name,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/`: `a/b/`, or nothing.
    Directories,
    /// `**` at the end.
    Anything,
}

impl Pattern {
    /// A pattern of `COPY`: Go's `filepath.Match`, where `**` is `*`.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn of_names(text: &str) -> Result<Self, Malformed> {
        Self::tokens(text, false)
    }

    /// A pattern of `.dockerignore`, where `**` crosses directories.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn of_ignored(text: &str) -> Result<Self, Malformed> {
        // `**name` without other special characters is the end of a path, even within a name.
        let plain_end = text.strip_prefix("**").filter(|end| {
            !end.is_empty() && !end.starts_with('/') && !end.contains(['*', '?', '[', ']', '\\'])
        });
        if let Some(end) = plain_end {
            let letters = end.chars().map(Token::Letter);
            return Ok(Self { tokens: std::iter::once(Token::Anything).chain(letters).collect() });
        }
        Self::tokens(text, true)
    }

    fn tokens(text: &str, directories: bool) -> Result<Self, Malformed> {
        let malformed = || Malformed(text.to_owned());
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            tokens.push(match letter {
                '*' if directories && rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_some() { Token::Directories } else { Token::Anything }
                }
                '*' => Token::Name,
                '?' => Token::One,
                '[' => class(&mut rest).ok_or_else(malformed)?,
                '\\' => Token::Letter(rest.next().ok_or_else(malformed)?),
                letter => Token::Letter(letter),
            });
        }
        Ok(Self { tokens })
    }

    /// Whether all of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let letters: Vec<char> = path.chars().collect();
        let end = letters.len();
        // Whether what is left of the pattern matches what is left of the path from there on.
        let mut rest = vec![false; end + 1];
        rest[end] = true;
        for token in self.tokens.iter().rev() {
            let mut now = vec![false; end + 1];
            let mut inside = false;
            for at in (0..=end).rev() {
                let letter = letters.get(at).copied();
                let after = |matches: &[bool]| at < end && matches[at + 1];
                now[at] = match token {
                    Token::Name => rest[at] || letter != Some('/') && after(&now),
                    Token::Anything => rest[at] || after(&now),
                    Token::Directories => {
                        inside =
                            letter.is_some() && (inside || letter == Some('/') && after(&rest));
                        rest[at] || inside
                    }
                    single => letter.is_some_and(|letter| single.takes(letter)) && after(&rest),
                };
            }
            rest = now;
        }
        rest[0]
    }
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(own) => *own == letter,
            Self::One => letter != '/',
            Self::Class { negated, ranges } => {
                let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter));
                within != *negated
            }
            Self::Name | Self::Directories | Self::Anything => false,
        }
    }
}

/// What stands behind `[`, up to `]`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = class_letter(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { class_letter(rest)? } else { low };
        ranges.push((low, high));
    }
}

fn class_letter(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        letter => Some(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of Go's own tests of `filepath.Match`.
    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, matches) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
            ("**", "a/b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::of_names(pattern).unwrap().matches(name),
                matches,
                "{pattern} {name}"
            );
        }
        for bad in ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "x[a-"]
        {
            assert_eq!(Pattern::of_names(bad).unwrap_err(), Malformed(bad.to_owned()));
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let slow = "**/*a*".repeat(400);
        let path = "a/".repeat(400);
        assert!(!Pattern::of_ignored(&format!("{slow}b")).unwrap().matches(&path));
    }
}
