//! Containers in the engine's networks, on a host of the test's own: by address, by name, by
//! published port, and by nothing from another network.

mod common;

use std::{
    io::{ErrorKind, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use common::{
    Waiting, ask, has_nf_tables, neighbour, on_a_host, resolve, resolve_by_stream, serve,
};
use engine::network::{
    ContainerRequest, EndpointRequest, NetworkRequest, Networks, PortRequest, Protocol,
    SubnetRequest,
};

fn open(directory: &std::path::Path) -> Networks {
    let (networks, warnings) = Networks::open(directory).unwrap();
    assert_eq!(warnings, [""; 0]);
    networks
}

fn network(name: &str) -> NetworkRequest {
    NetworkRequest { name: name.into(), ..NetworkRequest::default() }
}

fn container(id: &str, name: &str, mode: &str) -> ContainerRequest {
    ContainerRequest {
        id: format!("{id:0<64}"),
        name: name.into(),
        hostname: format!("host-of-{name}"),
        mode: mode.into(),
        ..ContainerRequest::default()
    }
}

fn tcp(port: u16, host_port: u16) -> PortRequest {
    let host = Some(Ipv4Addr::UNSPECIFIED.into());
    PortRequest { port, protocol: Protocol::Tcp, host, host_ports: (host_port, host_port) }
}

#[test]
fn the_predefined_networks_are_there_and_stay() {
    on_a_host(|directory| {
        let networks = open(directory);
        let mut before = networks.list();
        let mut names: Vec<_> = before.iter().map(|one| (&*one.name, one.driver.name())).collect();
        names.sort_unstable();
        assert_eq!(names, [("bridge", "bridge"), ("host", "host"), ("none", "null")]);
        for name in ["bridge", "host", "none"] {
            let error = networks.remove(name).unwrap_err();
            let expected = format!("{name} is a pre-defined network and cannot be removed");
            assert_eq!((error.status(), error.to_string()), (403, expected));
        }
        assert_eq!(networks.find("default").unwrap().name, "bridge");
        assert_eq!(networks.prune(|_| true), []);
        drop(networks);
        let mut after = open(directory).list();
        before.sort_by(|one, other| one.id.cmp(&other.id));
        after.sort_by(|one, other| one.id.cmp(&other.id));
        assert_eq!(before, after);
    });
}

#[test]
fn a_network_is_created_found_again_and_removed() {
    on_a_host(|directory| {
        let networks = open(directory);
        let created = networks.create(&network("net")).unwrap();
        let found = networks.find(&created.id[..12]).unwrap();
        let bridge = found.bridge.clone().unwrap();
        assert!(container::bridge::exists(&bridge.name).unwrap());
        assert_eq!(container::bridge::address(&bridge.name).unwrap(), Some((bridge.gateway, 16)));
        let status = |request| networks.create(&request).unwrap_err().status();
        let error = networks.create(&network("net")).unwrap_err();
        assert_eq!(error.to_string(), "network with name net already exists");
        assert_eq!((error.status(), status(network("bridge"))), (409, 403));
        let subnet = SubnetRequest { subnet: bridge.subnet.to_string(), ..<_>::default() };
        let overlapping = NetworkRequest { subnets: vec![subnet], ..network("other") };
        let error = networks.create(&overlapping).unwrap_err();
        assert!(error.to_string().contains("Pool overlaps with other one"), "{error}");
        // Each has a subnet of its own, none of which is the host's.
        let other = networks.create(&network("other")).unwrap();
        let other = networks.find(&other.id).unwrap().bridge.unwrap();
        assert!(!other.subnet.overlaps(bridge.subnet));
        drop(networks);
        let networks = open(directory);
        assert_eq!(networks.find("net").unwrap(), found);
        assert_eq!(networks.remove("net").unwrap(), found);
        assert!(!container::bridge::exists(&bridge.name).unwrap());
        let error = networks.find("net").unwrap_err();
        assert_eq!((error.status(), error.to_string()), (404, "network net not found".into()));
        assert_eq!(networks.prune(|one| one.name == "other").len(), 1);
        assert!(!container::bridge::exists(&other.name).unwrap());
    });
}

#[test]
fn a_network_of_the_host_is_not_taken() {
    on_a_host(|directory| {
        common::give_address("lo", [172, 17, 5, 1].into(), 24);
        common::give_address("lo", [10, 7, 0, 1].into(), 16);
        let networks = open(directory);
        let default = networks.find("bridge").unwrap().bridge.unwrap();
        assert_eq!(default.subnet.to_string(), "172.18.0.0/16");
        let asked = |subnet: &str| {
            let subnet = SubnetRequest { subnet: subnet.into(), ..SubnetRequest::default() };
            let request = NetworkRequest { subnets: vec![subnet], ..network("asked") };
            networks.create(&request).map_err(|error| error.status())
        };
        assert_eq!(asked("10.0.0.0/8").unwrap_err(), 403);
        assert_eq!(asked("10.7.0.0/16").unwrap_err(), 403);
        // A part of a network that the host reaches through another: as beside a VPN.
        asked("10.7.3.0/24").unwrap();
    });
}

#[test]
fn containers_of_a_network_reach_each_other_by_name() {
    on_a_host(|directory| {
        let networks = open(directory);
        networks.create(&network("net")).unwrap();
        let mut web = container("0a", "web", "net");
        let aliases = vec!["Shop".to_owned()];
        web.networks.insert("net".into(), EndpointRequest { aliases, ..<_>::default() });
        let web = Waiting::start(&networks, &web);
        let client = Waiting::start(&networks, &container("0b", "client", "net"));
        web.serve(80);
        let address = web.prepared.links[0].address;
        let own = client.prepared.links[0].address;
        assert_eq!(client.ask(address, 80).unwrap(), own.to_string());
        for name in ["web", "shop", "WEB.net", "0a0000000000", "host-of-web"] {
            assert_eq!(client.inside(|| resolve(name)).unwrap(), [address], "{name}");
            assert_eq!(client.inside(|| resolve_by_stream(name)).unwrap(), [address], "{name}");
        }
        // Programs inside find them by their own means.
        let said = client.run("getent hosts web; getent hosts $(hostname); cat /etc/resolv.conf");
        assert!(said.contains(&format!("{address}")), "{said}");
        assert!(said.contains(&format!("{own}")), "{said}");
        assert!(said.contains("nameserver 127.0.0.11") && said.contains("ndots:0"), "{said}");
        networks.renamed(&web.id, "site").unwrap();
        assert_eq!(client.inside(|| resolve("site")).unwrap(), [address]);
        // An end is the end of the name.
        let error = networks.remove("net").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("error while removing network: network net has active endpoints"));
        assert!(text.contains("name:\"site\""), "{text}");
        networks.stopped(&web.id).unwrap();
        assert!(client.inside(|| resolve("site")).is_err());
        networks.stopped(&client.id).unwrap();
        networks.remove("net").unwrap();
    });
}

#[test]
fn a_container_may_serve_names_itself() {
    on_a_host(|directory| {
        if !has_nf_tables() {
            return;
        }
        let networks = open(directory);
        networks.create(&network("net")).unwrap();
        let server = Waiting::start(&networks, &container("0a", "server", "net"));
        // Not refused, although its resolver is at port 53 of an address that this one includes.
        let own = server.inside(|| UdpSocket::bind("0.0.0.0:53").unwrap());
        let streams = server.inside(|| TcpListener::bind("0.0.0.0:53").unwrap());
        let address = server.prepared.links[0].address;
        assert_eq!(server.inside(|| resolve("server")).unwrap(), [address]);
        let client = Waiting::start(&networks, &container("0b", "client", "net"));
        client.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"a question", (address, 53)).unwrap();
        });
        own.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut text = [0; 32];
        assert_eq!(own.recv(&mut text).unwrap(), 10);
        drop(streams);
    });
}

#[test]
fn another_network_is_not_reached_and_its_names_are_unknown() {
    on_a_host(|directory| {
        if !has_nf_tables() {
            return;
        }
        neighbour();
        let networks = open(directory);
        networks.create(&network("front")).unwrap();
        networks.create(&network("back")).unwrap();
        let web = Waiting::start(&networks, &container("0a", "web", "front"));
        let db = Waiting::start(&networks, &container("0b", "db", "back"));
        let old = Waiting::start(&networks, &container("0c", "old", ""));
        db.serve(80);
        let address = db.prepared.links[0].address;
        for other in [&web, &old] {
            assert_eq!(other.ask(address, 80), Err(ErrorKind::TimedOut));
            // But beyond the host, all are reached, as the host.
            assert_eq!(other.ask([192, 0, 2, 7].into(), 80).unwrap(), "192.0.2.1");
        }
        assert!(web.inside(|| resolve("db")).is_err());
        // In the default network there are no names, and so no resolver.
        assert_eq!(old.prepared.servers, [] as [std::net::IpAddr; 0]);
        assert!(old.inside(|| resolve("old")).is_err());
        // What is in both reaches both.
        let mut both = container("0d", "both", "front");
        both.networks.insert("back".into(), EndpointRequest::default());
        let both = Waiting::start(&networks, &both);
        assert_eq!(both.inside(|| resolve("db")).unwrap(), [address]);
        assert!(both.ask(address, 80).is_ok() && both.prepared.links.len() == 2);
        assert!(both.inside(|| resolve("web")).is_ok());
        let route = both.prepared.links.iter().find(|link| link.is_default_route).unwrap();
        assert_eq!(route.name, "eth1", "back is before front");
    });
}

#[test]
fn an_internal_network_has_no_way_out() {
    on_a_host(|directory| {
        neighbour();
        let networks = open(directory);
        networks.create(&NetworkRequest { internal: true, ..network("inner") }).unwrap();
        let one =
            ContainerRequest { ports: vec![tcp(80, 8080)], ..container("0a", "one", "inner") };
        let one = Waiting::start(&networks, &one);
        let other = Waiting::start(&networks, &container("0b", "other", "inner"));
        other.serve(80);
        let address = other.prepared.links[0].address;
        assert!(one.ask(address, 80).is_ok());
        assert_eq!(one.inside(|| resolve("other")).unwrap(), [address]);
        assert_eq!(one.ask([192, 0, 2, 7].into(), 80), Err(ErrorKind::NetworkUnreachable));
        // Names are no way out either, and ports no way in.
        assert_eq!(one.inside(|| resolve("example.test")).unwrap_err(), 2, "SERVFAIL");
        assert_eq!(one.prepared.ports, []);
        assert!(one.prepared.links[0].gateway.is_none());
    });
}

#[test]
fn a_published_port_leads_inside_until_the_end() {
    on_a_host(|directory| {
        let networks = open(directory);
        let request = ContainerRequest {
            ports: vec![
                tcp(80, 8080),
                tcp(80, 0),
                PortRequest { protocol: Protocol::Udp, ..tcp(81, 8080) },
            ],
            ..container("0a", "web", "bridge")
        };
        let web = Waiting::start(&networks, &request);
        web.serve(80);
        let gateway = web.prepared.links[0].gateway.unwrap();
        let ports: Vec<u16> = web.prepared.ports.iter().map(|one| one.host.port()).collect();
        assert!(ports[0] == 8080 && ports[1] != 0 && ports[2] == 8080, "{ports:?}");
        for port in [ports[0], ports[1]] {
            assert_eq!(ask(Ipv4Addr::LOCALHOST, port).unwrap(), gateway.to_string());
        }
        let echo = web.inside(|| UdpSocket::bind("0.0.0.0:81").unwrap());
        std::thread::spawn(move || {
            let mut text = [0; 64];
            while let Ok((length, client)) = echo.recv_from(&mut text) {
                let _ = echo.send_to(&text[..length], client);
            }
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(b"hello", "127.0.0.1:8080").unwrap();
        let mut text = [0; 64];
        let (length, from) = socket.recv_from(&mut text).unwrap();
        assert_eq!((&text[..length], from.port()), (&b"hello"[..], 8080));
        // Another container does not get it, and nothing is kept for that one.
        let taken = ContainerRequest { ports: vec![tcp(80, 8080)], ..container("0b", "b", "") };
        let error = networks.prepare(&taken).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("driver failed programming external connectivity on endpoint b (")
        );
        assert!(text.ends_with("): Bind for 0.0.0.0:8080 failed: port is already allocated"));
        assert_eq!(networks.containers(&networks.find("bridge").unwrap().id).len(), 1);
        networks.stopped(&web.id).unwrap();
        // A process that another test clones has the socket until its program begins.
        let began = Instant::now();
        while ask(Ipv4Addr::LOCALHOST, 8080) != Err(ErrorKind::ConnectionRefused) {
            assert!(began.elapsed() < Duration::from_secs(5), "the port is still open");
        }
        let again = Waiting::start(&networks, &taken);
        again.serve(80);
        assert!(ask(Ipv4Addr::LOCALHOST, 8080).is_ok());
    });
}

#[test]
fn a_running_container_changes_its_networks() {
    on_a_host(|directory| {
        let networks = open(directory);
        networks.create(&network("aaa")).unwrap();
        networks.create(&network("zzz")).unwrap();
        let request = ContainerRequest { ports: vec![tcp(80, 8080)], ..container("0a", "web", "") };
        let web = Waiting::start(&networks, &request);
        web.serve(80);
        let other = Waiting::start(&networks, &container("0b", "other", "aaa"));
        other.serve(80);
        let aliases = vec!["shop".to_owned()];
        let asked = EndpointRequest { aliases, ..EndpointRequest::default() };
        let connected = networks.connect("aaa", &web.id, &asked).unwrap();
        assert_eq!(connected.endpoint.link.name, "eth1");
        let own = connected.endpoint.link.address;
        assert_eq!(other.inside(|| resolve("shop")).unwrap(), [own]);
        assert_eq!(web.inside(|| resolve("other")).unwrap(), [other.prepared.links[0].address]);
        assert_eq!(web.ask(other.prepared.links[0].address, 80).unwrap(), own.to_string());
        let error = networks.connect("aaa", &web.id, &asked).unwrap_err();
        assert_eq!(error.to_string(), "endpoint with name web already exists in network aaa");
        assert_eq!(networks.connect("host", &web.id, &asked).unwrap_err().status(), 400);
        // Its first network goes away: its port leads to the other one.
        networks.disconnect("bridge", &web.id).unwrap();
        assert!(ask(Ipv4Addr::LOCALHOST, 8080).is_ok());
        let error = networks.disconnect("bridge", &web.id).unwrap_err();
        assert_eq!(error.to_string(), "container web is not connected to network bridge");
        networks.disconnect("aaa", &web.id).unwrap();
        assert!(other.inside(|| resolve("shop")).is_err());
        let mut stream = TcpStream::connect("127.0.0.1:8080").unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "it leads nowhere");
        networks.connect("zzz", &web.id, &EndpointRequest::default()).unwrap();
        assert!(ask(Ipv4Addr::LOCALHOST, 8080).is_ok());
    });
}

#[test]
fn a_daemon_that_starts_anew_serves_what_still_runs() {
    on_a_host(|directory| {
        let networks = open(directory);
        networks.create(&network("net")).unwrap();
        let request =
            ContainerRequest { ports: vec![tcp(80, 8080)], ..container("0a", "web", "net") };
        let web = Waiting::start(&networks, &request);
        web.serve(80);
        let gone = Waiting::start(&networks, &container("0b", "gone", "net"));
        drop(networks);
        assert_eq!(ask(Ipv4Addr::LOCALHOST, 8080), Err(ErrorKind::ConnectionRefused));
        let networks = open(directory);
        // Their addresses are theirs until it is known that they are gone.
        let new = networks.prepare(&container("0c", "new", "net")).unwrap();
        assert_eq!(new.links[0].address.octets()[3], 4);
        assert_eq!(networks.adopt(&[(web.id.clone(), web.process())]), [""; 0]);
        assert!(ask(Ipv4Addr::LOCALHOST, 8080).is_ok());
        assert_eq!(web.inside(|| resolve("web")).unwrap(), [web.prepared.links[0].address]);
        assert!(web.inside(|| resolve("gone")).is_err());
        assert!(networks.attachment(&gone.id).is_none() && networks.attachment(&web.id).is_some());
        let host_name = &gone.prepared.links[0].host_name;
        assert!(container::netlink::Netlink::open().unwrap().index_of(host_name).is_err());
    });
}

#[test]
fn an_address_that_is_kept_is_not_given() {
    on_a_host(|directory| {
        let networks = open(directory);
        let create = |name: &str, gateway: &str, kept: &[&str]| {
            let named = |address: &&str| (format!("of-{address}"), (*address).to_owned());
            let subnet = SubnetRequest {
                subnet: "10.9.0.0/29".into(),
                gateway: gateway.into(),
                auxiliary: kept.iter().map(named).collect(),
                ..SubnetRequest::default()
            };
            networks.create(&NetworkRequest { subnets: vec![subnet], ..network(name) })
        };
        let error = create("net", "10.9.0.1", &["10.9.0.1"]).unwrap_err();
        assert_eq!(error.to_string(), "Address already in use");
        create("net", "", &["10.9.0.1", "10.9.0.3"]).unwrap();
        let prepared = networks.prepare(&container("0a", "one", "net")).unwrap();
        let link = &prepared.links[0];
        assert_eq!(link.gateway, Some([10, 9, 0, 2].into()));
        assert_eq!(link.address, Ipv4Addr::new(10, 9, 0, 4));
    });
}

#[test]
fn a_chosen_address_is_given_once() {
    on_a_host(|directory| {
        let networks = open(directory);
        let subnet = SubnetRequest { subnet: "10.9.0.0/29".into(), ..SubnetRequest::default() };
        networks.create(&NetworkRequest { subnets: vec![subnet], ..network("net") }).unwrap();
        let at = |id: &str, last: Option<u8>| {
            let mut request = container(id, id, "net");
            let address = last.map(|last| [10, 9, 0, last].into());
            request.networks.insert("net".into(), EndpointRequest { address, ..<_>::default() });
            networks.prepare(&request).map(|prepared| prepared.links[0].address.octets()[3])
        };
        assert_eq!(at("0a", Some(3)).unwrap(), 3);
        let error = at("0b", Some(3)).unwrap_err();
        assert_eq!((error.status(), error.to_string()), (403, "Address already in use".into()));
        let given: Vec<u8> = (1..=4).map(|id| at(&format!("{id}c"), None).unwrap()).collect();
        assert_eq!(given, [2, 4, 5, 6]);
        let error = at("0d", None).unwrap_err().to_string();
        assert!(
            error.starts_with("no available IPv4 addresses on this network's address pools: net")
        );
        // The same container has its address again.
        assert_eq!(at("0a", Some(3)).unwrap(), 3);
        networks.stopped(&format!("{:0<64}", "2c")).unwrap();
        assert_eq!(at("0e", None).unwrap(), 4);
    });
}

#[test]
fn containers_without_bridges_need_nothing() {
    on_a_host(|directory| {
        let networks = open(directory);
        for (mode, network) in [
            ("none", container::Network::None),
            ("host", container::Network::Host),
            ("container:other", container::Network::None),
        ] {
            let request = container("0a", "one", mode);
            let prepared = networks.prepare(&request).unwrap();
            assert_eq!((prepared.network, prepared.links.len()), (network, 0));
            networks
                .started(&request.id, sandbox::Process::of(std::process::id()).unwrap())
                .unwrap();
            networks.stopped(&request.id).unwrap();
        }
        assert!(!container::bridge::exists("isolab0").unwrap(), "made when it is needed");
        let ports = vec![tcp(80, 0)];
        let request = ContainerRequest { ports, ..container("0a", "one", "host") };
        let warnings = networks.prepare(&request).unwrap().warnings;
        assert!(warnings[0].contains("Published ports are discarded"), "{warnings:?}");
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = server.local_addr().unwrap();
        serve(server);
        assert!(ask(Ipv4Addr::LOCALHOST, address.port()).is_ok());
    });
}
