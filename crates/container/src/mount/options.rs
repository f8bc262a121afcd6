//! The options of a mount, as mount(8) and config.md of the OCI runtime specification have them.

use super::{Mount, propagation::Propagation};

/// Attributes of a mount (`MOUNT_ATTR_*`), as mount_setattr(2) takes them: first those in `clear` are
/// cleared, then those in `set` are set.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
}

impl Attributes {
    pub(crate) const NONE: Self = Self { set: 0, clear: 0 };

    /// An option that gives the bits of `mask` that value; a later one stands above an earlier one.
    fn give(&mut self, mask: u64, value: u64) {
        self.set = self.set & !mask | value;
        self.clear |= mask;
    }

    /// Without clearing anything. How access times are kept is one field, not a set of flags: what is
    /// set there has to be cleared first (mount_setattr(2)).
    pub(crate) fn only_setting(self, more: u64) -> Self {
        let time =
            if self.set & libc::MOUNT_ATTR__ATIME == 0 { 0 } else { libc::MOUNT_ATTR__ATIME };
        Self { set: self.set | more, clear: time }
    }
}

/// The options of a mount, parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// What the mount itself gets.
    pub(crate) attributes: Attributes,
    /// What it and all mounts below it get.
    pub(crate) below: Attributes,
    /// Whether a bind mount includes the mounts below it.
    pub(crate) recursive: bool,
    /// With which mounts it exchanges later ones; without any, with none.
    pub(crate) propagation: Vec<Propagation>,
    /// Whether a new tmpfs begins with what the root has there.
    pub(crate) copies_up: bool,
    /// Whether its files have other owners, and whether those of the mounts below it have too.
    pub(crate) id_mapped: Option<bool>,
    /// Flags of the file system, which no mount of it has alone: `sync`.
    flags: Vec<String>,
    /// Other options of the file system.
    data: Vec<(String, Option<String>)>,
    /// An option that is known and refused, with the reason.
    refused: Option<(String, &'static str)>,
}

/// Options that set or clear attributes: the word, which bits it concerns, and their value. With `r`
/// before it, the option concerns the mounts below as well.
const ATTRIBUTES: &[(&str, u64, u64)] = &[
    ("ro", libc::MOUNT_ATTR_RDONLY, libc::MOUNT_ATTR_RDONLY),
    ("rw", libc::MOUNT_ATTR_RDONLY, 0),
    ("nosuid", libc::MOUNT_ATTR_NOSUID, libc::MOUNT_ATTR_NOSUID),
    ("suid", libc::MOUNT_ATTR_NOSUID, 0),
    ("nodev", libc::MOUNT_ATTR_NODEV, libc::MOUNT_ATTR_NODEV),
    ("dev", libc::MOUNT_ATTR_NODEV, 0),
    ("noexec", libc::MOUNT_ATTR_NOEXEC, libc::MOUNT_ATTR_NOEXEC),
    ("exec", libc::MOUNT_ATTR_NOEXEC, 0),
    ("nodiratime", libc::MOUNT_ATTR_NODIRATIME, libc::MOUNT_ATTR_NODIRATIME),
    ("diratime", libc::MOUNT_ATTR_NODIRATIME, 0),
    ("nosymfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, libc::MOUNT_ATTR_NOSYMFOLLOW),
    ("symfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, 0),
    ("noatime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_NOATIME),
    ("strictatime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_STRICTATIME),
    // The kernel's default is relatime: whatever switches another way off leads back to it.
    ("atime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_RELATIME),
    ("nostrictatime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_RELATIME),
    ("relatime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_RELATIME),
    ("norelatime", libc::MOUNT_ATTR__ATIME, libc::MOUNT_ATTR_RELATIME),
];

/// Flags of a file system that fsconfig(2) takes by their name.
const FLAGS: [&str; 4] = ["sync", "dirsync", "lazytime", "mand"];

/// What a new mount is without any option. `silent` and `loud` are about the kernel's log, in which
/// fsopen(2) writes nothing.
const DEFAULTS: [&str; 7] =
    ["defaults", "async", "nolazytime", "nomand", "noiversion", "silent", "loud"];

const SPECIAL: [&str; 6] = ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"];

const REFUSED: [(&str, &str); 6] = [
    ("iversion", "fsconfig(2) has no such flag"),
    ("copy-symlink", "a mount shows a file or a directory, not a symbolic link"),
    ("src-nofollow", "links in a source are resolved; name the file itself"),
    ("dest-nofollow", "links in a destination are resolved within the root; name the place itself"),
    ("move", "it would take the mount away from the host"),
    ("notmpcopyup", "leave out tmpcopyup instead"),
];

/// The options that mean something for every mount, whatever its file system; without those that are
/// refused.
pub fn known() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|(word, ..)| [(*word).into(), format!("r{word}")]);
    let words = SPECIAL.iter().chain(&FLAGS).chain(&DEFAULTS).map(|word| (*word).to_owned());
    let mut all: Vec<String> = attributes.chain(words).chain(Propagation::words()).collect();
    all.sort();
    all
}

impl Options {
    pub(crate) fn of(mount: &Mount) -> Self {
        let mut options = Self::default();
        for option in &mount.options {
            options.add(option);
        }
        options
    }

    fn add(&mut self, option: &str) {
        if let Some((mask, value)) = attribute(option) {
            return self.attributes.give(mask, value);
        }
        if let Some((mask, value)) = option.strip_prefix('r').and_then(attribute) {
            return self.below.give(mask, value);
        }
        match option {
            "bind" | "remount" => {}
            "rbind" => self.recursive = true,
            "tmpcopyup" => self.copies_up = true,
            "idmap" => self.id_mapped = Some(false),
            "ridmap" => self.id_mapped = Some(true),
            default if DEFAULTS.contains(&default) => {}
            flag if FLAGS.contains(&flag) => self.flags.push(flag.into()),
            other => self.add_other(other),
        }
    }

    fn add_other(&mut self, option: &str) {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        if let Some(propagation) = Propagation::parse(option) {
            self.propagation.push(propagation);
        } else if let Some((_, why)) = REFUSED.iter().find(|(word, _)| *word == option) {
            self.refused = Some((option.into(), why));
        } else if matches!(key, "idmap" | "ridmap") {
            let why = "give the ids as uidMappings and gidMappings";
            self.refused = Some((option.into(), why));
        } else if !option.is_empty() {
            self.data.push((key.into(), value.map(Into::into)));
        }
    }

    /// An option that `mount` cannot have, with the reason.
    pub(crate) fn problem(&self, mount: &Mount) -> Option<(String, &'static str)> {
        if let Some(refused) = &self.refused {
            return Some(refused.clone());
        }
        let shared = self.flags.first().or(self.data.first().map(|(key, _)| key));
        match shared {
            Some(option) if mount.is_bind() => {
                let why = "it belongs to a file system, and a bind mount shows one that exists";
                return Some((option.clone(), why));
            }
            Some(option) if mount.is_remount() => {
                let why = "it would change a file system that others may use; a remount changes \
                           attributes of the mount";
                return Some((option.clone(), why));
            }
            _ => {}
        }
        if self.copies_up && mount.kind != "tmpfs" {
            return Some(("tmpcopyup".into(), "only a tmpfs can begin with a copy"));
        }
        if self.id_mapped.is_some() && !mount.is_bind() {
            return Some((
                "idmap".into(),
                "only a bind mount shows files that have owners already",
            ));
        }
        None
    }

    /// The attributes of a new file system's mount, which has none below it.
    pub(crate) fn of_new(&self) -> u64 {
        self.attributes.set | self.below.set
    }

    /// The flags and data of a new file system.
    pub(crate) fn data(&self) -> Vec<(String, Option<String>)> {
        let flags = self.flags.iter().map(|flag| (flag.clone(), None));
        flags.chain(self.data.iter().cloned()).collect()
    }

    /// Whether something is still to be made in `mount` before it is read-only: mount points, device
    /// nodes, a copy of the root's files.
    pub(crate) fn is_read_only_late(&self, mount: &Mount) -> bool {
        mount.kind == "tmpfs" && self.of_new() & libc::MOUNT_ATTR_RDONLY != 0
    }
}

fn attribute(option: &str) -> Option<(u64, u64)> {
    let (_, mask, value) = ATTRIBUTES.iter().find(|(word, ..)| *word == option)?;
    Some((*mask, *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, options: &[&str]) -> Mount {
        let options = options.iter().map(|it| (*it).to_owned()).collect();
        Mount { destination: "/x".into(), kind: kind.into(), source: "x".into(), options }
    }

    #[test]
    fn options_are_of_the_mount_or_of_the_file_system() {
        let options = Options::of(&mount("tmpfs", &["ro", "nodev", "sync", "mode=755", "huge"]));
        assert_eq!(options.of_new(), libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV);
        let expected =
            [("sync".into(), None), ("mode".into(), Some("755".into())), ("huge".into(), None)];
        assert_eq!(options.data(), expected);
    }

    #[test]
    fn the_last_of_two_contrary_options_counts() {
        let (read_only, time) = (libc::MOUNT_ATTR_RDONLY, libc::MOUNT_ATTR__ATIME);
        let options = Options::of(&mount("bind", &["ro", "noatime", "rw", "rro", "relatime"]));
        assert_eq!(options.attributes, Attributes { set: 0, clear: read_only | time });
        assert_eq!(options.below, Attributes { set: read_only, clear: read_only });
        assert_eq!(options.attributes.only_setting(0), Attributes::NONE);
    }

    #[test]
    fn a_time_is_cleared_before_it_is_set() {
        let options = Options::of(&mount("bind", &["noatime"]));
        let expected = Attributes { set: libc::MOUNT_ATTR_NOATIME, clear: libc::MOUNT_ATTR__ATIME };
        assert_eq!(options.attributes.only_setting(0), expected);
    }

    #[test]
    fn every_known_option_has_a_meaning_and_none_is_data() {
        for word in known() {
            let options = Options::of(&mount("tmpfs", &[&word]));
            assert!(options.data.is_empty() && options.refused.is_none(), "{word}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        for (kind, option) in [
            ("bind", "sync"),
            ("bind", "size=1m"),
            ("bind", "tmpcopyup"),
            ("tmpfs", "idmap"),
            ("tmpfs", "iversion"),
            ("bind", "copy-symlink"),
            ("bind", "idmap=uids=0-1-10"),
        ] {
            let mount = mount(kind, &[option]);
            assert!(Options::of(&mount).problem(&mount).is_some(), "{kind} {option}");
        }
        let mount = mount("none", &["remount", "ro", "size=1m"]);
        assert_eq!(Options::of(&mount).problem(&mount).unwrap().0, "size");
    }
}
