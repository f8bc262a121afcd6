//! Links, addresses and ports of lab 11, seen from outside.

use std::net::Ipv4Addr;

use lab::check::{Bench, Checked, Process, Student, ensure, fail};

/// `IFF_UP` (netdevice(7)).
const UP: u32 = 1;

/// One end of a pair, as it should be.
pub struct VethEnd<'a> {
    pub process: Process,
    pub link: &'a str,
    pub address: Ipv4Addr,
}

impl VethEnd<'_> {
    pub fn is_up(&self, bench: &mut Bench, student: &Student, id: &str) -> Checked<()> {
        let flags = student.link(self.process, self.link)?.map_or(0, |link| link.flags);
        bench.saw(format!("flags of {}", self.link), format!("{flags:#x}"));
        ensure(flags & UP != 0, || fail(id).fact("link", self.link))
    }

    /// Its address, in the network to which it belongs.
    pub fn has_address(&self, bench: &mut Bench, student: &Student, prefix: u8) -> Checked<()> {
        let addresses = self.addresses(student)?;
        let words: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        let seen = if words.is_empty() { "-".to_owned() } else { words.join(" ") };
        bench.saw(format!("addresses where {} is", self.link), &seen);
        let reversed = Ipv4Addr::from(u32::from(self.address).swap_bytes());
        ensure(addresses.contains(&self.address), || {
            let is_reversed = addresses.contains(&reversed);
            let id = if is_reversed { "L11-byte-order" } else { "L11-address" };
            let wanted = format!("{}/{prefix}", self.address);
            fail(id).fact("link", self.link).fact("seen", seen).fact("wanted", wanted)
        })
    }

    /// The route that the kernel makes of the address's network when the link is up.
    pub fn has_prefix(&self, bench: &mut Bench, student: &Student, prefix: u8) -> Checked<()> {
        let routes = self.routes(student)?;
        let network = Ipv4Addr::from(u32::from(self.address) & (u32::MAX << (32 - prefix)));
        let words: Vec<String> =
            routes.iter().map(|(network, prefix)| format!("{network}/{prefix}")).collect();
        let seen = if words.is_empty() { "-".to_owned() } else { words.join(" ") };
        bench.saw(format!("routes over {}", self.link), &seen);
        ensure(routes.contains(&(network, prefix)), || {
            let wanted = format!("{network}/{prefix}");
            fail("L11-prefix").fact("link", self.link).fact("seen", seen).fact("wanted", wanted)
        })
    }

    /// The network's own addresses: in /proc/net/fib_trie a line `|-- 10.0.0.1` is followed by one
    /// that says `host LOCAL`.
    fn addresses(&self, student: &Student) -> Checked<Vec<Ipv4Addr>> {
        let text = student.network_file(self.process, "/proc/net/fib_trie")?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let address = |two: &[&str]| match two {
            [above, below] if below.ends_with("host LOCAL") => {
                above.strip_prefix("|-- ")?.parse().ok()
            }
            _ => None,
        };
        let mut addresses: Vec<Ipv4Addr> = lines.windows(2).filter_map(address).collect();
        addresses.retain(|address| !address.is_loopback());
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Destination and length of the routes over this link, by /proc/net/route: numbers in
    /// hexadecimal, in the byte order of the network.
    fn routes(&self, student: &Student) -> Checked<Vec<(Ipv4Addr, u8)>> {
        let text = student.network_file(self.process, "/proc/net/route")?;
        let number = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.swap_bytes());
        let route = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (link, to, mask) = (words.first()?, words.get(1)?, words.get(7)?);
            let of_link = *link == self.link;
            of_link.then_some((Ipv4Addr::from(number(to)?), number(mask)?.count_ones() as u8))
        };
        Ok(text.lines().skip(1).filter_map(route).collect())
    }
}

/// Nothing of a link's flags may have changed but whether it is up: those that a change mask can
/// reach (rtnetlink(7), netdevice(7)).
pub fn changed_flags(student: &Student, end: &VethEnd, before: u32) -> Checked<()> {
    const REACHABLE: u32 = 0x80 | 0x100 | 0x200 | 0x1000;
    let now = student.link(end.process, end.link)?.map_or(0, |link| link.flags);
    ensure(now & REACHABLE == before & REACHABLE, || {
        let words = |flags: u32| {
            let names =
                [(0x80, "NOARP"), (0x100, "PROMISC"), (0x200, "ALLMULTI"), (0x1000, "MULTICAST")];
            let set = names.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| name);
            let set = set.collect::<Vec<_>>().join(" ");
            if set.is_empty() { "-".to_owned() } else { set }
        };
        let finding = fail("L11-other-flags").fact("link", end.link);
        finding.fact("seen", words(now)).fact("wanted", words(before))
    })
}

/// How many bytes wait at the UDP port, if a socket of the process's network is bound to it: the
/// second number of `tx_queue:rx_queue` in /proc/net/udp.
pub fn queued(student: &Student, process: Process, port: u64) -> Checked<Option<u64>> {
    let text = student.network_file(process, "/proc/net/udp")?;
    let at_port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bound = words.get(1)?.ends_with(&format!(":{port:04X}"));
        let (_, waiting) = words.get(4)?.split_once(':')?;
        bound.then(|| u64::from_str_radix(waiting, 16).ok()).flatten()
    };
    Ok(text.lines().skip(1).find_map(at_port))
}
