//! Name resolution in a container, and valid host names.

use std::net::IpAddr;

/// How names are resolved in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameService {
    /// More lines for `/etc/hosts`.
    pub hosts: Vec<(String, HostAddress)>,
    /// Name servers instead of the host's.
    pub servers: Vec<IpAddr>,
    /// Search domains for short names, instead of the host's; a single `.` means none.
    pub search: Vec<String>,
    /// Options of the resolver instead of the host's.
    pub options: Vec<String>,
    /// Whether the files are made in a root that is kept and has none, also without a way to other
    /// hosts: empty, as mount points.
    pub are_in_files: bool,
}

impl NameService {
    /// Whether it changes `/etc/resolv.conf`.
    pub(crate) fn changes_the_resolver(&self) -> bool {
        !(self.servers.is_empty() && self.search.is_empty() && self.options.is_empty())
    }
}

/// The address of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// This one.
    Address(IpAddr),
    /// The host's address on its link to the container.
    Gateway,
}

/// Whether it is a valid name for `/etc/hosts` and sethostname(2).
pub fn is_host_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
}
