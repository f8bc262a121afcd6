//! Whether a line begins a here-document (`RUN cat <<EOF`): its text would be taken for
//! instructions.
//!
//! <https://docs.docker.com/reference/dockerfile/#here-documents>

/// Whether one of the words is `<<NAME`, `<<-NAME` or the like with a number before, outside of
/// quotes.
pub(super) fn document(text: &str, escape: char) -> bool {
    words(text, escape).iter().any(|word| {
        let mark = word.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let name = mark.strip_prefix("<<").map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        name.is_some_and(|name| !name.is_empty() && !name.contains('<'))
    })
}

/// The words of a line; quotes and escapes keep a space in a word and are kept themselves.
fn words(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match quote {
            None if letter.is_whitespace() => words.push(std::mem::take(&mut word)),
            Some(open) if letter == open => {
                quote = None;
                word.push(letter);
            }
            _ if letter == escape && quote != Some('\'') => {
                word.push(letter);
                word.extend(letters.next());
            }
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.push(letter);
            }
            _ => word.push(letter),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_here_document_is_recognized_wherever_it_stands() {
        for text in ["<<EOF", "cat <<EOF > /a", "python3 - <<-'EOF'", "cat 3<<E", "<<A <<B /dir/"] {
            assert!(document(text, '\\'), "{text}");
        }
        for text in ["echo $((1<<2))", "cat <<<word", "echo '<<EOF'", "echo a\\ <<EOF", "a << b"] {
            assert!(!document(text, '\\'), "{text}");
        }
    }
}
