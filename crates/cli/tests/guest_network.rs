//! What a Linux guest reaches with `--network veth`, by which names, and what of it is left.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    descendants,
    inside::{all_hold_in_a_nest_with, here},
    isolab,
    lan::{FAR, HOST, NEAR, add_route, forwards, on_a_host, resolv_conf},
    output_of, signal, skip, wait_for,
};
use microvm::initramfs::files_of_program;
use sandbox::Process;

/// Makes file systems, where the host has it.
const MKE2FS: &str = "/usr/sbin/mke2fs";

#[test]
fn all_of_these_hold_in_a_nest() {
    let files = files_of_program(Path::new(MKE2FS)).unwrap_or_default();
    all_hold_in_a_nest_with(|nest| nest.add.extend(files));
}

/// Does it on a host of its own that can run guests.
fn with_guests(test: impl FnOnce() + Send + 'static) {
    if !here() {
        return;
    }
    on_a_host(test);
}

fn guest(options: &[&str], script: &str) -> Command {
    let words = [&["run", "--in", "linux", "--deadline", "90s"], options].concat();
    let mut command = isolab(&words);
    command.args(["--", "sh", "-c", script]).env("XDG_RUNTIME_DIR", "/run");
    command
}

/// What the shell of a guest prints that ends well.
fn said(options: &[&str], script: &str) -> String {
    let (code, output, errors) = output_of(&mut guest(options, script));
    assert_eq!(code, 0, "{options:?} {script:?}: {output}{errors}");
    output.trim().to_owned()
}

/// Whether a link of isolab's is there.
fn has_link() -> bool {
    fs::read_to_string("/proc/thread-self/net/dev").unwrap().contains("iso")
}

fn nothing_is_left() {
    assert!(!forwards("up0") && !forwards("all"), "the host still forwards");
    wait_for("the link's end", || !has_link());
    let (_, output, errors) = output_of(isolab(&["clean"]).env("XDG_RUNTIME_DIR", "/run"));
    assert_eq!(output, "nothing was left behind\n", "{errors}");
}

/// A guest that runs until its input ends, and has printed that it is up.
struct BackgroundRun {
    launcher: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl BackgroundRun {
    fn start(options: &[&str], script: &str) -> Self {
        let script = format!("echo up; {script}\ncat > /dev/null");
        let mut command = guest(options, &script);
        let mut launcher = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(launcher.stdout.take().unwrap());
        let mut running = Self { launcher, output };
        assert_eq!(running.line(), "up");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(mut self) {
        drop(self.launcher.stdin.take());
        assert_eq!(self.launcher.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_guest_reaches_servers_beyond_the_host_which_is_as_before_afterwards() {
    with_guests(|| {
        let script = format!(
            "for server in {NEAR} {FAR} server.test; do nc $server 7000 < /dev/null; done; \
             ping -c 1 -W 9 {FAR} > /dev/null && echo far; \
             ping -c 1 -W 9 server.test > /dev/null && echo named"
        );
        let reply = said(&["--network", "veth"], &script);
        // The servers see the host: nobody out there knows a way to the guest.
        let from = format!("from {HOST}");
        assert_eq!(reply.lines().collect::<Vec<_>>(), [&*from, &from, &from, "far", "named"]);
        nothing_is_left();
        let mut traced = guest(&["--network", "veth", "--trace"], "true");
        let trace = output_of(&mut traced).2;
        assert!(trace.contains("nf_tables: masquerade"), "{trace}");
        let running = BackgroundRun::start(&["--network", "bridge"], "");
        assert!(forwards("up0") && has_link());
        running.end();
        nothing_is_left();
    });
}

#[test]
fn its_names_are_those_of_a_container() {
    with_guests(|| {
        // A name server that does not answer: what asks it waits.
        resolv_conf("nameserver 192.0.2.99\nsearch lan\n");
        let script = "hostname; cat /etc/hostname; ping -c 1 -W 5 $(hostname) | head -n 1; \
                      grep . /etc/resolv.conf; cut -d' ' -f1 /proc/uptime";
        for (name, options) in [
            ("isolab", &["--network", "veth"][..]),
            ("box", &["--hostname", "box"]),
            ("a.example.test", &["--hostname=a.example.test", "--net=veth", "--dns", NEAR]),
        ] {
            let began = Instant::now();
            let reply = said(options, &format!("time -p sh -c '{script}' 2> /tmp/t; cat /tmp/t"));
            let lines: Vec<&str> = reply.lines().collect();
            assert_eq!(lines[..2], [name; 2], "{options:?}: {reply}");
            let veth = options.len() > 2 || options[0] == "--network";
            let own = if veth { "(" } else { "(127.0.1.1)" };
            assert!(lines[2].contains(&format!("PING {name} {own}")), "{options:?}: {reply}");
            assert!(!lines[2].contains("(127.0.1.1)") || !veth, "{options:?}: {reply}");
            let server = if options.contains(&"--dns") { NEAR } else { "192.0.2.99" };
            assert_eq!(
                reply.contains(&format!("nameserver {server}\nsearch lan")),
                veth,
                "{reply}"
            );
            let real = lines.iter().find_map(|line| line.strip_prefix("real "));
            let real: f64 = real.expect(&reply).trim().parse().unwrap();
            assert!(real < 5.0, "its own name takes {real} s of {:?}", began.elapsed());
        }
        let added =
            ["--net", "veth", "--add-host", "db:192.0.2.44", "--add-host", "up:host-gateway"];
        let reply = said(&added, "cat /etc/hosts; ip route");
        let gateway = reply.lines().find_map(|line| line.strip_prefix("default via "));
        let gateway = gateway.expect(&reply).split(' ').next().unwrap();
        assert!(reply.starts_with(&format!("192.0.2.44\tdb\n{gateway}\tup\n")), "{reply}");
    });
}

#[test]
fn a_published_port_leads_into_a_guest() {
    with_guests(|| {
        let options = ["--network", "veth", "-p", "8080:80", "-p", "127.0.0.1:8081:80"];
        let serve = "while :; do echo inside | nc -l -p 80; done &";
        let running = BackgroundRun::start(&options, serve);
        let read = |address: &str, port: u16| {
            let address = (address.parse::<Ipv4Addr>().unwrap(), port).into();
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let mut text = String::new();
            let _ = stream.and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(9)))?;
                stream.read_to_string(&mut text)
            });
            text
        };
        for (address, port) in [("127.0.0.1", 8080), ("127.0.0.1", 8081), (HOST, 8080)] {
            wait_for(&format!("{address}:{port}"), || read(address, port) == "inside\n");
        }
        // Not by an address that was not asked for.
        assert_eq!(read(HOST, 8081), "");
        running.end();
        assert_eq!(read(HOST, 8080), "");
        nothing_is_left();
    });
}

#[test]
fn what_a_killed_launcher_leaves_is_removed() {
    with_guests(|| {
        for also_its_keeper in [false, true] {
            let mut running = BackgroundRun::start(&["--network", "veth"], "");
            assert!(forwards("up0"));
            let keepers: Vec<Process> = descendants(running.launcher.id());
            assert!(!keepers.is_empty());
            if also_its_keeper {
                keepers.iter().for_each(|keeper| signal(keeper.pid, "KILL"));
            }
            signal(running.launcher.id(), "KILL");
            running.launcher.wait().unwrap();
            wait_for("the keeper's end", || !keepers.iter().any(Process::is_alive));
            assert_eq!(forwards("up0"), also_its_keeper);
            let (_, removed, errors) = output_of(isolab(&["clean"]).env("XDG_RUNTIME_DIR", "/run"));
            let rules = removed.contains("nf_tables rules isolab-iso");
            assert_eq!(rules, also_its_keeper, "{removed}{errors}");
            assert!(removed.contains("name "), "{removed}");
            nothing_is_left();
        }
    });
}

#[test]
fn a_root_of_any_kind_gets_the_files_and_the_hosts_directory_is_not_changed() {
    with_guests(|| {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
        let Some(busybox) = places.into_iter().find(|place| place.exists()) else {
            return skip("linux", "there is no busybox for a root of its own").unwrap_or(());
        };
        for name in ["bin/busybox", "bin/sh"] {
            fs::copy(busybox, at(name)).unwrap();
        }
        // A link that leads nowhere inside, a directory, and a file.
        symlink("/run/none/resolv.conf", at("etc/resolv.conf")).unwrap();
        fs::create_dir(at("etc/hosts")).unwrap();
        fs::write(at("etc/hostname"), "theirs\n").unwrap();
        let directory = root.path().to_str().unwrap().to_owned();
        let options = ["--network", "veth", "--root", &directory];
        let script = "/bin/busybox cat /etc/hostname /etc/resolv.conf; \
                      /bin/busybox ls -d /etc/hosts/.; /bin/busybox nc server.test 7000 < /dev/null";
        let expected = format!("isolab\nnameserver {NEAR}\n/etc/hosts/.\nfrom {HOST}");
        assert_eq!(said(&options, script), expected);
        if Path::new(MKE2FS).exists() {
            // So large that it comes on a disk.
            let filler: Vec<u8> = (0..70u32 << 18).flat_map(u32::to_le_bytes).collect();
            fs::write(at("filler"), filler).unwrap();
            assert_eq!(said(&options, script), expected, "on a disk");
            fs::remove_file(at("filler")).unwrap();
        }
        assert_eq!(
            fs::read_link(at("etc/resolv.conf")).unwrap(),
            Path::new("/run/none/resolv.conf")
        );
        assert_eq!(fs::read_to_string(at("etc/hostname")).unwrap(), "theirs\n");
        // None at all.
        for path in ["etc/hosts", "etc"] {
            fs::remove_dir_all(at(path)).unwrap();
        }
        assert_eq!(said(&options, "/bin/busybox hostname"), "isolab");
    });
}

#[test]
fn a_network_that_a_vpn_leads_to_is_not_taken_and_the_rate_holds_beyond_the_host() {
    with_guests(|| {
        const RATE: u64 = 64 << 10;
        const BYTES: u64 = 4 * RATE;
        for route in ["10.0.0.0/9", "10.128.0.0/9"] {
            add_route(route, Some(NEAR));
        }
        let rate = RATE.to_string();
        let options = ["--network", "veth", "--net-bps", &rate];
        // Echo requests go out and come back, one after the other: each byte twice through the card.
        const EACH: u64 = 8 << 10;
        let count = BYTES / 2 / EACH;
        let script = format!(
            "ip -4 addr show eth0 | grep -o 'inet [0-9]*.[0-9]*'; time -p sh -c 'for i in \
             $(seq {count}); do ping -q -c 1 -s {EACH} -W 20 {FAR} > /dev/null || exit 1; done' 2>&1"
        );
        let (code, output, errors) = output_of(&mut guest(&options, &script));
        let reply = format!("{output}{errors}");
        assert!(code == 0 && reply.starts_with("inet 172."), "{reply}");
        let real = reply.lines().find_map(|line| line.strip_prefix("real "));
        let real: f64 = real.expect(&reply).trim().parse().unwrap();
        // What was saved up before is a second's worth.
        let least = (BYTES / RATE - 1) as f64 * 0.9;
        assert!(real > least, "{real} s instead of {least} s: {reply}");
    });
}

#[test]
fn what_a_guest_cannot_have_is_refused_with_the_reason() {
    for (options, code, reason) in [
        (&["-p", "8080:80"][..], 2, "--network veth"),
        (&["-p", "8080:80", "--network", "none"], 2, "--network veth"),
        (&["--network", "host"], 2, "cannot have the host's network"),
        (&["--network", "container:x"], 2, "cannot have a container's network"),
        (&["--network", "veth", "--tap", "tap0"], 2, "cannot be used with"),
        (
            &["--initrd", "/dev/null", "--dns", NEAR],
            2,
            "--dns means nothing to a guest with --initrd",
        ),
        (&["--initrd", "/dev/null", "--hostname", "x"], 2, "--hostname means nothing"),
        (&["--hostname", "a b"], 2, "--hostname"),
    ] {
        let (found, _, errors) = output_of(&mut guest(options, "true"));
        assert!(found == code && errors.contains(reason), "{options:?}: {found} {errors}");
    }
}
