//! Where clients reach the daemon: a unix socket, and an address of the network if one is asked for.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use registry::server::tls;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::options::Tcp;

/// How long a client may take until both sides know each other's certificates.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Listens at a socket that only its owner may use, and `group` if there is one (mode 0660).
///
/// # Errors
///
/// When somebody listens there already, or the socket cannot be made; the message names it.
pub fn unix(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other(format!(
            "somebody listens at {} already: end it, or use -H with another socket",
            path.display()
        )));
    }
    let is_socket = fs::symlink_metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
    if is_socket {
        fs::remove_file(path)?; // of a daemon that was killed
    }
    // Nobody else can connect before the mode is set.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(|error| named(path.display(), &error))?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    }
    Ok(listener)
}

/// A listener in the network, and what its clients must show.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Listens at the address.
    ///
    /// # Errors
    ///
    /// When a certificate or the key is not one, or the address cannot be had; the message names it.
    pub async fn bind(tcp: &Tcp) -> io::Result<Self> {
        let acceptor = tls::acceptor(&tcp.certificate, &tcp.key, Some(&tcp.clients))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind(tcp.address)
            .await
            .map_err(|error| named(format!("tcp://{}", tcp.address), &error))?;
        Ok(Self { listener, acceptor })
    }

    /// The next client, before it has shown a certificate.
    pub async fn accept(&self) -> io::Result<(TcpStream, TlsAcceptor)> {
        let (stream, _) = self.listener.accept().await?;
        let _ = stream.set_nodelay(true);
        Ok((stream, self.acceptor.clone()))
    }
}

/// The stream of a client that has shown a certificate which one of the authorities has signed.
pub async fn identified((stream, tls): (TcpStream, TlsAcceptor)) -> Option<TlsStream<TcpStream>> {
    timeout(HANDSHAKE, tls.accept(stream)).await.ok()?.ok()
}

fn named(at: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("listen at {at}: {error}"))
}
