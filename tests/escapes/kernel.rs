//! Doors of the kernel that a container has no use for.

use std::fs;

use crate::{
    call::call,
    everywhere::{Kind, everywhere, everywhere_is},
    inside::{Attempt, Failed, each},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("change-the-machine", change_the_machine),
    ("change-the-kernel", change_the_kernel),
    ("use-large-parts", use_large_parts),
    ("count-power", count_power),
];

/// Calls that need a capability which no container has; none of them would do harm if it worked.
fn change_the_machine(_: &[String]) -> Result<String, Failed> {
    let nothing = 0;
    // LINUX_REBOOT_MAGIC1, _MAGIC2, and that Ctrl-Alt-Del is a signal to the first process.
    let reboot = call!(SYS_reboot, 0xfee1_dead_u32, 672_274_793, 0);
    each([
        ("reboot", reboot),
        ("acct", call!(SYS_acct, nothing)),
        ("swapon", call!(SYS_swapon, c"/attempt", 0)),
        ("swapoff", call!(SYS_swapoff, c"/attempt")),
        ("settimeofday", call!(SYS_settimeofday, nothing, nothing)),
        ("syslog", call!(SYS_syslog, 6, nothing, 0)),
        ("vhangup", call!(SYS_vhangup)),
    ])
}

/// The same of which not every kernel has each.
fn change_the_kernel(_: &[String]) -> Result<String, Failed> {
    let nothing = 0;
    each([
        ("kexec", call!(SYS_kexec_load, 0, 0, nothing, 0)),
        ("init_module", call!(SYS_init_module, c"", 0, c"")),
        ("delete_module", call!(SYS_delete_module, c"isolab-no-such-module", 0)),
        ("iopl", call!(SYS_iopl, 3)),
        ("ioperm", call!(SYS_ioperm, 0x80, 1, 1)),
    ])
}

#[test]
fn the_machine_is_not_changed() {
    let names = ["reboot", "acct", "swapon", "swapoff", "settimeofday", "syslog", "vhangup"];
    everywhere_is("change-the-machine", &names.map(|name| format!("{name}=EPERM")).join(" "));
}

#[test]
fn the_kernel_is_not_changed() {
    let names = ["kexec", "init_module", "delete_module", "iopl", "ioperm"];
    let all = names.map(|name| format!("{name}=EPERM")).join(" ");
    let expected = |kind: &Kind| (!kind.unconfined).then(|| all.clone());
    everywhere(|_| vec!["change-the-kernel".into()], expected);
}

/// Large parts of the kernel that few programs need, and in which faults were found.
fn use_large_parts(_: &[String]) -> Result<String, Failed> {
    let zeros = &[0u8; 128][..];
    each([
        ("bpf", call!(SYS_bpf, 0, zeros, zeros.len())),
        ("perf_event_open", call!(SYS_perf_event_open, zeros, 0, -1, -1, 0)),
        ("userfaultfd", call!(SYS_userfaultfd, 0)),
        ("io_uring", call!(SYS_io_uring_setup, 1, &mut [0u8; 128][..])),
        ("fanotify", call!(SYS_fanotify_init, 0, 0)),
        ("keyctl", call!(SYS_keyctl, 0, -3, 0)),
        ("add_key", call!(SYS_add_key, c"user", c"isolab", c"x", 1, -3)),
        ("request_key", call!(SYS_request_key, c"user", c"isolab", 0, -3)),
        ("quotactl", call!(SYS_quotactl, 0x8000_0100_u32, c"/dev/null", 0, 0)),
    ])
}

#[test]
fn large_parts_of_the_kernel_are_out_of_reach() {
    let names = [
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring",
        "fanotify",
        "keyctl",
        "add_key",
        "request_key",
        "quotactl",
    ];
    let all = names.map(|name| format!("{name}=EPERM")).join(" ");
    // Without a filter it is the host's settings that have a say.
    let expected = |kind: &Kind| (!kind.unconfined).then(|| all.clone());
    everywhere(|_| vec!["use-large-parts".into()], expected);
}

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service.
pub const KEPT: u64 = 0x4fb;

/// Capabilities beyond those that a container keeps, and what keeps new ones away.
fn count_power(_: &[String]) -> Result<String, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("", str::trim).to_owned()
    };
    let beyond = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]
        .map(|name| u64::from_str_radix(&value(name), 16).unwrap_or(u64::MAX) & !KEPT);
    let beyond = beyond.iter().fold(0, |all, set| all | set);
    Ok(format!("beyond {beyond:x} no_new_privs {}", value("NoNewPrivs:")))
}

#[test]
fn no_capability_is_left_beyond_those_for_its_own_files_and_processes() {
    everywhere_is("count-power", "beyond 0 no_new_privs 1");
}
