//! A host of a test's own, and containers on it.

use std::{
    cell::RefCell,
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use container::{
    Created, Prepared, Root, Spec,
    hosts::NameService,
    net_namespace::NetNamespace,
    netlink::Netlink,
    network::{Beyond, beyond_the_host},
};
use engine::network::{ContainerRequest, Networks, PreparedNetwork};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Uid, gettid},
};
use sandbox::{Process, Program, Stdio};
use tempfile::TempDir;

/// How long a container that cannot be reached is waited for.
const SMALL: Duration = Duration::from_millis(500);

/// Says that the test is skipped, and why, which `ISOLAB_REQUIRE=container` forbids.
pub fn skip(reason: &str) {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("container"), "container required: {reason}");
    println!("skipped: {reason}");
}

/// Runs the test on a host of its own: a network namespace, in which this host has bridges. It gets
/// a directory for the engine's files.
pub fn on_a_host(test: impl FnOnce(&Path) + Send + 'static) {
    if !Uid::effective().is_root() {
        return skip("this test needs root, for network namespaces");
    }
    if let Err(error) = container::available() {
        return skip(&sandbox::chain(&error));
    }
    let host = thread::spawn(|| {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
            return skip(&format!("unshare: {errno}"));
        }
        give_address("lo", Ipv4Addr::LOCALHOST, 8);
        if let Err(error) = container::bridge::create("probe", [10, 255, 0, 1].into(), 24, 1500) {
            return skip(&sandbox::chain(&error));
        }
        container::bridge::remove("probe").unwrap();
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        test(directory.path());
    });
    if let Err(panic) = host.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Whether this kernel filters packets for the test; says so if not.
pub fn has_nf_tables() -> bool {
    let has = beyond_the_host() == Beyond::Reached;
    if !has {
        skip("this kernel has no nf_tables");
    }
    has
}

/// A link of the host's, switched on and with an address.
pub fn give_address(link: &str, address: Ipv4Addr, prefix: u8) {
    let mut netlink = Netlink::open().unwrap();
    let index = netlink.index_of(link).unwrap();
    netlink.set_up(index).unwrap();
    let _ = netlink.add_address(index, address, prefix); // `lo` has its own when it is up
}

/// A neighbour of the host with a server at 192.0.2.7:80, behind the host's link `up0`.
pub fn neighbour() {
    let (sent, received) = mpsc::channel();
    let (connected, is_connected) = mpsc::channel();
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
    while ask([192, 0, 2, 7].into(), 80).is_err() {}
}

/// A server that tells its clients their addresses.
pub fn serve(server: TcpListener) {
    thread::spawn(move || say_who(&server));
}

fn say_who(server: &TcpListener) {
    while let Ok((mut client, from)) = server.accept() {
        let _ = client.write_all(from.ip().to_string().as_bytes());
    }
}

/// What such a server says.
pub fn ask(address: Ipv4Addr, port: u16) -> Result<String, ErrorKind> {
    let mut text = String::new();
    TcpStream::connect_timeout(&SocketAddr::from((address, port)), SMALL)
        .and_then(|mut stream| stream.read_to_string(&mut text))
        .map_err(|error| error.kind())?;
    match text.is_empty() {
        true => Err(ErrorKind::UnexpectedEof),
        false => Ok(text),
    }
}

/// A container that waits to be started, in the networks that were prepared for it.
pub struct Waiting {
    pub id: String,
    pub prepared: PreparedNetwork,
    created: RefCell<Created>,
    process: Process,
    directory: TempDir,
}

impl Waiting {
    /// Makes it; when it is started, it runs the script `script` of its directory.
    pub fn start(networks: &Networks, request: &ContainerRequest) -> Self {
        let prepared = networks.prepare(request).unwrap();
        assert_eq!(prepared.warnings, [""; 0]);
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut spec = Spec::default();
        let script = format!("{}/script", directory.path().display());
        spec.way_out.program = Program::Command(vec!["/bin/sh".into(), script.into()]);
        spec.way_out.stdio = Stdio::Capture;
        spec.way_out.network = prepared.network;
        spec.way_out.links.clone_from(&prepared.links);
        let (servers, options) = (prepared.servers.clone(), prepared.resolver_options.clone());
        spec.way_out.names = Some(NameService { servers, options, ..NameService::default() });
        spec.boundary.hostname = Some(request.hostname.clone());
        spec.inside.root = Root::Host;
        spec.inside.mounts.push(container::Mount {
            destination: directory.path().into(),
            kind: "bind".into(),
            source: directory.path().into(),
            options: vec!["rbind".into()],
        });
        let start = directory.path().join("start");
        let created = Prepared::new(&spec).unwrap().create(&start).unwrap();
        let process = created.state().first;
        networks.started(&request.id, process).unwrap();
        let (id, created) = (request.id.clone(), created.into());
        Self { id, prepared, created, process, directory }
    }

    /// Its first process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Does something in its network.
    pub fn inside<R>(&self, work: impl FnOnce() -> R) -> R {
        NetNamespace::of(&self.process).unwrap().run(work).unwrap()
    }

    /// A server in it, which tells its clients their addresses.
    pub fn serve(&self, port: u16) {
        serve(self.inside(|| TcpListener::bind(("0.0.0.0", port)).unwrap()));
    }

    /// What a server says to it.
    pub fn ask(&self, address: Ipv4Addr, port: u16) -> Result<String, ErrorKind> {
        self.inside(|| ask(address, port))
    }

    /// Starts it with that script, and returns what it writes. It keeps its network until it is
    /// dropped.
    pub fn run(&self, script: &str) -> String {
        let directory = self.directory.path();
        let lines =
            format!("cd {}\n({script}) > output 2>&1\ntouch done\nsleep 60", directory.display());
        fs::write(directory.join("script"), lines).unwrap();
        self.created.borrow_mut().start().unwrap();
        let began = Instant::now();
        while !directory.join("done").exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "{script} does not end");
            thread::sleep(Duration::from_millis(10));
        }
        fs::read_to_string(directory.join("output")).unwrap()
    }
}

/// The addresses of a name, by the resolver in the network of this thread; or the code of its
/// answer, 255 if there is none.
pub fn resolve(name: &str) -> Result<Vec<Ipv4Addr>, u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("127.0.0.11:53").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 512];
    let asked = socket.send(&query(name)).and_then(|_| socket.recv(&mut answer));
    addresses(&answer[..asked.map_err(|_| 255)?])
}

/// The same over a stream.
pub fn resolve_by_stream(name: &str) -> Result<Vec<Ipv4Addr>, u8> {
    let mut stream = TcpStream::connect("127.0.0.11:53").map_err(|_| 255)?;
    let query = query(name);
    stream.write_all(&(query.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&query).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    addresses(&answer)
}

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Records of this resolver are 16 bytes long, at the end.
fn addresses(answer: &[u8]) -> Result<Vec<Ipv4Addr>, u8> {
    match answer[3] & 0xf {
        0 => {}
        code => return Err(code),
    }
    let records = answer.len() - 16 * usize::from(answer[7]);
    let address = |record: &[u8]| <[u8; 4]>::try_from(&record[12..]).unwrap().into();
    Ok(answer[records..].chunks(16).map(address).collect())
}
