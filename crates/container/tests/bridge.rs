//! Containers in a bridge, on a host of the test's own: whom they reach, and who reaches them.

mod common;

use std::{
    io::{ErrorKind, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use common::{Need, ready, ready_with, skip};
use container::{
    Network, Prepared, Root, Spec, bridge, link, net_namespace::NetNamespace, netlink::Netlink,
    network::Beyond, network::BridgeLink, network::beyond_the_host,
};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::gettid,
};
use sandbox::{Program, Resource, Stdio};
use tempfile::TempDir;

const SMALL: Duration = Duration::from_millis(400);

/// Runs the test on a host of its own: a network namespace.
fn on_a_host(test: impl FnOnce() + Send + 'static) {
    if !ready_with(&[Need::Veth]) {
        return;
    }
    let host = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        give_address("lo", Ipv4Addr::LOCALHOST, 8);
        test();
    });
    if let Err(panic) = host.join() {
        std::panic::resume_unwind(panic);
    }
}

fn give_address(link: &str, address: Ipv4Addr, prefix: u8) {
    let mut netlink = Netlink::open().unwrap();
    let index = netlink.index_of(link).unwrap();
    netlink.set_up(index).unwrap();
    let _ = netlink.add_address(index, address, prefix); // `lo` has its own when it is up
}

/// Makes a bridge with the first address of `10.N.0.0/24`; says what is missing.
fn make_bridge(name: &str, number: u8) -> bool {
    match bridge::create(name, Ipv4Addr::new(10, number, 0, 1), 24, 1500) {
        Ok(()) => true,
        Err(error) => {
            let error = sandbox::chain(&error);
            assert!(error.contains("EOPNOTSUPP"), "{error}");
            println!("not here: the kernel has no bridges: {error}");
            false
        }
    }
}

/// A link with the address `10.N.0.M`.
fn link_to(bridge: &str, number: u8, host: u8) -> BridgeLink {
    let address = Ipv4Addr::new(10, number, 0, host);
    BridgeLink {
        bridge: bridge.into(),
        host_name: format!("isoe{number:03}{host:04}"),
        name: "eth0".into(),
        address,
        prefix: 24,
        gateway: Some(Ipv4Addr::new(10, number, 0, 1)),
        is_default_route: true,
        mac: bridge::mac_of(address),
        mtu: 1400,
    }
}

/// A container that waits to be started.
struct Waiting {
    created: container::Created,
    _directory: TempDir,
}

impl Waiting {
    fn new(links: Vec<BridgeLink>) -> Self {
        let mut spec = Spec::default();
        spec.way_out.program = Program::Command(vec!["/bin/true".into()]);
        spec.way_out.stdio = Stdio::Capture;
        spec.inside.root = Root::Host;
        (spec.way_out.network, spec.way_out.links) = (Network::Bridge, links);
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let start = directory.path().join("start");
        let created = Prepared::new(&spec).unwrap().create(&start).unwrap();
        Self { created, _directory: directory }
    }

    /// Does something in its network.
    fn inside<R>(&self, work: impl FnOnce() -> R) -> R {
        NetNamespace::of(&self.created.state().first).unwrap().run(work).unwrap()
    }

    /// A server in it, which tells its clients their addresses.
    fn serve(&self, port: u16) {
        let server = self.inside(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
        thread::spawn(move || say_who(&server));
    }

    /// What a server says to it.
    fn ask(&self, address: [u8; 4], port: u16) -> Result<String, ErrorKind> {
        self.inside(|| ask(address, port))
    }
}

fn say_who(server: &TcpListener) {
    use std::io::Write as _;
    while let Ok((mut client, from)) = server.accept() {
        let _ = client.write_all(from.ip().to_string().as_bytes());
    }
}

fn ask(address: [u8; 4], port: u16) -> Result<String, ErrorKind> {
    let address = SocketAddr::from((address, port));
    let mut text = String::new();
    TcpStream::connect_timeout(&address, SMALL)
        .and_then(|mut stream| stream.read_to_string(&mut text))
        .map_err(|error| error.kind())?;
    Ok(text)
}

#[test]
fn containers_in_a_bridge_reach_each_other_and_the_host() {
    on_a_host(|| {
        if !make_bridge("isolab0", 8) {
            return;
        }
        let one = Waiting::new(vec![link_to("isolab0", 8, 2)]);
        let other = Waiting::new(vec![link_to("isolab0", 8, 3)]);
        other.serve(80);
        assert_eq!(one.ask([10, 8, 0, 3], 80).unwrap(), "10.8.0.2");
        assert_eq!(ask([10, 8, 0, 3], 80).unwrap(), "10.8.0.1");
        let host = TcpListener::bind("10.8.0.1:81").unwrap();
        thread::spawn(move || say_who(&host));
        assert_eq!(other.ask([10, 8, 0, 1], 81).unwrap(), "10.8.0.3");
        let name = one.created.state().resources.iter().find_map(|one| match one {
            Resource::Link(name) => Some(name.clone()),
            _ => None,
        });
        assert_eq!(name.as_deref(), Some("isoe0080002"));
        // The end of a container is the end of its link, and its name is free.
        drop(one);
        assert!(Netlink::open().unwrap().index_of("isoe0080002").is_err());
        let again = Waiting::new(vec![link_to("isolab0", 8, 2)]);
        assert_eq!(again.ask([10, 8, 0, 3], 80).unwrap(), "10.8.0.2");
    });
}

#[test]
fn a_link_inside_is_as_described_and_without_ipv6() {
    on_a_host(|| {
        if !make_bridge("iso-0123456789a", 8) {
            return;
        }
        let second = BridgeLink {
            name: "eth1".into(),
            is_default_route: false,
            ..link_to("iso-0123456789a", 8, 3)
        };
        let both = Waiting::new(vec![link_to("iso-0123456789a", 8, 2), second]);
        let show = |words: &[&str]| {
            let shown = std::process::Command::new("ip").args(words).output();
            shown.map(|shown| String::from_utf8(shown.stdout).unwrap())
        };
        let Ok(links) = both.inside(|| show(&["address"])) else { return skip("no ip here") };
        for expected in ["02:42:0a:08:00:02", "02:42:0a:08:00:03", "mtu 1400", "10.8.0.3/24"] {
            assert!(links.contains(expected), "{expected}: {links}");
        }
        assert!(!links.contains("fe80"), "{links}");
        assert!(!show(&["address"]).unwrap().contains("fe80"));
        let routes = both.inside(|| show(&["route"])).unwrap();
        assert!(routes.contains("default via 10.8.0.1 dev eth0"), "{routes}");
        assert_eq!(bridge::address("iso-0123456789a").unwrap(), Some(([10, 8, 0, 1].into(), 24)));
    });
}

#[test]
fn a_bridge_is_made_once_and_removed_with_its_rules() {
    on_a_host(|| {
        if !make_bridge("isolab0", 8) {
            return;
        }
        assert!(make_bridge("isolab0", 8) && bridge::exists("isolab0").unwrap());
        let has_rules = bridge::open_the_way("isolab0", ([10, 8, 0, 0].into(), 24), true).is_ok();
        if has_rules {
            assert_eq!(
                bridge::open_the_way("isolab0", ([10, 8, 0, 0].into(), 24), true).unwrap(),
                None
            );
            bridge::isolate("isolab0").unwrap();
        }
        assert_eq!(bridge::resources("isolab0")[0], Resource::Link("isolab0".into()));
        bridge::remove("isolab0").unwrap();
        bridge::remove("isolab0").unwrap();
        assert!(!bridge::exists("isolab0").unwrap());
        assert_eq!(bridge::address("isolab0").unwrap(), None);
        let error = bridge::exists("lo").unwrap_err();
        assert_eq!(error.to_string(), "the link lo of the host is not a bridge");
    });
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    on_a_host(|| {
        if !make_bridge("isolab0", 8) {
            return;
        }
        assert!(make_bridge("iso-0123456789a", 9));
        let one = Waiting::new(vec![link_to("isolab0", 8, 2)]);
        let other = Waiting::new(vec![link_to("iso-0123456789a", 9, 3)]);
        other.serve(80);
        let first = one.created.state().first;
        let new = BridgeLink {
            name: "eth1".into(),
            is_default_route: false,
            ..link_to("iso-0123456789a", 9, 2)
        };
        link::connect(&first, &new).unwrap();
        assert_eq!(one.ask([10, 9, 0, 3], 80).unwrap(), "10.9.0.2");
        link::set_default_route(&first, &new).unwrap();
        // Names are taken: nothing is left of the second attempt.
        assert!(link::connect(&first, &new).is_err());
        let host_name = "isoeffffff0".to_owned();
        assert!(link::connect(&first, &BridgeLink { host_name, ..new.clone() }).is_err());
        assert!(Netlink::open().unwrap().index_of("isoeffffff0").is_err());
        link::disconnect(&new.host_name).unwrap();
        link::disconnect(&new.host_name).unwrap();
        assert!(one.ask([10, 9, 0, 3], 80).is_err());
    });
}

/// A neighbour of the host with a server, behind the link `up0`; the host's default route leads
/// there.
fn neighbour() {
    let (sent, received) = std::sync::mpsc::channel();
    let (connected, is_connected) = std::sync::mpsc::channel();
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        sent.send(gettid().as_raw()).unwrap();
        is_connected.recv().unwrap();
        give_address("dn0", [192, 0, 2, 7].into(), 24);
        say_who(&TcpListener::bind("192.0.2.7:80").unwrap());
    });
    let thread = received.recv().unwrap();
    Netlink::open().unwrap().create_veth("up0", "dn0", thread).unwrap();
    connected.send(()).unwrap();
    give_address("up0", [192, 0, 2, 1].into(), 24);
    while ask([192, 0, 2, 7], 80).is_err() {}
}

#[test]
fn other_networks_are_reached_with_the_hosts_address_and_other_bridges_are_not() {
    on_a_host(|| {
        if !make_bridge("isolab0", 8) {
            return;
        }
        if beyond_the_host() != Beyond::Reached {
            return skip("this kernel has no nf_tables");
        }
        assert!(make_bridge("iso-0123456789a", 9));
        neighbour();
        let one = Waiting::new(vec![link_to("isolab0", 8, 2)]);
        let other = Waiting::new(vec![link_to("iso-0123456789a", 9, 3)]);
        other.serve(80);
        assert!(one.ask([192, 0, 2, 7], 80).is_err(), "before the way is open");
        for (name, number) in [("isolab0", 8), ("iso-0123456789a", 9)] {
            bridge::open_the_way(name, ([10, number, 0, 0].into(), 24), true).unwrap();
        }
        assert_eq!(one.ask([192, 0, 2, 7], 80).unwrap(), "192.0.2.1");
        assert_eq!(one.ask([10, 9, 0, 3], 80), Err(ErrorKind::TimedOut), "another bridge");
        assert_eq!(ask([10, 9, 0, 3], 80).unwrap(), "10.9.0.1", "the host");
        bridge::isolate("isolab0").unwrap();
        assert_eq!(one.ask([192, 0, 2, 7], 80), Err(ErrorKind::TimedOut), "an internal network");
    });
}

#[test]
fn links_need_a_network_namespace_to_be_in() {
    if !ready() {
        return;
    }
    let mut spec = Spec::default();
    spec.way_out.links = vec![link_to("isolab0", 8, 2)];
    for network in [Network::None, Network::Host, Network::Veth] {
        spec.way_out.network = network;
        let error = sandbox::chain(&Prepared::new(&spec).map(drop).unwrap_err());
        assert!(error.contains("new network namespace"), "{error}");
    }
    spec.way_out.network = Network::Bridge;
    let is_default_route = false;
    spec.way_out.links.push(BridgeLink { is_default_route, ..link_to("isolab0", 8, 3) });
    let error = sandbox::chain(&Prepared::new(&spec).map(drop).unwrap_err());
    assert!(error.contains("another link has its name"), "{error}");
}
