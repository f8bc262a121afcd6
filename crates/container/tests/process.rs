//! Question 5: programs, signals and links, as a container has them to its host.

mod common;

use std::{fs, path::Path, time::Duration};

use common::{Need, cgroups_left, limited, ready, ready_with, run, shell, text, wait_for_mark};
use container::{Container, Namespace, Network, Root};
use sandbox::{Builtin, Error, Limits, Milestone, Resource, Sandbox as _, Status, Workload};

#[test]
fn a_built_in_program_says_hello_and_passes_all_milestones() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let container = Container::default().limits(limited());
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
            let error = Container::default().init(init).run(&workload).unwrap_err();
            assert_eq!(error.exit_code(), code, "{program}: {error}");
        }
        let by_path = Workload::command([folder.path().join("folder")]);
        let error = Container::default().init(init).run(&by_path).unwrap_err();
        assert_eq!(error.exit_code(), 126, "{error}");
    }
}

#[test]
fn signals_and_codes_come_back_as_a_shell_has_them() {
    if !ready() {
        return;
    }
    assert_eq!(run(&Container::default(), "exit 42").status, Status::Exited(42));
    // Process 1 ignores a signal that it has no handler for (pid_namespaces(7)).
    assert_eq!(run(&Container::default(), "kill -TERM $$; exit 3").status, Status::Exited(3));
    let with_init = Container::default().init(true);
    assert_eq!(run(&with_init, "kill -TERM $$").status, Status::Signaled(15));
    let name = format!("trap-{}", std::process::id());
    let container = Container::default().named(&*name);
    let script = "trap 'exit 7' TERM; touch /tmp/mark; sleep 30 & wait";
    let instance = container.spawn(&shell(script)).unwrap();
    wait_for_mark(&container::find(&name).unwrap());
    instance.control().stop();
    assert_eq!(instance.wait().unwrap().status, Status::Exited(7));
}

#[test]
fn orphans_are_buried() {
    if !ready() {
        return;
    }
    // They have ended by then; that they are reaped may take a busy host longer.
    let with_init = Container::default().init(true);
    let zombies = run(
        &with_init,
        "(true & true &) ; for i in 0 1 2 3 4 5 6 7 8 9; do sleep 0.3; \
         n=$(grep -l '^State:.Z' /proc/[0-9]*/status | wc -l); [ $n -gt 0 ] || break; done; echo $n",
    );
    assert_eq!(text(&zombies), "0");
}

#[test]
fn a_deadline_kills_all_processes_inside() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let seconds = format!("600.{}", std::process::id());
    let sleepers = shell(&format!("sleep {seconds} & sleep {seconds}"));
    let sleepers = sleepers.deadline(Duration::from_millis(200));
    let container = Container::default().limits(limited());
    assert!(matches!(container.run(&sleepers), Err(Error::Deadline { .. })));
    let alive = fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == seconds)
    });
    assert!(!alive);
}

#[test]
fn a_named_container_can_be_joined_and_stopped_and_leaves_nothing() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let name = format!("join-{}", std::process::id());
    let container = Container::default().named(&*name).limits(limited()).init(true);
    let instance =
        container.spawn(&shell("echo here > /tmp/new; mv /tmp/new /tmp/mark; sleep 100")).unwrap();
    let again = container.spawn(&shell("true")).err().unwrap();
    assert!(format!("{again:?}").contains("NameInUse"), "{again:?}");
    let entry = container::find(&name).unwrap();
    wait_for_mark(&entry);
    let script = "cat /tmp/mark; hostname; grep CapEff /proc/self/status /proc/1/status; exit 5";
    let joined = container::exec(&entry, ["sh", "-c", script], sandbox::Stdio::Capture).unwrap();
    let message = text(&joined);
    let lines: Vec<&str> = message.lines().collect();
    let [mark, host_name, own, firsts] = lines[..] else { panic!("{message}") };
    assert_eq!((mark, host_name), ("here", "isolab"));
    let power = |line: &str| line.split_once("CapEff:").unwrap().1.to_owned();
    assert_eq!(power(own), power(firsts), "who joins has another power than who was there");
    assert_eq!(joined.status, Status::Exited(5));
    instance.control().stop();
    assert_eq!(instance.wait().unwrap().status, Status::Signaled(15));
    assert!(container::find(&name).is_err());
    assert_eq!(cgroups_left(&format!("isolab-{name}")), [""; 0]);
}

#[test]
fn a_veth_is_reachable_and_gone_afterwards() {
    if !ready_with(&[Need::Veth]) {
        return;
    }
    let name = format!("veth-{}", std::process::id());
    let network = Network::Veth;
    let container = Container::default().named(&*name).network(network);
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
fn containers_cloned_at_once_do_not_hold_each_others_gates() {
    if !ready_with(&[Need::UserNamespace]) {
        return;
    }
    let mut container = Container::default();
    container.spec.boundary.namespaces.user = Namespace::New;
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
    let missing = Container::default().root(root).run(&shell("true")).unwrap_err();
    assert!(format!("{missing:?}").contains("/no/such/directory"), "{missing:?}");
    let zero = Limits { memory_bytes: Some(0), ..Limits::default() };
    let zero = Container::default().limits(zero).run(&shell("true")).unwrap_err();
    assert_eq!(zero.exit_code(), 2);
    let vcpus = Limits { vcpus: Some(2), ..Limits::default() };
    let vcpus = Container::default().limits(vcpus).run(&shell("true")).unwrap_err();
    assert!(matches!(vcpus, Error::Unsupported { .. }));
    let directory = Workload { directory: Some("/etc/passwd/x".into()), ..shell("true") };
    let step = Container::default().run(&directory).unwrap_err();
    assert!(
        format!("{step:?}").contains("/etc/passwd/x") && format!("{step:?}").contains("ENOTDIR"),
        "{step:?}"
    );
}
