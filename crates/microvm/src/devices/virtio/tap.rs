//! A tap: a network link of the host whose cable ends in a file.
//!
//! What the host sends over the link is read from the file, frame by frame, and what is written to
//! the file arrives at the host. The link goes away with the file, unless somebody made it to stay
//! (`ip tuntap add`). Linux, `Documentation/networking/tuntap.rst`.

mod error;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

use nix::{errno::Errno, net::if_::if_nametoindex};

use crate::error::Error;

pub use error::TapError;

use error::DEVICE;

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
    /// Opens the tap `name`, which somebody made to stay (`ip tuntap add`).
    ///
    /// # Errors
    ///
    /// When there is none, the caller may not have it, or it is in use by another process.
    pub fn open(name: &str) -> Result<Self, Error> {
        let failed = |source| Error::Tap { name: name.to_owned(), source };
        if !can_be_a_link(name) {
            return Err(failed(TapError::Name));
        }
        // The kernel makes what is not there, or says to whom it would not be allowed that the link
        // is another user's.
        if if_nametoindex(name).is_err() {
            return Err(failed(TapError::Missing));
        }
        let (tap, flags) = Self::attach(name).map_err(failed)?;
        // It has gone since, and one was made that goes away with the file.
        if flags & libc::IFF_PERSIST == 0 {
            return Err(failed(TapError::Missing));
        }
        Ok(tap)
    }

    /// Makes a tap that goes away with this. A `%d` in `name` stands for the first free number.
    ///
    /// # Errors
    ///
    /// When the caller may not, or there is a link of that name.
    pub fn create(name: &str) -> Result<Self, Error> {
        let failed = |source| Error::Tap { name: name.to_owned(), source };
        let (tap, flags) = Self::attach(name).map_err(failed)?;
        match flags & libc::IFF_PERSIST {
            0 => Ok(tap),
            _ => Err(failed(TapError::InUse)),
        }
    }

    /// Attaches a file to the link, which is made if it is not there; gives its flags too.
    fn attach(name: &str) -> Result<(Self, libc::c_int), TapError> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(TapError::Name);
        }
        let mut request = Request {
            name: [0; libc::IFNAMSIZ],
            // Frames as they are, with nothing in front of them.
            flags: (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short,
            rest: [0; 22],
        };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(DEVICE)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDriver,
                Some(libc::EPERM | libc::EACCES) => TapError::NotPermitted,
                _ => TapError::System(error),
            })?;
        // SAFETY: the descriptor is open for as long as `file` is, and the kernel reads and writes
        // one `struct ifreq` there, which `request` is and nobody else refers to.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        Errno::result(result).map_err(|errno| match errno {
            Errno::EBUSY => TapError::InUse,
            Errno::EPERM | Errno::EACCES => TapError::NotPermitted,
            Errno::EINVAL => why_invalid(name),
            errno => TapError::System(errno.into()),
        })?;
        // SAFETY: as above; the kernel writes the link's name and flags there.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNGETIFF, &raw mut request) };
        Errno::result(result).map_err(|errno| TapError::System(errno.into()))?;
        let length = request.name.iter().position(|byte| *byte == 0).unwrap_or(request.name.len());
        let name = String::from_utf8_lossy(&request.name[..length]).into_owned();
        Ok((Self { file, name }, request.flags.into()))
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

/// Whether the kernel lets a link have this name (`dev_valid_name`), and it stands for itself.
fn can_be_a_link(name: &str) -> bool {
    let is_unusable = |byte: u8| byte <= b' ' || byte == 0x7f || b"/:%".contains(&byte);
    (1..libc::IFNAMSIZ).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.bytes().any(is_unusable)
}

/// Why the kernel does not attach a file to a link that is there.
fn why_invalid(name: &str) -> TapError {
    // Of tuns and taps alone: their flags, in hexadecimal.
    let flags = fs::read_to_string(format!("/sys/class/net/{name}/tun_flags")).ok();
    let flags = flags.and_then(|text| {
        let digits = text.trim().strip_prefix("0x")?;
        libc::c_int::from_str_radix(digits, 16).ok()
    });
    match flags {
        Some(flags) if flags & libc::IFF_TAP == 0 => TapError::NotTap,
        Some(flags) if flags & libc::IFF_MULTI_QUEUE != 0 => TapError::SeveralQueues,
        Some(_) => TapError::System(Errno::EINVAL.into()),
        None => TapError::NotTap,
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    fn refused(name: &str) -> TapError {
        match Tap::open(name) {
            Err(Error::Tap { name: named, source }) if named == name => source,
            other => panic!("{name:?}: {other:?}"),
        }
    }

    #[test]
    fn a_link_that_is_not_there_is_not_made() {
        let error = refused("isotypo");
        assert!(matches!(error, TapError::Missing), "{error:?}");
        assert!(if_nametoindex("isotypo").is_err(), "it was made");
        let fix = error.fix("isotypo").unwrap();
        assert!(fix.contains("ip tuntap add mode tap user $USER name isotypo"), "{fix}");
    }

    #[test]
    fn what_no_link_can_be_called_is_refused() {
        let long = "x".repeat(16);
        for name in ["", &long, "a b", "a/b", "a:b", "tap%d", ".", "..", "a\n"] {
            assert!(matches!(refused(name), TapError::Name), "{name:?}");
        }
    }

    #[test]
    fn a_link_that_is_no_tap_is_named_as_such() {
        let error = refused("lo");
        match error {
            TapError::NotTap | TapError::NoDriver => {}
            // Who may not open the device is told so.
            TapError::NotPermitted => eprintln!("skipped: the caller may not open {DEVICE}"),
            error => panic!("{error:?}"),
        }
    }

    /// In a thread with a network of its own, so that no link of this machine is touched.
    #[test]
    fn a_tap_that_stays_is_opened_once_and_one_that_goes_is_nobody_elses() {
        let tested = std::thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => open_and_create(),
            Err(errno) => eprintln!("skipped: a network of its own needs root: {errno}"),
        });
        tested.join().unwrap();
    }

    fn open_and_create() {
        let made = match Tap::create("isostays") {
            Ok(tap) => tap,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        assert!(matches!(refused("isostays"), TapError::InUse));
        assert!(Tap::create("isostays").is_err(), "it is in use by another process");
        // SAFETY: the descriptor is open, and the request takes a number.
        let kept = unsafe { libc::ioctl(made.file.as_raw_fd(), libc::TUNSETPERSIST, 1) };
        assert_eq!(kept, 0);
        drop(made);
        let opened = Tap::open("isostays").unwrap();
        assert_eq!(opened.name(), "isostays");
        assert!(matches!(refused("isostays"), TapError::InUse));
        drop(opened);
        assert!(Tap::create("isostays").is_err(), "it is somebody's");
        drop(Tap::create("isogoes").unwrap());
        assert!(matches!(refused("isogoes"), TapError::Missing));
    }
}
