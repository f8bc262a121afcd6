//! `NAME=VALUE`, several on a line, with quotes and escapes: `ENV`, `LABEL` and `ARG`.
//!
//! Quotes and escapes are kept: they are resolved when the variables of the value are expanded.

use super::error::{Problem, excerpt};

/// Pairs that all have a value; or the old form with one name and a space.
///
/// <https://docs.docker.com/reference/dockerfile/#env>
pub(super) fn required(text: &str, escape: char) -> Result<Vec<(String, String)>, Problem> {
    let words = words(text, escape);
    if words.first().is_some_and(|first| !first.contains('=')) {
        let (name, value) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| Problem::NameValue(excerpt(text.trim())))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pairs = words.iter().map(|word| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Problem::NameValue(excerpt(word))),
    });
    pairs.collect()
}

/// Names, with a value or without.
pub(super) fn optional(text: &str, escape: char) -> Result<Vec<(String, Option<String>)>, Problem> {
    let pairs = words(text, escape).into_iter().map(|word| {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        match name.is_empty() {
            true => Err(Problem::NameValue(excerpt(&word))),
            false => Ok((name.to_owned(), value)),
        }
    });
    pairs.collect()
}

fn words(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match quote {
            None if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            // An escape character at the very end is left out.
            _ if letter == escape && quote != Some('\'') => {
                if let Some(next) = letters.next() {
                    word.push(letter);
                    word.push(next);
                }
                continue;
            }
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if letter == open => quote = None,
            _ => {}
        }
        word.push(letter);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and values, as `name|value`.
    fn env(text: &str) -> Vec<String> {
        let pairs = required(text, '\\').unwrap();
        pairs.iter().map(|(name, value)| format!("{name}|{value}")).collect()
    }

    #[test]
    fn the_examples_of_dockers_documentation() {
        let line = r#"MY_NAME="John Doe" MY_DOG=Rex\ The\ Dog MY_CAT=fluffy"#;
        assert_eq!(env(line), [r#"MY_NAME|"John Doe""#, r"MY_DOG|Rex\ The\ Dog", "MY_CAT|fluffy"]);
        assert_eq!(env("ONE TWO= THREE=world"), ["ONE|TWO= THREE=world"]);
        assert_eq!(
            env(r#"multi.label1="value1" other='a=b c'"#),
            [r#"multi.label1|"value1""#, "other|'a=b c'"]
        );
    }

    #[test]
    fn what_is_not_a_pair_is_refused() {
        for text in ["a=1 b", "=1", "name", "a=1 =2"] {
            assert!(matches!(required(text, '\\'), Err(Problem::NameValue(_))), "{text}");
        }
        assert!(optional("a b=c =d", '\\').is_err());
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            optional("a b=c d=", '\\').unwrap(),
            [pair("a", None), pair("b", Some("c")), pair("d", Some(""))]
        );
    }
}
