//! The channel to the first process in the guest: a port of virtio inside, a socket outside.

use std::{
    fs::File,
    io::{self, ErrorKind, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
};

use crate::{
    control::Handle,
    devices::virtio::port::{Port, Sink},
    error::{Error, Result},
};

/// A port, and the far end of what comes and goes there.
///
/// # Errors
///
/// When this process cannot have more descriptors.
pub fn port(handle: &Arc<Handle>) -> Result<(Port, UnixStream)> {
    let failed = Error::system::<io::Error>;
    let (own, far_end) = UnixStream::pair().map_err(failed("socketpair"))?;
    // As a file: whose threads these are may read and write, and send and receive nothing.
    let own = File::from(OwnedFd::from(own));
    let input = own.try_clone().map_err(failed("duplicate a socket"))?;
    Ok((Port::new(sink(own, handle.clone()), Some(input)), far_end))
}

/// What the guest writes goes out here. The far end reads all the time; a guest that writes faster
/// waits.
fn sink(mut own: File, handle: Arc<Handle>) -> Sink {
    Box::new(move |mut bytes| {
        while !bytes.is_empty() {
            match own.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted && !handle.has_ended() => {}
                // It is over, or the far end does not listen to this guest any more.
                Err(_) => return,
            }
        }
    })
}
