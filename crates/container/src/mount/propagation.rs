//! Which mounts get those that are made elsewhere later (mount_namespaces(7), "Shared subtrees").
//!
//! ```text
//!   shared      a mount made on the one shows up on the other, both ways
//!   slave       what the host mounts there shows up inside, and not the other way round
//!   private     neither
//!   unbindable  private, and no bind mount of it can be made
//! ```
//!
//! A copy is in the group of what it is a copy of, as long as that is not private. So mounts that
//! exchange anything with the host's are copied before the container's own are made private; and they
//! get their final type last of all, when nothing more is mounted for the container.

/// How a mount propagates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// With whom.
    pub with: Peers,
    /// Whether the mounts below it do the same.
    pub recursive: bool,
}

/// With whom a mount exchanges later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// With nobody.
    Private,
    /// It gets those of the host.
    Slave,
    /// With all in its group.
    Shared,
    /// With nobody, and it cannot be bind-mounted.
    Unbindable,
}

const WORDS: [(&str, Peers); 4] = [
    ("private", Peers::Private),
    ("slave", Peers::Slave),
    ("shared", Peers::Shared),
    ("unbindable", Peers::Unbindable),
];

impl Propagation {
    /// Reads `slave`, or `rslave` for the mounts below as well; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        let of = |word: &str| WORDS.iter().find(|(known, _)| *known == word).map(|(_, with)| *with);
        match of(word) {
            Some(with) => Some(Self { with, recursive: false }),
            None => of(word.strip_prefix('r')?).map(|with| Self { with, recursive: true }),
        }
    }

    /// The words that can be read.
    pub(crate) fn words() -> impl Iterator<Item = String> {
        WORDS.iter().flat_map(|(word, _)| [(*word).to_owned(), format!("r{word}")])
    }

    /// Whether something that the host mounts later can show up inside.
    pub(crate) fn reaches_the_host(self) -> bool {
        matches!(self.with, Peers::Slave | Peers::Shared)
    }

    /// The word without `r`.
    pub(crate) fn word(self) -> &'static str {
        WORDS.iter().find(|(_, with)| *with == self.with).map_or("", |(word, _)| word)
    }

    /// `MS_PRIVATE` and the like.
    pub(crate) fn flag(self) -> u64 {
        match self.with {
            Peers::Private => libc::MS_PRIVATE,
            Peers::Slave => libc::MS_SLAVE,
            Peers::Shared => libc::MS_SHARED,
            Peers::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_a_recursive_form() {
        for word in Propagation::words() {
            let parsed = Propagation::parse(&word).unwrap();
            assert_eq!(parsed.recursive, word.starts_with('r'), "{word}");
        }
        for word in ["", "r", "rr", "privat", "rrslave", "=", "SHARED"] {
            assert_eq!(Propagation::parse(word), None, "{word}");
        }
    }
}
