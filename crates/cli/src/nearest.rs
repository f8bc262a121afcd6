//! What was probably meant by a mistyped word.

use clap::Command;

/// The word of `known` that is the fewest slips of the keyboard away from `word`: letters left out,
/// too many, wrong or exchanged, one for every three that it has.
pub fn to(word: &str, known: impl IntoIterator<Item = impl Into<String>>) -> Option<String> {
    let slips = (word.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|known| {
        let known = known.into();
        (strsim::osa_distance(word, &known), known)
    });
    let nearest = distances.min_by_key(|(distance, _)| *distance)?;
    (nearest.0 <= slips).then_some(nearest.1)
}

/// The command below `all` that `words`, without the first of them, lead to.
fn command<'a>(all: &'a Command, words: &[String]) -> &'a Command {
    let mut found = all;
    for word in words.iter().skip(1) {
        match found.find_subcommand(word) {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

/// The option of that command that `option` was probably meant to be.
pub fn option(mut all: Command, words: &[String], option: &str) -> Option<String> {
    all.build();
    let arguments = command(&all, words).get_arguments().filter(|it| !it.is_hide_set());
    let names = arguments.flat_map(|it| it.get_long_and_visible_aliases().unwrap_or_default());
    to(option.strip_prefix("--")?, names).map(|name| format!("--{name}"))
}

/// The command that `word`, behind the others of `words`, was probably meant to be.
pub fn subcommand(mut all: Command, words: &[String], word: &str) -> Option<String> {
    all.build();
    let known = command(&all, words).get_subcommands().filter(|it| !it.is_hide_set());
    to(word, known.map(Command::get_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_has_a_nearest_word_and_another_word_has_none() {
        let known = ["run", "ps", "slices", "exec", "workdir", "env"];
        for (word, meant) in [
            ("rnu", Some("run")),
            ("evn", Some("env")),
            ("slicse", Some("slices")),
            ("wrokdri", Some("workdir")),
            ("exe", Some("exec")),
            ("fly", None),
            ("", None),
            ("workday-of-mine", None),
        ] {
            assert_eq!(to(word, known).as_deref(), meant, "{word}");
        }
        assert_eq!(to("run", [""; 0]), None);
    }
}
