//! The resolver of a container: 127.0.0.11:53 in its network, where programs find the containers
//! that they share a network with, by name.
//!
//! The sockets are opened in the container's network namespace and stay there; who answers is the
//! daemon, outside. Other names are asked of the host's name servers.

mod forward;
mod message;
mod resolver;
mod server;

pub(crate) use resolver::{ADDRESS, Resolver};
pub(crate) use server::SharedNames;
