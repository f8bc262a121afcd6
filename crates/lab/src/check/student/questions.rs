//! What init looks at for the check, in the namespaces of a process inside.

use std::net::{Ipv4Addr, SocketAddr};

use container::netlink::Link;

use super::Student;
use crate::check::{finding::Checked, jail::InitRequest, kernel::Process};

/// An IPv4 address of a link, as described by the kernel (rtnetlink(7), `struct ifaddrmsg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAddress {
    /// The link's number in its network namespace.
    pub index: i32,
    /// `IFA_LOCAL`.
    pub address: Ipv4Addr,
    /// `IFA_ADDRESS`: the same, unless the link leads to one peer only.
    pub peer: Ipv4Addr,
    /// So many bits of the address are the network's.
    pub prefix: u8,
    /// Where it is valid: 0 everywhere, 253 on this link, 254 on this host.
    pub scope: u8,
    /// `IFA_F_PERMANENT` and others.
    pub flags: u8,
}

impl LinkAddress {
    /// Reads init's line about an address.
    fn of(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            index: words.next()?.parse().ok()?,
            address: words.next()?.parse().ok()?,
            peer: words.next()?.parse().ok()?,
            prefix: words.next()?.parse().ok()?,
            scope: words.next()?.parse().ok()?,
            flags: words.next()?.parse().ok()?,
        })
    }
}

impl Student {
    /// The host name in the namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn host_name(&self, process: Process) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::HostName(pid))
    }

    /// The content of a file below `/proc/net`, in the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn network_file(&self, process: Process, file: &str) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::NetworkFile(pid, file.to_owned()))
    }

    /// The names of the network links of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn links(&self, process: Process) -> Checked<Vec<String>> {
        let table = self.network_file(process, "/proc/net/dev")?;
        let names =
            table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        Ok(names.collect())
    }

    /// The link `name` of `process`, if there is one.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn link(&self, process: Process, name: &str) -> Checked<Option<Link>> {
        let pid = self.inside(process)?;
        let answer = self.question(&InitRequest::Link(pid, name.to_owned()))?;
        let numbers: Vec<i64> = answer.split(' ').map_while(|number| number.parse().ok()).collect();
        let [index, flags, other] = numbers[..] else { return Ok(None) };
        Ok(Some(Link { index: index as i32, flags: flags as u32, other: other as i32 }))
    }

    /// The IPv4 addresses of `process`'s network namespace, of all its links.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn addresses(&self, process: Process) -> Checked<Vec<LinkAddress>> {
        let pid = self.inside(process)?;
        let answer = self.question(&InitRequest::Addresses(pid))?;
        Ok(answer.lines().filter_map(LinkAddress::of).collect())
    }

    /// Whether this kernel has pairs of links (veth(4)).
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn has_veth(&self) -> Checked<bool> {
        Ok(self.question(&InitRequest::Veth)? == "true")
    }

    /// Sends a datagram to `to`, from the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When no way leads there.
    pub fn send_datagram(&self, process: Process, to: SocketAddr, text: &str) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::Datagram(pid, to, text.to_owned())).map(drop)
    }

    /// How many System V segments there are in the IPC namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn segments(&self, process: Process) -> Checked<u64> {
        let pid = self.inside(process)?;
        let count = self.question(&InitRequest::Segments(pid))?;
        Ok(count.parse().unwrap_or(0))
    }

    /// Kills a process of the program.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn kill(&self, process: Process) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::Kill(pid)).map(drop)
    }

    fn question(&self, asked: &InitRequest) -> Checked<String> {
        self.line.question(asked, self.deadline())
    }
}
