//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// Three attempts, four walls.
pub const SCRIPT: Script = Script {
    title: Words("Three escapes, four walls", "三种逃逸，四道墙"),
    minutes: 12,
    needs: Words(
        "After the lectures on containers and virtual machines. Needs root for everything and KVM for the \
         last wall; an ordinary user sees what a user namespace changes.",
        "安排在容器和虚拟机两讲之后。全部内容需要 root，最后一道墙需要 KVM；普通用户能看到用户命名空间带来的不同。",
    ),
    keys: &[
        Key('c', Words("chroot", "chroot")),
        Key('p', Words("pivot_root", "pivot_root")),
        Key('n', Words("container", "容器")),
        Key('m', Words("microVM", "微型虚拟机")),
        Key('1', Words("file", "文件")),
        Key('2', Words("process", "进程")),
        Key('3', Words("memory", "内存")),
        Key('b', Words("new targets", "换目标")),
    ],
    steps: &[
        Step {
            key: Some('b'),
            say: Words(
                "Three targets, all our own: a file, a sleeping process, a few bytes in isolab's memory. We try the same three escapes from behind four walls.",
                "三个目标，都是我们自己准备的：一个文件、一个睡眠的进程、isolab 内存里的几个字节。在四道墙后面，尝试同样的三种逃逸。",
            ),
            ask: Words(
                "Which wall protects which target? Write down your twelve guesses first.",
                "哪道墙能保护哪个目标？先写下你的十二个猜测。",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "chroot, from 1979. Read the calls: it keeps a directory open, a second chroot moves the root below it, and then it only has to walk up.",
                "chroot，出自 1979 年。看这些调用：先打开一个目录不关闭，第二次 chroot 把根移到它下面，然后只要一直向上走。",
            ),
            ask: Words(
                "Why does `..` stop at the root, and why did it not stop here?",
                "`..` 为什么会停在根？这里为什么没有停？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "It did not even need a file: the pid was enough, and the target is dead.",
                "甚至不需要文件：知道进程号就够了，目标已经被杀死。",
            ),
            ask: Words(
                "What does chroot restrict about processes? (Nothing.)",
                "chroot 对进程有什么限制？（没有。）",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "And it read the memory of the very program that started it.",
                "它还读到了启动它的那个程序的内存。",
            ),
            ask: Words(
                "Who allowed this? (The kernel, because the process is root.)",
                "这是谁允许的？（内核，因为该进程是 root。）",
            ),
        },
        Step {
            key: Some('p'),
            say: Words(
                "pivot_root: the same calls all succeed, but the file is not there. The old root is not hidden, it is unmounted.",
                "pivot_root：同样的调用全部成功，但文件不在了。旧的根不是被隐藏，而是已经卸载。",
            ),
            ask: Words(
                "What if the last step, umount2, were left out? (The old root would still be mounted in here, with all its files.)",
                "如果漏掉最后一步 umount2 呢？（旧的根仍挂载在里面，所有文件都在。）",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "But a root only covers files: processes are still in reach.",
                "但根只管文件：进程仍然可以访问。",
            ),
            ask: Words(
                "Which wall is still missing for processes, and which for memory?",
                "要保护进程，还缺哪道墙？要保护内存呢？",
            ),
        },
        Step {
            key: Some('n'),
            say: Words(
                "A container has such a root and more: here even chroot is refused, twice: the capability was dropped, and seccomp denies the call.",
                "容器除了这样的根还有更多：这里连 chroot 本身也被拒绝，而且有双重保护：能力（capability）已被去除，seccomp 也拒绝该调用。",
            ),
            ask: Words(
                "Which wall made the file unreachable, and which made the call fail?",
                "哪道墙让文件无法访问？哪道墙让调用失败？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "In the PID namespace no process has that pid. It may call kill as it likes: there is nothing to hit.",
                "在 PID 命名空间里，没有进程用那个进程号。它可以随意调用 kill，只是没有目标。",
            ),
            ask: Words(
                "What is its own pid, and what is it on the host?",
                "它自己的进程号是多少？在宿主机上又是多少？",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "ESRCH again: the filter allows this call, for debuggers, but the namespace has no such pid. Several thin walls, and one kernel behind all of them.",
                "又是 ESRCH：过滤器为调试器放行这个调用，但命名空间里没有那个进程号。几道薄墙，后面是同一个内核。",
            ),
            ask: Words(
                "What if that kernel has a bug in a call that the filter allows?",
                "如果内核在过滤器放行的某个调用里有漏洞呢？",
            ),
        },
        Step {
            key: Some('m'),
            say: Words(
                "A microVM: the same instruction jumps into the guest's own memory. There is no kernel to call.",
                "微型虚拟机：同一条指令，却跳进客户机自己的内存。没有内核可以调用。",
            ),
            ask: Words(
                "A Linux guest would have a kernel there. Whose kernel, and which files could it open?",
                "如果是 Linux 客户机，那里就有内核。是谁的内核？它能打开哪些文件？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "The interface is small: four requests, a console, an off switch. This was an unknown request, and isolab stopped the guest.",
                "接口很小：四种请求、一个控制台、一个关机端口。这是未知请求，于是 isolab 结束了客户机。",
            ),
            ask: Words(
                "For comparison: how many system calls does Linux have? (More than 350.)",
                "对比一下：Linux 有多少个系统调用？（350 多个。）",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "Its addresses refer to its own memory. Beyond it, isolab returns all ones; isolab's address causes a page fault.",
                "它的地址指向自己的内存。超出时 isolab 返回全 1；访问 isolab 的地址则引起缺页异常。",
            ),
            ask: Words(
                "This guest may change its own page tables. Why would that not help? (KVM maps guest addresses to the guest's RAM only.)",
                "这个客户机可以修改自己的页表。为什么也没用？（KVM 只把客户机地址映射到客户机的内存。）",
            ),
        },
        Step {
            key: Some('b'),
            say: Words(
                "New targets; the old ones are gone. No wall is perfect: list what could still have a bug behind each of them.",
                "换上新目标，旧目标已清除。没有哪道墙是完美的：列出每道墙后面仍可能有漏洞的部分。",
            ),
            ask: Words(
                "Where would you run a program that you do not trust?",
                "你不信任的程序，应该在哪里运行？",
            ),
        },
    ],
    cases: &[],
};
