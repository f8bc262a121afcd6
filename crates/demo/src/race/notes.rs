//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// Who starts first, and who holds how much.
pub const SCRIPT: Script = Script {
    title: Words("Container against microVM", "容器对微型虚拟机"),
    minutes: 10,
    needs: Words(
        "After the lecture on virtualization, before labs 18 and 19. KVM for the microVM; root or user namespaces for the container.",
        "接在虚拟化那一讲之后，实验 18 和 19 之前。微型虚拟机需要 KVM；容器需要 root 或用户命名空间。",
    ),
    keys: &[
        Key('r', Words("race", "开跑")),
        Key('l', Words("with Linux", "加上 Linux")),
        Key('c', Words("10 containers", "10 个容器")),
        Key('v', Words("10 microVMs", "10 台微型虚拟机")),
        Key('k', Words("end all", "全部结束")),
    ],
    steps: &[
        Step {
            key: Some('r'),
            say: Words(
                "One small program, started as a plain process, in a container and in a virtual machine. These are real starts, in slow motion. The plain process is the floor: nobody can be faster.",
                "同一个小程序，分别作为普通进程、在容器里、在虚拟机里启动。都是真实的启动，用慢动作播放。普通进程是下限：谁也快不过它。",
            ),
            ask: Words(
                "\"Containers take milliseconds, virtual machines minutes.\" Which half of the sentence is wrong here?",
                "“容器只要几毫秒，虚拟机要几分钟。”这句话在这里错在哪一半？",
            ),
        },
        Step {
            key: None,
            say: Words(
                "Look where each lane is long. The container gets its mounts and its root between `created` and `entered`. The microVM has memory and one virtual CPU, and nothing to boot.",
                "看每一道在哪里长。容器在“墙立好”和“程序进入”之间挂载文件系统、换根。微型虚拟机只有内存和一个虚拟 CPU，没有什么要引导。",
            ),
            ask: Words(
                "What does the microVM do without that every virtual machine you know has?",
                "你见过的虚拟机都有、而这台微型虚拟机没有的，是什么？",
            ),
        },
        Step {
            key: Some('l'),
            say: Words(
                "Now a virtual machine with a Linux kernel of its own. Where the host's KVM cannot boot one, all four start in an emulated computer, whose clock counts instructions: compare its numbers with each other only.",
                "现在来一台自带 Linux 内核的虚拟机。如果这台主机的 KVM 引导不了，就让四个都在一台模拟的计算机里启动，它的时钟数的是指令：这些数只能互相比较。",
            ),
            ask: Words(
                "While it boots: guess. Ten times the container, a hundred times, a thousand times?",
                "趁它引导，先猜：是容器的十倍、一百倍，还是一千倍？",
            ),
        },
        Step {
            key: None,
            say: Words(
                "The axis is a longer one now, and the other three are slivers at its left end. It is not the virtual machine that takes the time: it is the kernel, which has to be loaded and then boots in it.",
                "坐标轴变长了，另外三道缩成了左端的一条细线。费时间的不是虚拟机，而是内核：先要装入，然后在里面引导。",
            ),
            ask: Words(
                "In which of the five phases is the kernel loaded, and in which does it boot? (isolab loads it before `entered`; it boots between there and the first byte, for the first instructions of the virtual CPU are the kernel's.)",
                "五个阶段里，内核在哪一个被装入，在哪一个引导？（“程序进入”之前由 isolab 装入；从那里到首字节是它在引导，因为虚拟 CPU 最先执行的就是内核的指令。）",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "Ten containers that do nothing. The bar is what they hold of this machine: the process inside, what isolab holds for it, and what the kernel keeps for it.",
                "十个什么也不做的容器。这一条就是它们占用的内存：里面的进程、isolab 为它保存的，还有内核替它保存的。",
            ),
            ask: Words(
                "Which part does `ps` show, and which part does it not?",
                "`ps` 能看到其中哪一部分，看不到哪一部分？",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "Ten more, and look at what each takes now. The first ten could use what the kernel had kept of the containers that ended before, so they seemed cheaper.",
                "再来十个，看现在每个占多少。前十个用上了内核从已经结束的容器那里留下的内存，所以显得便宜。",
            ),
            ask: Words(
                "How many would you start before you believe the number?",
                "要启动多少个，你才相信这个数？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "Ten microVMs on the same scale. They have no process of their own: the memory of each is a mapping of isolab's, and only the pages that it has touched are there.",
                "同一个刻度，十台微型虚拟机。它们没有自己的进程：每一台的内存都是 isolab 里的一段映射，只有碰过的页才真正存在。",
            ),
            ask: Words(
                "How many of each would this machine hold? What must you know before you promise that?",
                "这台机器各能装下多少个？要敢这样保证，还得先知道什么？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "Ten more of these, too, and the two can be compared.",
                "它们也再来十台，这样才好比较。",
            ),
            ask: Words(
                "A Linux microVM has touched some 80 MiB before its program says a word. How many of the bars up here is that?",
                "一台 Linux 微型虚拟机，里面的程序还没开口，就已经碰了大约 80 MiB。那是这里的几条？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "All are ended, and the memory is the machine's again.",
                "全部结束，内存还给机器。",
            ),
            ask: Words(
                "Small and quick both. So what is the choice between the two really about?",
                "两边都又小又快。那么，选哪一个，真正取决于什么？",
            ),
        },
    ],
};
