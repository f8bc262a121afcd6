//! What the student guesses before the run.

use std::collections::BTreeMap;

use crate::catalogue::{Catalogue, Language, Prediction};
use crate::runner::{
    Error, Result,
    output::text::Style,
    progress::{Guess, clock},
};

/// A number as people write it: `1000`, `1,000`, `2.5`.
pub fn number(text: &str) -> Option<f64> {
    let digits: String =
        text.trim().chars().filter(|letter| !matches!(letter, ',' | '_' | ' ')).collect();
    digits.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The guesses that were given on the command line, `NAME=VALUE` each.
pub(crate) fn given(catalogue: &Catalogue, words: &[String]) -> Result<BTreeMap<String, Guess>> {
    let wrong = |word: &String| {
        let names: Vec<&str> = catalogue.predict.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(" ");
        Error::Usage {
            en: format!("invalid guess {word:?}: use NAME=NUMBER, where NAME is one of: {names}"),
            zh: format!("{word:?} 不是一个预测：应写成 名字=数值，名字可以是：{names}"),
        }
    };
    let guess = |word: &String| {
        let (name, value) = word.split_once('=').ok_or_else(|| wrong(word))?;
        let guess =
            number(value).filter(|_| catalogue.predict.iter().any(|(known, _)| known == name));
        let guess = guess.ok_or_else(|| wrong(word))?;
        Ok((name.to_owned(), self::guess(guess)))
    };
    words.iter().map(guess).collect()
}

/// A guess of now.
pub(crate) fn guess(guess: f64) -> Guess {
    Guess { guess, at: clock::now(), measured: None }
}

/// What is to be asked yet. A guess is made once: who has seen the number guesses no more.
pub(crate) fn open<'a>(
    catalogue: &'a Catalogue,
    guesses: &BTreeMap<String, Guess>,
    language: Language,
) -> Vec<(&'a str, &'a Prediction)> {
    let predictions = catalogue.predict.iter();
    let open = predictions.filter(|(name, _)| !guesses.contains_key(name));
    open.map(|(name, both)| (name.as_str(), both.get(language))).collect()
}

/// The guesses beside what was measured, a line each.
pub(crate) fn table(
    catalogue: &Catalogue,
    guesses: &BTreeMap<String, Guess>,
    measured: &BTreeMap<String, f64>,
    style: &Style,
) -> String {
    let mut lines = String::new();
    for (name, both) in &catalogue.predict {
        let Some(measured) = measured.get(name) else { continue };
        let prediction = both.get(style.language);
        let measured = with_unit(*measured, &prediction.unit);
        let line = match guesses.get(name) {
            Some(guess) => {
                let guess = with_unit(guess.guess, &prediction.unit);
                match style.language {
                    Language::En => format!("you guessed {guess}, measured {measured}"),
                    Language::Zh => format!("你猜 {guess}，实测 {measured}"),
                }
            }
            None => format!("{} {measured}", style.either("measured", "实测")),
        };
        lines += &crate::runner::output::text::beside(
            "  ",
            &format!("{} {line}", prediction.question),
            2,
            style.width,
        );
    }
    lines
}

/// A number with its unit: `1 exit`, `2 exits`, `20 ms`.
pub(crate) fn with_unit(number: f64, unit: &str) -> String {
    let short = short(number);
    // The catalogues have the plural; English alone needs another word for one.
    let is_plural = unit.len() > 3 && unit.is_ascii() && unit.ends_with('s');
    match unit.strip_suffix("ies").filter(|_| is_plural) {
        _ if short != "1" || !is_plural => format!("{short} {unit}"),
        Some(stem) => format!("1 {stem}y"),
        None => format!("1 {}", &unit[..unit.len() - 1]),
    }
}

/// A number in as many digits as it needs.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        _ if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        1e15.. => format!("{number:.2e}"),
        100.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(number(" 1,000 "), Some(1000.0));
        assert_eq!(number("2.5"), Some(2.5));
        for text in ["", "many", "NaN", "inf", "1e999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn one_is_singular() {
        for (number, unit, expected) in [
            (1.0, "exits", "1 exit"),
            (0.0, "exits", "0 exits"),
            (1.0, "entries", "1 entry"),
            (1.0, "file descriptors", "1 file descriptor"),
            (1.0, "ms", "1 ms"),
            (1.0, "of 4", "1 of 4"),
            (1.0, "次退出", "1 次退出"),
        ] {
            assert_eq!(with_unit(number, unit), expected);
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1000.0), "1000");
        assert_eq!(short(101.4), "101");
        assert_eq!(short(1.256), "1.26");
        assert_eq!(short(0.05), "0.0500");
    }
}
