//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// One second in ten tenths.
pub const SCRIPT: Script = Script {
    title: Words("One second in ten tenths", "把一秒分成十份"),
    minutes: 8,
    needs: Words(
        "After the lecture on CPU time slices. Needs two processors; SCHED_RR needs root.",
        "安排在 CPU 时间片一讲之后。需要两个处理器；SCHED_RR 需要 root。",
    ),
    keys: &[
        Key('r', Words("round robin", "轮转")),
        Key('n', Words("normal", "普通")),
        Key('v', Words("vCPUs", "虚拟 CPU")),
        Key('q', Words("quota", "配额")),
        Key('w', Words("weights", "权重")),
    ],
    steps: &[
        Step {
            key: Some('r'),
            say: Words(
                "Ten programs, one processor, one second: the textbook's picture, ten slices of 0.1 s, one after the other.",
                "十个程序，一个处理器，一秒钟：课本上的那张图，十个时间片，每个 0.1 秒，依次运行。",
            ),
            ask: Words(
                "How would it feel if your shell were one of them?",
                "如果你的 shell 是其中之一，用起来会是什么感觉？",
            ),
        },
        Step {
            key: Some('n'),
            say: Words("The same shares, but shorter slices.", "份额相同，时间片更短。"),
            ask: Words(
                "Why are slices of a few milliseconds better for a shell? For what are they worse?",
                "为什么几毫秒的时间片对 shell 更好？对什么程序反而更差？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "The same ten programs, each in its own virtual machine. The picture does not change: to the host a virtual CPU is a thread, and the same scheduler runs it.",
                "还是这十个程序，但每个都在自己的虚拟机里。图没有变：对宿主机来说，虚拟 CPU 就是一个线程，由同一个调度器调度。",
            ),
            ask: Words(
                "What does an operating system in such a machine notice of the gaps? (Steal time, if the host reports it.)",
                "这样的虚拟机里的操作系统能察觉这些停顿吗？（能看到 steal time，如果宿主机报告的话。）",
            ),
        },
        Step {
            key: Some('q'),
            say: Words(
                "A single program, and yet it is stopped nine tenths of the time.",
                "只有一个程序，却有九成时间处于停止状态。",
            ),
            ask: Words(
                "What stops it? (Its cgroup's quota; nr_throttled in cpu.stat counts it.)",
                "是什么让它停止的？（控制组的配额；cpu.stat 中的 nr_throttled 会计数。）",
            ),
        },
        Step {
            key: Some('w'),
            say: Words("Three containers with weights of 1 : 2 : 4.", "三个容器，权重 1 : 2 : 4。"),
            ask: Words(
                "What happens to the shares when the third one ends?",
                "第三个结束以后，份额会怎样变？",
            ),
        },
    ],
    cases: &[],
};
