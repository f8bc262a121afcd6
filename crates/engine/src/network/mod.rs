//! The networks of containers, as Docker's daemon has them: bridges, addresses, names, published
//! ports.
//!
//! ```text
//!   client ──> host:8080 ── proxy ──┐              host: the engine's daemon
//!                                   │
//!   isolab0  172.17.0.1/16 ─┬───────┴───────┬──    a bridge per network (container::bridge)
//!                           │               │
//!            eth0 172.17.0.2:80     eth0 172.17.0.3
//!            127.0.0.11:53 dns      127.0.0.11:53  of the daemon, in the container's network
//! ```
//!
//! [`Networks`] is the whole state; each network and each container that is connected has a file, so
//! that a daemon which was killed finds them again.

mod attach;
mod bridges;
mod connect;
mod container_request;
mod dns;
mod endpoint;
mod endpoints;
mod error;
#[cfg(test)]
mod fixtures;
mod names;
mod networks;
mod pool;
mod ports;
mod record;
mod request;
mod resolv_conf;
mod services;
mod sockets;
mod state;
mod store;
mod target;
mod tcp_proxy;
mod udp_proxy;

pub use connect::Connected;
pub use container_request::{ContainerRequest, EndpointRequest, PreparedNetwork};
pub use endpoint::{AttachmentRecord, EndpointRecord, Protocol, PublishedPort};
pub use error::Error;
pub use networks::{Created, Networks};
pub use pool::{InvalidSubnet, Subnet};
pub use ports::PortRequest;
pub use record::{BridgeRecord, Driver, NetworkRecord, is_predefined};
pub use request::{NetworkRequest, SubnetRequest};
