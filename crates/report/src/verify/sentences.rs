//! Sentences, verdicts and whatever else a text says, held against what the records say now.

use std::collections::BTreeSet;

/// The lines that are in one of the texts alone, without those that name the digest.
pub(super) fn differing(text: &str, drawn: &str, digest: &str) -> Vec<String> {
    let lines = |text| -> BTreeSet<&str> { str::lines(text).map(str::trim).collect() };
    let (there, drawn) = (lines(text), lines(drawn));
    let named = |line: &str| line.contains("SHA-256 of") || line.contains("records-sha256");
    let extra = there.difference(&drawn).filter(|line| !named(line));
    let extra = extra.map(|line| format!("does not follow from the records: {}", shortened(line)));
    let lacking = drawn.difference(&there).filter(|line| !named(line) && !line.contains(digest));
    let lacking = lacking.map(|line| format!("is missing: {}", shortened(line)));
    extra.chain(lacking).collect()
}

/// A line as people read it: without tags, and not too long.
fn shortened(line: &str) -> String {
    const MOST: usize = 160;
    let mut text = String::new();
    let mut inside = false;
    for letter in line.chars() {
        match letter {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            letter if !inside && !letter.is_control() => text.push(letter),
            _ => {}
        }
        if text.len() > MOST {
            return text + "…";
        }
    }
    match text.trim() {
        "" => line.chars().filter(|letter| !letter.is_control()).take(MOST).collect(),
        text => text.to_owned(),
    }
}
