//! A running Linux guest from outside: signals to its launcher, `pause`, `unpause`, `inspect`, `exec`.

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{
    guest::Guest,
    inside::{all_hold_in_a_nest, here},
    isolab, output_of, signal,
};

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest();
}

#[test]
fn a_signal_to_the_launcher_is_the_commands() {
    if !here() {
        return;
    }
    for name in ["TERM", "INT", "HUP", "QUIT"] {
        let script =
            format!("trap 'echo got {name}; exit 9' {name}; echo set; while :; do sleep 0.1; done");
        let mut guest = Guest::of("caught", &[], &script);
        guest.output.read_exact(&mut [0; 4]).unwrap();
        guest.signal(name);
        assert_eq!(guest.end(), (9, format!("got {name}\n")));
    }
    for (name, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let mut guest = Guest::of("uncaught", &["--vcpus", "1"], "exec sleep 60");
        guest.signal(name);
        assert_eq!(guest.end(), (code, String::new()), "{name}");
    }
}

#[test]
fn a_command_that_does_not_end_has_a_grace_period_and_no_more() {
    if !here() {
        return;
    }
    let mut guest = Guest::of("deaf", &[], "trap '' TERM; echo deaf; while :; do sleep 1; done");
    guest.output.read_exact(&mut [0; 5]).unwrap();
    let began = Instant::now();
    guest.signal("TERM");
    assert_eq!(guest.end(), (143, String::new()));
    assert!(began.elapsed() > Duration::from_secs(9), "{:?}", began.elapsed());
    // A second request is an order.
    for _ in 0..2 {
        let mut guest =
            Guest::of("stopped", &[], "trap '' TERM; echo deaf; while :; do sleep 1; done");
        guest.output.read_exact(&mut [0; 5]).unwrap();
        let (code, _, errors) = output_of(&mut isolab(&["stop", "--grace", "200ms", &guest.name]));
        assert_eq!(code, 0, "{errors}");
        assert_eq!(guest.end(), (137, String::new()));
    }
}

#[test]
fn a_guest_without_isolabs_first_process_ends_at_the_first_signal() {
    if !here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("initramfs");
    let mut root = microvm::initramfs::Root::new();
    root.add_busybox().unwrap();
    root.character_device("/dev/console", 0o600, (5, 1)).unwrap();
    fs::write(&archive, root.to_vec().unwrap()).unwrap();
    for (name, code) in [("TERM", 143), ("INT", 130), ("QUIT", 131)] {
        let initrd = ["--initrd", archive.to_str().unwrap()];
        let mut guest = Guest::of("initrd", &initrd, "while :; do sleep 1; done");
        let (exec, _, errors) = output_of(&mut guest.exec(&["true"]));
        assert_eq!(exec, 125, "{errors}");
        assert!(errors.contains("nobody inside waits for a second command"), "{errors}");
        assert_eq!(guest.machine()["state"], "booting", "nobody says that it is up");
        guest.signal(name);
        assert_eq!(guest.end().0, code, "{name}");
    }
}

#[test]
fn a_paused_guest_stands_still_and_goes_on_where_it_was() {
    if !here() {
        return;
    }
    for vcpus in ["1", "2"] {
        let counts = "i=0; while :; do i=$((i + 1)); echo $i > /next; mv /next /count; done";
        let guest = Guest::of("paused", &["--vcpus", vcpus], counts);
        let before = guest.machine();
        assert_eq!(
            (&before["state"], before["vcpus"].to_string()),
            (&"running".into(), vcpus.into())
        );
        for _ in 0..3 {
            assert_eq!(guest.ask("pause").0, 0);
            assert_eq!(guest.ask("pause").0, 0, "it is so already");
            let machine = guest.machine();
            assert_eq!(machine["state"], "paused");
            thread::sleep(Duration::from_millis(300));
            let later = guest.machine();
            let seconds = |machine: &serde_json::Value| {
                let times = machine["vcpu_seconds"].as_array().unwrap();
                times.iter().map(|time| time.as_f64().unwrap()).sum::<f64>()
            };
            assert!(seconds(&later) - seconds(&machine) < 0.1, "{machine} {later}");
            let (code, _, errors) = output_of(&mut guest.exec(&["true"]));
            assert_eq!(code, 125);
            assert!(errors.contains("it is paused"), "{errors}");
            assert_eq!(guest.ask("unpause").0, 0);
            let (code, output, errors) = output_of(&mut guest.exec(&["cat", "/count"]));
            assert_eq!(code, 0, "{errors}");
            assert!(output.trim().parse::<u64>().unwrap() > 0);
        }
        assert_eq!(guest.ask("pause").0, 0);
        let (code, _, errors) = output_of(&mut isolab(&["stop", "--grace", "100ms", &guest.name]));
        assert_eq!(code, 0, "{errors}");
    }
}

#[test]
fn a_guest_that_waits_for_its_reader_is_paused_when_that_has_read() {
    if !here() {
        return;
    }
    let guest = Guest::of("writer", &[], "while :; do echo many words that nobody reads; done");
    thread::sleep(Duration::from_secs(1));
    let (code, _, errors) = guest.ask("pause");
    // It may just have been between two writes.
    assert!(code == 0 || errors.contains("somebody to read"), "{errors}");
    let machine = guest.machine();
    assert!(machine["exits"].as_object().unwrap().len() > 10, "{machine}");
    assert!(machine["memory_resident_bytes"].as_u64().unwrap() > 1 << 20, "{machine}");
}

#[test]
fn a_second_command_has_its_own_streams_and_code() {
    if !here() {
        return;
    }
    let guest = Guest::idle("second");
    for (script, code, output, errors) in [
        ("exit 0", 0, "", ""),
        ("echo out; echo err >&2; exit 42", 42, "out\n", "err\n"),
        ("kill -9 $$", 137, "", ""),
        ("echo $HOME $PATH | cut -c-20; pwd", 0, "/root /usr/local/sbi\n/\n", ""),
    ] {
        let expected = (code, output.to_owned(), errors.to_owned());
        assert_eq!(output_of(&mut guest.exec(&["sh", "-c", script])), expected, "{script}");
    }
    // Without a path, by PATH; and what there is not.
    assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0);
    for missing in ["no-such-program", "/no/such/program", "./no"] {
        let (code, _, errors) = output_of(&mut guest.exec(&[missing]));
        assert_eq!(code, 127, "{errors}");
        assert!(errors.contains(missing) && errors.contains("help:"), "{errors}");
    }
    assert_eq!(output_of(&mut guest.exec(&["/etc/passwd"])).0, 126);
    let long = "x".repeat(100_000);
    let (code, _, errors) = output_of(&mut guest.exec(&["echo", &long, &long]));
    assert_eq!(code, 2, "{errors}");
    let (code, output, errors) = output_of(&mut guest.exec(&["echo", &long]));
    assert_eq!((code, output.len(), &*errors), (0, 100_001, ""));
}

#[test]
fn every_byte_of_a_second_commands_input_and_output_comes_through() {
    if !here() {
        return;
    }
    let guest = Guest::idle("bytes");
    for length in [0, 1, 70_000, 1_000_000] {
        let every: Vec<u8> = (0..=255).cycle().take(length).collect();
        let mut command = guest.exec(&["cat"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let given = every.clone();
        let writer = thread::spawn(move || input.write_all(&given).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == every, "{} of {length} bytes came", output.stdout.len());
    }
    // Who closes his end, or reads nothing, holds nobody up.
    let mut command = guest.exec(&["sh", "-c", "yes | head -c 1000000; echo more; sleep 60"]);
    let mut slow = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut head = guest.exec(&["yes"]).stdout(Stdio::piped()).spawn().unwrap();
    head.stdout.take().unwrap().read_exact(&mut [0; 10_000]).unwrap();
    assert_eq!(head.wait().unwrap().code(), Some(141), "as a process that nobody reads");
    assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0);
    slow.kill().unwrap();
    slow.wait().unwrap();
    // Its command went with its client.
    let count = "for try in 1 2 3 4 5 6 7 8 9; do pgrep yes || exit 0; sleep 0.2; done; exit 1";
    assert_eq!(output_of(&mut guest.exec(&["sh", "-c", count])).0, 0);
}

#[test]
fn a_signal_to_the_client_is_the_second_commands() {
    if !here() {
        return;
    }
    let guest = Guest::idle("signals");
    for (name, code) in [("INT", 7), ("TERM", 7), ("USR1", 7)] {
        let script = format!("trap 'exit 7' {name}; echo up; while :; do sleep 0.1; done");
        let mut client = guest.exec(&["sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        client.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        signal(client.id(), name);
        assert_eq!(client.wait().unwrap().code(), Some(code), "{name}");
    }
    let mut client =
        guest.exec(&["sh", "-c", "echo up; sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
    client.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    guest.signal("TERM");
    assert_eq!(client.wait().unwrap().code(), Some(137), "the guest ended, and it with it");
}

#[test]
fn no_more_commands_than_there_is_room_for_run_at_once() {
    if !here() {
        return;
    }
    let guest = Guest::idle("many");
    let start = || {
        let mut client = guest
            .exec(&["sh", "-c", "echo up; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        client
    };
    for _ in 0..3 {
        let mut clients: Vec<Child> = (0..8).map(|_| start()).collect();
        let (code, _, errors) = output_of(&mut guest.exec(&["true"]));
        assert_eq!(code, 125);
        assert!(errors.contains("as many commands as can be"), "{errors}");
        for client in &mut clients {
            drop(client.stdin.take());
            assert_eq!(client.wait().unwrap().code(), Some(0));
        }
    }
    assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0);
}

/// Its first process is frozen from inside.
#[test]
fn a_guest_that_does_not_answer_holds_nobody_up() {
    if !here() {
        return;
    }
    let script = "mkdir /mnt && mount -t cgroup2 none /mnt && mkdir /mnt/ice && \
        echo 1 > /mnt/ice/cgroup.procs && echo 1 > /mnt/ice/cgroup.freeze && echo mute; sleep 60";
    let mut guest = Guest::of("mute", &[], script);
    guest.output.read_exact(&mut [0; 5]).unwrap();
    let (code, _, errors) = output_of(&mut guest.exec(&["true"]));
    assert_eq!(code, 125);
    assert!(errors.contains("does not answer"), "{errors}");
    assert_eq!(guest.machine()["state"], "running");
    assert_eq!((guest.ask("pause").0, guest.ask("unpause").0), (0, 0));
    let began = Instant::now();
    guest.signal("INT");
    assert_eq!(guest.end().0, 130);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_not_a_request_is_refused_and_harms_nobody() {
    if !here() {
        return;
    }
    let guest = Guest::idle("requests");
    let path = format!("/run/isolab/{}.socket", guest.name);
    let Ok(_) = UnixStream::connect(&path) else {
        return common::skip("linux", "only root's ledger is in /run/isolab").unwrap_or(());
    };
    let long = format!("{}\n", "x".repeat(10_000));
    let texts = [
        "\n",
        "{}\n",
        "{\"request\":\"fly\"}\n",
        "{\"request\":\"pause\",\"more\":1}\n",
        &long,
        "\0\n",
    ];
    for text in texts {
        let mut stream = UnixStream::connect(&path).unwrap();
        // It may be closed before all is written.
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(!answer.contains("done"), "{text:?}: {answer}");
    }
    // Frames that no client sends.
    for kind in [0u8, 8, 9, 10, 11, 12, 13, 14, 255] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"{\"request\":\"exec\"}\n").unwrap();
        stream.read_exact(&mut [0; 14]).unwrap();
        let _ = stream.write_all(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0, "{kind}");
    }
    // As many as like, who say nothing.
    let silent: Vec<_> = (0..40).filter_map(|_| UnixStream::connect(&path).ok()).collect();
    drop(silent);
    assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0);
    assert_eq!(guest.machine()["state"], "running");
}

/// A debugger of one line, for what it sees first; then it leaves.
#[test]
fn a_kernel_waits_for_its_debugger_at_its_first_instruction() {
    if !here() {
        return;
    }
    for (options, first) in [(&["--entry", "long64"][..], 0x100_0000u64), (&["--entry", "pvh"], 0)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gdb");
        let mut command = isolab(&["run", "--in", "linux", "--deadline", "60s", "--gdb"]);
        command.arg(&path).args(options).args(["--", "/bin/sh", "-c", "echo up; exit 5"]);
        let launcher = command.stdout(Stdio::piped()).spawn().unwrap();
        common::wait_for("its socket", || path.exists());
        let mut gdb = UnixStream::connect(&path).unwrap();
        gdb.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Register 16 is RIP, least significant byte first.
        let rip = |gdb: &mut UnixStream| {
            gdb.write_all(b"$p10#d1").unwrap();
            let mut answer = [0; 21];
            gdb.read_exact(&mut answer).unwrap();
            let digits = std::str::from_utf8(&answer[2..18]).unwrap();
            u64::from_str_radix(digits, 16).unwrap().swap_bytes()
        };
        let before = rip(&mut gdb);
        assert!(first == 0 || before == first, "{before:#x}");
        for _ in 0..3 {
            gdb.write_all(b"$s#73").unwrap();
            gdb.read_exact(&mut [0; 8]).unwrap();
        }
        let after = rip(&mut gdb);
        assert!(after > before && after < before + 50, "{before:#x} {after:#x}");
        gdb.write_all(b"$D#44").unwrap();
        let output = launcher.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(5), &b"up\n"[..]));
    }
    let words = ["run", "--in", "linux", "--vcpus", "2", "--gdb", "0", "--", "true"];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("--vcpus 1"), "{errors}");
}

#[test]
fn a_dump_has_what_is_in_the_guests_memory() {
    if !here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for vcpus in ["1", "2"] {
        let guest = Guest::of("dump", &["--vcpus", vcpus], "while :; do sleep 1; done");
        // Taken apart, so that the words alone are not in the memory of the shell that is told.
        let script = "printf 'a needle%s' ' in the guest' > /tmp/needle";
        assert_eq!(output_of(&mut guest.exec(&["sh", "-c", script])).0, 0);
        let file = folder.path().join(format!("core{vcpus}"));
        let dump = |file: &Path| output_of(isolab(&["dump", &guest.name]).arg(file));
        let (code, _, errors) = dump(&file);
        assert_eq!(code, 0, "{errors}");
        assert_eq!(guest.machine()["state"], "running", "it goes on");
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.starts_with(b"\x7fELF"));
        let needle = b"a needle in the guest";
        // A file begins at the start of a page.
        assert!(bytes.chunks(4096).any(|page| page.starts_with(needle)));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let (code, _, errors) = dump(&file);
        assert_eq!(code, 125, "{errors}");
        assert!(errors.contains("exists"), "nothing is written over: {errors}");
        // One that was paused before stays so.
        assert_eq!(guest.ask("pause").0, 0);
        assert_eq!(dump(&folder.path().join(format!("other{vcpus}"))).0, 0);
        assert_eq!(guest.machine()["state"], "paused");
        assert_eq!(dump(&folder.path().join("no/folder/file")).0, 125);
        assert_eq!(guest.ask("unpause").0, 0);
        // Who asked and is killed holds nobody.
        for part in 0..4 {
            let killed = folder.path().join(format!("killed{vcpus}{part}"));
            let mut client = isolab(&["dump", &guest.name]).arg(&killed).spawn().unwrap();
            thread::sleep(Duration::from_millis(200 * part));
            client.kill().unwrap();
            client.wait().unwrap();
            assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0, "{part}");
            assert_eq!(guest.machine()["state"], "running", "{part}");
        }
    }
}

#[test]
fn a_disk_is_held_to_its_rate_and_its_traffic_is_told() {
    if !here() {
        return;
    }
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(64 << 20).unwrap();
    let disk = image.path().to_str().unwrap();
    let read = |guest: &Guest, blocks: &str| {
        // Not out of the guest's own memory.
        let script = format!(
            "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=64k count={blocks}"
        );
        let began = Instant::now();
        let (code, _, errors) = output_of(&mut guest.exec(&["sh", "-c", &script]));
        assert_eq!(code, 0, "{errors}");
        began.elapsed()
    };
    for (options, blocks, least) in [
        (&["--disk-bps", "4M"][..], "160", 2.0),
        (&["--disk-iops", "10"], "160", 1.0),
        (&["--disk-bps", "1G", "--disk-iops", "100000"], "16", 0.0),
    ] {
        let options = [&["--disk", disk][..], options].concat();
        let guest = Guest::of("rate", &options, "while :; do sleep 1; done");
        let before = guest.machine()["devices"]["isolab0"]["bytes_in"].as_u64().unwrap();
        let took = read(&guest, blocks);
        assert!(took.as_secs_f64() >= least, "{options:?}: {took:?}");
        let after = guest.machine()["devices"]["isolab0"]["bytes_in"].as_u64().unwrap();
        let expected = blocks.parse::<u64>().unwrap() << 16;
        assert!(after - before >= expected, "{options:?}: {before} {after}");
    }
}
