//! Questions 1 and 4 of a bundle: namespaces, and what its program may do.

mod bundle;

use std::{
    fs,
    io::IoSliceMut,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::Path,
    thread,
};

use bundle::{Bundle, skip};
use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};
use serde_json::{Value, json};

/// The bundle with a namespace of that kind, in the place of the one that it may have.
fn with_namespace(bundle: &mut Bundle, kind: &str, path: Option<&str>) {
    let entries = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    entries.retain(|entry| entry["type"] != kind);
    entries.push(json!({ "type": kind, "path": path.unwrap_or_default() }));
    bundle.write();
}

fn seconds(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_new_time_namespace_has_clocks_of_its_own() {
    let Some(mut bundle) = Bundle::new("cat /proc/uptime") else { return };
    if !Path::new("/proc/self/ns/time").exists() {
        return skip("container", "this kernel has no time namespaces").unwrap_or_default();
    }
    with_namespace(&mut bundle, "time", None);
    bundle.config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } });
    bundle.write();
    let inside = seconds(&bundle.run(&[]).ok());
    let outside = seconds(&fs::read_to_string("/proc/uptime").unwrap());
    assert!((inside - outside - 1e6).abs() < 60.0, "{inside} {outside}");
    bundle.config["linux"]["timeOffsets"] = json!({ "realtime": { "secs": 1 } });
    bundle.write();
    assert!(bundle.run(&[]).failed(1).contains("linux.timeOffsets.realtime"));
    bundle.assert_nothing_left();
}

#[test]
fn a_further_program_has_the_clocks_of_the_container() {
    let Some(mut bundle) = Bundle::new("sleep 60") else { return };
    if !Path::new("/proc/self/ns/time").exists() {
        return skip("container", "this kernel has no time namespaces").unwrap_or_default();
    }
    with_namespace(&mut bundle, "time", None);
    bundle.config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } });
    bundle.write();
    bundle.run(&["-d"]).ok();
    assert!(seconds(&bundle.call(&["exec", "@", "cat", "/proc/uptime"]).ok()) > 1e6);
}

#[test]
fn a_path_to_another_namespace_is_refused_by_its_property() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    with_namespace(&mut bundle, "network", Some("/proc/self/ns/ipc"));
    let message = bundle.run(&[]).failed(1);
    for word in ["linux.namespaces[", "].path", "\"ipc\"", "\"network\""] {
        assert!(message.contains(word), "{message}");
    }
    bundle.assert_nothing_left();
}

#[test]
fn a_user_namespace_and_mappings_need_each_other() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    with_namespace(&mut bundle, "user", None);
    assert!(bundle.run(&[]).failed(1).contains("linux.uidMappings"));
    let Some(mut bundle) = Bundle::new("true") else { return };
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }]);
    bundle.config["linux"]["uidMappings"] = map;
    bundle.write();
    assert!(bundle.run(&[]).failed(1).contains("linux.uidMappings"));
}

#[test]
fn a_program_has_the_scheduler_and_personality_that_were_asked_for() {
    let script = "cat /proc/self/personality; cat /proc/self/stat";
    let Some(mut bundle) = Bundle::new(script) else { return };
    bundle.config["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 7 });
    bundle.config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE" });
    bundle.config["linux"]["personality"] = json!({ "domain": "LINUX32" });
    bundle.write();
    let said = bundle.run(&[]).ok();
    let (personality, stat) = said.split_once('\n').unwrap();
    assert_eq!(personality, "00000008");
    // proc_pid_stat(5): 19 is the nice value, 41 the policy, of which 3 is SCHED_BATCH.
    let fields: Vec<&str> = stat.split_whitespace().collect();
    assert_eq!((fields[18], fields[40]), ("7", "3"), "{stat}");
}

#[test]
fn a_further_program_runs_on_the_processors_of_its_own() {
    let Some(mut bundle) = Bundle::new("sleep 60") else { return };
    let allowed = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = allowed.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split([',', '-']).next().unwrap().to_owned();
    bundle.config["process"]["execCPUAffinity"] = json!({ "initial": first, "final": first });
    bundle.write();
    bundle.run(&["-d"]).ok();
    let said = bundle.call(&["exec", "@", "cat", "/proc/self/status"]).ok();
    assert!(said.contains(&format!("Cpus_allowed_list:\t{first}\n")), "{said}");
}

#[test]
fn a_container_has_a_session_keyring_of_its_own() {
    let Some(mut bundle) = Bundle::new("cat /proc/keys") else { return };
    if !Path::new("/proc/keys").exists() {
        return skip("container", "this kernel has no keys").unwrap_or_default();
    }
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.write();
    let name = format!("_ses.{}", bundle.id);
    assert!(!bundle.run(&["--no-new-keyring"]).ok().contains(&name));
    assert!(bundle.run(&[]).ok().contains(&name));
}

#[test]
fn unknown_capabilities_are_left_out_with_a_warning() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    let names = bundle.config["process"]["capabilities"]["bounding"].as_array_mut().unwrap();
    names.push("CAP_OF_TOMORROW".into());
    bundle.write();
    let answer = bundle.run(&[]);
    let warning = answer.log.iter().find(|line| line["level"] == "warning").unwrap();
    assert!(warning["msg"].as_str().unwrap().contains("CAP_OF_TOMORROW"), "{warning}");
    answer.ok();
}

#[test]
fn limits_that_no_kernel_has_are_refused_by_their_property() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    let limit = |kind: &str| json!({ "type": kind, "soft": 1, "hard": 1 });
    for (limits, word) in [
        (json!([limit("RLIMIT_OF_TOMORROW")]), "process.rlimits[0].type"),
        (json!([limit("RLIMIT_CORE"), limit("RLIMIT_CORE")]), "process.rlimits[1].type"),
        (json!([{ "type": "RLIMIT_CORE", "soft": 2, "hard": 1 }]), "process.rlimits[0].soft"),
    ] {
        bundle.config["process"]["rlimits"] = limits;
        bundle.write();
        let message = bundle.run(&[]).failed(1);
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn settings_of_the_host_are_refused_by_their_key() {
    let Some(mut bundle) = Bundle::new("cat /proc/sys/net/ipv4/ip_forward") else { return };
    bundle.config["linux"]["sysctl"] = json!({ "net/ipv4/ip_forward": "1" });
    bundle.write();
    assert_eq!(bundle.run(&[]).ok(), "1\n");
    bundle.config["linux"]["sysctl"] = json!({ "kernel.panic": "1" });
    bundle.write();
    assert!(bundle.run(&[]).failed(1).contains("linux.sysctl[\"kernel.panic\"]"));
    bundle.config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    with_namespace(&mut bundle, "network", Some("/proc/self/ns/net"));
    assert!(bundle.run(&[]).failed(1).contains("the host's"));
}

#[test]
fn a_filter_that_knows_no_execveat_lets_a_program_begin() {
    let Some(mut bundle) = Bundle::new("echo began") else { return };
    // What a shell needs, and no more.
    let names = "read write writev open openat close stat fstat lstat newfstatat mmap mprotect munmap brk \
                 rt_sigaction rt_sigprocmask rt_sigreturn ioctl access exit exit_group execve arch_prctl \
                 set_tid_address set_robust_list rseq prlimit64 getrandom getuid getgid geteuid getegid \
                 getpid getppid fcntl readlink wait4 sigaltstack getcwd prctl uname";
    let names: Vec<&str> = names.split_whitespace().collect();
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
    bundle.write();
    assert_eq!(bundle.run(&[]).ok(), "began\n");
}

/// What an agent at that socket is sent first: the state, and the descriptor.
fn receive(listener: &UnixListener) -> (Value, OwnedFd) {
    let (agent, _) = listener.accept().unwrap();
    let mut text = vec![0; 64 << 10];
    let mut space = cmsg_space!(RawFd);
    let mut into = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(agent.as_raw_fd(), &mut into, Some(&mut space), flags).unwrap();
    let length = message.bytes;
    let descriptors = message.cmsgs().unwrap().find_map(|it| match it {
        ControlMessageOwned::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    // SAFETY: the kernel has just opened it for us.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptors.unwrap()[0]) };
    (serde_json::from_slice(&text[..length]).unwrap(), descriptor)
}

#[test]
fn an_agent_gets_the_listener_and_the_state() {
    let Some(mut bundle) = Bundle::new("busybox mkdir /tmp/x 2>&1; true") else { return };
    let path = bundle.path("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "of the test",
        "syscalls": [{ "names": ["mkdir", "mkdirat", "unheard_of"], "action": "SCMP_ACT_NOTIFY" }],
    });
    bundle.write();
    let agent = thread::spawn(move || receive(&listener).0); // an agent that leaves at once
    let answer = bundle.run(&[]);
    let state = agent.join().unwrap();
    assert!(answer.ok().contains("Function not implemented"));
    assert_eq!(state["fds"], json!(["seccompFd"]), "{state}");
    assert_eq!(state["metadata"], "of the test");
    assert_eq!(state["state"]["id"], bundle.id.as_str());
    assert_eq!(state["state"]["status"], "creating");
    assert_eq!(state["pid"], state["state"]["pid"]);
    bundle.assert_nothing_left();
}
