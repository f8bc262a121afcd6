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
    let mut labs: Vec<Lab> = folders.filter_map(lab).collect();
    // What all labs share.
    let catalogue = Catalogue::common();
    labs.push(Lab {
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check"),
        phrases: Phrases::new(&[&catalogue.evidence]),
        catalogue,
    });
    labs
}

impl Lab {
    /// The check, and what leads the student's functions.
    fn sources(&self) -> Vec<TokenStream> {
        let mut files = Vec::new();
        files_below(&self.folder, &mut files);
        files.into_iter().map(|file| fs::read_to_string(file).unwrap().parse().unwrap()).collect()
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

/// The sources in `folder` but for answers, right and wrong ones.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let is_answer =
            ["mutants", "student.rs", "solution.rs"].iter().any(|it| path.ends_with(it));
        if path.is_dir() && !is_answer {
            files_below(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") && !is_answer {
            files.push(path);
        }
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

/// What checks put together where no call shows it.
const COMPOSED: [(&str, &str); 16] = [
    ("02", "the guest's program"),
    ("03", "0x7, for 0x3 + 0x4"),
    ("04", "PML4[0] 0x2007 -> PDPT at 0x7000, where no memory is"),
    ("04", "PML4[0] 0x2007 -> not present"),
    ("06", "nothing of KVM's"),
    ("09", "7 mounts: 2 shared, 1 master, 0 private"),
    ("11", "10.0.0.1/24 on link 3, 10.0.0.2/24 on link 4"),
    ("14", "lib/file differs"),
    ("15", "refused, read_blob, of a layer `x`"),
    ("18", "12 to 15"),
    ("20", "extension none, ring 0 not interpreted, hypervisor below none"),
    ("20", "made_up: microvm is Less than container, by 2 at least, with hardware virtualization"),
    ("20", "made_up: microvm and container are the same"),
    ("20", "the probe `name` in the container says: not exposed"),
    ("20", "inside: nothing, on the host: 7"),
    ("20", "it is a process of this kernel: yes"),
];

#[test]
fn what_a_check_composes_has_its_phrases_too() {
    let labs = labs();
    for (number, text) in COMPOSED {
        let name =
            |lab: &&Lab| lab.folder.file_name().unwrap().to_str().unwrap().starts_with(number);
        let lab = labs.iter().find(name).unwrap();
        assert_eq!(lab.left(text), [""; 0], "{number}: {text}");
        assert_ne!(lab.phrases.translate(text), text);
    }
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
