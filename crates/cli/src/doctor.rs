//! `isolab doctor`: what this host has and lacks for isolation.

mod outer;
mod peers;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use container::{
    CgroupLayout, HostFacts,
    network::{self, Beyond},
};
use microvm::{Flavour, KvmFlavour, kernels::KernelCache};
use report::columns::wrapped;
use serde::Serialize;
use serde_json::json;

use crate::{
    ansi::Ansi,
    failure::{Failure, chain},
    output,
};

/// Check what this host offers for isolation, what is missing, and how to fix it.
///
/// The exit code is 0 if everything works, and 1 if something is missing.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print as a JSON object
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    state: State,
    found: String,
    /// What to do, where something is lacking or could be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Lacks,
    /// Worth knowing, and nothing that must be mended.
    Note,
}

impl Finding {
    fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, state: State::Ok, found: found.into(), fix: None }
    }

    fn note(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, state: State::Note, found: found.into(), fix: None }
    }

    fn lacks(about: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about, state: State::Lacks, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Looks and tells.
pub fn doctor(arguments: &Arguments) -> Result<u8, Failure> {
    let findings = findings();
    let healthy = findings.iter().all(|finding| finding.state != State::Lacks);
    if arguments.json {
        output::print_json(&json!({ "healthy": healthy, "findings": findings }))?;
    } else {
        output::print(&page(&findings, Ansi::of_output()))?;
    }
    Ok(u8::from(!healthy))
}

fn findings() -> Vec<Finding> {
    let host = container::host();
    let mut findings = vec![kernel(), processor(), user_namespaces(&host), cgroup_layout(&host)];
    findings.extend(host.controllers.iter().map(controller));
    findings.push(match host.overlay {
        true => Finding::ok("overlayfs", "the kernel has it"),
        false => Finding::lacks(
            "overlayfs",
            "the kernel has none: --overlay and the default root cannot be used",
            "sudo modprobe overlay, or give a directory with --root",
        ),
    });
    findings.push(match host.seccomp {
        true => Finding::ok("seccomp", "the kernel filters system calls"),
        false => Finding::lacks(
            "seccomp",
            "the kernel has no filters for system calls",
            "use a kernel with CONFIG_SECCOMP_FILTER, as all distributions have",
        ),
    });
    findings.push(match container::available() {
        Ok(()) => Finding::ok("containers", "can run here"),
        Err(error) => of_error("containers", &error),
    });
    findings.extend(mounts());
    findings.push(container_network(&host));
    findings.extend(microvms());
    outer::tell(&mut findings);
    findings.extend(peers::findings());
    findings
}

/// The host's mounts that a container over its `/` does not have.
fn mounts() -> Option<Finding> {
    let all = container::not_shown().ok().filter(|all| !all.is_empty())?;
    let list = |(path, kind): &(PathBuf, String)| format!("{} ({kind})", path.display());
    let all: Vec<String> = all.iter().map(list).collect();
    let found = format!("not in a container's default root: {}", all.join(", "));
    let fix = Some("isolab run -v SOURCE:DESTINATION ... shows one".into());
    Some(Finding { fix, ..Finding::note("mounts", found) })
}

fn kernel() -> Finding {
    let read = |name| fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
    let release = read("osrelease").unwrap_or_default();
    let found = format!("Linux {} on {}", release.trim(), std::env::consts::ARCH);
    let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    // clone3(2) with CLONE_INTO_CGROUP came with 5.7.
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < (5, 7) => {
            Finding::lacks("kernel", found, "use Linux 5.7 or later")
        }
        _ => Finding::ok("kernel", found),
    }
}

fn processor() -> Finding {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |name: &str| flags.split_whitespace().any(|flag| flag == name);
    let processors = text.lines().filter(|line| line.starts_with("processor")).count();
    let shown: Vec<&str> =
        ["vmx", "svm", "ept", "npt", "hypervisor"].into_iter().filter(|flag| has(flag)).collect();
    let flags = match shown.as_slice() {
        [] => "none of vmx, svm, ept, npt, hypervisor".into(),
        shown => shown.join(", "),
    };
    Finding::note("processor", format!("{processors} CPUs; flags: {flags}"))
}

fn user_namespaces(host: &HostFacts) -> Finding {
    const ABOUT: &str = "user namespaces";
    let fix = |key: &str, value| format!("run as root, or: sudo sysctl {key}={value}");
    let lack = match host {
        HostFacts { max_user_namespaces: None | Some(0), .. } => {
            ("disabled for everybody", fix("user.max_user_namespaces", 10_000))
        }
        HostFacts { unprivileged_userns_clone: Some(false), .. } => {
            ("for root only", fix("kernel.unprivileged_userns_clone", 1))
        }
        HostFacts { apparmor_restricts_userns: Some(true), .. } => (
            "restricted by AppArmor for all but root",
            fix("kernel.apparmor_restrict_unprivileged_userns", 0),
        ),
        HostFacts { apparmor_restricts_userns: Some(false), .. } => {
            return Finding::ok(ABOUT, "for every user; AppArmor does not restrict them");
        }
        _ => return Finding::ok(ABOUT, "for every user; no AppArmor rule about them"),
    };
    match host.root {
        true => Finding::note(ABOUT, format!("{}; you are root and need none", lack.0)),
        false => Finding::lacks(ABOUT, lack.0, lack.1),
    }
}

fn cgroup_layout(host: &HostFacts) -> Finding {
    match host.cgroup_layout {
        CgroupLayout::None => Finding::lacks(
            "cgroups",
            "none is mounted: no limit can be kept",
            "sudo mount -t cgroup2 none /sys/fs/cgroup",
        ),
        CgroupLayout::V1 => Finding::ok("cgroups", "version 1, a hierarchy for each controller"),
        CgroupLayout::V2 => Finding::ok("cgroups", "version 2, one hierarchy for all"),
        CgroupLayout::Hybrid => Finding::ok("cgroups", "hybrid: controllers in version 1"),
    }
}

fn controller(facts: &container::ControllerFacts) -> Finding {
    let about = match facts.name {
        "cpu" => "cgroup cpu",
        "memory" => "cgroup memory",
        _ => "cgroup pids",
    };
    match (&facts.parent, &facts.problem) {
        (Some(parent), _) => Finding::ok(about, format!("writable at {}", parent.display())),
        (None, problem) => Finding::lacks(
            about,
            problem.clone().unwrap_or_else(|| "not there".into()),
            "run as root, or in a cgroup that is yours: systemd-run --user --scope -p Delegate=yes isolab ...",
        ),
    }
}

/// How far `--network veth` leads.
fn container_network(host: &HostFacts) -> Finding {
    const ABOUT: &str = "--network veth";
    if !host.root {
        return Finding::note(ABOUT, "for root only; none and host are for every user");
    }
    match network::beyond_the_host() {
        Beyond::Reached => Finding::ok(ABOUT, "reaches the host, and what the host reaches"),
        Beyond::HostOnly { why } => Finding {
            fix: Some("sudo modprobe nf_tables nft_masq nft_ct, or use --network host".into()),
            ..Finding::note(ABOUT, format!("reaches the host alone: {why}"))
        },
        Beyond::Dropped { chain, table } => {
            let found = format!(
                "reaches the host; the chain {chain} of its table {table} drops what it passes on \
                 unless a rule accepts it"
            );
            Finding { fix: Some(network::accept_in(&chain)), ..Finding::note(ABOUT, found) }
        }
    }
}

/// What to do about a KVM that does not take what isolab asks of it.
const REFUSED: &str = "tell isolab's authors, with this line and the kernel's release: isolab does \
    not know such a KVM. Until then `--in container` needs none, and `isolab nest` has its own";

/// The microVM's rows, and that of the nest, which is for hosts where they say that all is slow.
fn microvms() -> Vec<Finding> {
    let device = match microvm::available() {
        Ok(()) => Finding::ok("/dev/kvm", "can be opened"),
        Err(error) => return vec![of_error("/dev/kvm", &error), nest(false)],
    };
    let flavour = microvm::flavour();
    let hardware = matches!(&flavour, Ok(Flavour { kind: KvmFlavour::Vmx | KvmFlavour::Svm, .. }));
    let kvm = match &flavour {
        Ok(flavour) => of_flavour(flavour),
        Err(error) => Finding::lacks(
            "KVM",
            format!("is there, and refuses a microVM: {}", chain(error)),
            error.fix().unwrap_or(REFUSED),
        ),
    };
    vec![device, kvm, nest(hardware)]
}

fn nest(hardware: bool) -> Finding {
    const ABOUT: &str = "nest";
    let lack = match nest::available() {
        Err(error) => Some((error.to_string(), error.fix().unwrap_or_default())),
        Ok(()) if KernelCache::of_user().is_ok_and(|cache| cache.usual().is_some()) => None,
        Ok(()) => Some(("no kernel for it".to_owned(), "isolab kernel get".to_owned())),
    };
    const GIVES: &str = "the hardware virtualization that this host lacks";
    match (lack, hardware) {
        (None, true) => Finding::ok(ABOUT, "can run here (not needed)"),
        (None, false) => {
            Finding::ok(ABOUT, format!("can run here, and has {GIVES}: isolab nest -- doctor"))
        }
        (Some((lack, _)), true) => Finding::note(ABOUT, format!("{lack} (not needed)")),
        (Some((lack, fix)), false) => {
            let found = format!("{lack}; `isolab nest` would have {GIVES}");
            Finding { fix: Some(fix), ..Finding::note(ABOUT, found) }
        }
    }
}

fn of_flavour(flavour: &Flavour) -> Finding {
    let kind = match flavour.kind {
        KvmFlavour::Vmx => "VMX (Intel)",
        KvmFlavour::Svm => "SVM (AMD)",
        KvmFlavour::Pvm => "PVM (software: guest kernels are interpreted)",
        KvmFlavour::Unknown => "of an unknown kind",
    };
    let nested = if flavour.nested { ", in a virtual machine" } else { "" };
    Finding::ok("KVM", format!("{kind}{nested}; {}", flavour.evidence.join("; ")))
}

fn of_error(about: &'static str, error: &sandbox::Error) -> Finding {
    Finding::lacks(about, chain(error), error.fix().unwrap_or("see the cause"))
}

/// Columns: the state, what it is about, what was found.
const ABOUT: usize = 16;
const FOUND: usize = 54;

fn page(findings: &[Finding], ansi: Ansi) -> String {
    let mut page = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => ansi.green("ok   "),
            State::Lacks => ansi.yellow("lacks"),
            State::Note => ansi.dim("note "),
        };
        for (number, line) in wrapped(&finding.found, FOUND).iter().enumerate() {
            page += &match number {
                0 => format!("{state}  {:<ABOUT$}  {line}\n", finding.about),
                _ => format!("{:25}{line}\n", ""),
            };
        }
        for (number, line) in finding.fix.iter().flat_map(|fix| wrapped(fix, FOUND - 5)).enumerate()
        {
            let lead = if number == 0 { "fix: " } else { "     " };
            page += &format!("{:25}{}{line}\n", "", ansi.bold(lead));
        }
    }
    let lacking = findings.iter().filter(|finding| finding.state == State::Lacks).count();
    page + &match lacking {
        0 => "\nEverything works here.\n".to_owned(),
        1 => "\nOne thing is lacking.\n".to_owned(),
        count => format!("\n{count} things are lacking.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fits_80_columns_whatever_is_found() {
        let long = "a/long/path/".repeat(20);
        let findings =
            [Finding::lacks("cgroup memory", long.clone(), long), Finding::ok("kernel", "Linux")];
        let page = page(&findings, Ansi::PLAIN);
        assert!(page.lines().all(|line| line.chars().count() < 80), "{page}");
        assert!(page.contains("fix: ") && page.ends_with("One thing is lacking.\n"));
    }
}
