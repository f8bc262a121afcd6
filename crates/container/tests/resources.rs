//! Question 2: processors, swap, weights, and limits below other limits, by the kernel's own files.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use common::{Need, ready_with, run, text};
use container::{
    Container, Error,
    cgroup::{DiskLimit, DiskLimitKind, Resources},
};
use sandbox::{Builtin, CpuQuota, Limits, Resource, Sandbox as _, Workload};

/// A container with these resources.
fn container(resources: Resources) -> Container {
    let mut container = Container::default();
    container.spec.budget.resources = resources;
    container
}

/// The error of this crate.
fn cause(error: &sandbox::Error) -> &Error {
    let sandbox::Error::Failed { source, .. } = error else { panic!("{error:?}") };
    source.downcast_ref().expect("an error of a container")
}

/// Whether this host has no such controller, or no such file of it, and what says so names it.
fn lacks(error: &sandbox::Error) -> bool {
    match cause(error) {
        Error::NoController { controller, .. } | Error::NoCgroupFile { controller, .. } => {
            let message = sandbox::chain(error);
            assert!(message.contains(controller), "{message}");
            println!("skipped: {message}");
            true
        }
        _ => false,
    }
}

/// The processors of this test, as the kernel lists them.
fn processors() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn a_container_runs_on_its_processors_alone() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let first: String = processors().chars().take_while(char::is_ascii_digit).collect();
    let resources = Resources { cpuset_cpus: Some(first.clone()), ..Resources::default() };
    let script = "grep Cpus_allowed_list: /proc/self/status | cut -f 2";
    let workload = common::shell(script);
    match container(resources).run(&workload) {
        Ok(outcome) => assert_eq!(text(&outcome), first),
        Err(error) => assert!(lacks(&error), "{error:?}"),
    }
    let resources = Resources { cpuset_mems: Some("0".into()), ..Resources::default() };
    match container(resources).run(&workload) {
        Ok(outcome) => assert_eq!(text(&outcome), processors()),
        Err(error) => assert!(lacks(&error), "{error:?}"),
    }
}

#[test]
fn processors_that_are_not_there_are_refused_with_those_that_are() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    for (cpus, mems) in [(Some("4095"), None), (Some("0,4095"), None), (None, Some("1000-1001"))] {
        let [cpuset_cpus, cpuset_mems] = [cpus, mems].map(|list| list.map(str::to_owned));
        let resources = Resources { cpuset_cpus, cpuset_mems, ..Resources::default() };
        let error = container(resources)
            .run(&Workload::builtin(Builtin::Hello, &[]))
            .expect_err("there are no so many");
        if lacks(&error) {
            return;
        }
        let Error::BeyondParent { wanted, available, .. } = cause(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(Some(&**wanted), cpus.or(mems));
        assert!(available.starts_with('0'), "{available:?}");
        assert!(error.fix().is_some());
    }
}

/// The content of a file of the container's cgroup.
fn file_of(name: &str, file: &str) -> Option<String> {
    let resources = container::find(name).unwrap().resources;
    resources.iter().find_map(|resource| match resource {
        Resource::Cgroup(path) => fs::read_to_string(path.join(file)).ok(),
        _ => None,
    })
}

/// A disk of this host that the kernel can limit, and what a partition of it is called.
fn disk() -> Option<(u64, u64)> {
    let numbers = |path: PathBuf| {
        let text = fs::read_to_string(path.join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let disks = fs::read_dir("/sys/block").ok()?.flatten().map(|disk| disk.path());
    disks.filter(|disk| disk.join("queue").exists()).find_map(numbers)
}

#[test]
fn a_disk_is_limited_for_the_container() {
    use DiskLimitKind::{ReadBytes, Reads, WriteBytes, Writes};
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let Some(device) = disk() else {
        println!("skipped: this host has no disk");
        return;
    };
    let kinds = [ReadBytes, WriteBytes, Reads, Writes];
    let values = kinds.into_iter().zip([1 << 20, 2 << 20, 300, 400]);
    let disks = values.map(|(kind, value)| DiskLimit { device, kind, value }).collect();
    let name = format!("disk-{}", std::process::id());
    let container = container(Resources { disks, ..Resources::default() }).named(&*name);
    let running = match container.spawn(&common::shell("sleep 60")) {
        Err(error) if lacks(&error) => return,
        spawned => spawned.unwrap(),
    };
    let disk = format!("{}:{}", device.0, device.1);
    let found = |file: &str| file_of(&name, file).unwrap();
    if let Some(all) = file_of(&name, "io.max") {
        let expected = format!("{disk} rbps=1048576 wbps=2097152 riops=300 wiops=400");
        assert!(all.contains(&expected), "{all}");
    } else {
        for (file, value) in [("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 300)] {
            let text = found(&format!("blkio.throttle.{file}_device"));
            assert_eq!(text.trim(), format!("{disk} {value}"), "{file}");
        }
    }
    running.control().kill();
    running.wait().unwrap();
    // Of what is no disk the kernel's word is explained.
    let disks = vec![DiskLimit { device: (4095, 0), kind: ReadBytes, value: 1 }];
    let container = self::container(Resources { disks, ..Resources::default() });
    let message = sandbox::chain(&container.run(&common::shell("true")).unwrap_err());
    assert!(message.contains("4095:0 is not a whole disk"), "{message}");
}

#[test]
fn the_kernel_has_what_was_asked_for() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    const MEMORY: u64 = 32 << 20;
    let none = Resources::default;
    for (number, (resources, files)) in [
        (
            Resources { memory_reservation: Some(16 << 20), ..none() },
            [("memory.soft_limit_in_bytes", "16777216"), ("memory.low", "16777216")],
        ),
        (
            Resources { memory_swap: Some(48 << 20), ..none() },
            [("memory.memsw.limit_in_bytes", "50331648"), ("memory.swap.max", "16777216")],
        ),
        (
            Resources { blkio_weight: Some(500), ..none() },
            [("blkio.bfq.weight", "500"), ("io.weight", "default 4950")],
        ),
        (
            Resources { oom_kill_disable: true, ..none() },
            [("memory.oom_control", "oom_kill_disable 1"); 2],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("kept-{}-{number}", std::process::id());
        let mut container = container(resources.clone()).named(&*name);
        container.spec.budget.limits.memory_bytes = Some(MEMORY);
        let instance = match container.spawn(&Workload::builtin(Builtin::Idle, &[])) {
            Ok(instance) => instance,
            Err(error)
                if matches!(cause(&error), Error::Resource { option: "oom-kill-disable", .. }) =>
            {
                let memory =
                    container::host().controllers.into_iter().find(|it| it.name == "memory");
                println!("skipped: {} ({memory:?})", sandbox::chain(&error));
                continue;
            }
            Err(error) if lacks(&error) => continue,
            Err(error) => panic!("{}", sandbox::chain(&error)),
        };
        let found = files.iter().find_map(|(file, value)| Some((file_of(&name, file)?, value)));
        match found {
            Some((text, value)) => assert!(text.trim().starts_with(value), "{resources:?}: {text}"),
            None => {
                let text = file_of(&name, "io.bfq.weight").expect("a file that keeps the weight");
                assert!(text.contains("500"), "{text}");
            }
        }
        drop(instance);
    }
}

/// In which test a copy of this program is, below a limited cgroup.
const BELOW: &str = "ISOLAB_TEST_BELOW_A_LIMIT";

/// A cgroup of the test's own, below one that has `limits`.
struct Limited(Vec<PathBuf>);

impl Limited {
    fn new(limits: &Limits, depths: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let mut made = Self(Vec::new());
        for parent in container::cgroup::cgroup_parents().unwrap() {
            let mut path = parent.path;
            for depth in 0..depths {
                path = path.join(format!("isolab-test-{}-{number}-{depth}", std::process::id()));
                fs::create_dir(&path).unwrap();
                made.0.push(path.clone());
                // On version 2 the one below has the same controllers, and so the same limits.
                let control = path.join("cgroup.subtree_control");
                if depth + 1 < depths && control.exists() {
                    fs::write(control, "+cpu +memory +pids").unwrap();
                }
                for (file, value) in container::cgroup::files(limits, parent.version) {
                    if path.join(file).exists() {
                        fs::write(path.join(file), value).unwrap();
                    }
                }
            }
        }
        made
    }

    /// Runs the test `name` once more, as a process in this cgroup, beside the shell that has
    /// started it or in its place: what it printed.
    fn run(&self, name: &str, alone: bool) -> String {
        let lowest =
            self.0.iter().filter(|path| !self.0.iter().any(|it| it.parent() == Some(path)));
        let tasks: Vec<String> =
            lowest.map(|path| path.join("cgroup.procs").display().to_string()).collect();
        let output = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!(
                "for file in $TASKS; do echo $$ > $file || exit 99; done; {} \"$0\" \"$@\"; exit $?",
                if alone { "exec" } else { "" }
            ))
            .arg(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env("TASKS", tasks.join(" "))
            .env(BELOW, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            container::cgroup::remove(path).unwrap();
        }
    }
}

fn cpus(count: f64) -> Limits {
    Limits { cpu_quota: Some(CpuQuota::cpus(count).unwrap()), ..Limits::default() }
}

#[test]
fn limits_below_limits_are_kept_or_refused_with_the_one_above() {
    if std::env::var_os(BELOW).is_some() {
        return ask_below_a_fifth();
    }
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let limits = Limits { memory_bytes: Some(256 << 20), pids: Some(100), ..cpus(0.2) };
    for (depth, alone) in [(1, true), (2, true), (1, false), (2, false)] {
        let limited = Limited::new(&limits, depth);
        let name = "limits_below_limits_are_kept_or_refused_with_the_one_above";
        let message = limited.run(name, alone);
        assert!(message.contains("0.1 CPU: runs"), "{message}");
        // Version 1 refuses what is above; version 2 takes it, and what is above holds.
        let refused = message.lines().find(|line| line.starts_with("0.5 CPU: ")).unwrap();
        let names_it = limited.0.iter().any(|path| refused.contains(&format!("{path:?}")));
        match is_v1(&limited.0[0]) {
            true => assert!(names_it && refused.contains("20000 of 100000"), "{message}"),
            false => {
                assert_eq!(refused, "0.5 CPU: runs");
                // A cgroup of its own below the limited one, or one that has its limits.
                let (quota, memory) = match alone {
                    true => ("50000 100000", 64 << 20),
                    false => ("20000 100000", 64 << 20),
                };
                assert!(message.contains(&format!("cpu.max {quota}")), "{message}");
                assert!(message.contains(&format!("memory.max {memory}")), "{message}");
                let below = limited.0.last().unwrap().join("isolab-");
                let is_below = message.contains(&format!("below {}", below.display()));
                assert_eq!(is_below, alone, "{message}");
            }
        }
    }
}

#[test]
fn what_is_asked_for_beyond_the_launchers_own_limit_gets_no_more_than_that() {
    if std::env::var_os(BELOW).is_some() {
        return ask_for_more();
    }
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let limits = Limits { memory_bytes: Some(64 << 20), pids: Some(50), ..Limits::default() };
    for alone in [true, false] {
        let limited = Limited::new(&limits, 1);
        let message = limited
            .run("what_is_asked_for_beyond_the_launchers_own_limit_gets_no_more_than_that", alone);
        assert!(message.contains("killed by the limit"), "{message}");
        assert!(message.contains("no more than its processes"), "{message}");
    }
}

/// A container that asks for more memory and processes than its launcher has, and uses them.
fn ask_for_more() {
    // A page fault of all of it, twice what there is; swap is not counted, so it may not be there.
    let ask = Limits { memory_bytes: Some(1 << 30), pids: Some(1000), ..Limits::default() };
    let container = Container::default().limits(ask);
    let script = "dd if=/dev/zero of=/dev/null bs=128M count=1";
    let outcome = container.run(&common::shell(script)).unwrap();
    assert!(!outcome.status.is_success(), "{outcome:?}");
    println!("killed by the limit: {:?}", outcome.status);
    let script =
        "n=0; while [ $n -lt 60 ]; do sleep 5 & n=$((n+1)); done; echo all; kill $(jobs -p)";
    let outcome = container.run(&common::shell(script)).unwrap();
    assert!(!text(&outcome).contains("all"), "{outcome:?}");
    println!("no more than its processes");
}

#[test]
fn an_unlimited_cgroup_with_other_processes_is_no_hindrance() {
    if std::env::var_os(BELOW).is_some() {
        // The usual limit of processes, one of another kind, and none.
        let usual = Container::default();
        assert_eq!(text(&run(&usual, "echo usual")), "usual");
        assert_eq!(text(&run(&usual.clone().limits(cpus(0.5)), "echo quota")), "quota");
        let memory = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
        assert_eq!(text(&run(&usual.clone().limits(memory), "echo memory")), "memory");
        let mut bare = usual;
        bare.spec.budget.usual_pids = None;
        assert_eq!(text(&run(&bare, "echo bare")), "bare");
        return;
    }
    if !ready_with(&[Need::Limits]) {
        return;
    }
    for (depth, alone) in [(1, true), (2, true), (1, false), (2, false)] {
        let cgroup = Limited::new(&Limits::default(), depth);
        cgroup.run("an_unlimited_cgroup_with_other_processes_is_no_hindrance", alone);
    }
}

fn is_v1(cgroup: &Path) -> bool {
    !cgroup.join("cgroup.controllers").exists()
}

/// What the kernel says to two quotas, where the cgroup above has a fifth of a processor.
fn ask_below_a_fifth() {
    for count in [0.1, 0.5] {
        let small = Limits { memory_bytes: Some(64 << 20), pids: Some(16), ..cpus(count) };
        let name = format!("below-{}", std::process::id());
        let container = Container::default().limits(small).named(&*name);
        match container.spawn(&Workload::builtin(Builtin::Idle, &[])) {
            Ok(instance) => {
                println!("{count} CPU: runs");
                for file in ["cpu.max", "memory.max"] {
                    println!("{file} {}", file_of(&name, file).unwrap_or_default().trim());
                }
                for resource in container::find(&name).unwrap().resources {
                    if let Resource::Cgroup(path) = resource {
                        println!("below {}", path.display());
                    }
                }
                drop(instance);
            }
            Err(error) => {
                assert!(error.fix().is_some());
                println!("{count} CPU: {}", sandbox::chain(&error));
            }
        }
    }
    // And a command, in the same cgroups.
    assert_eq!(text(&run(&Container::default().limits(cpus(0.1)), "echo runs")), "runs");
}
