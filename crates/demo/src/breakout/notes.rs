//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// Three attempts, four walls.
pub const SCRIPT: Script = Script {
    title: Words("Three ways out, four walls", "三条出路，四道墙"),
    minutes: 12,
    needs: Words(
        "After containers and virtual machines. Root shows all of it, the last wall needs KVM; an \
         ordinary user sees what a user namespace changes.",
        "放在容器和虚拟机两讲之后。用 root 能看全，最后一道墙需要 KVM；普通用户能看到用户命名空间带来的不同。",
    ),
    keys: &[
        Key('c', Words("chroot", "chroot")),
        Key('p', Words("pivot_root", "pivot_root")),
        Key('n', Words("container", "容器")),
        Key('m', Words("microVM", "microVM")),
        Key('1', Words("file", "文件")),
        Key('2', Words("process", "进程")),
        Key('3', Words("memory", "内存")),
        Key('b', Words("new baits", "换诱饵")),
    ],
    steps: &[
        Step {
            key: Some('b'),
            say: Words(
                "Three baits, all of them our own: a file, a sleeping process, a few bytes in the memory of isolab. The same three attempts, from behind four walls.",
                "三个诱饵，全是我们自己放的：一个文件、一个睡着的进程、isolab 内存里的几个字节。同样三招，隔着四道墙去拿。",
            ),
            ask: Words(
                "Which wall keeps which bait? Write down your twelve guesses first.",
                "哪道墙护得住哪个诱饵？先写下你的十二个猜测。",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "chroot, from 1979. Read the calls: a directory is kept open, a second chroot puts the root below it, and then it only has to walk up.",
                "chroot，1979 年的老办法。看这几个调用：先留着一个打开的目录，再 chroot 一次，根就到了它下面，接着一路往上走就行。",
            ),
            ask: Words(
                "Why does `..` stop at a root, and why did it not stop here?",
                "`..` 为什么会停在根上？这里为什么没停？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "It did not even need a file: the number was enough, and the bait is dead.",
                "连文件都用不着：知道编号就够了，诱饵已经死了。",
            ),
            ask: Words(
                "What does chroot say about processes? (Nothing.)",
                "chroot 对进程有什么规定？（什么都没有。）",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "And it read the memory of the very program that started it.",
                "它还读到了启动它的那个程序的内存。",
            ),
            ask: Words(
                "Whose permission was asked? (The kernel's, and it saw root.)",
                "这是谁批准的？（内核，它看到的是 root。）",
            ),
        },
        Step {
            key: Some('p'),
            say: Words(
                "pivot_root: the same tricks, all calls succeed, and the file is not there. The old root is not hidden, it is unmounted.",
                "pivot_root：同样的招数，每个调用都成功，可文件不在了。旧的根不是藏起来，是卸掉了。",
            ),
            ask: Words(
                "What if the last step, umount2, were forgotten? (The old root would still be mounted in here, with all its files.)",
                "要是忘了最后一步 umount2 呢？（旧的根还挂在里面，文件一个不少。）",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "But a root is about files: processes are as near as before.",
                "但是根只管文件：进程还是和原来一样近。",
            ),
            ask: Words(
                "Which wall is still missing for this, and which for memory?",
                "要挡住这个，还缺哪道墙？内存呢？",
            ),
        },
        Step {
            key: Some('n'),
            say: Words(
                "A container is this root and more: here chroot itself is refused, twice over, by a capability that was dropped and by seccomp.",
                "容器就是这样的根，再加别的：这里连 chroot 本身都不许，而且是双重的：能力丢掉了，seccomp 也不放行。",
            ),
            ask: Words(
                "Which of the two walls made the file unreachable, which made the call fail?",
                "让文件够不着的是哪道墙？让调用失败的又是哪道？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "In a PID namespace the same number means nobody. It may kill what it likes: it has nothing to aim at.",
                "在 PID 命名空间里，同一个号码不指任何人。它想杀谁都行，只是没有目标。",
            ),
            ask: Words(
                "What is its own number, and what is it on the host?",
                "它自己是几号？在宿主机上又是几号？",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "ESRCH again: the filter lets this call pass, for debuggers, and the namespace has nobody of that number. Several thin walls, and one kernel behind all of them.",
                "又是 ESRCH：调试器要用这个调用，过滤器放行；命名空间里那个编号不是任何人。好几道薄墙，后面是同一个内核。",
            ),
            ask: Words(
                "What if that one kernel has a bug in a call that the filter lets through?",
                "要是这个内核在过滤器放行的某个调用里有漏洞呢？",
            ),
        },
        Step {
            key: Some('m'),
            say: Words(
                "A microVM: the instruction is the same, but it leads into the guest's own memory. There is no kernel to ask.",
                "microVM：指令是同一条，却跳进了客户机自己的内存。没有内核可以求。",
            ),
            ask: Words(
                "A Linux guest would have a kernel there. Whose, and what could it open?",
                "如果是 Linux 客户机，那里就有内核。是谁的内核？它能打开什么？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "The door is narrow: four requests, a console, an off switch. This was a fifth request, and the end.",
                "门很窄：四种请求、一个控制台、一个关机开关。这是第五种请求，于是到此为止。",
            ),
            ask: Words(
                "Compare: how many system calls does Linux have? (More than 350.)",
                "比一比：Linux 有多少个系统调用？（350 多个。）",
            ),
        },
        Step {
            key: Some('3'),
            say: Words(
                "Its addresses mean its own memory. Beyond that isolab answers ones, and isolab's address is a page fault.",
                "它的地址指的是它自己的内存。超出去，isolab 回答全 1；isolab 的地址则是缺页。",
            ),
            ask: Words(
                "This guest may change its own page tables. Why would that not help? (KVM has the last word: they lead to its RAM.)",
                "这个客户机可以改自己的页表。为什么也没用？（最后由 KVM 说了算：只能通到它自己的内存。）",
            ),
        },
        Step {
            key: Some('b'),
            say: Words(
                "New baits, the old ones are gone. No wall is perfect: count what is left that could have a bug, behind each of them.",
                "换上新诱饵，旧的都没了。没有哪道墙是完美的：数一数每道墙后面还剩下多少可能出错的东西。",
            ),
            ask: Words(
                "Where would you run a program that you do not trust?",
                "一个你不信任的程序，你会放在哪里跑？",
            ),
        },
    ],
};
