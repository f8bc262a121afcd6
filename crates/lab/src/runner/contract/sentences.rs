//! The sentences of a lab's contract: the steps of its README and the documentation of its skeleton.

/// A sentence ends with one of these, before what the next one may begin with.
const ENDS: [char; 3] = ['.', '?', '!'];
/// What may stand between the end and the space after it.
const CLOSES: [char; 4] = [')', '"', '`', '*'];
/// What a sentence may begin with, besides a capital letter or a digit.
const OPENS: [char; 4] = ['`', '[', '(', '*'];

/// The sentences of the section "Steps" of a README.
pub(crate) fn of_steps(readme: &str) -> Vec<String> {
    let mut inside = false;
    let lines = readme.lines().map(|line| {
        if let Some(title) = line.strip_prefix("## ") {
            inside = title.trim() == "Steps";
            return "";
        }
        if inside { line.trim() } else { "" }
    });
    of_paragraphs(lines)
}

/// The sentences of the documentation comments of a Rust file.
pub(crate) fn of_documentation(source: &str) -> Vec<String> {
    let lines = source.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix("///").or(line.strip_prefix("//!")).unwrap_or("").trim()
    });
    of_paragraphs(lines)
}

/// Joins lines to paragraphs, which an empty line, a list's next item and a block of code end.
fn of_paragraphs<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let (mut paragraphs, mut is_code) = (vec![String::new()], false);
    for line in lines {
        let item = after_bullet(line);
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if line.is_empty() || line.starts_with("```") || item.is_some() {
            paragraphs.push(String::new());
        }
        let last = paragraphs.len() - 1;
        let words = item.unwrap_or(line);
        if !is_code && !line.starts_with("```") && !words.is_empty() {
            let space = if paragraphs[last].is_empty() { "" } else { " " };
            paragraphs[last] += &format!("{space}{words}");
        }
    }
    paragraphs.iter().flat_map(|paragraph| split(paragraph)).collect()
}

/// The text of a list's item, `1. text` or `- text`.
fn after_bullet(line: &str) -> Option<&str> {
    let (bullet, text) = line.split_once(' ')?;
    let number = bullet.strip_suffix('.').unwrap_or("");
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number || ["-", "*"].contains(&bullet)).then(|| text.trim_start())
}

fn split(paragraph: &str) -> Vec<String> {
    let (mut sentences, mut begin) = (Vec::new(), 0);
    for (space, _) in paragraph.match_indices(' ') {
        let (before, after) = (&paragraph[..space], &paragraph[space + 1..]);
        let begins = |letter: char| {
            letter.is_ascii_uppercase() || letter.is_ascii_digit() || OPENS.contains(&letter)
        };
        let closed = before.strip_suffix(CLOSES).unwrap_or(before);
        if (before.ends_with(ENDS) || closed.ends_with(ENDS)) && after.starts_with(begins) {
            sentences.push(paragraph[begin..space].to_owned());
            begin = space + 1;
        }
    }
    sentences.push(paragraph[begin..].to_owned());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_split_at_the_ends_of_sentences_and_of_items() {
        let readme = "# Lab\n\nNot this. Nor this.\n\n## Steps\n\nAll in `x.rs`.\n\n\
                      1. `pin`: see sched(7), e.g. its end.\n   Give it to f(2). `cpu` is a number\n\
                      2. `go`: is that all? (No.) Return it.\n\n```text\nnot. This.\n```\n\n## Check\n\nNo.\n";
        let expected = [
            "All in `x.rs`.",
            "`pin`: see sched(7), e.g. its end.",
            "Give it to f(2).",
            "`cpu` is a number",
            "`go`: is that all?",
            "(No.)",
            "Return it.",
        ];
        assert_eq!(of_steps(readme), expected);
    }

    #[test]
    fn documentation_is_split_and_code_is_not_taken_for_it() {
        let source = "//! A lab.\n//!\n//! Write it.\n// A remark.\nuse io;\n\n/// Pins the\n\
                      /// process. Fails if not.\n///\n/// ```\n/// pin(1);\n/// ```\nfn pin() {}\n";
        let expected = ["A lab.", "Write it.", "Pins the process.", "Fails if not."];
        assert_eq!(of_documentation(source), expected);
    }
}
