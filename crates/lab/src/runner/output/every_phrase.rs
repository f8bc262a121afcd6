//! Every lab's check can be read in Chinese: the English that its sources hand to a report has
//! phrases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::phrases::Phrases;
use crate::catalogue::Catalogue;

/// Calls with texts that a report shows.
const SHOWING: [&str; 4] = ["saw", "fact", "step", "unjudged"];

/// Names of texts that are handed to those calls.
const VARIABLES: [&str; 5] = ["says", "seen", "wanted", "words", "lacking"];

/// Calls within those whose texts are still shown; to others a text is the name of something.
const TRANSPARENT: [&str; 5] = ["format", "unwrap_or", "map_or", "Some", "clone"];

/// Names of fields, registers, calls and objects, and units: the same in both languages.
const NEUTRAL: [&str; 32] = [
    "blob",
    "cgroup",
    "clone",
    "container",
    "container-again",
    "cs",
    "data",
    "density",
    "efer",
    "exits",
    "fork",
    "head",
    "hlt",
    "inside",
    "master",
    "max",
    "microvm",
    "ms",
    "nice",
    "overlay",
    "overlayfs",
    "private",
    "process",
    "rflags",
    "ring",
    "rip",
    "schedstat",
    "shared",
    "stats",
    "struct",
    "tail",
    "user",
];

struct Lab {
    folder: PathBuf,
    catalogue: Catalogue,
    phrases: Phrases,
}

fn labs() -> Vec<Lab> {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
    let folders = fs::read_dir(labs).unwrap().map(|entry| entry.unwrap().path());
    let lab = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("messages.toml")).ok()?;
        let catalogue = Catalogue::of_lab(&text).unwrap();
        let phrases = Phrases::new(&[&catalogue.evidence, &Catalogue::common().evidence]);
        Some(Lab { folder, catalogue, phrases })
    };
    folders.filter_map(lab).collect()
}

impl Lab {
    /// The check, and what leads the student's functions.
    fn sources(&self) -> Vec<TokenStream> {
        let mut files = vec![self.folder.join("check.rs")];
        for part in ["check", "src"] {
            let listing = fs::read_dir(self.folder.join(part)).into_iter().flatten();
            files.extend(listing.map(|entry| entry.unwrap().path()));
        }
        let others = ["student.rs", "solution.rs"];
        files.retain(|file| !others.iter().any(|other| file.ends_with(other)));
        let code = files.into_iter().filter(|file| file.extension().is_some_and(|it| it == "rs"));
        code.map(|file| fs::read_to_string(file).unwrap().parse().unwrap()).collect()
    }

    /// What is left of the English of `text` in Chinese: lower-case words that name nothing.
    fn left(&self, text: &str) -> Vec<String> {
        let translated = self.phrases.translate(text);
        // Code is in backticks.
        let prose: String = translated.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let words = prose.split(|letter: char| !letter.is_ascii() || letter.is_whitespace());
        let words = words.map(|word| word.trim_matches([',', ';', ':', ')']));
        let is_word = |word: &&str| {
            let is_letter = |letter: char| letter.is_ascii_lowercase() || "-'".contains(letter);
            word.len() > 1 && word.chars().all(is_letter)
        };
        let english = words.filter(is_word).filter(|word| !NEUTRAL.contains(word));
        english.map(str::to_owned).collect()
    }
}

/// Gathers the texts in `tokens` that a report shows; `is_shown` where they already are.
fn gather(tokens: TokenStream, is_shown: bool, texts: &mut Vec<String>) {
    let tokens = Vec::from_iter(tokens);
    let ident = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(TokenTree::Ident(name)) => name.to_string(),
        _ => String::new(),
    };
    let mut in_variable = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(name) if ident(at.checked_sub(1)) == "let" => {
                in_variable = VARIABLES.iter().any(|variable| name == variable);
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => in_variable = false,
            TokenTree::Literal(literal) if is_shown || in_variable => {
                texts.extend(text(&literal.to_string()));
            }
            TokenTree::Group(group) => {
                let is_macro =
                    matches!(&tokens[..at], [.., TokenTree::Punct(mark)] if mark.as_char() == '!');
                let call = ident(at.checked_sub(1 + usize::from(is_macro)));
                if ident(at.checked_sub(2)) == "mod" && call == "tests" {
                    continue;
                }
                let is_call = group.delimiter() == Delimiter::Parenthesis && !call.is_empty();
                let inside = match &*call {
                    _ if !is_call => is_shown || in_variable,
                    call if SHOWING.contains(&call) => true,
                    call => TRANSPARENT.contains(&call) && (is_shown || in_variable),
                };
                // A fact's name comes first.
                let is_named = ["fact", "unjudged"].contains(&&*call);
                let stream = group.stream().into_iter().skip(usize::from(is_named && is_call));
                gather(stream.collect(), inside, texts);
            }
            _ => {}
        }
    }
}

/// The text of a literal, with a number in each of its braces.
fn text(literal: &str) -> Option<String> {
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    // A backslash at a line's end continues the text on the next one.
    let text: String = text.split("\\\n").map(str::trim_start).collect();
    let mut pieces = text.split('{');
    let mut sample = pieces.next()?.to_owned();
    for piece in pieces {
        sample += "7";
        sample += piece.split_once('}').map_or("", |(_, after)| after);
    }
    Some(sample)
}

#[test]
fn what_every_check_says_has_its_phrases() {
    let mut missing = Vec::new();
    let mut count = 0;
    for lab in labs() {
        let mut texts = Vec::new();
        lab.sources().into_iter().for_each(|code| gather(code, false, &mut texts));
        count += texts.len();
        // One word is a name: of a function, a system call, a file.
        for text in texts.iter().filter(|text| text.contains(' ')) {
            let left = lab.left(text);
            if !left.is_empty() {
                let name = lab.folder.file_name().unwrap().display();
                missing.push(format!("{name}: {text:?}: {}", left.join(" ")));
            }
        }
    }
    assert!(missing.is_empty(), "no phrase in [evidence]:\n{}", missing.join("\n"));
    assert!(count > 400, "{count}");
}

#[test]
fn a_phrase_keeps_all_that_varies() {
    for (lab, table) in labs().into_iter().map(|lab| (lab.folder, lab.catalogue.evidence)) {
        for (english, chinese) in table.iter().chain(&Catalogue::common().evidence) {
            let count = english.matches("{}").count() + english.matches("{#}").count();
            let mark = |number: usize| format!("<{number}>");
            let sample = (1..=count).fold(english.clone(), |text, number| {
                let at = text.find('{').unwrap();
                let end = at + text[at..].find('}').unwrap() + 1;
                text[..at].to_owned() + &mark(number) + &text[end..]
            });
            let alone = [(english.clone(), chinese.clone())].into();
            let translated = Phrases::new(&[&alone]).translate(&sample);
            for number in 1..=count {
                let times = translated.matches(&mark(number)).count();
                assert_eq!(times, 1, "{}: {english:?} = {chinese:?}", lab.display());
            }
            assert!(!translated.contains('{'), "{}: {chinese:?}", lab.display());
        }
    }
}
