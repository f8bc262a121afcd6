//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// Who starts first, and who holds how much.
pub const SCRIPT: Script = Script {
    title: Words("Container versus microVM", "容器与微型虚拟机对比"),
    minutes: 10,
    needs: Words(
        "After the lecture on virtualization, before labs 18 and 19. The microVM needs KVM; the container needs root or user namespaces.",
        "安排在虚拟化一讲之后、实验 18 和 19 之前。微型虚拟机需要 KVM；容器需要 root 或用户命名空间。",
    ),
    keys: &[
        Key('r', Words("race", "开始")),
        Key('l', Words("with Linux", "加上 Linux")),
        Key('c', Words("10 containers", "10 个容器")),
        Key('v', Words("10 microVMs", "10 台微型虚拟机")),
        Key('k', Words("end all", "全部结束")),
    ],
    steps: &[
        Step {
            key: Some('r'),
            say: Words(
                "One small program, started as a plain process, in a container and in a virtual machine. These are real starts in slow motion. The plain process is the lower bound.",
                "同一个小程序，分别作为普通进程、在容器里、在虚拟机里启动。都是真实的启动，以慢动作播放。普通进程是下限。",
            ),
            ask: Words(
                "\"Containers start in milliseconds, virtual machines in minutes.\" Which half is wrong here?",
                "“容器几毫秒就能启动，虚拟机要几分钟。”这句话的哪一半在这里不对？",
            ),
        },
        Step {
            key: None,
            say: Words(
                "See where each lane is long. Between `created` and `entered` the container gets its mounts and its root. The microVM has memory and one virtual CPU, and nothing to boot.",
                "看每一道长在哪里。容器在“已创建”和“已进入”之间挂载文件系统、切换根目录。微型虚拟机只有内存和一个虚拟 CPU，不需要引导任何系统。",
            ),
            ask: Words(
                "What do other virtual machines have that this microVM does without?",
                "一般的虚拟机都有，而这台微型虚拟机没有的，是什么？",
            ),
        },
        Step {
            key: Some('l'),
            say: Words(
                "Now a virtual machine with its own Linux kernel. Where the host's KVM cannot boot one, all four start in an emulated computer whose clock counts instructions: compare its numbers only with each other.",
                "现在启动一台有自己 Linux 内核的虚拟机。如果主机的 KVM 无法启动它，四种都在一台模拟的计算机中启动，其时钟按指令计数：这些数只能互相比较。",
            ),
            ask: Words(
                "While it boots, guess: ten times as long as the container, a hundred times, a thousand times?",
                "趁它启动，先猜一猜：是容器的十倍、一百倍，还是一千倍？",
            ),
        },
        Step {
            key: None,
            say: Words(
                "The axis is longer now, and the other three are slivers at its left end. Not the virtual machine takes the time, but its kernel, which is loaded and then boots.",
                "坐标轴变长了，另外三道缩成左端的细线。耗时的不是虚拟机，而是内核：先装入，再引导。",
            ),
            ask: Words(
                "In which phase is the kernel loaded, and in which does it boot? (isolab loads it before `entered`; it boots from then to the first byte.)",
                "内核在哪个阶段装入，在哪个阶段引导？（“已进入”之前由 isolab 装入；从那时到首字节是在引导。）",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "Ten containers that do nothing. The bar shows their memory: the processes inside, isolab's own memory for them, and the kernel's.",
                "十个什么也不做的容器。条形显示它们占用的内存：里面的进程、isolab 为它们占用的内存，以及内核占用的内存。",
            ),
            ask: Words(
                "Which part does `ps` show, and which part does it miss?",
                "`ps` 能看到其中哪一部分，看不到哪一部分？",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "Ten more; see what each takes now. The first ten could reuse memory that the kernel had kept from containers that ended before, so they seemed cheaper.",
                "再启动十个，看现在每个占多少。前十个重用了内核从先前结束的容器保留下来的内存，所以看起来较少。",
            ),
            ask: Words(
                "How many would you start before you trust the number?",
                "要启动多少个，这个数才可信？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "Ten microVMs on the same scale. They have no processes of their own: the memory of each is a mapping in isolab, and only the pages that it touched exist.",
                "同一刻度下的十台微型虚拟机。它们没有自己的进程：每一台的内存都是 isolab 中的一段映射，只有访问过的页才真正存在。",
            ),
            ask: Words(
                "How many of each could this machine hold? What must you know before you promise that?",
                "这台机器各能容纳多少个？要做出保证，还需要先知道什么？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "Ten more of these too, so that the two can be compared.",
                "也再启动十台，以便比较。",
            ),
            ask: Words(
                "A Linux microVM has touched some 80 MiB before its program prints anything. How many of these bars is that?",
                "一台 Linux 微型虚拟机，在里面的程序输出之前就已访问约 80 MiB 内存。那相当于这里的几条？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "All are ended, and the machine has its memory back.",
                "全部结束，内存归还给机器。",
            ),
            ask: Words(
                "Both are small and fast. So what does the choice between them really depend on?",
                "两者都又小又快。那么选择哪一个，真正取决于什么？",
            ),
        },
    ],
    cases: &[],
};
