//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// One second in ten tenths.
pub const SCRIPT: Script = Script {
    title: Words("One second in ten tenths", "把一秒分成十份"),
    minutes: 8,
    needs: Words(
        "After the lecture on CPU time slicing. Two processors; SCHED_RR needs root.",
        "接在 CPU 时间片那一讲之后。需要两个处理器；SCHED_RR 需要 root。",
    ),
    keys: &[
        Key('r', Words("in turn", "轮流")),
        Key('n', Words("normal", "普通")),
        Key('v', Words("vCPUs", "虚拟处理器")),
        Key('q', Words("quota", "配额")),
        Key('w', Words("weights", "权重")),
    ],
    steps: &[
        Step {
            key: Some('r'),
            say: Words(
                "Ten programs, one processor, one second: the textbook's picture, ten slices of 0.1 s in turn.",
                "十个程序，一个处理器，一秒钟：课本上的那张图，十片，每片 0.1 秒，轮流来。",
            ),
            ask: Words(
                "What would you feel if your shell were one of them?",
                "要是你的 shell 是其中之一，用起来会是什么感觉？",
            ),
        },
        Step {
            key: Some('n'),
            say: Words("The same share, other slices.", "份额一样，片长不一样。"),
            ask: Words(
                "Why are slices of a few milliseconds better for a shell, and worse for whom?",
                "为什么几毫秒的时间片对 shell 更好？对谁反而更差？",
            ),
        },
        Step {
            key: Some('v'),
            say: Words(
                "The same ten programs, each in a virtual machine of its own. The picture does not change: to the host a virtual processor is a thread, and the same scheduler shares it out.",
                "还是这十个程序，但每个都在自己的虚拟机里。图没有变：对宿主机来说，虚拟处理器就是一个线程，由同一个调度器来分。",
            ),
            ask: Words(
                "What does an operating system in such a machine notice of its gaps? (Stolen time, if it is told.)",
                "这样的虚拟机里的操作系统，能察觉自己停过吗？（被偷走的时间，如果有人告诉它。）",
            ),
        },
        Step {
            key: Some('q'),
            say: Words(
                "One program, alone, and yet it stands still nine tenths of the time.",
                "只有一个程序，却有九成时间停着不动。",
            ),
            ask: Words(
                "Who stops it? (Its cgroup's quota; nr_throttled in cpu.stat counts.)",
                "是谁让它停的？（cgroup 的配额；cpu.stat 里的 nr_throttled 在计数。）",
            ),
        },
        Step {
            key: Some('w'),
            say: Words("Weights of 1 : 2 : 4.", "权重 1 : 2 : 4。"),
            ask: Words(
                "What happens to the shares when the third one ends?",
                "第三个结束以后，份额会怎样变？",
            ),
        },
    ],
};
