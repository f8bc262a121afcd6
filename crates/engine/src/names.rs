//! Names and ids of what clients make.

use crate::error::{ApiError, Result};

const MOODS: [&str; 16] = [
    "brave", "bright", "calm", "clever", "eager", "fair", "gentle", "happy", "keen", "kind",
    "lively", "merry", "proud", "quick", "quiet", "wise",
];
/// People to whom virtualization and containers owe something.
const PEOPLE: [&str; 16] = [
    "amdahl",
    "bellard",
    "codd",
    "corbato",
    "dijkstra",
    "goldberg",
    "hopper",
    "kivity",
    "lovelace",
    "popek",
    "ritchie",
    "rosenblum",
    "strachey",
    "thompson",
    "torvalds",
    "turing",
];

/// A name for a container with this id whose client gave none; `again` tells further ones apart.
pub fn make_up(id: &str, again: usize) -> String {
    let number = usize::from_str_radix(id.get(1..7).unwrap_or_default(), 16).unwrap_or_default();
    let (mood, person) = (MOODS[number % 16], PEOPLE[number / 16 % 16]);
    match again {
        0 => format!("{mood}_{person}"),
        again => format!("{mood}_{person}{}", (number / 256 + again) % 10_000),
    }
}

/// Checks the name of a container, volume or network.
///
/// # Errors
///
/// 400, with dockerd's words.
pub fn check(kind: &str, name: &str) -> Result<()> {
    let mut letters = name.chars();
    let is_name = letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() >= 2
        && name.len() <= 255
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter));
    match is_name {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "Invalid {kind} name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::new_id;

    #[test]
    fn names_follow_from_ids() {
        let id = new_id();
        assert!(check("container", &make_up(&id, 0)).is_ok());
        assert_ne!(make_up(&id, 0), make_up(&id, 1));
    }

    #[test]
    fn a_name_is_no_path() {
        for bad in ["", "a", "../x", "a/b", "-x", "a b", "ä1"] {
            assert!(check("container", bad).is_err(), "{bad}");
        }
    }
}
