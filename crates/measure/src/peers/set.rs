//! Which peers take part.

use std::{str::FromStr, time::Duration};

use super::{DEFINITIONS, Definition};

/// The peers that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerChoice {
    /// Those that are installed, one kind of each; a whole distribution where its disk was made.
    Auto,
    /// These.
    Listed(PeerSet),
}

/// Some of the peers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerSet(u32);

/// Those behind take part only by name: they are second kinds of what takes part anyway.
const LAST_OF_AUTO: &str = "qemu-tcg-login";

impl PeerChoice {
    /// The peers that this means on this host. What was asked for by name takes part also where it
    /// is not installed: it is a gap then.
    pub fn resolve(self) -> PeerSet {
        match self {
            Self::Listed(set) => set,
            Self::Auto => {
                let last = DEFINITIONS.iter().position(|it| it.name == LAST_OF_AUTO);
                let by_auto = &DEFINITIONS[..=last.unwrap_or(0)];
                let here = by_auto.iter().filter(|it| it.is_usual());
                here.fold(PeerSet::default(), PeerSet::with)
            }
        }
    }
}

impl PeerSet {
    /// How many.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether the peer of that name is one of them.
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|it| it.name == name)
    }

    /// How long one boot of each whole distribution among them takes together, roughly.
    pub(crate) fn boots(self) -> Duration {
        self.iter().filter_map(|it| it.boots).sum()
    }

    /// Those that `condition` is true of.
    pub(crate) fn filtered(self, condition: impl Fn(&Definition) -> bool) -> Self {
        self.iter().filter(|it| condition(it)).fold(Self::default(), Self::with)
    }

    /// Those in it, in the order of tables.
    pub fn iter(self) -> impl Iterator<Item = &'static Definition> {
        DEFINITIONS.iter().enumerate().filter(move |(at, _)| self.0 >> at & 1 == 1).map(|it| it.1)
    }

    /// Their names, as [`PeerChoice`] reads them.
    pub fn names(self) -> String {
        match self.count() {
            0 => "none".to_owned(),
            _ => self.iter().map(|it| it.name).collect::<Vec<_>>().join(","),
        }
    }

    fn with(self, definition: &Definition) -> Self {
        let at = DEFINITIONS.iter().position(|it| it.name == definition.name);
        Self(self.0 | at.map_or(0, |at| 1 << at))
    }
}

impl FromStr for PeerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::Listed(PeerSet::default())),
            _ => {}
        }
        let mut set = PeerSet::default();
        for name in text.split(',').map(str::trim) {
            let known = Definition::named(name).ok_or_else(|| {
                let names: Vec<_> = DEFINITIONS.iter().map(|it| it.name).collect();
                format!("{name:?} is not a peer: auto, none, or a list of {}", names.join(", "))
            })?;
            set = set.with(known);
        }
        Ok(Self::Listed(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["none", "runc,podman", "qemu-tcg-q35"] {
            let PeerChoice::Listed(set) = text.parse().unwrap() else { panic!("{text}") };
            assert_eq!(set.names(), text);
        }
        assert_eq!("auto".parse(), Ok(PeerChoice::Auto));
        assert_eq!("podman, runc".parse::<PeerChoice>(), "runc,podman".parse());
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_that_are_known() {
        let error = "runc,dokcer".parse::<PeerChoice>().unwrap_err();
        assert!(error.contains("\"dokcer\"") && error.contains("cloud-hypervisor"), "{error}");
        assert!("".parse::<PeerChoice>().is_err());
    }
}
