//! What can go wrong with networks, in the words of Docker's daemon.

use std::{io, net::SocketAddr, path::PathBuf};

/// A failed operation on a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such network.
    #[error("network {term} not found")]
    NotFound {
        /// The name or the beginning of the id.
        term: String,
    },
    /// Several networks have ids that begin so.
    #[error("network {term} is ambiguous ({count} matches found based on ID prefix)")]
    Ambiguous {
        /// The beginning.
        term: String,
        /// How many there are.
        count: usize,
    },
    /// The name is taken.
    #[error("network with name {name} already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// Another network of that name is there from the beginning.
    #[error("operation is not permitted on predefined {name} network ")]
    Predefined {
        /// The name.
        name: String,
    },
    /// It is there from the beginning, and stays.
    #[error("{name} is a pre-defined network and cannot be removed")]
    PredefinedStays {
        /// Its name.
        name: String,
    },
    /// There are containers in it.
    #[error("error while removing network: network {name} has active endpoints ({endpoints})")]
    ActiveEndpoints {
        /// Its name.
        name: String,
        /// Their names and the ids of their endpoints.
        endpoints: String,
    },
    /// The request contradicts itself or what is there.
    #[error("{why}")]
    Invalid {
        /// What is wrong with it.
        why: String,
    },
    /// The driver is not one of the engine's.
    #[error("plugin {driver:?} not found: networks of the driver bridge can be created")]
    UnknownDriver {
        /// Its name.
        driver: String,
    },
    /// The subnet is used already, by another network or by the host.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    Overlap,
    /// No default subnet is free.
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnet,
    /// Another container has the address.
    #[error("Address already in use")]
    AddressInUse,
    /// Every address of the network is given to a container.
    #[error("no available IPv4 addresses on this network's address pools: {name} ({id})")]
    NoAddress {
        /// The network's name.
        name: String,
        /// The network's id.
        id: String,
    },
    /// The container is in that network already.
    #[error("endpoint with name {container} already exists in network {network}")]
    AlreadyConnected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The container is not in that network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container's name or id.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The host's, or another container's network is not one to connect to.
    #[error("{why}")]
    Forbidden {
        /// Why not.
        why: String,
    },
    /// A port of the host cannot be had.
    #[error(
        "driver failed programming external connectivity on endpoint {container} ({endpoint}): \
         Bind for {address} failed: {why}"
    )]
    Port {
        /// The container's name.
        container: String,
        /// The id of the endpoint.
        endpoint: String,
        /// The host's address and port.
        address: SocketAddr,
        /// Why it cannot be had.
        why: String,
    },
    /// The kernel refused a step.
    #[error("cannot {operation}")]
    Kernel {
        /// The step.
        operation: String,
        /// Why it was refused.
        #[source]
        source: container::Error,
    },
    /// A socket could not be opened.
    #[error("cannot {operation}")]
    Socket {
        /// For what it is.
        operation: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of the engine's state.
    #[error("{action} {path:?}")]
    File {
        /// What was done with it.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The status of the HTTP response, as Docker's daemon chooses it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound { .. } | Self::UnknownDriver { .. } => 404,
            Self::Exists { .. } => 409,
            Self::Ambiguous { .. } | Self::Invalid { .. } | Self::NoSubnet => 400,
            Self::Predefined { .. }
            | Self::PredefinedStays { .. }
            | Self::ActiveEndpoints { .. }
            | Self::Overlap
            | Self::AddressInUse
            | Self::AlreadyConnected { .. }
            | Self::NotConnected { .. }
            | Self::Forbidden { .. } => 403,
            Self::NoAddress { .. }
            | Self::Port { .. }
            | Self::Kernel { .. }
            | Self::Socket { .. }
            | Self::File { .. } => 500,
        }
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid { why: why.into() }
    }
}

/// Turns a failed step of the kernel's into an error.
pub(crate) fn kernel(operation: impl Into<String>) -> impl FnOnce(container::Error) -> Error {
    move |source| Error::Kernel { operation: operation.into(), source }
}

/// Turns a failed operation on a file into an error.
pub(crate) fn file(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { action, path: path.into(), source }
}
