//! What is said of walls, calls and verdicts.

use super::{Attempt, Trial, Verdict, Wall};
use crate::script::Words;

impl Wall {
    pub(super) fn words(self) -> Words {
        match self {
            Self::Chroot => Words("chroot", "chroot"),
            Self::PivotRoot => Words("pivot_root", "pivot_root"),
            Self::Container => Words("container", "容器"),
            Self::MicroVm => Words("microVM", "microVM"),
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
            Self::File => Words("walk out of the root, read a file", "走出根目录，读一个文件"),
            Self::Process => Words("kill a process outside", "杀掉外面的一个进程"),
            Self::Memory => Words("read isolab's own memory", "读 isolab 自己的内存"),
        }
    }
}

impl Verdict {
    /// A mark and a word: it must be understood without colours.
    pub(super) fn words(self) -> Words {
        match self {
            Self::Untried => Words("·", "·"),
            Self::Running => Words("…", "…"),
            Self::Escaped => Words("✗ OUT", "✗ 逃出"),
            Self::Contained => Words("✓ held", "✓ 挡住"),
            Self::Impossible => Words("– not here", "– 不可行"),
        }
    }
}

/// What a call is for, in a few words.
pub(super) fn purpose(call: &str) -> Words {
    const ALL: [(&str, Words); 17] = [
        ("unshare(CLONE_NEWUSER)", Words("root of a namespace", "先当命名空间里的 root")),
        ("unshare(CLONE_NEWNS)", Words("mounts of its own", "自己的挂载表")),
        ("chroot(\"cell\")", Words("the wall: / is the cell", "墙：/ 成了牢房")),
        ("pivot_root", Words("the wall: / is the cell", "墙：/ 成了牢房")),
        ("umount2", Words("and the old root is gone", "旧的根也卸掉了")),
        ("open(\".\")", Words("a directory, kept open", "打开一个目录，留着不关")),
        ("chroot(\"deeper\")", Words("puts the root below it", "把根放到它下面去")),
        ("fchdir", Words("back to that directory", "回到那个目录")),
        ("chdir(\"..\")", Words("up, and the top as root", "走到顶，以它为根")),
        ("read(bait)", Words("by its path outside", "按外面的路径去读")),
        ("getpid", Words("its own number", "自己的编号")),
        ("kill", Words("by its number outside", "按外面的编号")),
        ("process_vm_readv", Words("by number and address", "按编号和地址")),
        ("mov eax, 2; syscall", Words("open(2), as on Linux", "open(2)，和 Linux 上一样")),
        ("out", Words("kill(2), asked of isolab", "请 isolab 执行 kill(2)")),
        ("mov al, [0x40000000]", Words("beyond its RAM", "超出它的内存")),
        ("mov al", Words("where isolab's bait is", "isolab 的诱饵所在")),
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
            "There is no such wall on this host, so there is nothing to break out of.",
            "这台机器上没有这道墙，也就无墙可破。",
        ),
        (Verdict::Impossible, ..) => Words(
            "The kernel does not let this user build the wall, so there is nothing to break out of.",
            "内核不让这个用户建这道墙，也就无墙可破。",
        ),
        (Verdict::Escaped, Wall::Chroot, Attempt::File) => Words(
            "Why: chroot(2) moves where paths begin, no more. A second one leaves an open directory \
             outside of the root, and `..` stops only at the root.",
            "原因：chroot(2) 只改变路径从哪里开始。再做一次，打开着的目录就落在根的外面，而 `..` 只有走到根才停。",
        ),
        (Verdict::Escaped, _, Attempt::File) => Words(
            "Why: the host's root is still within reach of this process.",
            "原因：这个进程仍然够得着宿主机的根。",
        ),
        (Verdict::Escaped, _, Attempt::Process) => Words(
            "Why: this wall is about files. There is one table of processes, the host's, and root \
             may signal all of them, a user its own.",
            "原因：这道墙只管文件。进程表只有宿主机那一张；root 可以给所有进程发信号，用户可以给自己的发。",
        ),
        (Verdict::Escaped, _, Attempt::Memory) => Words(
            "Why: this wall is about files. With a process's number and root's capabilities its \
             memory is one system call away.",
            "原因：这道墙只管文件。有了进程编号和 root 的能力，读它的内存只要一次系统调用。",
        ),
        (Verdict::Contained, Wall::PivotRoot, Attempt::File) => Words(
            "What stopped it: the old root is unmounted. Every call is allowed, and still there is \
             nothing above the new root to walk to.",
            "是什么挡住的：旧的根已经卸载。每个调用都被允许，可新的根上面什么也没有，无处可走。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::File) => Words(
            "What stopped it: no CAP_SYS_CHROOT, and seccomp denies the call. It would not help: \
             see [p], the old root is unmounted all the same.",
            "是什么挡住的：没有 CAP_SYS_CHROOT，seccomp 也不许。就算允许也没用：看 [p]，旧的根照样已经卸载。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::Process) => Words(
            "What stopped it: a PID namespace. Processes are counted anew in here, and that number \
             is nobody's.",
            "是什么挡住的：PID 命名空间。里面的进程重新编号，那个号码不是任何人。",
        ),
        (Verdict::Contained, Wall::Container, Attempt::Memory) => Words(
            "What stopped it: a PID namespace. The call is allowed, as debuggers need it, but it \
             takes a number, and in here that number is nobody's.",
            "是什么挡住的：PID 命名空间。调试器要用这个调用，所以它是允许的；但它按编号找进程，而里面那个编号不是任何人。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::File) => Words(
            "What stopped it: `syscall` goes where the register LSTAR says: address 0, in the \
             guest's own memory. No kernel is there, least of all the host's.",
            "是什么挡住的：`syscall` 跳到寄存器 LSTAR 所指的地址 0，那是客户机自己的内存。那里没有内核，更没有宿主机的。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::Process) => Words(
            "What stopped it: isolab's doors are few: a port with four requests, a console, an off \
             switch. No request has number 62, so it ends the guest.",
            "是什么挡住的：isolab 开的门很少：只认四种请求的端口、控制台、关机开关。没有 62 号请求，客户机就到此为止。",
        ),
        (Verdict::Contained, Wall::MicroVm, Attempt::Memory) => Words(
            "What stopped it: the guest's addresses are its own. Beyond its RAM isolab answers, with \
             ones; isolab's address is in no page table in here.",
            "是什么挡住的：客户机的地址是它自己的。超出内存由 isolab 回答，全是 1；isolab 的地址不在这里的任何页表里。",
        ),
        (Verdict::Contained, _, Attempt::Memory) if by_user_namespace => Words(
            "What stopped it: not this wall. Root of a user namespace has no power over a process \
             outside of it; root of the host would have read it.",
            "是什么挡住的：不是这道墙。用户命名空间里的 root 管不到外面的进程；宿主机的 root 就读到了。",
        ),
        (Verdict::Contained, ..) => Words(
            "What stopped it: the kernel, at the first call that failed.",
            "是什么挡住的：内核，就在第一个失败的调用上。",
        ),
    }
}
