//! A host of a test's own, and a neighbour of it: network namespaces, which nothing of this host's
//! network can see.
//!
//! ```text
//!   host                                   neighbour: a TCP server on every port 7000,
//!   up0  192.0.2.1/24 ── 192.0.2.7/24 dn0             a name server for *.test
//!                                          198.51.100.9 on its lo, behind the default route
//! ```

use std::{
    env, fs,
    io::Write as _,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use container::netlink::{CREATE, Message, Netlink};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Uid, gettid},
};

use super::{inside::INSIDE, skip};

/// The neighbour, on the network that the host has a link to.
pub const NEAR: &str = "192.0.2.7";
/// The neighbour, where the host's default route leads.
pub const FAR: &str = "198.51.100.9";
/// The host, as its neighbours know it.
pub const HOST: &str = "192.0.2.1";

/// What the kernel said to a host's link, where there can be one.
struct Neighbour {
    thread: i32,
    connected: mpsc::Sender<()>,
}

/// Does it as a host of its own, in a thread that is in namespaces of its own. Says what is skipped
/// where there can be none.
pub fn on_a_host(test: impl FnOnce() + Send + 'static) {
    if !Uid::effective().is_root() {
        return skip("container", "this test needs root, for network namespaces").unwrap_or(());
    }
    let host = thread::spawn(|| {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            return skip("container", &format!("unshare: {errno}")).unwrap_or(());
        }
        // A new namespace has the first one's setting, which Docker for one changes.
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none).unwrap();
        // A ledger of its own too.
        mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let neighbour = neighbour();
        let mut netlink = Netlink::open().unwrap();
        if let Err(error) = netlink.create_veth("up0", "dn0", neighbour.thread) {
            return skip("container", &sandbox::chain(&error)).unwrap_or(());
        }
        neighbour.connected.send(()).unwrap();
        give_address("up0", HOST, 24);
        give_address("lo", "127.0.0.1", 8);
        add_route("0.0.0.0/0", Some(NEAR));
        resolv_conf(&format!("nameserver {NEAR}\n"));
        test();
    });
    if let Err(panic) = host.join() {
        std::panic::resume_unwind(panic);
    }
}

/// What the host's resolver is told.
pub fn resolv_conf(text: &str) {
    // A nest has no name server, and so no file that says which.
    if env::var_os(INSIDE).is_some() && !Path::new("/etc/resolv.conf").exists() {
        fs::write("/etc/resolv.conf", "").unwrap();
    }
    fs::write("/run/the-hosts-resolv.conf", text).unwrap();
    show("/run/the-hosts-resolv.conf", "/etc/resolv.conf");
}

/// Shows a file of the host's at the place of another.
pub fn show(file: &str, place: &str) {
    let none = None::<&str>;
    mount(Some(file), place, none, MsFlags::MS_BIND, none).unwrap();
}

/// A network link of the host's, switched on and with an address.
pub fn give_address(link: &str, address: &str, prefix: u8) {
    let mut netlink = Netlink::open().unwrap();
    let index = netlink.index_of(link).unwrap();
    netlink.set_up(index).unwrap();
    // `lo` has its own when it is up.
    let _ = netlink.add_address(index, address.parse().unwrap(), prefix);
}

/// A route of the host's, as `ip route add TO via GATEWAY`, or by its link to the neighbour.
pub fn add_route(to: &str, gateway: Option<&str>) {
    const MAIN_BOOT_UNIVERSE_UNICAST: [u8; 4] = [254, 3, 0, 1];
    let (address, prefix) = to.split_once('/').unwrap();
    let mut body = vec![2, prefix.parse().unwrap(), 0, 0];
    body.extend(MAIN_BOOT_UNIVERSE_UNICAST);
    body.extend([0; 4]);
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTM_NEWROUTE: u16 = 24;
    let octets = |address: &str| address.parse::<Ipv4Addr>().unwrap().octets();
    let mut netlink = Netlink::open().unwrap();
    let index = netlink.index_of("up0").unwrap();
    let message = Message::new(RTM_NEWROUTE, CREATE, &body).attribute(RTA_DST, &octets(address));
    let message = match gateway {
        Some(gateway) => message.attribute(RTA_GATEWAY, &octets(gateway)),
        None => message.attribute(RTA_OIF, &index.to_ne_bytes()),
    };
    netlink.request("add a route", message).unwrap();
}

/// Whether the host passes on what comes in by that link.
pub fn forwards(link: &str) -> bool {
    let path = Path::new("/proc/sys/net/ipv4/conf").join(link).join("forwarding");
    fs::read_to_string(path).unwrap().trim() == "1"
}

/// What the neighbour's server says to who connects to it: their address.
fn serve_names(socket: &UdpSocket) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query) {
        let _ = socket.send_to(&answer(&query[..length]), from);
    }
}

/// The answer of a name server (RFC 1035): each name below `test` has the address [`FAR`].
fn answer(query: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    let mut at = HEADER;
    let mut labels = Vec::new();
    while let Some(&length @ 1..) = query.get(at) {
        labels.push(query[at + 1..at + 1 + usize::from(length)].to_vec());
        at += 1 + usize::from(length);
    }
    let end = at + 5;
    let is_known = labels.last().is_some_and(|last| last == b"test");
    let is_address = query[at + 1..at + 3] == [0, 1];
    let error = if is_known { 0x80 } else { 0x83 };
    let answers = u8::from(is_known && is_address);
    let mut answer = [&query[..2], &[0x81, error, 0, 1, 0, answers, 0, 0, 0, 0][..]].concat();
    answer.extend(&query[HEADER..end]);
    if answers == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(FAR.parse::<Ipv4Addr>().unwrap().octets());
    }
    answer
}

/// Begins the neighbour; it ends with the test's process.
fn neighbour() -> Neighbour {
    let (tell, pids) = mpsc::channel();
    let (connected, wait) = mpsc::channel();
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        tell.send(gettid().as_raw()).unwrap();
        wait.recv().unwrap();
        give_address("lo", FAR, 32);
        give_address("dn0", NEAR, 24);
        let names = UdpSocket::bind(("0.0.0.0", 53)).unwrap();
        thread::spawn(move || serve_names(&names));
        for stream in TcpListener::bind(("0.0.0.0", 7000)).unwrap().incoming() {
            let mut stream = stream.unwrap();
            let from = stream.peer_addr().unwrap().ip();
            let _ = stream.write_all(format!("from {from}\n").as_bytes());
        }
    });
    let thread = pids.recv_timeout(Duration::from_secs(10)).unwrap();
    Neighbour { thread, connected }
}
