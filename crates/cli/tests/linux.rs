//! Linux guests as a user meets them.
//!
//! On a host with hardware virtualization these tests run as they are. On any other, one of them
//! runs this very program in a nest, where all the others run.

mod common;

use std::{
    cell::RefCell,
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use common::{
    inside::{all_hold_in_a_nest_with, here},
    isolab, output_of, signal, skip, wait_for,
};
use guest::plan::{InitPlan, ShutdownMethod, Sink, Stream};
use microvm::{
    LinuxVm,
    initramfs::{Root, files_of_program},
    kernels::{self, Kernel},
    linux::{EntryPoint, GuestRoot},
};
use sandbox::{Sandbox as _, Status, Workload};

/// The chosen kernel as its distribution packs it.
const PACKED: &str = "ISOLAB_TEST_VMLINUZ";
/// Another kernel, if there is one: a vmlinuz.
const SECOND: &str = "ISOLAB_SECOND_KERNEL";
/// Makes file systems, where the host has it.
const MKE2FS: &str = "/usr/sbin/mke2fs";
/// Where a guest's server listens.
const GUESTS_PORT: u16 = 7000;

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest_with(|nest| {
        let packed = kernels::chosen().unwrap().image;
        nest.environment.push((PACKED.into(), packed.clone().into()));
        nest.add.push(packed);
        // For a guest's root on a disk: the program, and what it is linked with.
        nest.add.extend(files_of_program(Path::new(MKE2FS)).unwrap_or_default());
        if let Some(second) = env::var_os(SECOND) {
            nest.environment.push((SECOND.into(), second.clone()));
            let second = PathBuf::from(second);
            nest.add.extend(modules_beside(&second));
            nest.add.push(second);
        }
        nest.memory_bytes = 3 << 30;
    });
}

/// isolab, with a limit that no guest here needs.
fn run(words: &[&str]) -> Command {
    let mut command = isolab(&["run", "--in", "linux", "--deadline", "60s"]);
    command.args(words);
    command
}

/// Exit code, output and errors of a shell in a guest, or of a guest with other words.
fn guest(options: &[&str], script: &str) -> (i32, String, String) {
    output_of(run(options).args(["--", "sh", "-c", script]))
}

#[test]
fn a_commands_end_is_the_launchers() {
    if !here() {
        return;
    }
    for (script, expected) in [("exit 0", 0), ("exit 1", 1), ("exit 42", 42), ("kill -9 $$", 137)] {
        let (code, output, errors) = guest(&[], script);
        assert_eq!((code, &*output, &*errors), (expected, "", ""), "{script}");
    }
    let (code, _, errors) = output_of(run(&[]).args(["--", "/no/such/program"]));
    assert_eq!(code, 127, "{errors}");
    let (code, ..) = guest(&[], "poweroff -f");
    assert_eq!(code, 0, "a guest that switches itself off");
}

/// The program does not get to its own end, so it is said how the machine ended.
#[test]
fn a_guest_that_ends_its_machine_is_told_with_a_code_of_its_own() {
    if !here() {
        return;
    }
    for (way, expected, words) in [
        ("poweroff", 0, "isolab: the guest powered off\n"),
        ("halt", 0, "isolab: the guest halted\n"),
        ("reboot", 129, "isolab: the guest restarted its machine, which ends it\n"),
    ] {
        let (code, output, errors) = guest(&[], &format!("echo up; {way} -f; exit 3"));
        assert_eq!((code, &*output, &*errors), (expected, "up\n", words), "{way}");
    }
    let (code, output, errors) = guest(&["--vcpus", "2", "--json"], "halt -f");
    assert_eq!(code, 0, "{errors}");
    let object: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(object["machine_end"], "halt");
}

#[test]
fn a_guest_that_sleeps_has_not_halted() {
    if !here() {
        return;
    }
    let (code, output, errors) = guest(&[], "sleep 5; echo slept");
    assert_eq!((code, &*output, &*errors), (0, "slept\n", ""));
}

#[test]
fn the_memory_that_is_named_when_there_is_too_little_is_enough() {
    if !here() {
        return;
    }
    let (code, _, errors) = guest(&["--memory", "20M"], "true");
    assert_eq!(code, 2, "{errors}");
    let named = errors.split_once("help: use --memory ").unwrap().1;
    let named = named.split_once(" or more").unwrap().0;
    let (code, _, errors) = guest(&["--memory", named], "true");
    assert_eq!((code, &*errors), (0, ""), "{named}");
    for much in ["1000G", "1000T"] {
        let (code, _, errors) = guest(&["--memory", much], "true");
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("of memory: this host has "), "{errors}");
        assert!(errors.contains("help: use --memory "), "{errors}");
    }
}

#[test]
fn a_tap_that_does_not_exist_is_not_made() {
    if !here() {
        return;
    }
    let (code, _, errors) = guest(&["--tap", "isotypo"], "true");
    assert_eq!(code, 125);
    assert!(errors.contains("open the tap \"isotypo\": no such network interface"), "{errors}");
    assert!(errors.contains("ip tuntap add mode tap user $USER name isotypo"), "{errors}");
    let (_, _, errors) = guest(&["--tap", "lo"], "true");
    assert!(errors.contains("it is not a tap"), "{errors}");
}

#[test]
fn what_the_kernel_must_not_be_told_is_refused_and_what_breaks_it_is_named() {
    if !here() {
        return;
    }
    for word in ["acpi=off", "noapic", "nolapic", "nosmp"] {
        let (code, _, errors) = guest(&["--append", word], "true");
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains(&format!("boot with {word:?}")), "{errors}");
    }
    let words = "initcall_blacklist=acpi_init";
    let (code, _, errors) = guest(&["--append", words], "true");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains(&format!("help: try it without {words:?}")), "{errors}");
    let (code, _, errors) = guest(&["--append", "mem=64M"], "true");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("help: give the guest more memory"), "{errors}");
}

#[test]
fn output_that_is_no_text_is_whole_in_json() {
    if !here() {
        return;
    }
    let (code, output, errors) = guest(&["--json"], "printf 'a\\377\\000'; printf text >&2");
    assert_eq!(code, 0, "{errors}");
    let object: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&object["output_base64"], &object["errors"]), (&"Yf8A".into(), &"text".into()));
    assert!(object["errors_base64"].is_null(), "{object}");
}

#[test]
fn streams_go_their_own_ways_and_every_byte_comes_through() {
    if !here() {
        return;
    }
    let every: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let mut command = run(&["--", "sh", "-c", "cat; echo an error >&2"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let given = every.clone();
    let writer = thread::spawn(move || input.write_all(&given).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stdout == every, "{} bytes came of {}", output.stdout.len(), every.len());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "an error\n");
}

#[test]
fn a_kernel_boots_packed_and_unpacked_by_either_entry_and_on_two_processors() {
    if !here() {
        return;
    }
    let packed =
        env::var(PACKED).unwrap_or_else(|_| kernels::chosen().unwrap().image.display().to_string());
    let ways: [&[&str]; 3] = [&["--kernel", &packed], &["--entry", "pvh"], &["--vcpus", "2"]];
    for options in ways {
        let (code, output, errors) = guest(options, "nproc; uname -r");
        assert_eq!(code, 0, "{options:?}: {errors}");
        let processors = if options[0] == "--vcpus" { "2" } else { "1" };
        assert_eq!(output.lines().next(), Some(processors), "{options:?}");
        assert_eq!(output.lines().nth(1), Some(&*kernels::chosen().unwrap().name), "{options:?}");
    }
}

/// By either entry with no driver as a module, where the first process speaks by the serial port,
/// and with its own drivers, where a command does as in every guest.
#[test]
fn another_kernel_boots_and_runs_a_command_with_its_own_drivers() {
    if !here() {
        return;
    }
    let Some(packed) = env::var_os(SECOND).map(PathBuf::from) else {
        eprintln!("skipped: {SECOND} names no second kernel");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Once: it takes this program, which is not optimized, longer than all boots.
    let vmlinux = folder.path().join("vmlinux");
    let modules = modules_beside(&packed);
    let kernel = Kernel { name: release(&packed), image: packed, vmlinux, modules };
    kernel.unpack().unwrap();
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let archive = folder.path().join("initramfs");
    fs::write(&archive, speaks_by_the_serial_port().to_vec().unwrap()).unwrap();
    for entry_point in [EntryPoint::Long64, EntryPoint::Pvh] {
        let root = GuestRoot::Initramfs(vec![archive.clone()]);
        let machine = LinuxVm { root, entry_point, ..LinuxVm::of(&kernel) };
        let workload = Workload::command(["/init"]).deadline(Duration::from_secs(60));
        let outcome = machine.run(&workload).unwrap();
        let output = lines(&outcome.output);
        assert_eq!(outcome.status, Status::Exited(0), "{output}");
        assert_eq!(output.lines().last(), Some(&*kernel.name), "{output}");
    }
    if kernel.modules.is_none() {
        eprintln!("skipped: there are no modules beside {:?}", kernel.image);
        return;
    }
    let workload = Workload::command(["sh", "-c", "uname -r; echo an error >&2; exit 7"]);
    let workload = workload.deadline(Duration::from_secs(60));
    let outcome = LinuxVm::of(&kernel).run(&workload).unwrap();
    assert_eq!(lines(&outcome.errors), "an error\n");
    assert_eq!(lines(&outcome.output), format!("{}\n", kernel.name));
    assert_eq!(outcome.status, Status::Exited(7));
}

/// A root whose first process says `uname -r` by the serial port.
fn speaks_by_the_serial_port() -> Root {
    let mut root = Root::new();
    root.add_busybox().unwrap();
    root.character_device("/dev/console", 0o600, (5, 1)).unwrap();
    root.file("/init", 0o755, guest::INIT).unwrap();
    let serial = Sink::Device("/dev/ttyS0".into());
    let plan = InitPlan::new()
        .report(&Sink::Port(0xf5))
        .end(ShutdownMethod::Port(0xf4))
        .mount("devtmpfs", "dev", "/dev", "", &[])
        .plain("/dev/ttyS0")
        .stream(Stream::Output, &serial)
        .ready()
        .run("/bin/uname", ["uname", "-r"]);
    root.file(guest::plan::PATH, 0o644, plan.text()).unwrap();
    root
}

/// What `uname -r` says of a kernel: its file's name has it.
fn release(kernel: &Path) -> String {
    let name = kernel.file_name().unwrap().to_str().unwrap();
    name.split_once('-').map_or(name, |(_, release)| release).to_owned()
}

/// The folder of a kernel's modules, in the tree that its package was unpacked to.
fn modules_beside(kernel: &Path) -> Option<PathBuf> {
    let tree = kernel.parent()?.parent()?;
    let places = ["lib/modules", "usr/lib/modules"].map(|place| tree.join(place));
    places.into_iter().map(|place| place.join(release(kernel))).find(|folder| folder.is_dir())
}

#[test]
fn what_is_told_to_be_on_a_disk_is_there_for_the_next_guest() {
    if !here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk");
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let disk = image.to_str().unwrap();
    // With a journal if this host can make one; busybox in the guest cannot.
    let journal = Path::new(MKE2FS).exists();
    if journal {
        let made = output_of(Command::new(MKE2FS).args(["-q", "-t", "ext4", disk]));
        assert_eq!(made.0, 0, "{}", made.2);
    }
    let make = if journal { "true" } else { "mke2fs /dev/vda >/dev/null" };
    let write = format!(
        "{make} && mkdir /mnt && mount -t ext4 /dev/vda /mnt && seq 20000 > /mnt/numbers && sync \
         && md5sum < /mnt/numbers; sleep 60"
    );
    // It is killed, not unmounted: what sync(2) has returned for is on the disk.
    let mut child =
        run(&["--disk", disk, "--", "sh", "-c", &write]).stdout(Stdio::piped()).spawn().unwrap();
    let mut sum = [0; 32];
    child.stdout.take().unwrap().read_exact(&mut sum).unwrap();
    let sum = std::str::from_utf8(&sum).unwrap();
    let read_only = format!("{disk}:ro");
    for second in [disk, &read_only] {
        let words = ["it is in use by another guest", "help: stop the other guest"];
        refuses(second, &image, words);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let recover = "mkdir /mnt && mount -t ext4 /dev/vda /mnt && md5sum < /mnt/numbers && umount /mnt; \
        dmesg | grep -c 'vda.*recovery complete'";
    let (_, output, errors) = guest(&["--disk", disk], recover);
    assert!(output.starts_with(sum), "{output}{errors}");
    let recovered = if journal { "1" } else { "0" };
    assert_eq!(output.lines().last(), Some(recovered), "{output}{errors}");
    let read = "mkdir /mnt && mount -t ext4 -o ro /dev/vda /mnt && md5sum < /mnt/numbers; \
        echo x > /dev/vda; exit 0";
    let (code, output, errors) = guest(&["--disk", &read_only], read);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with(sum), "{output}");
    assert!(errors.contains("Operation not permitted"), "{errors}");
}

#[test]
fn a_disk_that_cannot_be_had_is_refused_with_the_way_out() {
    if !here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let words = ["open it for writing: No such file", "help: make one: `truncate -s 1G FILE`"];
    refuses(missing.to_str().unwrap(), &missing, words);
    // A file that nobody may write, root neither.
    let fixed = "/sys/kernel/uevent_seqnum";
    let words = ["open it for writing: Permission denied", "`--disk FILE:ro`"];
    refuses(fixed, Path::new(fixed), words);
}

/// Asserts that this disk is refused with the operation and the object, the cause, and the way out.
fn refuses(disk: &str, file: &Path, [cause, way_out]: [&str; 2]) {
    let (code, output, errors) = guest(&["--disk", disk], "true");
    assert_eq!((code, &*output), (125, ""), "{errors}");
    let [first, help] = &*errors.lines().collect::<Vec<_>>() else { panic!("{errors}") };
    assert!(first.contains(&format!("use {file:?} as a disk: {cause}")), "{errors}");
    assert!(help.contains(way_out), "{errors}");
}

/// The turn of a test that makes links or cleans, if it can: links of all guests look alike, and to
/// clean what one test has left would be another's end. Prints why not.
fn turn_with_links() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if !here() {
        return None;
    }
    if !container::host().root {
        return skip("linux", "only root may make the link of `--net veth`");
    }
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn host_and_guest_talk_over_the_link_and_it_goes_away() {
    let Some(_turn) = turn_with_links() else { return };
    const BYTES: usize = 2 << 20;
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut bytes = vec![0; BYTES];
        peer.read_exact(&mut bytes).unwrap();
        peer.write_all(&bytes).unwrap();
        bytes
    });
    // The guest begins; then it says its address, and the host does. What a guest has not sent
    // when it ends is lost, so it waits for the end of its input.
    let script = format!(
        "host=$(ip route | sed -n 's/default via \\([^ ]*\\) .*/\\1/p'); ping -c 1 -W 5 $host >/dev/null \
         || exit 9; head -c {BYTES} /dev/urandom > /tmp/sent; nc $host {port} < /tmp/sent > /tmp/back; \
         cmp /tmp/sent /tmp/back || exit 10; ip addr show eth0 | sed -n 's|.* inet \\(.*\\)/.*|\\1|p'; \
         nc -l -p {GUESTS_PORT} -e cat; cat"
    );
    let mut command = run(&["--net", "veth", "--", "sh", "-c", &script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address: Ipv4Addr = address.trim_end().parse().unwrap();
    assert!(echo.join().unwrap().iter().any(|byte| *byte != 0));
    let ping = ["ping", "-c", "1", "-W", "5", &address.to_string()];
    let (code, output, errors) = output_of(Command::new("busybox").args(ping));
    assert_eq!(code, 0, "{output}{errors}");
    let sent: Vec<u8> = (0..BYTES).map(|number| (number * number / 99) as u8).collect();
    assert!(echoed(address, &sent) == sent, "other bytes come back than were sent");
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let links = fs::read_dir("/sys/class/net").unwrap();
    let left = links.flatten().any(|link| link.file_name().to_string_lossy().starts_with("iso"));
    assert!(!left, "a link is left");
}

/// What a guest's server answers to these bytes.
fn echoed(address: Ipv4Addr, sent: &[u8]) -> Vec<u8> {
    let peer = RefCell::new(None);
    wait_for("the guest's server", || {
        *peer.borrow_mut() = TcpStream::connect((address, GUESTS_PORT)).ok();
        peer.borrow().is_some()
    });
    let peer = peer.into_inner().unwrap();
    // A guest that is gone does not say so.
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    peer.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&peer).write_all(sent).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        });
        (&peer).read_to_end(&mut back).unwrap();
    });
    back
}

#[test]
fn the_same_bytes_cost_an_exit_for_each_for_a_buffer_and_none() {
    if !here() {
        return;
    }
    let numbers: String = (1..=300).map(|number| format!("{number}\n")).collect();
    let [serial, virtio, page] = ["serial", "virtio", "page"].map(|way| {
        let mut command = run(&["--output", way, "--stats", "--", "seq", "300"]);
        let (code, output, errors) = output_of(&mut command);
        assert_eq!((code, &output), (0, &numbers), "{way}: {errors}");
        Exits::of(&errors)
    });
    // How often its driver asks the serial port whether it is ready depends on the kernel and on time;
    // that each byte is an exit does not. The other ways' rings are rung a few times anyway.
    assert!(serial.bytes >= numbers.len(), "{serial:?}");
    assert!(virtio.bytes < 10 && page.bytes < 10, "{virtio:?} {page:?}");
    assert!(virtio.bells > page.bells && virtio.bells < page.bells + 20, "{virtio:?} {page:?}");
}

/// What was counted of two of the reasons for exits.
#[derive(Debug, Default)]
struct Exits {
    /// Writes to the serial port's data register.
    bytes: usize,
    /// Writes to QueueNotify of a virtio device (virtio 1.2, 4.2.2).
    bells: usize,
}

impl Exits {
    /// Reads the table of `--stats`.
    fn of(table: &str) -> Self {
        let mut exits = Self::default();
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [count, _, "out", "0x3f8", ..] => exits.bytes += count.parse::<usize>().unwrap(),
                [count, _, "mmio", "write", address, ..] if address.ends_with("050") => {
                    exits.bells += count.parse::<usize>().unwrap();
                }
                _ => {}
            }
        }
        exits
    }
}

/// A root for both: a shell, and files.
fn tree(folder: &Path, busybox: &Path, filler: usize) -> PathBuf {
    let tree = folder.join(format!("tree{filler}"));
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::create_dir_all(tree.join("etc/deep")).unwrap();
    fs::copy(busybox, tree.join("bin/sh")).unwrap();
    fs::write(tree.join("etc/deep/file"), "found\n").unwrap();
    fs::write(tree.join("filler"), vec![7; filler]).unwrap();
    tree
}

#[test]
fn a_container_and_a_linux_guest_agree_on_the_same_root() {
    if !here() {
        return;
    }
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let Some(busybox) = places.into_iter().find(|place| place.exists()) else {
        skip::<()>("linux", "there is no busybox for a root of its own");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // The second is too large for memory, and goes onto a disk, where this host can make one.
    let mut trees = vec![tree(folder.path(), busybox, 0)];
    if nest::available().is_ok() || Path::new(MKE2FS).exists() {
        trees.push(tree(folder.path(), busybox, 80 << 20));
    }
    for tree in &trees {
        agree_on(tree);
        let tree = tree.to_str().unwrap();
        let (code, output, errors) = output_of(run(&["--root", tree]).arg("hello"));
        assert_eq!((code, &*output), (0, "hello\n"), "a built-in program: {errors}");
    }
}

fn agree_on(tree: &Path) {
    for script in [
        "read line < /etc/deep/file; echo $line; echo /e*; exit 7",
        "echo $PATH $HOME; echo $0; cd /etc && pwd; cat /nothing",
        "kill -15 $$",
    ] {
        let mut seen = Vec::new();
        // A guest's command is the child of an init, too.
        for kind in [&["container", "--init"][..], &["linux"]] {
            let mut command = isolab(&["run", "--in"]);
            command.args(kind).arg("--root").arg(tree);
            seen.push(output_of(command.args(["--", "sh", "-c", script])));
        }
        assert_eq!(seen[0], seen[1], "{script}");
    }
}

#[test]
fn a_guest_that_goes_wrong_is_told_with_its_last_words() {
    if !here() {
        return;
    }
    let (code, _, errors) = guest(&[], "echo c > /proc/sysrq-trigger");
    assert_eq!(code, 125);
    assert!(errors.contains("the guest's kernel panicked: sysrq triggered crash"), "{errors}");
    assert!(errors.contains("| [") && errors.contains("processor 0"), "{errors}");
    let (code, _, errors) = guest(&["--start-up", "100ms", "--vcpus", "2"], "true");
    assert_eq!(code, 125);
    assert!(errors.contains("did not reach user space within 100ms"), "{errors}");
    assert!(errors.contains("`--start-up` sets the limit"), "{errors}");
    assert!(errors.contains("processor 1"), "{errors}");
}

#[test]
fn a_launcher_that_is_ended_leaves_nothing() {
    let Some(_turn) = turn_with_links() else { return };
    for (name, code) in [("TERM", Some(143)), ("KILL", None)] {
        let mut child = run(&["--net", "veth", "--", "sh", "-c", "echo up; sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), code);
        let gone = || {
            let links = fs::read_dir("/sys/class/net").unwrap().flatten();
            links.into_iter().all(|link| !link.file_name().to_string_lossy().starts_with("iso"))
        };
        wait_for("the link to go", gone);
    }
    let (code, ..) = output_of(&mut isolab(&["clean"]));
    assert_eq!(code, 0);
    let (_, left, _) = output_of(&mut isolab(&["clean"]));
    assert_eq!(left, "nothing was left behind\n");
}

#[test]
fn a_saved_guest_goes_on_more_than_once_and_its_clones_differ() {
    if !here() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let isolab = |words: &[&str]| output_of(isolab(words).env("XDG_DATA_HOME", home.path()));
    let script = "head -c 16 /dev/urandom | od -x; exit 42";
    let (code, _, errors) = isolab(&["snapshot", "save", "one", "--", "sh", "-c", script]);
    assert_eq!(code, 0, "{errors}");
    let [first, second] = [(); 2].map(|()| isolab(&["snapshot", "restore", "one"]));
    assert_eq!((first.0, second.0), (42, 42), "{}{}", first.2, second.2);
    assert_ne!(first.1, second.1, "both have the same randomness");
    let folder = home.path().join("isolab/snapshots/one");
    let state = fs::read_to_string(folder.join("state.json")).unwrap();
    fs::write(folder.join("state.json"), state.replacen('1', "2", 1)).unwrap();
    let (code, _, errors) = isolab(&["snapshot", "restore", "one"]);
    assert_eq!(code, 125);
    assert!(errors.contains("snapshot"), "{errors}");
}

#[test]
fn an_image_runs_as_a_guest_with_its_own_command_and_user() {
    if !here() {
        return;
    }
    if !Command::new("busybox").arg("true").status().is_ok_and(|status| status.success()) {
        skip::<()>("linux", "this host has no busybox");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let isolab_here = |words: &[&str]| {
        let mut command = isolab(words);
        command.env("ISOLAB_IMAGES", folder.path().join("images"));
        let (code, output, errors) = output_of(&mut command);
        assert_eq!(code, 0, "{words:?}: {errors}");
        output
    };
    isolab_here(&["image", "import-host", "base:1", "--", "busybox"]);
    let context = folder.path().join("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("file"), "from a layer\n").unwrap();
    let dockerfile = "FROM base:1\nWORKDIR /srv\nCOPY file /etc/group\nCOPY file file\n\
        ENV COLOUR=blue\nUSER 1000:7\n\
        CMD [\"busybox\", \"sh\", \"-c\", \"cat file /etc/group; echo $COLOUR; busybox id -u; busybox id -g; pwd\"]\n";
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    isolab_here(&["image", "build", "-q", "-t", "guest:1", context.to_str().unwrap()]);
    let guest = ["run", "--in", "linux", "--deadline", "60s", "--image", "guest:1"];
    let expected = "from a layer\nfrom a layer\nblue\n1000\n7\n/srv\n";
    assert_eq!(isolab_here(&guest), expected);
    // As a container, the same.
    if container::available().is_ok() {
        assert_eq!(isolab_here(&["run", "--image", "guest:1"]), expected);
    }
    let words = ["run", "--in", "linux", "--deadline", "60s", "--user", "0", "--image", "guest:1"];
    let root = [&words[..], &["busybox", "id", "-u"]].concat();
    assert_eq!(isolab_here(&root), "0\n");
}
