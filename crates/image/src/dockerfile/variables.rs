//! Variables and quotes in a word, as Docker resolves them.
//!
//! | | |
//! |---|---|
//! | `$name`, `${name}` | the value, or nothing |
//! | `${name:-word}`, `${name-word}` | the word, unless there is a value (`:`: that is not empty) |
//! | `${name:+word}`, `${name+word}` | the word, if there is one |
//! | `${name:?word}`, `${name?word}` | an error with this word, unless there is one |
//! | `\$name`, `'$name'` | as it stands |
//!
//! <https://docs.docker.com/reference/dockerfile/#environment-replacement>

use std::{iter::Peekable, str::Chars};

/// The kernel takes no longer string for a program (`MAX_ARG_STRLEN`, execve(2)); values that
/// double with each `ENV` end here.
const MOST_BYTES: usize = 128 << 10;

/// How deep words stand in words: `${a:-${b:-..}}`.
const MOST_DEPTH: usize = 32;

/// Why a word has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A quote that does not end.
    #[error("the quote {0} does not end; write \\{0} for the character itself")]
    Quote(char),
    /// `${` without its end.
    #[error("}} is missing: write \\$ for a dollar itself")]
    Brace,
    /// `${}`, `${{`, `${:`.
    #[error("no name of a variable behind ${{")]
    Name,
    /// `${name#..}` and others that Docker may know.
    #[error(
        "${{name{0}..}} is not supported: only :-, :+ and :? are, with or without the colon; \
             give the value that you need its own ARG"
    )]
    Modifier(String),
    /// `${name:?word}`.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the Dockerfile says.
        message: String,
    },
    /// Too long.
    #[error("it expands to more than {MOST_BYTES} bytes")]
    Long,
    /// Too deep.
    #[error("more than {MOST_DEPTH} words in each other")]
    Deep,
}

/// The values of variables.
pub trait Scope {
    /// The value of a variable, if it has one.
    fn value(&self, name: &str) -> Option<&str>;
}

impl<F: Fn(&str) -> Option<&'static str>> Scope for F {
    fn value(&self, name: &str) -> Option<&str> {
        self(name)
    }
}

/// One word: variables expanded, quotes and escapes resolved.
///
/// # Errors
///
/// When its quotes or braces do not end, a variable that it requires has no value, or the result
/// is too long.
pub fn expand(word: &str, escape: char, scope: &dyn Scope) -> Result<String, Problem> {
    Expansion { letters: word.chars().peekable(), escape, scope, depth: 0 }
        .until(None)
        .map(|found| found.whole)
}

/// Several words: variables are expanded before the line is split.
///
/// # Errors
///
/// As [`expand`].
pub fn expand_words(line: &str, escape: char, scope: &dyn Scope) -> Result<Vec<String>, Problem> {
    Expansion { letters: line.chars().peekable(), escape, scope, depth: 0 }
        .until(None)
        .map(Expanded::words)
}

struct Expansion<'a> {
    letters: Peekable<Chars<'a>>,
    escape: char,
    scope: &'a dyn Scope,
    depth: usize,
}

/// What was expanded, as one word and as several.
#[derive(Default)]
struct Expanded {
    whole: String,
    words: Vec<String>,
    word: Option<String>,
}

impl Expanded {
    fn words(mut self) -> Vec<String> {
        self.words.extend(self.word.filter(|word| !word.is_empty()));
        self.words
    }

    /// Text whose spaces separate words.
    fn add(&mut self, text: &str) -> Result<(), Problem> {
        for letter in text.chars() {
            if letter.is_whitespace() {
                self.words.extend(self.word.take().filter(|word| !word.is_empty()));
            } else {
                self.word.get_or_insert_default().push(letter);
            }
        }
        self.append(text)
    }

    /// Text that stays in one word.
    fn add_quoted(&mut self, text: &str) -> Result<(), Problem> {
        self.word.get_or_insert_default().push_str(text);
        self.append(text)
    }

    fn append(&mut self, text: &str) -> Result<(), Problem> {
        self.whole.push_str(text);
        if self.whole.len() > MOST_BYTES { Err(Problem::Long) } else { Ok(()) }
    }
}

impl Expansion<'_> {
    /// Everything up to `end`, which is taken too, or to the end of the text.
    fn until(&mut self, end: Option<char>) -> Result<Expanded, Problem> {
        let mut found = Expanded::default();
        while let Some(letter) = self.letters.next() {
            match letter {
                _ if Some(letter) == end => return Ok(found),
                '$' => found.add(&self.dollar()?)?,
                '\'' => found.add_quoted(&self.single_quoted()?)?,
                '"' => found.add_quoted(&self.double_quoted()?)?,
                _ if letter == self.escape => {
                    let Some(escaped) = self.letters.next() else { break };
                    found.add_quoted(escaped.encode_utf8(&mut [0; 4]))?;
                }
                _ => found.add(letter.encode_utf8(&mut [0; 4]))?,
            }
        }
        if end.is_some() { Err(Problem::Brace) } else { Ok(found) }
    }

    fn single_quoted(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        loop {
            match self.letters.next() {
                None => return Err(Problem::Quote('\'')),
                Some('\'') => return Ok(text),
                Some(letter) => text.push(letter),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        loop {
            let letter = self.letters.next().ok_or(Problem::Quote('"'))?;
            match letter {
                '"' => return Ok(text),
                '$' => text.push_str(&self.dollar()?),
                // Only these can be escaped here; before others the escape character stays.
                _ if letter == self.escape => match self.letters.peek().copied() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => {
                        self.letters.next();
                        text.push(next);
                    }
                    Some(_) => text.push(letter),
                    None => {}
                },
                _ => text.push(letter),
            }
            if text.len() > MOST_BYTES {
                return Err(Problem::Long);
            }
        }
    }

    /// The value of what stands behind a dollar.
    fn dollar(&mut self) -> Result<String, Problem> {
        if self.letters.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        match self.name() {
            name if name.is_empty() => Ok("$".to_owned()),
            name => Ok(self.scope.value(&name).unwrap_or_default().to_owned()),
        }
    }

    fn braces(&mut self) -> Result<String, Problem> {
        match self.letters.peek() {
            None => return Err(Problem::Brace),
            Some('{' | '}' | ':') => return Err(Problem::Name),
            Some(_) => {}
        }
        let name = self.name();
        let first = self.letters.next().ok_or(Problem::Brace)?;
        let value = self.scope.value(&name).map(str::to_owned);
        match first {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let modifier = self.letters.next().ok_or(Problem::Brace)?;
                self.modified(name, value.filter(|text| !text.is_empty()), ":", modifier)
            }
            modifier => self.modified(name, value, "", modifier),
        }
    }

    /// `${name-word}` and its kin; `value` is what counts as one.
    fn modified(
        &mut self,
        name: String,
        value: Option<String>,
        colon: &str,
        modifier: char,
    ) -> Result<String, Problem> {
        if !matches!(modifier, '-' | '+' | '?') {
            return Err(Problem::Modifier(format!("{colon}{modifier}")));
        }
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(Problem::Deep);
        }
        let word = self.until(Some('}'))?.whole;
        self.depth -= 1;
        match (modifier, value) {
            ('-', Some(value)) | ('?', Some(value)) => Ok(value),
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, _) if word.is_empty() => {
                Err(Problem::Required { name, message: "it must have a value".to_owned() })
            }
            (_, _) => Err(Problem::Required { name, message: word }),
        }
    }

    /// A name, a number, or one of the shell's own parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.letters.peek() {
            Some(digit) if digit.is_ascii_digit() => {
                while let Some(digit) = self.letters.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.letters.next()),
            _ => {
                let part = |letter: &char| letter.is_alphanumeric() || *letter == '_';
                while let Some(letter) = self.letters.next_if(part) {
                    name.push(letter);
                }
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str) -> Option<&'static str> {
        match name {
            "foo" | "variable" => Some("/bar"),
            "PWD" => Some("/home"),
            "EMPTY" => Some(""),
            "SPACES" => Some(" a  b "),
            "KOREAN" => Some("안녕"),
            "SELF" => Some("$PWD"),
            "LONG" => Some(LONG),
            _ => None,
        }
    }
    const LONG: &str = match std::str::from_utf8(&[b'x'; MOST_BYTES / 2]) {
        Ok(text) => text,
        Err(_) => "",
    };

    fn expanded(word: &str) -> Result<String, Problem> {
        expand(word, '\\', &scope)
    }

    /// The table of Docker's documentation, and what its own tests ask for.
    #[test]
    fn words_expand_as_docker_does() {
        for (word, value) in [
            ("${foo}", "/bar"),
            (r"\$foo", "$foo"),
            (r"\${foo}", "${foo}"),
            ("${variable:-word}", "/bar"),
            ("${none:-word}", "word"),
            ("${EMPTY:-word}", "word"),
            ("${EMPTY-word}", ""),
            ("${none-word}", "word"),
            ("${variable:+word}", "word"),
            ("${none:+word}", ""),
            ("${EMPTY:+word}", ""),
            ("${EMPTY+word}", "word"),
            ("${foo:?no}", "/bar"),
            ("${EMPTY?no}", ""),
            ("${none:-${foo}/x}", "/bar/x"),
            ("${none:-a b'c d'}", "a bc d"),
            ("", ""),
            ("hello", "hello"),
            (r"he\'llo", "he'llo"),
            (r"he\\llo", r"he\llo"),
            ("he'llo'", "hello"),
            (r#"he"llo""#, "hello"),
            (r#""he'llo""#, "he'llo"),
            (r#""he\"llo""#, r#"he"llo"#),
            (r#""he\xllo\\""#, r"he\xllo\"),
            (r"'he\llo$PWD'", r"he\llo$PWD"),
            (r#""he$PWD""#, "he/home"),
            ("he$PWD", "he/home"),
            ("he${PWD}llo", "he/homello"),
            ("he$PWD.x-y", "he/home.x-y"),
            ("he$unknown.x", "he.x"),
            ("he$", "he$"),
            ("he$.x", "he$.x"),
            ("he$1x", "hex"),
            ("$SELF", "$PWD"),
            ("$KOREAN한", ""),
            ("${KOREAN}한", "안녕한"),
            ("trailing\\", "trailing"),
            ("안녕", "안녕"),
        ] {
            assert_eq!(expanded(word).as_deref(), Ok(value), "{word}");
        }
    }

    #[test]
    fn what_does_not_end_or_is_unknown_is_an_error() {
        for (word, problem) in [
            ("'he", Problem::Quote('\'')),
            (r#"he"llo"#, Problem::Quote('"')),
            ("${", Problem::Brace),
            ("${PWD", Problem::Brace),
            ("${PWD:", Problem::Brace),
            ("${none:-a", Problem::Brace),
            ("${}", Problem::Name),
            ("${{foo}}", Problem::Name),
            ("${:-a}", Problem::Name),
            ("${foo#/*}", Problem::Modifier("#".into())),
            ("${foo/a/b}", Problem::Modifier("/".into())),
            ("${foo:1:2}", Problem::Modifier(":1".into())),
            (
                "${none:?is needed}",
                Problem::Required { name: "none".into(), message: "is needed".into() },
            ),
            ("$LONG$LONG$LONG", Problem::Long),
            (r#""$LONG$LONG$LONG""#, Problem::Long),
        ] {
            assert_eq!(expanded(word), Err(problem), "{word}");
        }
        assert_eq!(expanded(&"${a:-".repeat(100_000)), Err(Problem::Deep));
    }

    #[test]
    fn a_line_is_split_after_it_is_expanded() {
        let words = |line| expand_words(line, '\\', &scope).unwrap();
        assert_eq!(words("hello  $SPACES there"), ["hello", "a", "b", "there"]);
        assert_eq!(words(r#"'a b' "c $SPACES" d\ e"#), ["a b", "c  a  b ", "d e"]);
        assert_eq!(words("$none ''"), [""; 0]);
    }

    #[test]
    fn the_escape_character_can_be_another() {
        assert_eq!(expand("C:\\x`$foo$foo", '`', &scope).as_deref(), Ok("C:\\x$foo/bar"));
    }
}
