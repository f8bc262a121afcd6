//! The texts about walls, calls and verdicts.

use super::{Attempt, Trial, Verdict, Wall};
use crate::script::Words;

impl Wall {
    pub(super) fn words(self) -> Words {
        match self {
            Self::Chroot => Words("chroot", "chroot"),
            Self::PivotRoot => Words("pivot_root", "pivot_root"),
            Self::Container => Words("container", "容器"),
            Self::MicroVm => Words("microVM", "微型虚拟机"),
        }
    }
}

impl Attempt {
    /// In the table.
    pub(super) fn words(self) -> Words {
        match self {
            Self::File => Words("file", "文件"),
            Self::Process => Words("process", "进程"),
            Self::Memory => Words("memory", "内存"),
        }
    }

    /// What is tried.
    pub(super) fn aim(self) -> Words {
        match self {
            Self::File => {
                Words("leave the root directory, read a file", "离开根目录，读取一个文件")
            }
            Self::Process => Words("kill a process outside", "杀死外面的一个进程"),
            Self::Memory => Words("read isolab's memory", "读取 isolab 的内存"),
        }
    }
}

impl Verdict {
    /// A mark and a word: it must be understood without colours.
    pub(super) fn words(self) -> Words {
        match self {
            Self::Untried => Words("·", "·"),
            Self::Running => Words("…", "…"),
            Self::Escaped => Words("✗ OUT", "✗ 逃逸"),
            Self::Contained => Words("✓ held", "✓ 挡住"),
            Self::Impossible => Words("– n/a", "– 不适用"),
        }
    }
}

/// What a call is for, in a few words.
pub(super) fn purpose(call: &str) -> Words {
    const ALL: [(&str, Words); 17] = [
        ("unshare(CLONE_NEWUSER)", Words("root in a user namespace", "成为用户命名空间的 root")),
        ("unshare(CLONE_NEWNS)", Words("its own mounts", "自己的挂载表")),
        ("chroot(\"cell\")", Words("the wall: / is the cell", "墙：/ 变成 cell 目录")),
        ("pivot_root", Words("the wall: / is the cell", "墙：/ 变成 cell 目录")),
        ("umount2", Words("the old root is gone", "卸载旧的根")),
        ("open(\".\")", Words("a directory, kept open", "打开一个目录，不关闭")),
        ("chroot(\"deeper\")", Words("moves the root below it", "把根移到它下面")),
        ("fchdir", Words("back to that directory", "回到那个目录")),
        ("chdir(\"..\")", Words("up to the real root", "一直走到真正的根")),
        ("read(target)", Words("by its path on the host", "按宿主机上的路径读取")),
        ("getpid", Words("its own pid", "自己的进程号")),
        ("kill", Words("by its pid on the host", "用宿主机上的进程号")),
        ("process_vm_readv", Words("by pid and address", "用进程号和地址")),
        ("mov eax, 2; syscall", Words("open(2), as on Linux", "open(2)，与 Linux 相同")),
        ("out", Words("kill(2), sent to isolab", "请求 isolab 执行 kill(2)")),
        ("mov al, [0x40000000]", Words("beyond its RAM", "超出自己的内存")),
        ("mov al", Words("the target's address", "目标的地址")),
    ];
    let found = ALL.iter().find(|(known, _)| call.starts_with(known));
    found.map_or(Words("", ""), |(_, words)| *words)
}

/// Why an attempt ended as it did.
pub(super) fn reason(wall: Wall, attempt: Attempt, trial: &Trial) -> Words {
    let first = trial.steps.first().map_or("", |line| &line.call);
    let by_user_namespace = first == "unshare(CLONE_NEWUSER)";
    match (trial.verdict, wall, attempt) {
        (Verdict::Untried | Verdict::Running, ..) => Words("", ""),
        (Verdict::Impossible, Wall::Container | Wall::MicroVm, _) => Words(
            "This host cannot run this sandbox, so there is nothing to escape from.",
            "这台主机无法运行这种沙箱，所以无从逃逸。",
        ),
        (Verdict::Impossible, ..) => Words(
            "The kernel does not allow this user to set up the wall, so there is nothing to escape from.",
            "内核不允许这个用户建立这道墙，所以无从逃逸。",
        ),
        (Verdict::Escaped, Wall::Chroot, Attempt::File) => Words(
            "Why: chroot(2) only changes where paths start. A second chroot leaves the open directory \
             outside the root, and `..` stops only at the root.",
            "原因：chroot(2) 只改变路径的起点。第二次 chroot 后，打开着的目录位于根之外，而 `..` 只在根处停止。",
        ),
        (Verdict::Escaped, _, Attempt::File) => Words(
            "Why: this process can still reach the host's root.",
            "原因：这个进程仍能访问宿主机的根。",
        ),
        (Verdict::Escaped, _, Attempt::Process) => Words(
            "Why: this wall only covers files. There is one process table, the host's: root may signal \
             every process, a user their own.",
            "原因：这道墙只管文件。进程表只有宿主机那一张：root 可以向任何进程发信号，用户可以向自己的进程发。",
        ),
        (Verdict::Escaped, _, Attempt::Memory) => Words(
            "Why: this wall only covers files. With a pid and root's capabilities, reading the memory of \
             a process takes one system call.",
            "原因：这道墙只管文件。有了进程号和 root 的能力（capability），一次系统调用就能读取进程的内存。",
        ),
        (Verdict::Contained, Wall::PivotRoot, Attempt::File) => Words(
            "What stopped it: the old root is unmounted. Every call is allowed, but there is nothing \
             above the new root.",
            "被什么挡住：旧的根已经卸载。每个调用都被允许，但新的根之上什么也没有。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::File) => Words(
            "What stopped it: no CAP_SYS_CHROOT, and seccomp denies the call. Allowing it would not help: \
             as in [p], the old root is unmounted.",
            "被什么挡住：没有 CAP_SYS_CHROOT，seccomp 也拒绝该调用。即使允许也没用：与 [p] 一样，旧的根已经卸载。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::Process) => Words(
            "What stopped it: the PID namespace. Pids start from 1 in here, and no process has that pid.",
            "被什么挡住：PID 命名空间。里面的进程号从 1 重新编起，没有进程用那个号。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::Memory) => Words(
            "What stopped it: the PID namespace. The call is allowed, since debuggers need it, but it \
             takes a pid, and no process in here has that one.",
            "被什么挡住：PID 命名空间。调试器需要这个调用，所以它被允许；但它按进程号找进程，而里面没有进程用那个号。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::File) => Words(
            "What stopped it: `syscall` jumps to the address in the LSTAR register: 0, in the guest's own \
             memory. There is no kernel, least of all the host's.",
            "被什么挡住：`syscall` 跳到 LSTAR 寄存器中的地址 0，那是客户机自己的内存。那里没有内核，更没有宿主机内核。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::Process) => Words(
            "What stopped it: isolab's interface is small: a port with four requests, a console, an off \
             switch. There is no request 62, so isolab stops the guest.",
            "被什么挡住：isolab 的接口很小：接受四种请求的端口、控制台、关机端口。没有 62 号请求，于是 isolab 结束客户机。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::Memory) => Words(
            "What stopped it: guest addresses are the guest's own. Beyond its RAM, isolab returns all \
             ones; isolab's address is in none of the guest's page tables.",
            "被什么挡住：地址都是客户机自己的。超出其内存时 isolab 返回全 1；isolab 的地址不在客户机的页表中。",
        ),
        (Verdict::Contained, _, Attempt::Memory) if by_user_namespace => Words(
            "What stopped it: not this wall. Root in a user namespace has no privileges over processes \
             outside it; root on the host could read it.",
            "挡住它的不是这道墙：用户命名空间里的 root 对外面的进程没有权限；宿主机的 root 则读得到。",
        ),
        (Verdict::Contained, ..) => Words(
            "What stopped it: the kernel, at the first call that failed.",
            "被什么挡住：内核，在第一个失败的调用处。",
        ),
    }
}
