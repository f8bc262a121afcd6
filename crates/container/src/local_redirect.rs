//! Sending a network's own packets for one address to other ports of it.

use std::net::Ipv4Addr;

use crate::{
    Error,
    nat::change,
    nftables::{self, OUTPUT, Part},
};

/// The table with these rules.
const TABLE: &str = "isolab-local";

/// Redirects what processes in the network of this thread send to a port of one of its own
/// addresses: UDP and TCP to one port each. Rules of an earlier call are replaced.
///
/// # Errors
///
/// When the kernel has no nf_tables, or the caller may not change them.
pub fn redirect(from: (Ipv4Addr, u16), [udp, tcp]: [u16; 2]) -> Result<(), Error> {
    change("write the nf_tables rules of local addresses", |batch| {
        if nftables::tables()?.iter().any(|table| table == TABLE) {
            batch.remove_table(TABLE);
        }
        batch.table(TABLE);
        batch.chain(TABLE, "output", OUTPUT);
        let (address, port) = from;
        for (protocol, to) in [(libc::IPPROTO_UDP, udp), (libc::IPPROTO_TCP, tcp)] {
            let parts = [
                Part::Destination(address, 32),
                Part::Port(protocol as u8, port),
                Part::Redirect(address, to),
            ];
            batch.rule(TABLE, "output", &parts);
        }
        Ok(())
    })
}
