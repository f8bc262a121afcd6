//! The addresses of links, and what arrives at them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Finding, LinkAddress, Process, Student, ensure, fail};

/// `IFA_F_PERMANENT`: the kernel sets it for every address without a lifetime.
const PERMANENT: u8 = 0x80;
/// How long a datagram may take that takes microseconds: a link that has just come up does not send
/// before the kernel has had time for it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// An address as it should be.
pub struct Address<'a> {
    pub process: Process,
    pub link: &'a str,
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Address<'_> {
    /// It is the only one of the process's network, whole, and on its link.
    pub fn judge(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        let found = self.found(bench, student)?;
        let wanted = format!("{}/{}", self.address, self.prefix);
        let facts = |id: &str| {
            let finding = fail(id).fact("link", self.link).fact("wanted", &wanted);
            finding.fact("seen", list(&found))
        };
        let [one] = found[..] else {
            let id = if found.is_empty() { "L11-no-address" } else { "L11-more-addresses" };
            return Err(facts(id));
        };
        let index = student.link(self.process, self.link)?.map_or(0, |link| link.index);
        ensure(one.index == index, || facts("L11-other-link").fact("index", one.index))?;
        let reversed = Ipv4Addr::from(u32::from(self.address).swap_bytes());
        ensure(one.address != reversed, || facts("L11-byte-order"))?;
        ensure(one.address == self.address, || facts("L11-address"))?;
        ensure(one.prefix == self.prefix, || facts("L11-prefix").fact("prefix", one.prefix))?;
        ensure(one.peer == one.address, || facts("L11-peer").fact("peer", one.peer))?;
        ensure(one.scope == 0 && one.flags & !PERMANENT == 0, || {
            facts("L11-scope").fact("scope", one.scope).fact("flags", one.flags & !PERMANENT)
        })
    }

    /// The same of the child's end: `add_address` is right, so what it was called with is not.
    pub fn judge_inside(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        self.judge(bench, student).map_err(|finding| match finding.get("wanted") {
            "" => finding,
            wanted => {
                let other = fail("L11-inside-address").fact("link", self.link);
                other.fact("wanted", wanted).fact("seen", finding.get("seen"))
            }
        })
    }

    /// All addresses of the process's network but those by which it reaches itself.
    fn found(&self, bench: &mut Bench, student: &Student) -> Checked<Vec<LinkAddress>> {
        let mut found = student.addresses(self.process)?;
        found.retain(|one| !one.address.is_loopback());
        bench.saw(format!("RTM_GETADDR, network of {}", self.link), list(&found));
        Ok(found)
    }
}

/// Addresses for people to read.
fn list(found: &[LinkAddress]) -> String {
    let words =
        found.iter().map(|one| format!("{}/{} on link {}", one.address, one.prefix, one.index));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Sends `token` from the host's network to `to` until it waits at the child's port.
pub fn send(
    bench: &mut Bench,
    student: &Student,
    (host, child): (Process, Process),
    (to, token): (SocketAddr, &str),
) -> Checked<()> {
    for (whose, process) in [("host", host), ("child", child)] {
        let says = match queued(student, process, to.port())? {
            Some(bytes) => format!("bound, {bytes} bytes wait"),
            None => "not bound".to_owned(),
        };
        bench.saw(format!("/proc/net/udp, {whose}, port {}", to.port()), says);
        bench.saw(format!("/proc/net/route, {whose}"), routes(student, process)?);
    }
    let began = Instant::now();
    while queued(student, child, to.port())? == Some(0) {
        // Where no way leads there, the kernel says so at once, or when it has tried.
        let sent = student.send_datagram(host, to, token);
        let error = sent.err().map_or("-".to_owned(), |finding| finding.id().to_owned());
        ensure(began.elapsed() < TIMEOUT, || no_datagram(to).fact("error", error))?;
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

pub fn no_datagram(to: SocketAddr) -> Finding {
    fail("L11-no-datagram").fact("address", to).fact("error", "-")
}

/// How many bytes wait at the UDP port, if a socket of the process's network is bound to it: the
/// second number of `tx_queue:rx_queue` in /proc/net/udp.
fn queued(student: &Student, process: Process, port: u16) -> Checked<Option<u64>> {
    let text = student.network_file(process, "/proc/net/udp")?;
    let at_port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bound = words.get(1)?.ends_with(&format!(":{port:04X}"));
        let (_, waiting) = words.get(4)?.split_once(':')?;
        bound.then(|| u64::from_str_radix(waiting, 16).ok()).flatten()
    };
    Ok(text.lines().skip(1).find_map(at_port))
}

/// The routes of the process's network, by /proc/net/route: numbers in hexadecimal, in the byte order
/// of the network.
fn routes(student: &Student, process: Process) -> Checked<String> {
    let text = student.network_file(process, "/proc/net/route")?;
    let number = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.swap_bytes());
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (link, to, mask) = (words.first()?, words.get(1)?, words.get(7)?);
        let bits = number(mask)?.count_ones();
        Some(format!("{}/{bits}: {link}", Ipv4Addr::from(number(to)?)))
    };
    let routes: Vec<String> = text.lines().skip(1).filter_map(route).collect();
    Ok(if routes.is_empty() { "no route".to_owned() } else { routes.join(", ") })
}
