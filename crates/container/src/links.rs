//! The links of a container that its launcher makes.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use sandbox::{Question::WayOut, Resource, Trace};

use crate::{
    Error, link,
    net_namespace::NetNamespace,
    network::{self, Veth},
    spec::{
        self,
        network::{BridgeLink, Network},
    },
};

/// The planned links of a container.
#[derive(Debug)]
pub(crate) enum Links {
    /// Only the loopback link, or those of a namespace that exists already.
    None,
    /// A pair of links to the host.
    ToHost(Veth),
    /// Links into bridges.
    ToBridges(BridgeLinks),
}

/// Planned links into bridges. Those that have been made are removed when it is dropped.
#[derive(Debug)]
pub(crate) struct BridgeLinks {
    all: Vec<BridgeLink>,
    are_made: AtomicBool,
}

/// The addresses of a container's first link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkAddresses {
    /// Its own.
    pub(crate) own: Ipv4Addr,
    /// The host's at the other end.
    pub(crate) host: Option<Ipv4Addr>,
}

impl Links {
    /// Chooses what the spec leaves open; makes nothing.
    pub(crate) fn plan(way_out: &spec::WayOut) -> Result<Self, Error> {
        Ok(match way_out.network {
            Network::None | Network::Host => Self::None,
            Network::Veth => Self::ToHost(Veth::plan(&way_out.published)?),
            Network::Bridge if way_out.links.is_empty() => Self::None,
            Network::Bridge => {
                let (all, are_made) = (way_out.links.clone(), AtomicBool::new(false));
                Self::ToBridges(BridgeLinks { all, are_made })
            }
        })
    }

    /// What outlives the launcher.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        match self {
            Self::None => Vec::new(),
            Self::ToHost(veth) => veth.resources().into(),
            Self::ToBridges(links) => {
                links.all.iter().map(|link| Resource::Link(link.host_name.clone())).collect()
            }
        }
    }

    /// Whether there is anything to make.
    pub(crate) fn are_any(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The addresses that names stand for inside.
    pub(crate) fn addresses(&self) -> Option<LinkAddresses> {
        match self {
            Self::None => None,
            Self::ToHost(veth) => {
                let link = veth.link();
                Some(LinkAddresses { own: link.inside, host: Some(link.host) })
            }
            Self::ToBridges(links) => {
                let own = links.all.first()?.address;
                Some(LinkAddresses { own, host: links.all.iter().find_map(|link| link.gateway) })
            }
        }
    }

    /// Makes them in the network namespace of the launcher's child `pid`.
    pub(crate) fn connect(&self, pid: i32, trace: &mut Trace) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::ToHost(veth) => {
                trace.record(WayOut, "create a pair of links", || veth.connect(pid))?;
                veth.open_the_way(trace)
            }
            Self::ToBridges(links) => {
                let namespace = NetNamespace::of_pid(pid)?;
                links.are_made.store(true, Relaxed);
                links.all.iter().try_for_each(|new| {
                    let words = format!("create {} with its other end in {}", new.name, new.bridge);
                    trace.record(WayOut, words, || link::make(&namespace, new))
                })
            }
        }
    }
}

impl Drop for BridgeLinks {
    fn drop(&mut self) {
        // The pairs disappear with the container's namespace, but some time later; deleting them
        // frees their names immediately.
        for link in self.all.iter().filter(|_| self.are_made.load(Relaxed)) {
            let _ = network::remove_link(&link.host_name);
        }
    }
}
