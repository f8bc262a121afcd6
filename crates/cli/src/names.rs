//! Names for runs that were given none.

use std::hash::{BuildHasher as _, RandomState};

use sandbox::Ledger;

use crate::failure;

const MOODS: [&str; 16] = [
    "brave", "bright", "calm", "clever", "eager", "fair", "gentle", "happy", "keen", "kind",
    "lively", "merry", "proud", "quick", "quiet", "wise",
];
const ANIMALS: [&str; 16] = [
    "badger", "beaver", "crane", "finch", "fox", "hare", "heron", "ibex", "lynx", "marten", "newt",
    "otter", "owl", "robin", "stoat", "wren",
];

/// `calm-otter-3f2a`: easy to say, and hardly ever twice.
pub fn make_up() -> String {
    // The standard library's hash keys are the random numbers at hand.
    let random = RandomState::new().hash_one(std::process::id());
    let mood = MOODS[random as usize % MOODS.len()];
    let animal = ANIMALS[(random >> 8) as usize % ANIMALS.len()];
    format!("{mood}-{animal}-{:04x}", random >> 48)
}

/// A name that was given.
pub fn given(text: &str) -> Result<String, String> {
    Ledger::check_name(text).map_err(|error| failure::chain(&error))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_differ() {
        let names: HashSet<String> = (0..100).map(|_| super::make_up()).collect();
        assert!(names.len() > 98);
    }
}
