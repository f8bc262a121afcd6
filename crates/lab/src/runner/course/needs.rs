//! What labs take of the host, and what to do where it lacks that.

use std::{fs, thread};

use nix::{
    sched::{CloneFlags, unshare},
    sys::resource::{Resource, getrlimit},
    unistd::Uid,
};
use serde::{Deserialize, Serialize};

use crate::catalogue::Both;

/// Something that a lab takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Need {
    /// `/dev/kvm`.
    Kvm,
    /// Namespaces of its own.
    Namespaces,
    /// Cgroups of its own.
    Cgroups,
    /// Root.
    Root,
    /// QEMU.
    Qemu,
    /// A scheduling policy for real time.
    Realtime,
}

/// What is lacking, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(crate) reason: Both<String>,
    pub(crate) fix: Both<String>,
}

impl Need {
    /// Its name, as the labs' manifests write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Namespaces => "namespaces",
            Self::Cgroups => "cgroups",
            Self::Root => "root",
            Self::Qemu => "qemu",
            Self::Realtime => "realtime",
        }
    }

    /// What this host lacks for it, if it does.
    pub(crate) fn lack(self) -> Option<Lack> {
        match self {
            Self::Kvm => from_sandbox(microvm::available(), "/dev/kvm 不能用"),
            Self::Namespaces => (!can_unshare())
                .then(no_namespaces)
                .or_else(|| from_sandbox(container::available(), "不能建立命名空间")),
            Self::Cgroups => no_cgroups(),
            Self::Root => (!Uid::effective().is_root()).then(|| {
                lack("you are not root", "你不是 root", "run it with sudo", "在命令前加 sudo")
            }),
            Self::Qemu => (nest::find_program("qemu-system-x86_64").is_err()).then(|| {
                let fix = "sudo apt-get install qemu-system-x86";
                lack("qemu-system-x86_64 is not installed", "没有安装 qemu-system-x86_64", fix, fix)
            }),
            Self::Realtime => (!may_have_real_time()).then(|| {
                lack(
                    "you may not use real-time scheduling",
                    "你无权使用实时调度策略",
                    "run it as root, or raise `ulimit -r`",
                    "用 root 运行，或调高 `ulimit -r`",
                )
            }),
        }
    }
}

fn lack(reason: &str, reason_zh: &str, fix: &str, fix_zh: &str) -> Lack {
    Lack {
        reason: Both { en: reason.to_owned(), zh: reason_zh.to_owned() },
        fix: Both { en: fix.to_owned(), zh: fix_zh.to_owned() },
    }
}

fn from_sandbox(available: sandbox::Result<()>, chinese: &str) -> Option<Lack> {
    let error = available.err()?;
    let fix = error.fix().unwrap_or("isolab doctor");
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    Some(lack(&cause, &format!("{chinese}：{cause}"), fix, fix))
}

/// A thread tries, which takes nobody else along.
fn can_unshare() -> bool {
    // Who is not root needs a user namespace for it, which a thread cannot have alone.
    let tried = || !Uid::effective().is_root() || unshare(CloneFlags::CLONE_NEWUTS).is_ok();
    thread::spawn(tried).join().unwrap_or(false)
}

fn no_namespaces() -> Lack {
    lack(
        "root may not create namespaces here: unshare(2) was refused",
        "这里的 root 也不能建立命名空间：unshare(2) 被拒绝",
        "this is a container: start it with `--cap-add SYS_ADMIN` or `--privileged`",
        "这里本身就是容器：启动它时加 `--cap-add SYS_ADMIN` 或 `--privileged`",
    )
}

fn no_cgroups() -> Option<Lack> {
    let problem = container::host().controllers.into_iter().find_map(|it| it.problem)?;
    let zh = format!("不能建立 cgroup：{problem}");
    Some(lack(
        &problem,
        &zh,
        "run it as root, or in `systemd-run --user --scope -p Delegate=yes`",
        "用 root 运行，或放进 `systemd-run --user --scope -p Delegate=yes`",
    ))
}

/// sched(7): who has `CAP_SYS_NICE`, or a limit of real-time priorities above 0.
fn may_have_real_time() -> bool {
    const CAP_SYS_NICE: u32 = 23;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let limit = getrlimit(Resource::RLIMIT_RTPRIO).map_or(0, |(soft, _)| soft);
    effective.unwrap_or(0) >> CAP_SYS_NICE & 1 == 1 || limit > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_said_with_a_way_out() {
        use Need::{Cgroups, Kvm, Namespaces, Qemu, Realtime, Root};
        for need in [Kvm, Namespaces, Cgroups, Root, Qemu, Realtime] {
            if let Some(lack) = need.lack() {
                assert!(!lack.reason.en.is_empty() && !lack.fix.zh.is_empty(), "{need:?}");
            }
        }
    }
}
