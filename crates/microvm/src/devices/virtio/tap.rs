//! A tap: a network link of the host whose cable ends in a file.
//!
//! What the host sends over the link is read from the file, frame by frame, and what is written to
//! the file arrives at the host. The link goes away with the file, unless somebody made it to stay
//! (`ip tuntap add`). Linux, `Documentation/networking/tuntap.rst`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

use nix::errno::Errno;

use crate::error::Error;

const DEVICE: &str = "/dev/net/tun";

/// `struct ifreq` (netdevice(7)): a name, and here the flags that it is to have.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// A tap, open.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
}

impl Tap {
    /// Opens the link `name`, or makes it. A `%d` in it stands for the first free number.
    ///
    /// # Errors
    ///
    /// When the caller may not, or another process has it.
    pub fn open(name: &str) -> Result<Self, Error> {
        let failed = |source| Error::Tap { name: name.to_owned(), source };
        let mut request = Request {
            name: [0; libc::IFNAMSIZ],
            // Frames as they are, with nothing in front of them.
            flags: (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short,
            rest: [0; 22],
        };
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(DEVICE)
            .map_err(failed)?;
        // SAFETY: the descriptor is open for as long as `file` is, and the kernel reads and writes
        // one `struct ifreq` there, which `request` is and nobody else refers to.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        Errno::result(result).map_err(|errno| failed(errno.into()))?;
        let length = request.name.iter().position(|byte| *byte == 0).unwrap_or(request.name.len());
        let name = String::from_utf8_lossy(&request.name[..length]).into_owned();
        Ok(Self { file, name })
    }

    /// A tap that somebody else has opened, as [`Tap::open`] would, and called `name`.
    pub fn of(file: OwnedFd, name: impl Into<String>) -> Self {
        Self { file: file.into(), name: name.into() }
    }

    /// The link's name at the host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next frame that the host sent; nothing if there is none.
    pub fn receive(&self, frame: &mut [u8]) -> usize {
        (&self.file).read(frame).unwrap_or(0)
    }

    /// Sends `frame` to the host. If the host cannot take it, it is lost, as frames may be: the
    /// link is down, say, or `frame` is none.
    pub fn send(&self, frame: &[u8]) {
        let _ = (&self.file).write(frame);
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
