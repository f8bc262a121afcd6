//! Where a published port leads.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::sync::watch;

/// A port of a container, whose address may change while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: watch::Receiver<Option<Ipv4Addr>>,
    port: u16,
}

impl Target {
    /// The port `port` of the container that has the address in the channel.
    pub(crate) fn new(address: watch::Receiver<Option<Ipv4Addr>>, port: u16) -> Self {
        Self { address, port }
    }

    /// Where it is now; `None` if the container has no address.
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        let address = *self.address.borrow();
        address.map(|address| (address, self.port).into())
    }

    /// One that stays the same.
    #[cfg(test)]
    pub(crate) fn fixed(target: Option<SocketAddr>) -> Self {
        let address = target.map(|target| match target.ip() {
            std::net::IpAddr::V4(address) => address,
            std::net::IpAddr::V6(_) => panic!("containers have IPv4"),
        });
        let (_, receiver) = watch::channel(address);
        Self::new(receiver, target.map_or(0, |target| target.port()))
    }
}
