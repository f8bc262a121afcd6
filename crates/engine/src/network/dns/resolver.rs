//! Starting the resolver of a container, in its network.

use std::{
    io,
    net::{Ipv4Addr, TcpListener as StdListener, UdpSocket as StdSocket},
    panic,
    sync::Arc,
    thread,
};

use container::{local_redirect, net_namespace::NetNamespace};
use sandbox::Process;
use tokio::{
    net::{TcpListener, UdpSocket},
    runtime::Handle,
    task::AbortHandle,
};

use super::server::{Server, SharedNames};
use crate::network::error::Error;

/// Where a container finds its resolver, as in Docker.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port of name servers.
const PORT: u16 = 53;

/// A running resolver; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    tasks: [AbortHandle; 2],
}

impl Resolver {
    /// Starts the resolver of the container whose first process is `inside`.
    ///
    /// # Errors
    ///
    /// When the process has ended, or its network has no room for the sockets.
    pub(crate) fn start(
        runtime: &Handle,
        names: SharedNames,
        container: &str,
        inside: &Process,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Kernel {
            operation: format!("start the resolver of the container {container}"),
            source,
        };
        let namespace = NetNamespace::of(inside).map_err(failed)?;
        // A thread that cannot return from a container's network would be lost for others.
        let opened = thread::scope(|scope| {
            let open = scope.spawn(|| namespace.run(open));
            open.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        });
        let (datagrams, streams) = opened.map_err(failed)?.map_err(|source| Error::Socket {
            operation: format!("open the resolver of the container {container}"),
            source,
        })?;
        let server = Server::new(names, container, PORT);
        Self::serve(runtime, server, datagrams, streams)
    }

    fn serve(
        runtime: &Handle,
        server: Server,
        datagrams: StdSocket,
        streams: StdListener,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Socket { operation: "watch the resolver".into(), source };
        let _entered = runtime.enter();
        let datagrams = Arc::new(UdpSocket::from_std(datagrams).map_err(failed)?);
        let streams = TcpListener::from_std(streams).map_err(failed)?;
        let server = Arc::new(server);
        let tasks = [
            runtime.spawn(Arc::clone(&server).serve_datagrams(datagrams)).abort_handle(),
            runtime.spawn(server.serve_streams(streams)).abort_handle(),
        ];
        Ok(Self { tasks })
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Opens both sockets in the network of this thread: at a free port to which port 53 is redirected,
/// so that programs inside can have that port on all their addresses; at port 53 itself if the
/// kernel redirects nothing.
fn open() -> io::Result<(StdSocket, StdListener)> {
    let at = |port: u16| {
        let (datagrams, streams) =
            (StdSocket::bind((ADDRESS, port))?, StdListener::bind((ADDRESS, port))?);
        datagrams.set_nonblocking(true)?;
        streams.set_nonblocking(true)?;
        Ok::<_, io::Error>((datagrams, streams))
    };
    let (datagrams, streams) = at(0)?;
    let ports = [datagrams.local_addr()?.port(), streams.local_addr()?.port()];
    match local_redirect::redirect((ADDRESS, PORT), ports) {
        Ok(()) => Ok((datagrams, streams)),
        Err(_) => at(PORT),
    }
}
