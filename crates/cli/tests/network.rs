//! Question 5 as the hands know it: what `run --network` reaches, by which names, and what of it is left.

mod common;

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::symlink, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    isolab,
    lan::{FAR, HOST, NEAR, add_route, forwards, give_address, on_a_host, resolv_conf, show},
    output_of, skip, wait_for,
};
use nix::unistd::Uid;
use sandbox::{Ledger, LedgerEntry};

/// What a shell in a container with these options prints, and why not.
fn inside(options: &[&str], script: &str) -> (i32, String, String) {
    output_of(&mut container(options, script))
}

fn container(options: &[&str], script: &str) -> Command {
    let mut words = vec!["run"];
    words.extend(options);
    words.extend(["--", "/bin/bash", "-c", script]);
    let mut command = isolab(&words);
    command.env("XDG_RUNTIME_DIR", "/run");
    command
}

/// The same of one that succeeds.
fn said(options: &[&str], script: &str) -> String {
    let (code, output, errors) = inside(options, script);
    assert_eq!(code, 0, "{options:?} {script:?}: {output}{errors}");
    output.trim().to_owned()
}

/// A line of what a server says, in the words of bash.
fn read_from(address: &str, port: u16) -> String {
    format!("timeout 5 bash -c 'cat < /dev/tcp/{address}/{port}' 2>&1")
}

/// A shell and what these tests run in it.
fn has(commands: &[&str]) -> bool {
    let missing = commands.iter().find(|path| !Path::new(path).exists());
    missing.is_none_or(|path| skip::<()>("container", &format!("no {path} here")).is_some())
}

const TOOLS: [&str; 3] = ["/bin/bash", "/usr/bin/getent", "/usr/bin/timeout"];

/// A named container that runs until it is dropped.
struct BackgroundRun(Child);

impl BackgroundRun {
    fn start(name: &str, options: &[&str], script: &str) -> Self {
        let named = [&["--name", name], options].concat();
        let mut command = container(&named, &format!("{script}\nsleep 60"));
        let running = Self(command.stdout(Stdio::null()).spawn().unwrap());
        wait_for(name, || entry(name).is_some_and(|entry| entry.first.is_some()));
        running
    }
}

impl Drop for BackgroundRun {
    fn drop(&mut self) {
        let _ = self.0.kill(); // as the test that a launcher's death leaves nothing wants it
        let _ = self.0.wait();
    }
}

fn entry(name: &str) -> Option<LedgerEntry> {
    Ledger::open().unwrap().find(name).unwrap()
}

/// The host's address and the one inside, of a running container's link.
fn addresses(name: &str) -> (Ipv4Addr, Ipv4Addr) {
    let resources = entry(name).unwrap().resources;
    let link = resources.iter().find_map(|resource| match resource {
        sandbox::Resource::Link(link) => link.strip_prefix("iso").map(str::to_owned),
        _ => None,
    });
    let network = u32::from_str_radix(&link.unwrap(), 16).unwrap();
    (Ipv4Addr::from(network + 1), Ipv4Addr::from(network + 2))
}

fn end(name: &str, running: BackgroundRun) {
    let (code, _, errors) = output_of(&mut isolab(&["stop", name]));
    assert_eq!(code, 0, "{errors}");
    drop(running);
}

#[test]
fn a_client_reaches_servers_beyond_the_host_and_the_host_is_as_before_afterwards() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        assert!(!forwards("up0") && !forwards("all"));
        for server in [NEAR, FAR, "server.test"] {
            // The server sees the host: nobody out there knows a way to the container.
            let reply = said(&["--network", "veth"], &read_from(server, 7000));
            assert_eq!(reply, format!("from {HOST}"), "{server}");
            assert!(!forwards("up0") && !forwards("all"), "after {server}");
        }
        let link = BackgroundRun::start("first", &["--net", "bridge"], "");
        assert!(forwards("up0") && !forwards("all"));
        // The last one switches it off.
        let second = BackgroundRun::start("second", &["--network", "veth"], "");
        end("first", link);
        assert!(forwards("up0"));
        let reply = said(&["--network", "container:second"], &read_from(FAR, 7000));
        assert_eq!(reply, format!("from {HOST}"));
        end("second", second);
        assert!(!forwards("up0"));
    });
}

#[test]
fn forwarding_that_is_the_hosts_own_stays() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        let set = |link: &str| {
            fs::write(format!("/proc/sys/net/ipv4/conf/{link}/forwarding"), "1").unwrap();
        };
        set("up0");
        assert_eq!(said(&["--network", "veth"], &read_from(FAR, 7000)), format!("from {HOST}"));
        assert!(forwards("up0"));
        fs::write("/proc/sys/net/ipv4/conf/up0/forwarding", "0").unwrap();
        // Somebody, a Docker perhaps, sets it for all links while a container runs.
        let running = BackgroundRun::start("meanwhile", &["--network", "veth"], "");
        set("all");
        end("meanwhile", running);
        assert!(forwards("up0") && forwards("all"));
        assert_eq!(said(&["--network", "veth"], &read_from(FAR, 7000)), format!("from {HOST}"));
        assert!(forwards("up0") && forwards("all"));
    });
}

#[test]
fn what_a_killed_launcher_leaves_is_removed_by_clean() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        let clean = || output_of(&mut isolab(&["clean"])).1;
        for others in 0..3 {
            let living: Vec<BackgroundRun> = (0..others)
                .map(|number| {
                    BackgroundRun::start(&format!("living{number}"), &["--network", "veth"], "")
                })
                .collect();
            drop(BackgroundRun::start("killed", &["--network", "veth"], ""));
            assert!(forwards("up0"));
            let removed = clean();
            assert!(removed.contains("nf_tables rules isolab-iso"), "{removed}");
            assert_eq!(forwards("up0"), others > 0, "{others}");
            for (number, running) in living.into_iter().enumerate() {
                end(&format!("living{number}"), running);
            }
            assert!(!forwards("up0"));
            assert_eq!(clean(), "nothing was left behind\n");
        }
    });
}

#[test]
fn nobody_comes_in_unasked() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        // bash serves no connections; who is refused has come in, who waits has not.
        let one = BackgroundRun::start("one", &["--network", "veth"], "");
        let (_, inside_one) = addresses("one");
        let reach = |address: Ipv4Addr| read_from(&address.to_string(), 7000);
        let reply = said(&["--network", "veth"], &format!("{} || true", reach(inside_one)));
        assert!(!reply.contains("refused"), "from another container: {reply}");
        let own = said(&["--network", "container:one"], &format!("{} || true", reach(inside_one)));
        assert!(own.contains("refused"), "from itself: {own}");
        let from_the_host =
            TcpStream::connect_timeout(&(inside_one, 7000).into(), Duration::from_secs(5));
        let refused = from_the_host.unwrap_err().kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "from the host");
        end("one", one);
    });
}

#[test]
fn the_hosts_resolver_is_asked_where_it_can_be() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        let veth = ["--network", "veth"];
        let looked_up = "timeout 9 getent ahostsv4 server.test | head -n 1";
        let reached = |options: &[&str]| {
            let reply = said(options, looked_up);
            assert!(reply.starts_with(FAR), "{options:?}: {reply}");
        };
        reached(&veth);
        reached(&["--network", "host"]);
        // A server on the host's loop-back link, and whom it asks itself.
        fs::create_dir_all("/run/systemd/resolve").unwrap();
        let upstream = "/run/systemd/resolve/resolv.conf";
        fs::write(upstream, format!("nameserver 127.0.0.54\nnameserver {NEAR}\nsearch x.test\n"))
            .unwrap();
        for stub in ["127.0.0.53", "127.0.0.1", "::1"] {
            resolv_conf(&format!("nameserver {stub}\noptions edns0\n"));
            reached(&veth);
            let reply = said(&veth, "cat /etc/resolv.conf");
            assert_eq!(reply, format!("nameserver {NEAR}\nsearch x.test"), "{stub}");
            let reply = said(&["--network", "host"], "cat /etc/resolv.conf");
            assert!(reply.starts_with(&format!("nameserver {stub}")), "{reply}");
        }
        fs::remove_file(upstream).unwrap();
        let reply = said(&veth, "cat /etc/resolv.conf");
        assert!(reply.contains("--dns") && !reply.contains("nameserver"), "{reply}");
        reached(&[&veth[..], &["--dns", NEAR]].concat());
        let searched = [&veth[..], &["--dns", NEAR, "--dns-search", "test"]].concat();
        assert!(said(&searched, "timeout 9 getent ahostsv4 server").starts_with(FAR));
        let (code, _, errors) = inside(&["--dns", "x"], "true");
        assert!(code == 2 && errors.contains("--dns"), "{errors}");
    });
}

/// `/etc` of the host, to be changed at will.
fn own_etc() {
    let (none, flags) = (None::<&str>, nix::mount::MsFlags::empty());
    fs::create_dir_all("/run/etc").unwrap();
    nix::mount::mount(Some("x"), "/run/etc", Some("tmpfs"), flags, none).unwrap();
    let copied = Command::new("cp").args(["-a", "/etc/.", "/run/etc"]).status().unwrap();
    assert!(copied.success());
    show("/run/etc", "/etc");
}

#[test]
fn a_resolv_conf_that_is_a_link_into_run_is_shown_inside() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        nix::mount::umount("/etc/resolv.conf").unwrap();
        own_etc();
        for target in ["/run/resolvconf/resolv.conf", "../run/a/b/c", "/run/x"] {
            let file = Path::new("/run").join(target.rsplit_once("run/").unwrap().1);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("nameserver {NEAR}\n")).unwrap();
            let _ = fs::remove_file("/etc/resolv.conf");
            symlink(target, "/etc/resolv.conf").unwrap();
            for network in ["veth", "host"] {
                let reply = said(&["--network", network], "cat /etc/resolv.conf");
                assert_eq!(reply, format!("nameserver {NEAR}"), "{target} with {network}");
            }
            assert_eq!(fs::read_link("/etc/resolv.conf").unwrap(), Path::new(target));
        }
    });
}

#[test]
fn its_own_name_resolves_to_itself() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        // A name server that does not answer: what asks it waits.
        resolv_conf("nameserver 192.0.2.99\n");
        let began = Instant::now();
        for (name, options) in [
            ("isolab", &[][..]),
            ("box", &["--hostname", "box"]),
            ("box.example.test", &["--hostname", "box.example.test", "--network", "veth"]),
            ("a-1", &["--hostname=a-1", "--network=host"]),
            ("isolab", &["--namespaces", "mount,uts,pid,net,ipc,user"]),
        ] {
            let script = "hostname; cat /etc/hostname; getent hosts \"$(hostname)\"; hostname -f";
            let reply = said(options, script);
            let lines: Vec<&str> = reply.lines().collect();
            let [own, file, found, full] = lines[..] else { panic!("{options:?}: {reply}") };
            assert_eq!((own, file, full), (name, name, name), "{options:?}");
            let fields: Vec<&str> = found.split_whitespace().collect();
            assert!(fields[1..].contains(&name), "{options:?}: {found}");
            let address: Ipv4Addr = fields[0].parse().unwrap();
            assert_eq!(address.is_loopback(), !options.contains(&"veth"), "{options:?}: {found}");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        for wrong in ["", "a b", "-x", "a/b", &"x".repeat(65)] {
            let (code, _, errors) = inside(&[&format!("--hostname={wrong}")], "true");
            assert!(code == 2 && errors.contains("--hostname"), "{wrong:?}: {errors}");
        }
    });
}

#[test]
fn added_hosts_are_found() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        for (added, name, address) in
            [("db:192.0.2.44", "db", "192.0.2.44"), ("v6:2001:db8::5", "v6", "2001:db8::5")]
        {
            for network in ["none", "veth", "host"] {
                let options = ["--network", network, "--add-host", added];
                let reply = said(&options, &format!("getent hosts {name}"));
                assert!(reply.starts_with(address), "{options:?}: {reply}");
            }
        }
        let gateway = ["--network", "veth", "--add-host", "up:host-gateway"];
        // The default route's gateway, as /proc/net/route has it: hexadecimal, the last byte first.
        let script = "getent hosts up; awk '$2 == \"00000000\" { print $3 }' /proc/net/route";
        let reply = said(&gateway, script);
        let fields: Vec<&str> = reply.split_whitespace().collect();
        let [found, _, route] = fields[..] else { panic!("{reply}") };
        let route = u32::from_str_radix(route, 16).unwrap().swap_bytes();
        assert_eq!(found, Ipv4Addr::from(route).to_string());
        let (code, _, errors) = inside(&["--add-host", "up:host-gateway"], "true");
        assert!(code != 0 && errors.contains("--network veth"), "{errors}");
    });
}

#[test]
fn a_root_directory_is_not_changed() {
    let busybox = Path::new("/bin/busybox");
    if !has(&["/bin/busybox"]) {
        return;
    }
    on_a_host(move || {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::copy(busybox, at("bin/busybox")).unwrap();
        let run = |network: &str, script: &str| {
            let root = root.path().to_str().unwrap();
            let mut words = vec!["run", "--network", network, "--root", root, "--", "/bin/busybox"];
            words.extend(["sh", "-c", script]);
            let (code, output, errors) = output_of(&mut isolab(&words));
            assert_eq!(code, 0, "{network}: {errors}");
            output
        };
        let all = "cat /etc/hosts /etc/resolv.conf /etc/hostname; echo more >> /etc/hosts";
        // A file, a link that leads nowhere inside, a directory, and nothing.
        fs::write(at("etc/hosts"), "theirs\n").unwrap();
        symlink("/run/none", at("etc/resolv.conf")).unwrap();
        let reply = run("veth", all);
        assert!(reply.contains("\tisolab\n") && reply.contains(NEAR), "{reply}");
        assert_eq!(fs::read_to_string(at("etc/hosts")).unwrap(), "theirs\n");
        assert_eq!(fs::read_link(at("etc/resolv.conf")).unwrap(), Path::new("/run/none"));
        assert_eq!(fs::read(at("etc/hostname")).unwrap(), b"");
        fs::remove_file(at("etc/hosts")).unwrap();
        fs::create_dir(at("etc/hosts")).unwrap();
        assert!(run("host", "cat /etc/resolv.conf; ls -d /etc/hosts").contains("/etc/hosts"));
        fs::remove_dir_all(at("etc")).unwrap();
        // Without a network nothing is made in it.
        run("none", "true");
        assert!(!at("etc").exists());
        assert!(run("veth", "cat /etc/resolv.conf").contains(NEAR));
    });
}

#[test]
fn the_routes_of_a_vpn_leave_a_network() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        let first_octet = || {
            let reply = said(&["--network", "veth"], "grep isolab /etc/hosts");
            reply.split('.').next().unwrap().to_owned()
        };
        assert_eq!(first_octet(), "10");
        for half in ["0.0.0.0/1", "128.0.0.0/1"] {
            add_route(half, Some(NEAR));
        }
        assert_eq!(first_octet(), "10", "a way to everywhere is no reason");
        for (taken, next) in
            [("10.0.0.0/8", "172"), ("172.16.0.0/12", "192"), ("192.168.0.0/16", "100")]
        {
            add_route(taken, None);
            assert_eq!(first_octet(), next, "with {taken}");
        }
        let reply = said(&["--network", "veth"], &read_from(FAR, 7000));
        assert_eq!(reply, format!("from {HOST}"));
        add_route("100.64.0.0/10", None);
        let (code, _, errors) = inside(&["--network", "veth"], "true");
        assert_eq!(code, 125, "{errors}");
        for said in ["10.0.0.0/8", "100.64.0.0/10", "help: use --network none or host"] {
            assert!(errors.contains(said), "{errors}");
        }
    });
}

#[test]
fn starts_at_once_have_networks_of_their_own() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        // Of one pool 16 addresses are left: four links, and no more.
        for taken in ["10.0.0.0/8", "172.16.0.0/12", "100.64.0.0/10"] {
            add_route(taken, None);
        }
        for bits in 17..=28 {
            let network = u32::from(Ipv4Addr::new(192, 168, 0, 0)) | 1 << (32 - bits);
            add_route(&format!("{}/{bits}", Ipv4Addr::from(network)), None);
        }
        let spawn = |_| {
            let mut one = container(&["--network", "veth"], "grep isolab /etc/hosts; sleep 2");
            one.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let all: Vec<Child> = (0..5).map(spawn).collect();
        let mut lines = Vec::new();
        let mut refused = 0;
        for one in all {
            let ended = one.wait_with_output().unwrap();
            match ended.status.code() {
                Some(0) => lines.push(String::from_utf8(ended.stdout).unwrap()),
                _ => {
                    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
                    assert!(errors.contains("no private network is free"), "{errors}");
                    refused += 1;
                }
            }
        }
        let count = lines.len();
        lines.sort();
        lines.dedup();
        assert_eq!((lines.len(), refused), (count, 5 - count), "{lines:?}");
        assert_eq!(count, 4, "{lines:?}");
    });
}

#[test]
fn a_published_port_leads_inside() {
    if !has(&[&TOOLS[..], &["/usr/bin/perl"]].concat()) {
        return;
    }
    on_a_host(|| {
        let serve = "perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 80, \
                     Listen => 5, ReuseAddr => 1) or die; while (my $c = $s->accept) { \
                     print $c \"inside sees \" . $c->peerhost . \"\\n\"; close $c }'";
        let options = ["--network", "veth", "-p", "8080:80", "-p", "127.0.0.1:8081:80"];
        let server = BackgroundRun::start("server", &options, &format!("{serve} &"));
        let (gateway, _) = addresses("server");
        let read = |address: &str, port: u16| {
            let ended = Command::new("bash").args(["-c", &read_from(address, port)]).output();
            String::from_utf8(ended.unwrap().stdout).unwrap()
        };
        wait_for("the server", || read(HOST, 8080).starts_with("inside sees"));
        for (address, port) in [("127.0.0.1", 8080), ("127.0.0.1", 8081), (HOST, 8080)] {
            let reply = read(address, port);
            assert!(reply.starts_with("inside sees"), "{address}:{port}: {reply}");
        }
        // Not by an address that was not asked for, and by none of the host's own loop-back link.
        assert!(!read(HOST, 8081).contains("inside"));
        let from_itself = said(&["--network", "container:server"], &read_from(HOST, 8080));
        assert_eq!(from_itself, format!("inside sees {gateway}"));
        end("server", server);
        assert!(!read(HOST, 8080).contains("inside"));
        for wrong in ["80", "0:1", "x:1:2", "1:2/sctp"] {
            let (code, _, errors) = inside(&["-p", wrong, "--network", "veth"], "true");
            assert!(code == 2 && errors.contains("--publish"), "{errors}");
        }
        for network in ["none", "host"] {
            let (code, _, errors) = inside(&["-p", "1:2", "--network", network], "true");
            assert!(code != 0 && errors.contains("--network veth"), "{errors}");
        }
    });
}

#[test]
fn ping_needs_no_power() {
    if !has(&["/usr/bin/perl", "/bin/bash"]) {
        return;
    }
    on_a_host(|| {
        // As ping does it: a socket for echo requests, whose number and checksum are the kernel's.
        let ping = |address: &str, user: u32| {
            format!(
                "perl -MSocket -e '$( = $) = \"{user} {user}\"; $< = $> = {user}; \
                 socket(S, PF_INET, SOCK_DGRAM, 1) or die \"socket: $!\"; \
                 send(S, pack(\"CCnnn\", 8, 0, 0, 0, 1) . \"x\", 0, \
                 sockaddr_in(0, inet_aton(\"{address}\"))) or die; alarm 5; \
                 recv(S, my $a, 99, 0); print unpack(\"C\", $a), \"\\n\"'"
            )
        };
        let new_user = "mount,uts,pid,net,ipc,user";
        for options in
            [&["--network", "veth"][..], &["--network", "veth", "--namespaces", new_user]]
        {
            for user in [0, 1000, 65534] {
                for address in [NEAR, FAR, "127.0.0.1"] {
                    let reply = said(options, &ping(address, user));
                    assert_eq!(reply, "0", "an echo reply for {user} from {address}");
                }
            }
            let power = said(options, "grep CapEff /proc/self/status");
            let power = u64::from_str_radix(power.split_whitespace().last().unwrap(), 16).unwrap();
            const NET_RAW: u64 = 1 << 13;
            assert_eq!(power & NET_RAW, 0);
        }
    });
}

#[test]
fn another_containers_network_is_joined_while_it_runs() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        let first = BackgroundRun::start("first", &["--network", "veth"], "");
        let network = "readlink /proc/self/ns/net; grep eth0 /proc/net/dev | tr -s ' '";
        let (code, theirs, errors) =
            output_of(&mut isolab(&["exec", "first", "sh", "-c", "readlink /proc/self/ns/net"]));
        assert_eq!(code, 0, "{errors}");
        let joined = said(&["--network", "container:first"], network);
        assert!(joined.starts_with(theirs.trim()) && joined.contains("eth0"), "{joined}");
        let user = ["--network", "container:first", "--namespaces", "mount,uts,pid,ipc"];
        assert!(said(&user, network).starts_with(theirs.trim()));
        end("first", first);
        for gone in ["first", "never", "a/b"] {
            let (code, _, errors) = inside(&["--network", &format!("container:{gone}")], "true");
            assert!(code != 0 && errors.contains("no running container"), "{gone}: {errors}");
        }
        for wrong in ["container:", "x", "container"] {
            let (code, _, errors) = inside(&["--network", wrong], "true");
            assert!(code == 2 && errors.contains("container:NAME"), "{wrong}: {errors}");
        }
    });
}

#[test]
fn an_ordinary_user_is_told_what_they_can_have() {
    if !Uid::effective().is_root() {
        let (code, _, errors) = output_of(&mut isolab(&["run", "--net", "veth", "--", "true"]));
        assert!(code == 125 && errors.contains("only root"), "{errors}");
        return;
    }
    for network in ["veth", "bridge"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("isolab");
        // By another process: a file that this one has open to write cannot be executed by a child of
        // another test's that has inherited it.
        let mut copies = Command::new("cp");
        copies.args([Path::new(env!("CARGO_BIN_EXE_isolab")), &copy]);
        assert!(copies.status().unwrap().success());
        for path in [folder.path(), &copy] {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let words = ["run", "--network", network, "--", "true"];
        let mut command = common::in_english(Command::new(&copy), &words);
        let (code, _, errors) = output_of(command.uid(65534).gid(65534));
        assert_eq!(code, 125, "{errors}");
        assert!(errors.contains("only root") && errors.contains("--network none"), "{errors}");
    }
}

#[test]
fn what_cannot_be_reached_is_said_by_trace() {
    if !has(&TOOLS) {
        return;
    }
    on_a_host(|| {
        give_address("up0", HOST, 24);
        let (_, _, trace) = inside(&["--network", "veth", "--trace"], "true");
        assert!(trace.contains("masquerade"), "{trace}");
        let (_, _, trace) = inside(&["--trace"], "true");
        assert!(!trace.contains("masquerade"), "{trace}");
    });
}
