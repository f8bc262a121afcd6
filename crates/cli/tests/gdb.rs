//! `isolab run --gdb`: a debugger in a machine, from its first instruction on.

mod common;

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{can, isolab, output_of, skip, wait_for};

/// In 16 bits: adds, stores what comes of it, counts to three, halts.
///
/// ```text
///   7c00  mov ax, 1        7c08  mov [0x600], ax     7c0f  jne 7c0b
///   7c03  mov bx, 2        7c0b  inc cx              7c11  hlt
///   7c06  add ax, bx       7c0c  cmp cx, 3
/// ```
const BOOT_SECTOR: [u8; 18] =
    [0xb8, 1, 0, 0xbb, 2, 0, 0x01, 0xd8, 0xa3, 0x00, 0x06, 0x41, 0x83, 0xf9, 3, 0x75, 0xfa, 0xf4];
/// In 64 bits, at 0x100000: two moves, a jump to itself.
const LOOP_64: [u8; 16] = [0x48, 0xc7, 0xc0, 7, 0, 0, 0, 0x49, 0xc7, 0xc7, 9, 0, 0, 0, 0xeb, 0xfe];

/// Whether machines run here.
fn kvm() -> bool {
    can("microvm", microvm::available())
}

/// A machine that waits for a debugger.
struct Debugged {
    launcher: Child,
    _folder: tempfile::TempDir,
    place: String,
}

impl Debugged {
    fn of(code: &[u8], options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.bin");
        fs::write(&file, code).unwrap();
        let mut command = isolab(&["run", "--in", "microvm"]);
        if !options.contains(&"--gdb") {
            command.args(["--gdb", "0"]);
        }
        command.args(options).arg(file).stderr(Stdio::piped());
        let mut launcher = command.spawn().unwrap();
        // `target remote :PORT`, without a buffer: what follows is not ours.
        let mut line = Vec::new();
        let errors = launcher.stderr.as_mut().unwrap();
        let mut byte = [0];
        while errors.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).unwrap();
        let place = line.split_once("target remote ").unwrap_or_else(|| panic!("{line}")).1;
        Self { launcher, place: place.trim_end_matches('`').into(), _folder: folder }
    }

    fn gdb(&self) -> Gdb<TcpStream> {
        let stream = TcpStream::connect(format!("127.0.0.1{}", self.place)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Gdb { stream }
    }

    fn code(&mut self) -> i32 {
        self.launcher.wait().unwrap().code().unwrap()
    }
}

impl Drop for Debugged {
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

/// As much of a debugger as a test needs.
struct Gdb<S> {
    stream: S,
}

impl<S: Read + Write> Gdb<S> {
    fn send(&mut self, text: &str) {
        let sum = text.bytes().fold(0, u8::wrapping_add);
        self.stream.write_all(format!("${text}#{sum:02x}").as_bytes()).unwrap();
    }

    fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !matches!(text[..], [.., b'#', _, _]) {
            match self.stream.read(&mut byte) {
                Ok(1) if text.is_empty() && byte[0] != b'$' => {}
                Ok(1) => text.push(byte[0]),
                // With a timeout a read does not go on after a stop (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&text)),
            }
        }
        let _ = self.stream.write_all(b"+"); // it has gone when that was its end
        String::from_utf8(text[1..text.len() - 3].to_vec()).unwrap()
    }

    fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.answer()
    }

    /// A register by its number, of so many bytes.
    fn register(&mut self, number: usize) -> u64 {
        let digits = self.ask(&format!("p{number:x}"));
        let pairs = digits.as_bytes().chunks(2).rev().map(|pair| str::from_utf8(pair).unwrap());
        u64::from_str_radix(&pairs.collect::<String>(), 16).unwrap()
    }
}

const EAX: usize = 0;
const ECX: usize = 1;
const EIP: usize = 8;

#[test]
fn a_boot_sector_is_stepped_through_from_its_first_instruction() {
    if !kvm() {
        return;
    }
    let mut machine = Debugged::of(&BOOT_SECTOR, &[]);
    let mut gdb = machine.gdb();
    assert!(gdb.ask("qSupported:swbreak+").contains("qXfer:features:read+"));
    assert!(gdb.ask("qXfer:features:read:target.xml:0,800").contains("i386"));
    assert_eq!(gdb.ask("?"), "S05");
    for (address, eax) in [(0x7c00, 0), (0x7c03, 1), (0x7c06, 1), (0x7c08, 3)] {
        assert_eq!((gdb.register(EIP), gdb.register(EAX)), (address, eax));
        assert_eq!(gdb.ask("s"), "S05");
    }
    assert_eq!(gdb.ask("m600,2"), "0300", "the sum was stored");
    // Twice, by either kind of breakpoint; then not any more.
    for (kind, count) in [("Z0", 0), ("Z1", 1)] {
        assert_eq!(gdb.ask(&format!("{kind},7c0b,1")), "OK");
        if count > 0 {
            assert_eq!(gdb.ask("c"), "S05");
        }
        assert_eq!((gdb.register(EIP), gdb.register(ECX)), (0x7c0b, count));
        assert_eq!(gdb.ask(&format!("{},7c0b,1", kind.replace('Z', "z"))), "OK");
        assert_eq!(gdb.ask("s"), "S05");
    }
    assert_eq!(gdb.ask("c"), "W00", "it ends, and with which code");
    assert_eq!(machine.code(), 0);
}

#[test]
fn what_a_debugger_changes_is_changed() {
    if !kvm() {
        return;
    }
    let mut machine = Debugged::of(&BOOT_SECTOR, &[]);
    let mut gdb = machine.gdb();
    for bytes in ["34", "3412", "0102030405060708090a0b0c0d0e0f"] {
        let length = bytes.len() / 2;
        assert_eq!(gdb.ask(&format!("M600,{length:x}:{bytes}")), "OK");
        assert_eq!(gdb.ask(&format!("m600,{length:x}")), bytes);
    }
    // Over the end of a page.
    assert_eq!(gdb.ask("Mffe,4:01020304"), "OK");
    assert_eq!(gdb.ask("mffe,4"), "01020304");
    for number in 0..EIP {
        assert_eq!(gdb.ask(&format!("P{number:x}=78563412")), "OK");
        assert_eq!(gdb.register(number), 0x1234_5678);
    }
    let all = gdb.ask("g");
    assert_eq!(gdb.ask(&format!("G{}", all.replacen("78563412", "01000000", 1))), "OK");
    assert_eq!(gdb.register(EAX), 1);
    // To the end, without what is before it.
    assert_eq!(gdb.ask("P8=117c0000"), "OK");
    assert_eq!(gdb.ask("c"), "W00");
    assert_eq!(machine.code(), 0);
}

#[test]
fn four_breakpoints_there_are_and_a_fifth_is_refused() {
    if !kvm() {
        return;
    }
    let machine = Debugged::of(&BOOT_SECTOR, &[]);
    let mut gdb = machine.gdb();
    for address in [0x7c03, 0x7c06, 0x7c08, 0x7c11] {
        assert_eq!(gdb.ask(&format!("Z1,{address:x},1")), "OK");
        assert_eq!(gdb.ask(&format!("Z0,{address:x},1")), "OK", "it is there already");
    }
    assert_eq!(gdb.ask("Z0,7c0b,1"), "E01");
    for address in [0x7c03, 0x7c06, 0x7c08, 0x7c11] {
        assert_eq!((gdb.ask("c"), gdb.register(EIP)), ("S05".into(), address));
        assert_eq!(gdb.ask(&format!("z0,{address:x},1")), "OK");
    }
}

const RAX: usize = 0;
const R15: usize = 15;
const RIP: usize = 16;

#[test]
fn a_program_that_runs_is_interrupted_and_goes_on_when_its_debugger_leaves() {
    if !kvm() {
        return;
    }
    for mode in ["long64", "user64"] {
        let mut machine = Debugged::of(&LOOP_64, &["--mode", mode]);
        let mut gdb = machine.gdb();
        assert!(gdb.ask("qXfer:features:read:target.xml:0,800").contains("x86-64"));
        for _ in 0..3 {
            gdb.send("c");
            thread::sleep(Duration::from_millis(100));
            gdb.stream.write_all(&[3]).unwrap();
            assert_eq!(gdb.answer(), "S02", "{mode}");
            let found = [RIP, RAX, R15].map(|number| gdb.register(number));
            assert_eq!(found, [0x10_000e, 7, 9], "{mode}");
            assert_eq!(gdb.ask("m10000e,2"), "ebfe");
        }
        assert_eq!(gdb.ask("D"), "OK");
        drop(gdb);
        thread::sleep(Duration::from_millis(100));
        assert!(machine.launcher.try_wait().unwrap().is_none(), "it runs on");
    }
}

#[test]
fn a_machine_ends_when_its_debugger_or_anybody_else_wants_it() {
    if !kvm() {
        return;
    }
    // By the debugger.
    let mut machine = Debugged::of(&BOOT_SECTOR, &[]);
    machine.gdb().send("k");
    assert_eq!(machine.code(), 137);
    // By its deadline: before anybody has come, and while it stands still.
    for comes in [false, true] {
        let mut machine = Debugged::of(&BOOT_SECTOR, &["--deadline", "1s"]);
        let gdb = comes.then(|| machine.gdb());
        assert_eq!(machine.code(), 125, "{comes}");
        drop(gdb);
    }
    // By a signal, while it stands still and while it runs.
    for runs in [false, true] {
        let mut machine = Debugged::of(&LOOP_64, &["--mode", "long64"]);
        let mut gdb = machine.gdb();
        assert_eq!(gdb.ask("?"), "S05");
        if runs {
            gdb.send("c");
        }
        common::signal(machine.launcher.id(), "TERM");
        assert_eq!(machine.code(), 143, "{runs}");
    }
    // It runs to its end when the debugger is simply gone.
    for shutdown in [Shutdown::Both, Shutdown::Write] {
        let mut machine = Debugged::of(&BOOT_SECTOR, &[]);
        machine.gdb().stream.shutdown(shutdown).unwrap();
        assert_eq!(machine.code(), 0);
    }
}

#[test]
fn what_is_no_packet_harms_nobody() {
    if !kvm() {
        return;
    }
    let machine = Debugged::of(&BOOT_SECTOR, &[]);
    let mut gdb = machine.gdb();
    for (text, answer) in [
        ("", ""),
        ("m", "E01"),
        ("m0", "E01"),
        ("m,", "E01"),
        ("mffffffffffffffff,10", "E01"),
        ("m0,ffffffffffffffff", "E01"),
        ("M600,2", "E01"),
        ("M600,2:0", "E01"),
        ("M600,ffff:00", "E01"),
        ("p", "E01"),
        ("pffffffffffffffff", "E01"),
        ("P0", "E01"),
        ("P0=xyz", "E01"),
        ("P99=00000000", "E01"),
        ("G", "E01"),
        ("Gzz", "E01"),
        ("Z0,", "E01"),
        ("Z2,7c00,1", ""),
        ("Z", ""),
        ("qXfer:features:read:target.xml:", "E01"),
        ("qXfer:features:read:target.xml:ffffffffff,ffff", "l"),
        ("vMustReplyEmpty", ""),
        ("\u{7f}", ""),
    ] {
        assert_eq!(gdb.ask(text), answer, "{text:?}");
    }
    gdb.stream.write_all(b"$g#00").unwrap();
    gdb.stream.write_all(&[b'x'; 100_000]).unwrap();
    gdb.stream.write_all(b"$").unwrap();
    gdb.stream.write_all(&[b'm'; 100_000]).unwrap();
    gdb.stream.write_all(b"#00").unwrap();
    assert_eq!(gdb.ask("?"), "S05");
}

#[test]
fn a_debugger_comes_by_a_socket_too_and_nothing_is_left_of_it() {
    if !kvm() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a socket,with:signs");
    let mut machine = Debugged::of(&BOOT_SECTOR, &["--gdb", path.to_str().unwrap()]);
    let mut gdb = Gdb { stream: UnixStream::connect(&path).unwrap() };
    assert_eq!(gdb.ask("c"), "W00");
    assert_eq!(machine.code(), 0);
    assert!(!path.exists());
    let mut machine =
        Debugged::of(&BOOT_SECTOR, &["--gdb", path.to_str().unwrap(), "--deadline", "300ms"]);
    assert_eq!(machine.code(), 125);
    wait_for("the socket's end", || !path.exists());
}

#[test]
fn where_nobody_can_listen_is_said_with_the_way_out() {
    if !kvm() {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    for place in [&*port, file.path().to_str().unwrap(), "/no/such/folder/socket"] {
        let words = ["run", "--in", "microvm", "--gdb", place, "hello"];
        let (code, _, errors) = output_of(&mut isolab(&words));
        assert_eq!(code, 125, "{errors}");
        assert!(errors.contains("listen for gdb at") && errors.contains(place), "{errors}");
    }
    for kind in ["process", "container"] {
        let words = ["run", "--in", kind, "--gdb", "0", "--", "true"];
        let (code, _, errors) = output_of(&mut isolab(&words));
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("--gdb does not apply to a"), "{errors}");
    }
}

/// gdb itself, where this host has it.
#[test]
fn gdb_itself_steps_breaks_and_looks() {
    if !kvm() {
        return;
    }
    if !gdb_is_here() {
        return;
    }
    let machine = Debugged::of(&BOOT_SECTOR, &["--deadline", "60s"]);
    let commands = [
        "set architecture i8086",
        &format!("target remote {}", machine.place),
        "stepi",
        "stepi",
        "stepi",
        "print $eax",
        "break *0x7c11",
        "continue",
        "print $ecx",
        "x/1xh 0x600",
        "set $ecx = 77",
        "print $ecx",
        "kill",
    ];
    let said = gdb(&[], &commands);
    let lines = ["$1 = 3", "Breakpoint 1, 0x00007c11", "$2 = 3", "0x600:\t0x0003", "$3 = 77"];
    assert_all(&said, &lines);
}

/// Whether this host has gdb itself.
fn gdb_is_here() -> bool {
    let found = Command::new("gdb").arg("--version").stdout(Stdio::null()).status().is_ok();
    found || skip::<()>("gdb", "this host has no gdb: `apt-get install gdb`").is_some()
}

/// What gdb says to these commands.
fn gdb(options: &[&str], commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]).args(options).env("HOME", "/nonexistent");
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let began = Instant::now();
    let (_, output, errors) = output_of(&mut gdb);
    let said = output + &errors;
    assert!(began.elapsed() < Duration::from_secs(60), "{said}");
    said
}

fn assert_all(said: &str, lines: &[&str]) {
    for line in lines {
        assert!(said.contains(line), "{line}: {said}");
    }
}

/// Whether a Linux guest can begin here, be it that its kernel crawls.
fn linux() -> bool {
    kvm()
        && match microvm::kernels::chosen() {
            Ok(_) => true,
            Err(error) => skip::<()>("linux", &format!("{error}: {:?}", error.fix())).is_some(),
        }
}

/// A Linux guest at the beginning of its kernel; what becomes of it is its debugger's affair.
struct Kernel {
    launcher: Child,
    name: String,
    folder: tempfile::TempDir,
}

impl Kernel {
    fn of(name: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("gdb-{}-{name}", std::process::id());
        let mut command = isolab(&["run", "--in", "linux", "--deadline", "60s", "--name", &name]);
        let busy = ["--", "/bin/sh", "-c", "while :; do :; done"];
        let command = command.current_dir(&folder).args(options).args(busy);
        let launcher = command.stderr(Stdio::null()).spawn().unwrap();
        Self { launcher, name, folder }
    }

    /// One that waits for its debugger; gives it with what gdb is told first.
    fn debugged(name: &str, options: &[&str]) -> (Self, String) {
        let kernel = Self::of(name, &[options, &["--gdb", "socket"]].concat());
        let socket = kernel.path("socket");
        wait_for("its socket", || PathBuf::from(&socket).exists());
        (kernel, format!("target remote {socket}"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // Twice is an order.
        while let Ok(None) = self.launcher.try_wait() {
            common::signal(self.launcher.id(), "TERM");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn gdb_itself_looks_into_a_kernel_from_its_first_instruction_on() {
    if !linux() || !gdb_is_here() {
        return;
    }
    for (entry, first) in [("long64", Some("$1 = 0x1000000\n")), ("pvh", None)] {
        let (mut kernel, connect) = Kernel::debugged(entry, &["--entry", entry]);
        let said = gdb(
            &[],
            &[
                &connect,
                "print/x $pc",
                // Its command line, where the boot loader put it.
                "x/s 0x20000",
                "stepi",
                "set $r15 = 0x123456789abcdef0",
                "print/x $r15",
                "set {long}0x1100 = 0x1122334455667788",
                "x/1xg 0x1100",
                "info threads",
                // Not where the processor is, but where it will be.
                "set $here = $pc",
                "stepi 3",
                "set $there = $pc",
                "set $pc = $here",
                "break *$there",
                "hbreak *0x1",
                "continue",
                "print $pc == $there",
                "info registers rip cs eflags",
                "delete",
                "kill",
            ],
        );
        let lines = [
            "0x20000:\t\"console=ttyS0",
            "= 0x123456789abcdef0",
            "0x1100:\t0x1122334455667788",
            "Thread 1",
            "Breakpoint 1, ",
            "= 1\n",
        ];
        assert_all(&said, &lines);
        assert_all(&said, &[first.unwrap_or("$1 = 0x")]);
        assert_eq!(kernel.launcher.wait().unwrap().code(), Some(137), "{said}");
    }
}

#[test]
fn a_guest_runs_on_when_gdb_itself_leaves_it() {
    if !linux() || !gdb_is_here() {
        return;
    }
    let (kernel, connect) = Kernel::debugged("detached", &[]);
    let said = gdb(&[], &[&connect, "break *0x1", "stepi 5", "detach"]);
    assert_all(&said, &["detached"]);
    let time = || {
        let (code, output, errors) = output_of(&mut isolab(&["inspect", &kernel.name]));
        assert_eq!(code, 0, "{errors}");
        let listed: serde_json::Value = serde_json::from_str(&output).unwrap();
        listed[0]["machine"]["vcpu_seconds"][0].as_f64().unwrap()
    };
    let before = time();
    wait_for("the kernel's work", || time() > before + 0.05);
}

#[test]
fn gdb_itself_and_readelf_read_a_dump() {
    if !linux() || !gdb_is_here() {
        return;
    }
    for vcpus in ["1", "2"] {
        let kernel = Kernel::of(&format!("dump{vcpus}"), &["--vcpus", vcpus]);
        let core = kernel.path("core");
        wait_for("the dump", || output_of(&mut isolab(&["dump", &kernel.name, &core])).0 == 0);
        let commands = ["info threads", "print *(int*)0x1000000 != 0", "print $pc != 0"];
        let said = gdb(&["-c", &core], &commands);
        // The kernel's first instruction is there, and where a processor was.
        assert_all(&said, &["LWP 1", "$1 = 1", "$2 = 1"]);
        assert_eq!(said.contains("LWP 2"), vcpus == "2", "{said}");
        if Command::new("readelf").arg("--version").stdout(Stdio::null()).status().is_err() {
            return skip("readelf", "this host has no readelf: `apt-get install binutils`")
                .unwrap_or(());
        }
        let mut readelf = Command::new("readelf");
        let (code, output, errors) = output_of(readelf.args(["-hlnW", &core]));
        assert_eq!((code, &*errors), (0, ""), "{output}");
        assert_all(&output, &["CORE (Core file)", "LOAD", "NT_PRSTATUS (prstatus structure)"]);
        assert_eq!(output.matches("NT_PRSTATUS").count().to_string(), vcpus, "{output}");
    }
}
