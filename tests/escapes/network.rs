//! The host's sockets and links.

use std::{
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    sync::OnceLock,
};

use container::Network;
use nix::errno::Errno;

use crate::{
    call::call,
    everywhere::{Kind, everywhere, everywhere_is},
    host::Host,
    inside::{Attempt, Failed, each},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("connect-to-the-host", connect_to_the_host),
    ("open-other-families", open_other_families),
    ("open-raw-sockets", open_raw_sockets),
    ("change-links", change_links),
];

fn connect_to_the_host(words: &[String]) -> Result<String, Failed> {
    let [name, port] = words else { return Err("where?".into()) };
    let port: u16 = port.parse().map_err(|_| "which port?")?;
    let abstract_socket = SocketAddr::from_abstract_name(name)?;
    each([
        ("abstract", UnixStream::connect_addr(&abstract_socket).map(drop)),
        ("loopback", TcpStream::connect(("127.0.0.1", port)).map(drop)),
    ])
}

#[test]
fn the_hosts_own_sockets_are_reached_with_its_network_only() {
    static LISTENERS: OnceLock<(UnixListener, TcpListener)> = OnceLock::new();
    let name = format!("isolab-escapes-{}", std::process::id());
    let (_, listener) = LISTENERS.get_or_init(|| {
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let local = UnixListener::bind_addr(&address).unwrap();
        (local, TcpListener::bind(("127.0.0.1", 0)).unwrap())
    });
    let port = listener.local_addr().unwrap().port().to_string();
    let words = |_: &Host| vec!["connect-to-the-host".to_owned(), name.clone(), port.clone()];
    let expected = |kind: &Kind| {
        let description = match kind.network {
            Network::Host => "done",
            Network::None | Network::Veth | Network::Bridge => "ECONNREFUSED",
        };
        Some(format!("abstract={description} loopback={description}"))
    };
    everywhere(words, expected);
}

/// Families that a network namespace does not keep apart, or that lead into large parts of the kernel.
fn open_other_families(_: &[String]) -> Result<String, Failed> {
    let open = |family: i32, kind: i32| call!(SYS_socket, family, kind, 0);
    each([
        ("vsock", open(libc::AF_VSOCK, libc::SOCK_STREAM)),
        ("vsock-far", call!(SYS_socket, 1i64 << 32 | i64::from(libc::AF_VSOCK), 1, 0)),
        ("alg", open(libc::AF_ALG, libc::SOCK_SEQPACKET)),
    ])
}

#[test]
fn no_socket_leads_past_the_network_namespace() {
    let expected =
        |kind: &Kind| (!kind.unconfined).then(|| "vsock=EPERM vsock-far=EPERM alg=EPERM".into());
    everywhere(|_| vec!["open-other-families".into()], expected);
}

fn open_raw_sockets(_: &[String]) -> Result<String, Failed> {
    let open = |family: i32, protocol: i32| call!(SYS_socket, family, libc::SOCK_RAW, protocol);
    const EVERY_FRAME: i32 = (libc::ETH_P_ALL as u16).to_be() as i32;
    each([
        ("ip", open(libc::AF_INET, libc::IPPROTO_RAW)),
        ("icmp", open(libc::AF_INET, libc::IPPROTO_ICMP)),
        ("icmp6", open(libc::AF_INET6, libc::IPPROTO_ICMPV6)),
        ("packet", open(libc::AF_PACKET, EVERY_FRAME)),
    ])
}

#[test]
fn no_packet_is_forged() {
    everywhere_is("open-raw-sockets", "ip=EPERM icmp=EPERM icmp6=EPERM packet=EPERM");
}

/// Asks the kernel to take a link down, and to remove it: one that there is not, which only those are
/// told who might.
fn change_links(_: &[String]) -> Result<String, Failed> {
    each([("down", ask(libc::RTM_NEWLINK)), ("remove", ask(libc::RTM_DELLINK))])
}

/// The kernel's answer to a message about that link (rtnetlink(7)).
fn ask(request: u16) -> Result<(), Errno> {
    let socket = call!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    const REQUEST_AND_ANSWER: u16 = 1 | 4;
    // struct nlmsghdr: length, type, flags, sequence, port; struct ifinfomsg: family, type, index,
    // flags, and which of them to change: IFF_UP.
    let mut message = 32u32.to_ne_bytes().to_vec();
    message.extend([request, REQUEST_AND_ANSWER].map(u16::to_ne_bytes).concat());
    message.extend([1u32, 0, 0, 0x7fff_0000, 0, 1].map(u32::to_ne_bytes).concat());
    let mut answer = [0u8; 64];
    call!(SYS_sendto, socket, message.as_slice(), message.len(), 0, 0, 0)?;
    call!(SYS_recvfrom, socket, answer.as_mut_slice(), answer.len(), 0, 0, 0)?;
    // struct nlmsgerr behind the header: zero, or an error number below it.
    let [a, b, c, d] = answer[16..20] else { unreachable!("four bytes") };
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(()),
        number => Err(Errno::from_raw(-number)),
    }
}

#[test]
fn no_link_is_changed() {
    everywhere_is("change-links", "down=EPERM remove=EPERM");
}
