//! Where this host's apt has its packages from: the distribution is installed from there too, and from
//! nowhere else.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use super::DistributionError;

/// A distribution that can be installed.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    /// What its Release files call it (`Origin`, see apt-secure(8)); others' packages are left out.
    origin: &'static str,
    /// The package that depends on its kernel for virtual machines.
    kernel: &'static str,
    /// The keys that its Release files are signed with, where it keeps them.
    keys: &'static str,
}

const KNOWN: [Known; 2] = [
    Known {
        origin: "Debian",
        kernel: "linux-image-cloud-amd64",
        keys: "/usr/share/keyrings/debian-archive-keyring.gpg",
    },
    Known {
        origin: "Ubuntu",
        kernel: "linux-image-virtual",
        keys: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    },
];

/// What a list of packages is of, a field each in the lines that [`Sources::of_host`] asks for.
const FORMAT: &str = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";

/// The sources of a distribution.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// In the format of sources.list(5).
    pub(super) lines: String,
    /// The package that depends on the kernel.
    pub(super) kernel: &'static str,
}

impl Sources {
    /// Those that this host's apt knows, of its distribution alone.
    ///
    /// # Errors
    ///
    /// When there is no apt-get, or it has no lists of Debian or Ubuntu.
    pub(super) fn of_host() -> Result<Self, DistributionError> {
        const PROGRAM: &str = "apt-get";
        let mut command = Command::new(PROGRAM);
        command.args(["indextargets", "--format", FORMAT, "Created-By: Packages"]);
        let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
        let output = output.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DistributionError::NotInstalled { program: PROGRAM },
            _ => DistributionError::Run { program: PROGRAM, source },
        })?;
        if !output.status.success() {
            let messages = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(DistributionError::Failed { program: PROGRAM, messages });
        }
        let lists = String::from_utf8_lossy(&output.stdout);
        Self::of_lists(&lists, |keys| Path::new(keys).exists()).ok_or(DistributionError::NoSources)
    }

    fn of_lists(lists: &str, exists: impl Fn(&str) -> bool) -> Option<Self> {
        let fields = |line: &'_ str| {
            <[String; 4]>::try_from(line.split('|').map(str::to_owned).collect::<Vec<_>>()).ok()
        };
        let lists: Vec<[String; 4]> = lists.lines().filter_map(fields).collect();
        let known = KNOWN.iter().find(|known| lists.iter().any(|list| list[0] == known.origin))?;
        let signed = match exists(known.keys) {
            true => format!("[signed-by={}] ", known.keys),
            // Then apt finds the keys among those that it always trusts.
            false => String::new(),
        };
        let mut lines: Vec<String> = Vec::new();
        for [origin, uri, release, component] in lists {
            let line = format!("deb {signed}{uri} {release} {component}\n");
            // A list has a file for each architecture.
            if origin == known.origin && !lines.contains(&line) {
                lines.push(line);
            }
        }
        Some(Self { lines: lines.concat(), kernel: known.kernel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_distributions_own_packages_are_installed() {
        let lists = "Others|https://others.example/|stable|main\n\
                     Debian|http://mirror.example/debian/|bookworm|main\n\
                     Debian|http://mirror.example/debian/|bookworm|main\n\
                     Debian Backports|http://mirror.example/debian/|bookworm-backports|main\n\
                     Debian|http://mirror.example/debian-security/|bookworm-security|main\n";
        let sources = Sources::of_lists(lists, |_| false).unwrap();
        assert_eq!(
            sources.lines,
            "deb http://mirror.example/debian/ bookworm main\n\
             deb http://mirror.example/debian-security/ bookworm-security main\n"
        );
        assert_eq!(sources.kernel, "linux-image-cloud-amd64");
        let signed = Sources::of_lists(lists, |_| true).unwrap();
        assert!(
            signed.lines.starts_with("deb [signed-by=/usr/share/keyrings/debian-"),
            "{signed:?}"
        );
        let ubuntu = Sources::of_lists("Ubuntu|http://mirror.example/|noble|main\n", |_| false);
        assert_eq!(ubuntu.unwrap().kernel, "linux-image-virtual");
    }

    #[test]
    fn lists_of_others_alone_are_no_distribution() {
        for lists in ["", "Others|https://others.example/|stable|main\n", "Debian\n", "||||\n"] {
            assert_eq!(Sources::of_lists(lists, |_| true), None, "{lists:?}");
        }
    }
}
