//! What init looks at for the check, in the namespaces of a process inside.
//!
//! The program may unmount `/proc`; init has opened it before.

use std::{
    fs::File,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use container::netlink::{HEADER, Link, Message, Netlink, attribute};
use nix::{
    sched::{CloneFlags, setns},
    unistd::gethostname,
};
use rustix::fs::{Mode, OFlags, openat};

use super::at;

/// The `/proc` of the program's host.
#[derive(Clone)]
pub(super) struct Proc(Arc<OwnedFd>);

impl Proc {
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let opened = rustix::fs::open("/proc", flags, Mode::empty()).map_err(at("open /proc"))?;
        Ok(Self(Arc::new(opened)))
    }

    /// The host name.
    pub(super) fn host_name(&self, pid: u32) -> io::Result<String> {
        self.within(pid, "uts", CloneFlags::CLONE_NEWUTS, |_| {
            Ok(gethostname()?.to_string_lossy().into_owned())
        })
    }

    /// A file below `/proc/net`, which is that of the thread that reads it and not of the process.
    pub(super) fn network_file(&self, pid: u32, file: &str) -> io::Result<String> {
        let file = file.replace("/proc/net", "thread-self/net");
        self.within(pid, "net", CloneFlags::CLONE_NEWNET, move |proc| proc.text(&file))
    }

    /// Index, flags and other end of a link; nothing when there is none of that name.
    pub(super) fn link(&self, pid: u32, name: String) -> io::Result<String> {
        self.within(pid, "net", CloneFlags::CLONE_NEWNET, move |_| {
            match Netlink::open().and_then(|mut netlink| netlink.link(&name)) {
                Ok(Link { index, flags, other }) => Ok(format!("{index} {flags} {other}")),
                Err(container::Error::Call { errno: nix::errno::Errno::ENODEV, .. }) => {
                    Ok(String::new())
                }
                Err(error) => Err(io::Error::other(error)),
            }
        })
    }

    /// Index, address, peer, prefix length, scope and flags of its IPv4 addresses, a line each
    /// (rtnetlink(7), `RTM_GETADDR`).
    pub(super) fn addresses(&self, pid: u32) -> io::Result<String> {
        self.within(pid, "net", CloneFlags::CLONE_NEWNET, move |_| {
            let body = [nix::libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0];
            let listed = Netlink::open().and_then(|mut netlink| {
                let message = Message::new(nix::libc::RTM_GETADDR, 0, &body);
                netlink.dump("list the addresses", message)
            });
            let listed = listed.map_err(io::Error::other)?;
            Ok(listed.iter().filter_map(|message| address_line(message)).collect())
        })
    }

    /// Sends a datagram from there.
    pub(super) fn send(&self, pid: u32, to: SocketAddr, text: String) -> io::Result<String> {
        self.within(pid, "net", CloneFlags::CLONE_NEWNET, move |_| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.send_to(text.as_bytes(), to).map(|_| String::new())
        })
    }

    /// How many System V segments there are.
    pub(super) fn segments(&self, pid: u32) -> io::Result<String> {
        self.within(pid, "ipc", CloneFlags::CLONE_NEWIPC, |proc| {
            let table = proc.text("sysvipc/shm")?;
            Ok(table.lines().skip(1).count().to_string())
        })
    }

    fn file(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(&*self.0, path, flags, Mode::empty());
        Ok(opened.map_err(at(format!("open /proc/{path}")))?.into())
    }

    fn text(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(path)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Does something in a namespace of the process `pid`, in a thread that enters it (setns(2)).
    fn within(
        &self,
        pid: u32,
        kind: &str,
        flag: CloneFlags,
        look: impl FnOnce(&Self) -> io::Result<String> + Send + 'static,
    ) -> io::Result<String> {
        let namespace = self.file(&format!("{pid}/ns/{kind}"))?;
        let proc = self.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            setns(namespace.as_fd(), flag)?;
            look(&proc)
        })?;
        thread.join().map_err(|_| io::Error::other("the thread that looked panicked"))?
    }
}

/// A line about an address, of the kernel's message about it: `struct ifaddrmsg`, family, prefix
/// length, flags, scope and index, then the attributes.
fn address_line(message: &[u8]) -> Option<String> {
    let body = message.get(HEADER..HEADER + 8)?;
    let address = |kind| {
        let octets: [u8; 4] = attribute(message, HEADER + 8, kind)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let (prefix, flags, scope) = (body[1], body[2], body[3]);
    let index = i32::from_ne_bytes(body[4..8].try_into().ok()?);
    let (local, peer) = (address(nix::libc::IFA_LOCAL)?, address(nix::libc::IFA_ADDRESS)?);
    Some(format!("{index} {local} {peer} {prefix} {scope} {flags}\n"))
}

/// Whether this kernel has pairs of links.
pub(super) fn has_veth() -> bool {
    let (name, peer, own) = ("probe0", "probe1", std::process::id().cast_signed());
    let made = Netlink::open().and_then(|mut netlink| {
        netlink.create_veth(name, peer, own)?;
        netlink.delete(name)
    });
    made.is_ok()
}
