//! How a container finds addresses by names, and what it may be called.

use std::net::IpAddr;

/// How a container finds addresses by names, and its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameService {
    /// More lines for `/etc/hosts`.
    pub hosts: Vec<(String, HostAddress)>,
    /// Name servers instead of the host's.
    pub servers: Vec<IpAddr>,
    /// Domains in which a short name is looked for instead of the host's; `.` alone is none.
    pub search: Vec<String>,
    /// Options of the resolver instead of the host's.
    pub options: Vec<String>,
}

impl NameService {
    /// Whether something of it belongs into `/etc/resolv.conf`.
    pub(crate) fn changes_the_resolver(&self) -> bool {
        !(self.servers.is_empty() && self.search.is_empty() && self.options.is_empty())
    }
}

/// The address of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// This one.
    Address(IpAddr),
    /// The host's, as the container reaches it.
    Gateway,
}

/// Whether it can be a name in `/etc/hosts` and for sethostname(2).
pub fn is_host_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
}
