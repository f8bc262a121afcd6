//! What a check says in English, in Chinese: a place that it looked at, what it saw there, a fact.
//!
//! Most of that is names and numbers, the same in every language, and stays as it is. The rest are
//! phrases, in the table `[evidence]` of a `messages.toml`:
//!
//! ```toml
//! [evidence]
//! "{} files in three layers" = "三层里有 {} 个文件"
//! "{#} of {#} pages" = "{2} 页中的 {1} 页"
//! ```
//!
//! English braces match anything, `{#}` a word; what they match may be a phrase again.

use std::collections::BTreeMap;

/// How many phrases may be in one another: `process 7 in {}`, whose braces hold one.
const DEPTH: usize = 4;

/// The phrases of a lab and those that all labs share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phrases {
    longest_first: Vec<Phrase>,
}

#[derive(Debug, Clone)]
struct Phrase {
    /// The English before the first braces.
    before: String,
    /// The braces, each with the English after it.
    braces: Vec<(Braces, String)>,
    chinese: Vec<Part>,
}

/// What English braces match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Braces {
    Anything,
    /// Something without a space, where `{} of {}` would match sentences of a student too.
    Word,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// What the braces of that index matched.
    Match(usize),
}

impl Phrases {
    /// From tables of English and Chinese; of two phrases alike, the earlier table's counts.
    pub(crate) fn new(tables: &[&BTreeMap<String, String>]) -> Self {
        let pairs = tables.iter().copied().flatten();
        let mut longest_first: Vec<Phrase> =
            pairs.map(|(english, chinese)| Phrase::new(english, chinese)).collect();
        // A sort that keeps the order of equals.
        longest_first.sort_by_key(|phrase| std::cmp::Reverse(phrase.length()));
        Self { longest_first }
    }

    /// `text` in Chinese, as far as there are phrases for it.
    pub(crate) fn translate(&self, text: &str) -> String {
        self.within(text, DEPTH)
    }

    fn within(&self, text: &str, depth: usize) -> String {
        let matching = |phrase| Some((phrase, Phrase::matches(phrase, text)?));
        let Some((phrase, found)) = self.longest_first.iter().find_map(matching) else {
            return text.to_owned();
        };
        let in_chinese = |part: &Part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Match(index) if depth > 1 => self.within(found[*index], depth - 1),
            Part::Match(index) => found[*index].to_owned(),
        };
        without_gaps(&phrase.chinese.iter().map(in_chinese).collect::<String>())
    }
}

impl Phrase {
    fn new(english: &str, chinese: &str) -> Self {
        let (mut before, mut braces) = (String::new(), Vec::<(Braces, String)>::new());
        for piece in english.split_inclusive('}') {
            let (literal, ends) = match (piece.strip_suffix("{}"), piece.strip_suffix("{#}")) {
                (Some(literal), _) => (literal, Some(Braces::Anything)),
                (None, Some(literal)) => (literal, Some(Braces::Word)),
                (None, None) => (piece, None),
            };
            braces.last_mut().map_or(&mut before, |(_, after)| after).push_str(literal);
            braces.extend(ends.map(|kind| (kind, String::new())));
        }
        Self { before, chinese: parts(chinese, braces.len()), braces }
    }

    /// What the braces match in `text`, if all of it is this phrase.
    fn matches<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let mut rest = text.strip_prefix(self.before.as_str())?;
        let Some(((last, end), others)) = self.braces.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        rest = rest.strip_suffix(end.as_str())?;
        let mut found = Vec::with_capacity(self.braces.len());
        for (kind, literal) in others {
            let (matched, after) = rest.split_once(literal.as_str())?;
            found.push(kind.check(matched)?);
            rest = after;
        }
        found.push(last.check(rest)?);
        Some(found)
    }

    /// How much English is in it.
    fn length(&self) -> usize {
        self.before.len() + self.braces.iter().map(|(_, after)| after.len()).sum::<usize>()
    }
}

impl Braces {
    fn check(self, matched: &str) -> Option<&str> {
        let is_right = self == Self::Anything || !matched.contains(char::is_whitespace);
        is_right.then_some(matched)
    }
}

/// The Chinese of a phrase with so many braces in its English; any more of them are text.
fn parts(chinese: &str, count: usize) -> Vec<Part> {
    let (mut parts, mut rest, mut next) = (Vec::new(), chinese, 0);
    while let Some((before, number, after)) = first_braces(rest) {
        parts.push(Part::Literal(before.to_owned()));
        let index = number.unwrap_or(next + 1) - 1;
        parts.push(match index < count {
            true => Part::Match(index),
            false => Part::Literal(rest[before.len()..rest.len() - after.len()].to_owned()),
        });
        (rest, next) = (after, next + 1);
    }
    parts.push(Part::Literal(rest.to_owned()));
    parts
}

/// `text` without the spaces between two Chinese characters: a space beside braces was meant for a
/// name or a number in them.
pub(crate) fn without_gaps(text: &str) -> String {
    let is_chinese = |letter: Option<char>| matches!(letter, Some('\u{4e00}'..='\u{9fff}'));
    let mut joined = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_between =
            is_chinese(joined.chars().next_back()) && is_chinese(letters.peek().copied());
        if letter != ' ' || !is_between {
            joined.push(letter);
        }
    }
    joined
}

/// The first braces in `text`, `{}` or `{2}`: what is before them, their number, what is after.
fn first_braces(text: &str) -> Option<(&str, Option<usize>, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (number, after) = rest.split_once('}')?;
    let number =
        if number.is_empty() { None } else { Some(number.parse().ok().filter(|n| *n > 0)?) };
    Some((before, number, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(pairs: &[(&str, &str)]) -> Phrases {
        let table =
            pairs.iter().map(|(english, chinese)| (english.to_string(), chinese.to_string()));
        Phrases::new(&[&table.collect()])
    }

    #[test]
    fn what_varies_goes_where_chinese_has_it() {
        let phrases =
            phrases(&[("{} files", "{} 个文件"), ("{} of {} pages", "{2} 页中的 {1} 页")]);
        assert_eq!(phrases.translate("12 files"), "12 个文件");
        assert_eq!(phrases.translate("3 of 40 pages"), "40 页中的 3 页");
    }

    #[test]
    fn the_whole_text_is_the_phrase_or_it_stays_english() {
        let phrases = phrases(&[("is gone", "没有了"), ("{} of {} pages", "{2} 页中的 {1} 页")]);
        for text in
            ["is gone.", "all is gone", "3 of 40 pages more", "of pages", "", "/proc/7/stat"]
        {
            assert_eq!(phrases.translate(text), text);
        }
    }

    #[test]
    fn what_braces_match_may_be_a_phrase() {
        let phrases = phrases(&[("{}: {}", "{}：{}"), ("process {}", "进程 {}"), ("yes", "是")]);
        assert_eq!(phrases.translate("process 7: yes"), "进程 7：是");
    }

    #[test]
    fn chinese_words_have_no_space_between_them() {
        let phrases = phrases(&[("{} there", "那里是 {} 的东西"), ("nothing", "空")]);
        assert_eq!(phrases.translate("nothing there"), "那里是空的东西");
        assert_eq!(phrases.translate("x there"), "那里是 x 的东西");
    }

    #[test]
    fn the_phrase_with_more_english_comes_first() {
        let phrases = phrases(&[("{} mounts", "{} 个挂载"), ("{} mounts: {}", "{} 个挂载：{}")]);
        assert_eq!(phrases.translate("3 mounts: 2 mounts"), "3 个挂载：2 个挂载");
        let (own, common) = (("no", "没有"), ("no", "否"));
        let table = |(english, chinese): (&str, &str)| {
            BTreeMap::from([(english.to_owned(), chinese.to_owned())])
        };
        assert_eq!(Phrases::new(&[&table(own), &table(common)]).translate("no"), "没有");
    }

    #[test]
    fn a_text_made_to_match_again_and_again_ends() {
        let phrases = phrases(&[("{}, {}", "{}，{}")]);
        let text = ", ".repeat(100_000);
        assert!(phrases.translate(&text).starts_with('，'));
    }

    #[test]
    fn a_sentence_is_not_taken_for_a_word() {
        let phrases = phrases(&[("{#} of {#}", "{}，共 {}")]);
        assert_eq!(phrases.translate("1.5s of 3s"), "1.5s，共 3s");
        let panic = "index out of bounds: the len is 3";
        assert_eq!(phrases.translate(panic), panic);
    }

    #[test]
    fn braces_of_a_student_are_not_filled() {
        let phrases = phrases(&[("{} and {}", "{} 和 {}")]);
        assert_eq!(phrases.translate("{2} and {}"), "{2} 和 {}");
    }
}
