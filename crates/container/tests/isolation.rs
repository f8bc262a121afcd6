//! What a container must keep apart, tried from the inside.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use container::{Container, Network, Root, Upper};
use sandbox::{
    Builtin, CpuQuota, Error, Limits, Milestone, Outcome, Resource, Sandbox as _, Status, Workload,
};

/// Whether the test may run; says why not. `ISOLAB_REQUIRE=container` makes that a failure.
fn ready() -> bool {
    let reason = match container::available() {
        Err(error) => error.to_string(),
        Ok(()) if !container::host().root => "this test needs root".into(),
        Ok(()) => return true,
    };
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("container"), "container required: {reason}");
    println!("skipped: {reason}");
    false
}

fn shell(script: &str) -> Workload {
    Workload::command(["/bin/sh", "-c", script]).deadline(Duration::from_secs(20))
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.output).trim().to_owned()
}

fn run(container: &Container, script: &str) -> Outcome {
    container.run(&shell(script)).unwrap_or_else(|error| {
        use std::error::Error as _;
        panic!("{error}: {:?}", error.source().map(ToString::to_string))
    })
}

fn inside(script: &str) -> String {
    text(&run(&Container::default(), script))
}

fn limited() -> Limits {
    Limits {
        memory_bytes: Some(32 << 20),
        cpu_quota: Some(CpuQuota::cpus(0.5).unwrap()),
        cpu_weight: Some(50),
        pids: Some(8),
        vcpus: None,
    }
}

/// Names of cgroups that this process has made and not removed.
fn cgroups_left(marker: &str) -> Vec<String> {
    fn walk(directory: &Path, marker: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(marker) {
                    found.push(entry.path().display().to_string());
                }
                walk(&entry.path(), marker, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), marker, &mut found);
    found
}

#[test]
fn a_built_in_program_says_hello_and_passes_all_milestones() {
    if !ready() {
        return;
    }
    let container = Container { limits: limited(), ..Container::default() };
    let outcome = container.run(&Workload::builtin(Builtin::Hello, &[])).unwrap();
    assert_eq!(outcome.status, Status::Exited(0));
    assert!(!outcome.output.is_empty());
    let reached = Milestone::ALL.map(|milestone| outcome.timeline.since_start(milestone).unwrap());
    assert!(reached.is_sorted(), "{reached:?}");
    assert!(outcome.usage.peak_memory_bytes.is_some());
}

#[test]
fn a_built_in_program_reports_through_its_mailbox() {
    if !ready() {
        return;
    }
    let spin = Workload::builtin(Builtin::Spin, &[1000]);
    let (here, there) = (Container::default().run(&spin), sandbox::Native.run(&spin));
    assert_eq!(here.unwrap().report.unwrap().result, there.unwrap().report.unwrap().result);
}

#[test]
fn the_host_name_outside_is_unchanged() {
    if !ready() {
        return;
    }
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(inside("hostname"), "isolab");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn no_mount_leaks_and_no_process_of_the_host_is_seen() {
    if !ready() {
        return;
    }
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let pids = inside("ls /proc | grep -c '^[0-9]'");
    assert!(pids.parse::<u32>().unwrap() <= 6, "{pids}");
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn what_is_written_to_the_hosts_overlay_is_gone() {
    if !ready() {
        return;
    }
    assert_eq!(inside("echo new > /etc/isolab-test; cat /etc/isolab-test"), "new");
    assert!(!Path::new("/etc/isolab-test").exists());
}

#[test]
fn a_kept_upper_layer_keeps() {
    if !ready() {
        return;
    }
    let kept = tempfile::tempdir_in("/var/tmp").unwrap();
    let upper = Upper::Kept(kept.path().to_owned());
    let root = Root::Overlay { lowers: vec!["/".into()], upper };
    let container = Container { root, ..Container::default() };
    assert_eq!(run(&container, "echo new > /etc/isolab-kept").status, Status::Exited(0));
    assert_eq!(fs::read_to_string(kept.path().join("upper/etc/isolab-kept")).unwrap(), "new\n");
    assert!(!Path::new("/etc/isolab-kept").exists());
}

#[test]
fn too_much_memory_ends_in_137() {
    if !ready() {
        return;
    }
    let container = Container { limits: limited(), ..Container::default() };
    let outcome = container.run(&Workload::builtin(Builtin::Touch, &[20_000])).unwrap();
    assert_eq!(outcome.status.code(), 137);
}

#[test]
fn more_processes_than_the_limit_are_refused() {
    if !ready() {
        return;
    }
    let container = Container { limits: limited(), ..Container::default() };
    let outcome = run(&container, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait");
    let errors = String::from_utf8_lossy(&outcome.errors);
    assert!(errors.contains("fork"), "{errors}");
}

#[test]
fn half_a_processor_is_half_of_the_time() {
    if !ready() {
        return;
    }
    let container = Container { limits: limited(), ..Container::default() };
    let loop_for_a_second = "end=$(($(date +%s%N) + 1000000000)); \
        while [ $(date +%s%N) -lt $end ]; do :; done";
    let outcome = run(&container, loop_for_a_second);
    let running = outcome.timeline.since_start(Milestone::Exited).unwrap();
    let used = outcome.usage.cpu_time.unwrap();
    assert!(used < running.mul_f64(0.7), "{used:?} of {running:?}");
}

#[test]
fn the_kernel_counts_how_often_a_quota_held_a_container_back() {
    if !ready() {
        return;
    }
    let name = format!("throttled-{}", std::process::id());
    let limits = Limits { cpu_quota: Some(CpuQuota::cpus(0.1).unwrap()), ..Limits::default() };
    let container = Container { name: Some(name.clone()), limits, ..Container::default() };
    let instance = container.spawn(&Workload::builtin(Builtin::Spin, &[u64::MAX])).unwrap();
    let resources = container::find(&name).unwrap().resources;
    let statistics = |resource: &Resource| match resource {
        Resource::Cgroup(path) => fs::read_to_string(path.join("cpu.stat")).ok(),
        _ => None,
    };
    let throttled = || {
        let text = resources.iter().find_map(statistics).expect("cpu.stat is where a quota is");
        let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        count.expect("the kernel counts").parse::<u64>().unwrap()
    };
    let give_up = Instant::now() + Duration::from_secs(20);
    while throttled() < 2 {
        assert!(Instant::now() < give_up, "a tenth of a CPU, and never held back");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(instance);
}

#[test]
fn few_capabilities_are_left_and_no_new_ones_can_be_had() {
    if !ready() {
        return;
    }
    let status = inside("grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status");
    for line in
        ["CapEff:\t00000000000004fb", "CapBnd:\t00000000000004fb", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(status.contains(line), "{line} in {status}");
    }
}

#[test]
fn ways_out_are_refused() {
    if !ready() {
        return;
    }
    for (script, reason) in [
        ("mount -t tmpfs x /mnt", "permission denied"),
        ("unshare -U true", "not permitted"),
        ("mknod /tmp/disk b 254 0", "not permitted"),
        ("chroot / true", "not permitted"),
        ("echo 1 > /proc/sys/kernel/printk", "read-only"),
        ("nsenter -t 1 -m true", "not permitted"),
    ] {
        let outcome = run(&Container::default(), script);
        let errors = String::from_utf8_lossy(&outcome.errors).to_lowercase();
        assert!(!outcome.status.is_success() && errors.contains(reason), "{script}: {errors}");
    }
}

#[test]
fn the_root_of_the_first_process_is_the_containers_own() {
    if !ready() {
        return;
    }
    let secret = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    let path = secret.path().display();
    assert_eq!(inside(&format!("ls {path} /proc/1/root{path} 2>/dev/null | wc -l")), "0");
}

#[test]
fn a_directory_as_root_shows_nothing_else() {
    if !ready() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("program"), Builtin::Hello.linux_elf()).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(root.path().join("program"), executable).unwrap();
    let container = Container { root: Root::Directory(root.path().into()), ..Container::default() };
    assert!(container.run(&Workload::command(["/program"])).unwrap().status.is_success());
    let error = container.run(&Workload::command(["/bin/sh"])).unwrap_err();
    assert_eq!(error.exit_code(), 127, "{error}");
    let error = container.run(&Workload::command(["/proc/version"])).unwrap_err();
    assert_eq!(error.exit_code(), 126, "{error}");
}

#[test]
fn a_command_is_searched_for_as_a_shell_does() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(folder.path().join("plain"), "").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for init in [true, false] {
        for (program, code) in [("plain", 126), ("folder", 127), ("absent", 127)] {
            let mut workload = Workload::command([program]);
            workload.environment.push(("PATH".into(), folder.path().into()));
            let error = Container { init, ..Container::default() }.run(&workload).unwrap_err();
            assert_eq!(error.exit_code(), code, "{program}: {error}");
        }
        let by_path = Workload::command([folder.path().join("folder")]);
        let error = Container { init, ..Container::default() }.run(&by_path).unwrap_err();
        assert_eq!(error.exit_code(), 126, "{error}");
    }
}

#[test]
fn signals_and_codes_come_back_as_a_shell_has_them() {
    if !ready() {
        return;
    }
    assert_eq!(run(&Container::default(), "exit 42").status, Status::Exited(42));
    assert_eq!(run(&Container::default(), "kill -TERM $$").status, Status::Signaled(15));
    let instance =
        Container::default().spawn(&shell("trap 'exit 7' TERM; sleep 30 & wait")).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    instance.control().stop();
    assert_eq!(instance.wait().unwrap().status, Status::Exited(7));
}

#[test]
fn orphans_are_buried() {
    if !ready() {
        return;
    }
    let zombies =
        inside("(true & true &) ; sleep 0.3; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l");
    assert_eq!(zombies, "0");
}

#[test]
fn a_deadline_kills_all_processes_inside() {
    if !ready() {
        return;
    }
    let seconds = format!("600.{}", std::process::id());
    let sleepers = shell(&format!("sleep {seconds} & sleep {seconds}"));
    let sleepers = sleepers.deadline(Duration::from_millis(200));
    let container = Container { limits: limited(), ..Container::default() };
    assert!(matches!(container.run(&sleepers), Err(Error::Deadline { .. })));
    let alive = fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == seconds)
    });
    assert!(!alive);
}

#[test]
fn a_named_container_can_be_joined_and_stopped_and_leaves_nothing() {
    if !ready() {
        return;
    }
    let name = format!("join-{}", std::process::id());
    let container =
        Container { name: Some(name.clone()), limits: limited(), ..Container::default() };
    let instance = container.spawn(&shell("echo here > /tmp/mark; sleep 100")).unwrap();
    let again = container.spawn(&shell("true")).err().unwrap();
    assert!(format!("{again:?}").contains("NameInUse"), "{again:?}");
    std::thread::sleep(Duration::from_millis(200));
    let entry = container::find(&name).unwrap();
    let script = "cat /tmp/mark; hostname; grep CapEff /proc/self/status; exit 5";
    let joined = container::exec(&entry, ["sh", "-c", script], sandbox::Stdio::Capture).unwrap();
    assert_eq!(text(&joined), "here\nisolab\nCapEff:\t00000000000004fb");
    assert_eq!(joined.status, Status::Exited(5));
    let waiting = std::thread::spawn(move || instance.wait().unwrap().status);
    container::stop(&entry, Duration::from_secs(5)).unwrap();
    assert_eq!(waiting.join().unwrap(), Status::Signaled(15));
    assert!(container::find(&name).is_err());
    assert_eq!(cgroups_left(&format!("isolab-{name}")), [""; 0]);
}

#[test]
fn a_veth_is_reachable_and_gone_afterwards() {
    if !ready() {
        return;
    }
    let name = format!("veth-{}", std::process::id());
    let network = Network::Veth;
    let container = Container { name: Some(name.clone()), network, ..Container::default() };
    let instance = container.spawn(&shell("sleep 30")).unwrap();
    let resources = container::find(&name).unwrap().resources;
    let link = resources.iter().find_map(|resource| match resource {
        Resource::Link(link) => Some(link),
        _ => None,
    });
    let link = link.expect("the ledger knows of it");
    let there = Path::new("/sys/class/net").join(link);
    assert!(there.exists());
    let network = u32::from_str_radix(link.strip_prefix("iso").unwrap(), 16).unwrap();
    let inside = std::net::SocketAddr::from((std::net::Ipv4Addr::from(network + 2), 1));
    // Nobody listens there, and the container's own kernel tables say so.
    let refused =
        std::net::TcpStream::connect_timeout(&inside, Duration::from_secs(2)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
    drop(instance);
    assert!(!there.exists());
}

#[test]
fn a_user_namespace_makes_root_somebody_else() {
    if !ready() {
        return;
    }
    let mut container = Container::default();
    container.namespaces.user = true;
    let outcome = run(&container, "id -u; cat /proc/self/uid_map; echo x > /tmp/x && cat /tmp/x");
    let words: Vec<String> = text(&outcome).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "x"], "{outcome:?}");
}

#[test]
fn containers_cloned_at_once_do_not_hold_each_others_gates() {
    if !ready() {
        return;
    }
    let mut container = Container::default();
    container.namespaces.user = true;
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(Duration::from_secs(20));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(container.run(&hello).unwrap().status, Status::Exited(0));
                }
            });
        }
    });
}

#[test]
fn bad_inputs_are_named() {
    if !ready() {
        return;
    }
    let root = Root::Directory("/no/such/directory".into());
    let missing = Container { root, ..Container::default() }.run(&shell("true")).unwrap_err();
    assert!(format!("{missing:?}").contains("/no/such/directory"), "{missing:?}");
    let zero = Limits { memory_bytes: Some(0), ..Limits::default() };
    let zero = Container { limits: zero, ..Container::default() }.run(&shell("true")).unwrap_err();
    assert_eq!(zero.exit_code(), 2);
    let vcpus = Limits { vcpus: Some(2), ..Limits::default() };
    let vcpus =
        Container { limits: vcpus, ..Container::default() }.run(&shell("true")).unwrap_err();
    assert!(matches!(vcpus, Error::Unsupported { .. }));
    let directory = Workload { directory: Some("/no/such".into()), ..shell("true") };
    let step = Container::default().run(&directory).unwrap_err();
    assert!(
        format!("{step:?}").contains("chdir /no/such") && format!("{step:?}").contains("ENOENT"),
        "{step:?}"
    );
}

#[test]
fn a_limit_too_small_to_start_in_fails_a_step_and_not_the_launcher() {
    if !ready() {
        return;
    }
    for user in [false, true] {
        let limits = Limits { memory_bytes: Some(4096), ..Limits::default() };
        let mut container = Container { limits, ..Container::default() };
        container.namespaces.user = user;
        let error = container.run(&Workload::builtin(Builtin::Hello, &[])).unwrap_err();
        assert!(error.fix().is_some_and(|fix| fix.contains("--memory")), "{error:?}");
    }
}
