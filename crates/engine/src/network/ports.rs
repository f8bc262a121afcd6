//! Published ports: sockets of the host that lead into a container (the job of `docker-proxy`).
//!
//! They are opened before the container starts, so that a port which is taken is an error of its
//! start, and served once it runs. The daemon reaches the container over the bridge, so this needs
//! no rules of the kernel's.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    time::Duration,
};

use nix::errno::Errno;
use tokio::{
    net::{TcpListener, UdpSocket},
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
};

use super::{
    endpoint::{Protocol, PublishedPort},
    sockets,
    target::Target,
    tcp_proxy, udp_proxy,
};

/// A port that a container asks for (Docker API, `PortBinding`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRequest {
    /// The container's port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The host's address; `None` means all, of IPv6 too if the host has it.
    pub host: Option<IpAddr>,
    /// The first and the last port of the host that will do; 0 and 0 mean any.
    pub host_ports: (u16, u16),
}

/// A port that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortError {
    pub(crate) address: SocketAddr,
    pub(crate) why: String,
}

/// The open ports of a container. They are closed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    waiting: Vec<(PublishedPort, OwnedFd)>,
    served: Vec<AbortHandle>,
    /// Ends when all sockets of served ports are closed.
    closed: Option<mpsc::Receiver<()>>,
}

/// The socket of a task. It is closed first, and then the channel.
struct OpenPort<S> {
    socket: S,
    _closing: mpsc::Sender<()>,
}

impl<S> OpenPort<S> {
    async fn serve_with(self, serve: impl AsyncFnOnce(&S)) {
        serve(&self.socket).await;
    }
}

/// How often another free port is tried, when the first one is free for one address only.
const TRIES: usize = 16;

impl Ports {
    /// Opens what is asked for: all of it, or nothing.
    pub(crate) fn open(requests: &[PortRequest]) -> Result<Self, PortError> {
        let mut ports = Self::default();
        for request in requests {
            ports.waiting.extend(open_one(request)?);
        }
        Ok(ports)
    }

    /// Opens the very ports that were open before.
    pub(crate) fn open_again(published: &[PublishedPort]) -> Result<Self, PortError> {
        let open = |one: &PublishedPort| Ok((*one, open_at(one.protocol, one.host)?));
        let waiting = published.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { waiting, served: Vec::new(), closed: None })
    }

    /// Which they are, before they are served.
    pub(crate) fn published(&self) -> Vec<PublishedPort> {
        self.waiting.iter().map(|(published, _)| *published).collect()
    }

    /// Passes on to the container's address what comes in; nothing while it is `None`.
    pub(crate) fn serve(
        &mut self,
        runtime: &Handle,
        container: &watch::Receiver<Option<Ipv4Addr>>,
    ) -> io::Result<()> {
        let (closing, closed) = mpsc::channel();
        let _entered = runtime.enter();
        for (published, descriptor) in std::mem::take(&mut self.waiting) {
            let target = Target::new(container.clone(), published.port);
            let closing = closing.clone();
            let task = match published.protocol {
                Protocol::Tcp => {
                    let socket = TcpListener::from_std(descriptor.into())?;
                    let open = OpenPort { socket, _closing: closing };
                    runtime.spawn(open.serve_with(async move |socket| {
                        tcp_proxy::serve(socket, &target).await;
                    }))
                }
                Protocol::Udp => {
                    let socket = Arc::new(UdpSocket::from_std(descriptor.into())?);
                    let open = OpenPort { socket, _closing: closing };
                    runtime.spawn(open.serve_with(async move |socket| {
                        udp_proxy::serve(socket, &target).await;
                    }))
                }
            };
            self.served.push(task.abort_handle());
        }
        self.closed = Some(closed);
        Ok(())
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        const LONGEST: Duration = Duration::from_secs(1);
        for task in &self.served {
            task.abort();
        }
        // The next container may want the same ports at once.
        if let Some(closed) = &self.closed {
            let _ = closed.recv_timeout(LONGEST);
        }
    }
}

/// Opens one request at the first port that is free for all of its addresses.
fn open_one(request: &PortRequest) -> Result<Vec<(PublishedPort, OwnedFd)>, PortError> {
    let (first, last) = request.host_ports;
    let is_any = first == 0;
    let candidates = if is_any { vec![0; TRIES] } else { (first..=last.max(first)).collect() };
    let mut failed = None;
    for port in candidates {
        match open_at_all(request, port) {
            Ok(opened) => return Ok(opened),
            Err(error) if error.why == ALLOCATED => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failed.expect("there is at least one candidate"))
}

/// Opens one request at that port of all of its addresses.
fn open_at_all(
    request: &PortRequest,
    mut port: u16,
) -> Result<Vec<(PublishedPort, OwnedFd)>, PortError> {
    let every = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let addresses = request.host.as_ref().map_or(&every[..], std::slice::from_ref);
    let mut opened = Vec::new();
    for address in addresses {
        let socket = match sockets::open(request.protocol, SocketAddr::new(*address, port)) {
            // A host without IPv6 has no address there.
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
                if request.host.is_none() && address.is_ipv6() =>
            {
                continue;
            }
            Err(errno) => return Err(port_error(SocketAddr::new(*address, port), errno)),
            Ok(socket) => socket,
        };
        port = match sockets::port_of(&socket) {
            Ok(port) => port,
            Err(errno) => return Err(port_error(SocketAddr::new(*address, port), errno)),
        };
        let host = SocketAddr::new(*address, port);
        opened
            .push((PublishedPort { port: request.port, protocol: request.protocol, host }, socket));
    }
    Ok(opened)
}

fn open_at(protocol: Protocol, address: SocketAddr) -> Result<OwnedFd, PortError> {
    sockets::open(protocol, address).map_err(|errno| port_error(address, errno))
}

/// Docker's words.
const ALLOCATED: &str = "port is already allocated";

fn port_error(address: SocketAddr, errno: Errno) -> PortError {
    let why = match errno {
        Errno::EADDRINUSE => ALLOCATED.to_owned(),
        Errno::EACCES => format!(
            "permission denied: ports below net.ipv4.ip_unprivileged_port_start need {}",
            "CAP_NET_BIND_SERVICE"
        ),
        errno => errno.desc().to_lowercase(),
    };
    PortError { address, why }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn local(host_ports: (u16, u16), protocol: Protocol) -> PortRequest {
        let host = Some(Ipv4Addr::LOCALHOST.into());
        PortRequest { port: 80, protocol, host, host_ports }
    }

    #[test]
    fn a_taken_port_is_refused_in_dockers_words_and_a_range_passes_it_over() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let taken = Ports::open(&[local((0, 0), protocol)]).unwrap();
            let address = taken.published()[0].host;
            let port = address.port();
            assert_ne!(port, 0);
            let error = Ports::open(&[local((port, port), protocol)]).unwrap_err();
            assert_eq!(error, PortError { address, why: "port is already allocated".into() });
            if let Ok(next) = Ports::open(&[local((port, port.saturating_add(20)), protocol)]) {
                assert_ne!(next.published()[0].host.port(), port);
            }
            drop(taken);
            Ports::open(&[local((port, port), protocol)]).unwrap();
        }
    }

    #[test]
    fn an_address_of_another_host_is_refused() {
        let host = Some(Ipv4Addr::new(192, 0, 2, 77).into());
        let error = Ports::open(&[PortRequest { host, ..local((0, 0), Protocol::Tcp) }]);
        let why = error.unwrap_err().why;
        assert!(why.contains("assign"), "{why}");
    }

    #[test]
    fn all_addresses_have_the_same_port() {
        let ports = Ports::open(&[PortRequest { host: None, ..local((0, 0), Protocol::Tcp) }]);
        let published = ports.unwrap().published();
        assert!(published[0].host.ip().is_unspecified());
        assert!(published.iter().all(|one| one.host.port() == published[0].host.port()));
    }

    #[test]
    fn a_port_is_served_until_it_is_dropped_and_free_at_once() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let request = PortRequest { port, ..local((0, 0), Protocol::Tcp) };
        let (address, receiver) = watch::channel(Some(Ipv4Addr::LOCALHOST));
        let mut ports = Ports::open(&[request]).unwrap();
        let published = ports.published();
        ports.serve(runtime.handle(), &receiver).unwrap();
        let mut client = std::net::TcpStream::connect(published[0].host).unwrap();
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        drop(stream);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        // The address may go away while it runs.
        address.send(None).unwrap();
        let mut client = std::net::TcpStream::connect(published[0].host).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
        for _ in 0..20 {
            drop(ports);
            ports = Ports::open_again(&published).unwrap();
            ports.serve(runtime.handle(), &receiver).unwrap();
        }
    }
}
