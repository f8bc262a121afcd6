//! Just enough of rtnetlink(7) to make a pair of links and give them addresses.
//!
//! ```text
//!   nlmsghdr  length:4 type:2 flags:2 sequence:4 port:4
//!   body      a structure of the type, e.g. ifinfomsg: family, index, flags ...
//!   attributes, each  length:2 type:2 value, padded to 4; an attribute may hold attributes
//! ```
//!
//! ```no_run
//! use container::netlink::{Message, Netlink, link, text};
//!
//! // ip link set lab0 mtu 1400
//! let message = Message::new(libc::RTM_NEWLINK, 0, &link(0, 0, 0))
//!     .attribute(libc::IFLA_IFNAME, &text("lab0"))
//!     .attribute(libc::IFLA_MTU, &1400u32.to_ne_bytes());
//! Netlink::open()?.request("set the size of packets", message)?;
//! # Ok::<(), container::Error>(())
//! ```

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::errno::Errno;

use crate::{Error, error::call};

/// A message under construction.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

/// The bytes of a message before its body: `struct nlmsghdr` (netlink(7)).
pub const HEADER: usize = 16;
const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
/// Answer with every object of the type, one message each.
const NLM_F_DUMP: u16 = 0x300;
/// Flags of a message: make the object; it is an error if it exists.
pub const CREATE: u16 = 0x400 | 0x200;
/// The attribute in `IFLA_INFO_DATA` of a link of the kind `veth` that describes its other end: the
/// end's own [`link`], then its attributes.
pub const VETH_INFO_PEER: u16 = 1;

impl Message {
    /// A message of this type (`RTM_NEWLINK`), to which the kernel will answer, with its body.
    pub fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST_ACK | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self { bytes }
    }

    /// Adds an attribute, to the message or to the attribute that is being filled.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Requests no answer, except an error.
    #[must_use]
    pub(crate) fn without_answer(mut self) -> Self {
        const NLM_F_ACK: u8 = 0x4;
        self.bytes[6] &= !NLM_F_ACK;
        self
    }

    /// Adds an attribute that contains what `fill` adds.
    #[must_use]
    pub fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self = fill(self.attribute(kind, &[]));
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Adds bytes that are not an attribute: a structure at the beginning of a nested one.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&length);
        self.bytes
    }
}

/// `struct ifinfomsg`, the body of messages about links: the link with this index, 0 for one that an
/// attribute names or that is to be made; its flags, and which of them the message changes.
pub fn link(index: i32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

/// A name as an attribute's value: its bytes and a zero.
pub fn text(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A socket to the kernel's network, of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
}

/// A link, as described by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: i32,
    /// `IFF_UP` and others (netdevice(7)).
    pub flags: u32,
    /// The index of the link under it: for a veth its other end, for most others itself.
    pub other: i32,
}

impl Netlink {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// When the kernel lacks such sockets.
    pub fn open() -> Result<Self, Error> {
        Self::open_to(libc::NETLINK_ROUTE)
    }

    /// Opens a socket of another netlink family: `NETLINK_NETFILTER`.
    pub(crate) fn open_to(part: i32) -> Result<Self, Error> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket takes numbers.
        let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, part) };
        let socket = Errno::result(socket).map_err(call("socket AF_NETLINK"))?;
        // SAFETY: the call has just made this descriptor.
        Ok(Self { socket: unsafe { OwnedFd::from_raw_fd(socket) } })
    }

    /// Makes a pair of links: `name` here, `peer` in the network namespace of process `pid`
    /// (veth(4)).
    ///
    /// # Errors
    ///
    /// When one of the names is taken, or the kernel has no veth.
    pub fn create_veth(&mut self, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
        let message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
            .attribute(libc::IFLA_IFNAME, &text(name))
            .nested(libc::IFLA_LINKINFO, |info| {
                info.attribute(libc::IFLA_INFO_KIND, b"veth").nested(libc::IFLA_INFO_DATA, |data| {
                    data.nested(VETH_INFO_PEER, |end| {
                        end.raw(&link(0, 0, 0))
                            .attribute(libc::IFLA_IFNAME, &text(peer))
                            .attribute(libc::IFLA_NET_NS_PID, &pid.to_ne_bytes())
                    })
                })
            });
        self.request("create a pair of links", message).map(drop)
    }

    /// The index of the link `name`.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none.
    pub fn index_of(&mut self, name: &str) -> Result<i32, Error> {
        Ok(self.link(name)?.index)
    }

    /// The link `name`.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none.
    pub fn link(&mut self, name: &str) -> Result<Link, Error> {
        let words = "find a link";
        let message = Message::new(libc::RTM_GETLINK, 0, &link(0, 0, 0))
            .attribute(libc::IFLA_IFNAME, &text(name));
        let answer = self.request(words, message)?;
        // After the header struct ifinfomsg: family:2 type:2 index:4 flags:4 change:4.
        let number = |at: usize| {
            let bytes = answer.get(at..at + 4)?.try_into().ok()?;
            Some(i32::from_ne_bytes(bytes))
        };
        let found = || {
            let (index, flags) = (number(HEADER + 4)?, number(HEADER + 8)?.cast_unsigned());
            let other = attribute_at(&answer, HEADER + 16, libc::IFLA_LINK);
            Some(Link { index, flags, other: other.and_then(number).unwrap_or(index) })
        };
        found().ok_or(Error::Netlink { request: words })
    }

    /// The name of the link `index`.
    pub(crate) fn name_of(&mut self, index: i32) -> Result<String, Error> {
        let words = "find a link by its number";
        let answer = self.request(words, Message::new(libc::RTM_GETLINK, 0, &link(index, 0, 0)))?;
        let name = attribute(&answer, HEADER + 16, libc::IFLA_IFNAME);
        let name = name.and_then(|name| std::str::from_utf8(name.strip_suffix(&[0])?).ok());
        name.map(str::to_owned).ok_or(Error::Netlink { request: words })
    }

    /// Adds an address to the link `index`, with a network prefix of `prefix` bits.
    ///
    /// # Errors
    ///
    /// When there is no such link, or it has that address.
    pub fn add_address(&mut self, index: i32, address: Ipv4Addr, prefix: u8) -> Result<(), Error> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut body = vec![libc::AF_INET as u8, prefix, 0, 0];
        body.extend(index.to_ne_bytes());
        let message = Message::new(libc::RTM_NEWADDR, CREATE, &body)
            .attribute(libc::IFA_LOCAL, &address.octets())
            .attribute(libc::IFA_ADDRESS, &address.octets());
        self.request("add an address to a link", message).map(drop)
    }

    /// Sets the link `index` up.
    ///
    /// # Errors
    ///
    /// When there is no such link.
    pub fn set_up(&mut self, index: i32) -> Result<(), Error> {
        let up = libc::IFF_UP as u32;
        let message = Message::new(libc::RTM_NEWLINK, 0, &link(index, up, up));
        self.request("set a link up", message).map(drop)
    }

    pub(crate) fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<(), Error> {
        // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope,
        // type; then flags.
        const MAIN_BOOT_UNIVERSE_UNICAST: [u8; 4] = [254, 3, 0, 1];
        let mut body = vec![libc::AF_INET as u8, 0, 0, 0];
        body.extend(MAIN_BOOT_UNIVERSE_UNICAST);
        body.extend([0; 4]);
        let message = Message::new(libc::RTM_NEWROUTE, CREATE, &body)
            .attribute(libc::RTA_GATEWAY, &gateway.octets());
        self.request("add the default route", message).map(drop)
    }

    /// Removes a link; it is not an error if it does not exist.
    ///
    /// # Errors
    ///
    /// When it is of a type that cannot be removed.
    pub fn delete(&mut self, name: &str) -> Result<(), Error> {
        let message = Message::new(libc::RTM_DELLINK, 0, &link(0, 0, 0))
            .attribute(libc::IFLA_IFNAME, &text(name));
        match self.request("remove a link", message) {
            Err(Error::Call { errno: Errno::ENODEV, .. }) => Ok(()),
            removed => removed.map(drop),
        }
    }

    /// Sends `message` and returns the kernel's first answer unless the request fails. `words`
    /// describe the request.
    ///
    /// # Errors
    ///
    /// The kernel's answer.
    pub fn request(&mut self, words: &'static str, message: Message) -> Result<Vec<u8>, Error> {
        self.send(words, &message.finish())?;
        let answer = self.receive(words)?;
        let result = match Self::error_in(words, &answer)? {
            // An object that was requested; the result is a message of its own, and would otherwise
            // be taken for that of the next request.
            None => Self::error_in(words, &self.receive(words)?)?,
            result => result,
        };
        match result {
            Some(0) => Ok(answer),
            None => Err(Error::Netlink { request: words }),
            Some(number) => Err(call(words)(Errno::from_raw(-number))),
        }
    }

    /// Sends messages that take effect together or not at all (nf_tables). The first one begins the
    /// batch and the last one ends it.
    pub(crate) fn batch(
        &mut self,
        words: &'static str,
        messages: Vec<Message>,
    ) -> Result<(), Error> {
        // The kernel answers the last but one when everything is done, and before that any message
        // that failed: the first answer decides.
        let count = messages.len();
        let bytes = messages.into_iter().enumerate().flat_map(|(number, message)| {
            let answers = number + 2 == count;
            (if answers { message } else { message.without_answer() }).finish()
        });
        self.send(words, &bytes.collect::<Vec<u8>>())?;
        let answer = self.receive(words)?;
        match Self::error_in(words, &answer)? {
            Some(0) => Ok(()),
            Some(number) => Err(call(words)(Errno::from_raw(-number))),
            None => Err(Error::Netlink { request: words }),
        }
    }

    /// All objects that `message` requests, one message each, with its header.
    ///
    /// # Errors
    ///
    /// The kernel's answer.
    pub fn dump(
        &mut self,
        words: &'static str,
        mut message: Message,
    ) -> Result<Vec<Vec<u8>>, Error> {
        message.bytes[6..8].copy_from_slice(&(1 | NLM_F_DUMP).to_ne_bytes());
        self.send(words, &message.finish())?;
        let mut found = Vec::new();
        loop {
            let answer = self.receive(words)?;
            let mut rest = &answer[..];
            while let Some(length) = rest.get(..4).and_then(|bytes| bytes.try_into().ok()) {
                let length = u32::from_ne_bytes(length) as usize;
                // A message is at least its own header, so this ends.
                let Some(one) = rest.get(..length.max(HEADER)) else { break };
                match Self::error_in(words, one)? {
                    Some(0) => return Ok(found),
                    Some(number) => return Err(call(words)(Errno::from_raw(-number))),
                    None if kind_of(one) == Some(libc::NLMSG_DONE as u16) => return Ok(found),
                    None => found.push(one.to_vec()),
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }

    fn send(&mut self, words: &'static str, bytes: &[u8]) -> Result<(), Error> {
        let descriptor = self.socket.as_raw_fd();
        // SAFETY: the pointer and the length are those of `bytes`.
        let sent = unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), 0) };
        Errno::result(sent).map(drop).map_err(call(words))
    }

    fn receive(&mut self, words: &'static str) -> Result<Vec<u8>, Error> {
        let descriptor = self.socket.as_raw_fd();
        // The kernel fills each part of a dump up to the size of the reader's buffer, at most 32
        // KiB.
        let mut answer = vec![0u8; 32 << 10];
        // SAFETY: the pointer and the length are those of `answer`.
        let received =
            unsafe { libc::recv(descriptor, answer.as_mut_ptr().cast(), answer.len(), 0) };
        answer.truncate(Errno::result(received).map_err(call(words))? as usize);
        Ok(answer)
    }

    /// The error number in an answer; 0 means success.
    fn error_in(words: &'static str, answer: &[u8]) -> Result<Option<i32>, Error> {
        if kind_of(answer) != Some(libc::NLMSG_ERROR as u16) {
            return Ok(None);
        }
        let number = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok());
        let number = number.map(i32::from_ne_bytes).ok_or(Error::Netlink { request: words })?;
        Ok(Some(number))
    }
}

fn kind_of(message: &[u8]) -> Option<u16> {
    message.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
}

/// The value of an attribute in `bytes`, whose attributes begin at `start`.
pub fn attribute(bytes: &[u8], start: usize, kind: u16) -> Option<&[u8]> {
    let at = attribute_at(bytes, start, kind)?;
    let length = u16::from_ne_bytes(bytes.get(at - 4..at - 2)?.try_into().ok()?);
    bytes.get(at..at + usize::from(length).checked_sub(4)?)
}

/// The range of an attribute's value in `bytes`, whose attributes begin at `start`.
fn attribute_at(bytes: &[u8], start: usize, kind: u16) -> Option<usize> {
    let mut at = start;
    loop {
        let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let (length, found) = (usize::from(half(at)?), half(at + 2)?);
        // The two upper bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
        if found & 0x3fff == kind {
            return Some(at + 4);
        }
        // An attribute is at least its own header, so this ends.
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested_ones_counted() {
        let message = Message::new(16, 0, &[])
            .nested(18, |inner| inner.attribute(1, b"veth").attribute(3, b"x"))
            .finish();
        let expected: [&[u8]; 3] =
            [&[20, 0, 18, 0], &[8, 0, 1, 0, b'v', b'e', b't', b'h'], &[5, 0, 3, 0, b'x', 0, 0, 0]];
        assert_eq!(message[HEADER..], expected.concat());
        assert_eq!(message[..4], 36u32.to_ne_bytes());
    }

    #[test]
    fn an_attribute_is_found_behind_others() {
        let message = Message::new(16, 0, &[]).attribute(3, b"x").attribute(5, &[7, 0, 0, 0]);
        let bytes = message.finish();
        assert_eq!(attribute_at(&bytes, HEADER, 5), Some(HEADER + 12));
        assert_eq!(attribute_at(&bytes, HEADER, 6), None);
        assert_eq!(attribute_at(&[0; 40], HEADER, 6), None);
    }

    #[test]
    fn the_loop_back_link_hangs_on_nothing() {
        let lo = Netlink::open().unwrap().link("lo").unwrap();
        assert_eq!((lo.index, lo.other), (1, 1));
    }
}
