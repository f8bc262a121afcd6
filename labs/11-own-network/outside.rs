//! Links, addresses and ports of lab 11, seen from outside.

use std::net::Ipv4Addr;

use lab::check::{Bench, Checked, Process, Student, cannot_tell, ensure, fail};

/// `IFF_UP` (netdevice(7)).
const UP: u32 = 1;

/// Waits for the program; a kernel without veth is not its mistake.
pub fn meet(student: &mut Student, point: &str) -> Checked<()> {
    match student.meet(point) {
        Err(finding) if finding.is_refusal("create_pair", "") && !student.has_veth()? => {
            Err(cannot_tell("lacking").fact("error", finding.get("error")))
        }
        met => met,
    }
}

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

    /// Its address, and the route that the kernel makes of the address's network.
    pub fn has_address(&self, bench: &mut Bench, student: &Student, prefix: u8) -> Checked<()> {
        let addresses = self.addresses(student)?;
        let routes = self.routes(student)?;
        let own = addresses.contains(&self.address);
        let network = Ipv4Addr::from(u32::from(self.address) & (u32::MAX << (32 - prefix)));
        let right = own && routes.contains(&(network, prefix));
        let words: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        let ways = routes.iter().map(|(network, prefix)| format!("{network}/{prefix}"));
        let ways = ways.collect::<Vec<_>>().join(" ");
        let seen = format!("{}; routes [{ways}]", words.join(" "));
        bench.saw(format!("addresses and routes, {}", self.link), &seen);
        ensure(right, || {
            let wanted = format!("{}/{prefix}", self.address);
            fail("L11-address").fact("link", self.link).fact("seen", seen).fact("wanted", wanted)
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
