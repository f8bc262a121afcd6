//! The host's name servers (resolv.conf(5)).

use std::{fs::File, io::Read as _, net::IpAddr};

/// The largest part of the file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The name servers of the host, in their order; none if the file cannot be read. Those with a zone
/// are bound to a link, and left out.
pub(crate) fn servers() -> Vec<IpAddr> {
    let mut text = String::new();
    let read = File::open("/etc/resolv.conf")
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    if read.is_err() { Vec::new() } else { parse(&text) }
}

fn parse(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and(words.next())?.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_are_read() {
        let text = "# nameserver 192.0.2.9\nnameserver 192.0.2.1\nsearch a\nnameserver\n\
                    nameserver fe80::1%eth0\n nameserver\t::1 \nnameserver x\n";
        let expected = ["192.0.2.1", "::1"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(parse(text), expected);
    }
}
